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
import itertools
import json
import pathlib
import signal
import sys
import tempfile
import threading
from typing import Any

from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.testing.kumoscale import server

# Told beforehand, so that each command can be pasted as it is printed.
_NUMBERED = '00000000-0000-4000-8000-%012d'
_VOLUME = '00000000-0000-4000-8000-0000000000f1'
_HOST = {'hostNqn': 'nqn.2014-08.org.example:host-1', 'name': 'host-1',
         'hostId': '00000000-0000-4000-8000-0000000000e1'}
_OLD, _NEW = _NUMBERED % 1, _NUMBERED % 3


def commands() -> list[tuple[str, str, str, Any]]:
    """Return what can be tried: why, the method, the path, the body."""
    replica = 'replica/%s' % _VOLUME
    return [
        ('a host announces itself, for 60 seconds',
         'POST', 'host_probe', dict(_HOST, duration=60)),
        ('a volume of two replicas; a bad one is replaced after 10 minutes',
         'POST', 'volumes', {'uuid': _VOLUME, 'alias': 'vol-1', 'capacity': 1,
                             'storageClass': {'numReplicas': 2,
                                              'maxReplicaDownTime': 10}}),
        ('it is given to the host',
         'POST', 'publish', {'volId': _VOLUME, 'hostId': _HOST['hostId']}),
        ('look at it', 'GET', 'volumes_by_alias/vol-1', None),
        ('where its replicas are reached',
         'GET', 'targets?volId=%s&hostId=%s' % (_VOLUME, _HOST['hostId']),
         None),
        ('and by which portals', 'GET', 'backends/backend-0', None),
        ('a replica is lost', 'PATCH', '%s/%s/Missing' % (replica, _OLD),
         None),
        ('it is to be replaced', 'POST', replica,
         {'sameRackAllowed': False}),
        ('the new one is in sync',
         'PATCH', '%s/%s/Available' % (replica, _NEW), None),
        ('the old one may go', 'PATCH', '%s/%s' % (replica, _OLD), None),
        ('it has left the array', 'DELETE', '%s/%s' % (replica, _OLD), None),
        ('all volumes', 'GET', 'volumes', None),
        ('an event', 'POST', 'forward_log',
         {'loggingType': 'EVENT', 'level': 'WARN', 'host': 'host-1',
          'appName': 'nvme-agent', 'message': 'a path was lost',
          'parametersList': []}),
        ('the kinds of faults', 'GET', 'control/faults', None),
        ('spoil the next three lists of volumes', 'POST', 'control/faults',
         {'kind': 'html', 'path': '^volumes', 'count': 3}),
        ('no faults any more', 'DELETE', 'control/faults', None),
        ('what was asked so far', 'GET', 'control/requests', None),
    ]


def line(config: pathlib.Path, base: str, method: str, path: str,
         body: Any) -> str:
    """Return one command for a shell."""
    words = ['curl -K', str(config)]
    if body is not None:
        words.append("-d '%s'" % json.dumps(body))
    if method != ('GET' if body is None else 'POST'):
        words.append('-X ' + method)
    return ' '.join(words + ["'%s/%s'" % (base, path)])


def describe(double: server.Double, config: pathlib.Path) -> str:
    """Return all that a person needs to know of a running double."""
    base = 'https://%s:%d' % (double.addresses[0], double.port)
    # the token is kept off the command line
    config.touch(0o600)
    config.write_text(
        'silent\nshow-error\ncacert = "%s"\n'
        'header = "Authorization: Bearer %s"\nwrite-out = "\\n"\n' % (
            double.certificates.ca, double.token))
    lines = [
        'A double of a KumoScale provisioner.  ^C ends it; nothing is kept.',
        '', 'address  %s' % base, 'token    %s' % double.token,
        'CA file  %s' % double.certificates.ca,
        '', 'For agent.conf:', '  provisioner_driver = kioxia',
        '  kioxia_provisioner_ip = %s' % ','.join(double.addresses),
        '  kioxia_provisioner_port = %d' % double.port,
        '  kioxia_provisioner_token = %s' % double.token,
        '  kioxia_ca_file = %s' % double.certificates.ca,
        '', 'Try, in another terminal, one after the other:',
        "# the long way; %s says the same for the others" % config.name,
        "curl --cacert %s -H 'Authorization: Bearer %s' '%s/info'" % (
            double.certificates.ca, double.token, base)]
    for why, method, path, body in commands():
        lines += ['# ' + why, line(config, base, method, path, body)]
    return '\n'.join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='tools/kumoscale-double.sh', description=(
            'A double of a KumoScale provisioner, for tests and for play.'))
    parser.add_argument('--address', action='append',
                        help='listen there (127.0.0.1); may be repeated')
    parser.add_argument('--port', type=int, default=8090,
                        help='the TCP port (8090); 0: any that is free')
    parser.add_argument('--backends', type=int, default=4,
                        help='how many backends it has (4)')
    options = parser.parse_args()
    addresses = options.address or ['127.0.0.1']
    ended = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda number, frame: ended.set())
    with tempfile.TemporaryDirectory(prefix='kumoscale-') as directory:
        made = certificates.make(directory, 'DNS:localhost,' + ','.join(
            'IP:' + address for address in addresses))
        double = server.Double(made, addresses, options.port)
        numbers = itertools.count(1)
        double.world.new_uuid = lambda: _NUMBERED % next(numbers)
        for number in range(options.backends):
            double.world.add_backend('backend-%d' % number, [
                ('127.0.0.%d' % (11 + number), 4420, 'tcp')])
        try:
            double.start()
        except OSError as error:
            print('cannot listen on %s, port %d: %s' % (
                ', '.join(addresses), options.port, error), file=sys.stderr)
            double.close()
            return 1
        print(describe(double, pathlib.Path(directory) / 'curl.conf'),
              flush=True)
        ended.wait()
        double.close()
    print('stopped')
    return 0


if __name__ == '__main__':
    sys.exit(main())
