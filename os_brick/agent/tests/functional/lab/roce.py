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
"""Soft RoCE: RDMA between this host and the addresses of its targets.

The two ends of a veth pair have an rxe device each.  Both are of this host,
and the kernel would hand packets between its own addresses over without a
wire: routes of their own, looked up before the local ones and for what is
sent only, lead them through the pair, where they may be lost or slowed down.
"""

from __future__ import annotations

import pathlib

from os_brick.agent.tests.functional.lab import network
from os_brick.agent.tests.functional.lab import process

#: This host's end, and that of its targets.
NEAR, FAR = 'roce0', 'roce1'
HOST, TARGETS = '10.99.0.1', '10.99.0.%d'
#: The targets', from 128 on: none of them is in the host's half.
_FIRST, _THEIRS = 128, '10.99.0.128/25'
_CONF = pathlib.Path('/proc/sys/net/ipv4/conf')


def address(number: int) -> str:
    """Give the targets' end one more address; return it."""
    found = TARGETS % (_FIRST + number)
    process.run('ip', 'address', 'replace', found + '/32', 'dev', FAR)
    return found


def make() -> network.Network:
    """Make the wire, where there is none yet; return what disturbs it."""
    if not pathlib.Path('/sys/class/net', NEAR).exists():
        _make()
    return network.Network(NEAR, FAR)


def _make() -> None:
    process.run('modprobe', '-a', 'rdma_rxe', 'nvmet-rdma', 'nvme-rdma',
                'veth')
    process.run('ip', 'link', 'add', NEAR, 'type', 'veth', 'peer', 'name',
                FAR)
    for name in ('all', NEAR, FAR):
        # packets come from this host's own addresses
        (_CONF / name / 'accept_local').write_text('1')
        (_CONF / name / 'rp_filter').write_text('0')
    process.run('ip', 'address', 'add', HOST + '/32', 'dev', NEAR)
    for name in (NEAR, FAR):
        process.run('ip', 'link', 'set', name, 'up')
    process.run('ip', 'route', 'add', _THEIRS, 'dev', NEAR, 'src', HOST,
                'table', '99')
    process.run('ip', 'route', 'add', HOST + '/32', 'dev', FAR, 'table',
                '98')
    process.run('ip', 'rule', 'add', 'pref', '9', 'lookup', 'local')
    process.run('ip', 'rule', 'del', 'pref', '0')
    # the connection manager asks for a way back by this device, too
    process.run('ip', 'rule', 'add', 'pref', '1', 'oif', FAR, 'to', HOST,
                'lookup', '98')
    process.run('ip', 'rule', 'add', 'pref', '2', 'iif', 'lo', 'to', _THEIRS,
                'lookup', '99')
    for number, name in enumerate((NEAR, FAR)):
        process.run('rdma', 'link', 'add', 'rxe%d' % number, 'type', 'rxe',
                    'netdev', name)
