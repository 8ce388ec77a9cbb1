#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
"""Starts the double for a person to play with."""

from __future__ import annotations

import argparse
import tempfile
import threading

from os_brick.agent.tests.kumoscale import certificates
from os_brick.agent.tests.kumoscale import server


def main() -> None:
    parser = argparse.ArgumentParser(
        prog='python3 -m os_brick.agent.tests.kumoscale', description=(
            'A double of a KumoScale provisioner, for tests and for play.'))
    parser.add_argument('--address', action='append',
                        help='listen there (127.0.0.1)')
    parser.add_argument('--port', type=int, default=8090)
    parser.add_argument('--backends', type=int, default=4,
                        help='how many backends it has (4)')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='kumoscale-') as directory:
        with server.Double(certificates.make(directory),
                           options.address or ['127.0.0.1'],
                           options.port) as double:
            for number in range(options.backends):
                double.world.add_backend('backend-%d' % number, [
                    ('127.0.0.%d' % (11 + number), 4420, 'tcp')])
            base = 'https://%s:%d' % (double.addresses[0], double.port)
            print('listening at %s' % base)
            print('kioxia_provisioner_ip = %s' % ','.join(double.addresses))
            print('kioxia_provisioner_port = %d' % double.port)
            print('kioxia_provisioner_token = %s' % double.token)
            print('kioxia_ca_file = %s' % double.certificates.ca)
            print("curl --cacert %s -H 'Authorization: Bearer %s' "
                  '%s/volumes' % (double.certificates.ca, double.token,
                                  base), flush=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                print('stopped')


if __name__ == '__main__':
    main()
