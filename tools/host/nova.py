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
"""In the machine: attach a volume as nova-compute does, as the user nova.

Runs in nova's Python environment, which has os-brick and no agent.  The
connection properties come as JSON on the command line.
"""

import json
import sys

from oslo_concurrency import lockutils
from oslo_config import cfg

import os_brick
from os_brick.initiator.connectors import nvmeof  # type: ignore[attr-defined]

LOCK_PATH = '/var/lib/nova/tmp'


def main() -> None:
    properties = json.loads(sys.argv[1])
    conf = cfg.CONF
    conf(args=[], project='nova', default_config_files=[],
         default_config_dirs=[])
    lockutils.set_defaults(LOCK_PATH)
    os_brick.setup(conf)    # type: ignore[attr-defined]
    conf.set_override('lock_path', LOCK_PATH, group='os_brick')
    conf.set_override('helper_command', 'sudo -n /opt/nova/bin/privsep-helper',
                      group='privsep_osbrick')
    connector = nvmeof.NVMeOFConnector('sudo', use_multipath=True)
    print(json.dumps(connector.connect_volume(properties)))


if __name__ == '__main__':
    main()
