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
"""An upgrade from an older ledger while a leg is lost, and the way back."""

from __future__ import annotations

import re

import installing
import node as node_lib

OLD, NEW = '/mnt/old', '/mnt/wheels'
LEDGER = '/var/lib/nvme-agent/agent.sqlite'
#: Seconds a replica may be bad: longer than an upgrade takes.
GRACE = 240
#: What the older release ends with where it does not know the tables.
REFUSED = '65'


def upgrades(node: node_lib.Node) -> None:
    """A grace period and an exchange outlive it; the way back is refused."""
    node.volume(GRACE)
    # the older release begins with nothing that a later one has written
    _install(node, OLD, 'mv %s /root' % LEDGER)
    begun = node.mark()
    node.start()
    before = _tables(node)
    node.wait_for('is new: 2 of 2 legs in sync', begun)
    node.start_guest()
    node.run('echo 500 >/proc/sys/dev/raid/speed_limit_max; '
             'echo 100 >/proc/sys/dev/raid/speed_limit_min')
    dead, survivor = node.legs
    spare = node.unused()
    mark = node.mark()
    node.storage('kill', dead)
    node.wait_for('%s is MISSING' % node_lib.uuid(dead), mark)
    lost = _uptime(node)

    _install(node, NEW)
    node.start()
    started = _uptime(node)
    node.wait_for(node_lib.REPLACE, mark)
    asked = _uptime(node)
    node.expect(asked - lost > GRACE - 30, 'the grace period of %d s ended '
                'after %.0f s' % (GRACE, asked - lost))
    node.expect(asked - started < GRACE, 'the grace period began anew with '
                'the upgrade')
    after = _tables(node)
    node.expect(before < after, 'the tables were of version %d, and are of '
                '%d' % (before, after))
    node.machine.wait_until(lambda: 'recovery' in node.run(
        'cat /proc/mdstat'), 'the spare is copied to')

    _install(node, OLD)
    back = node.mark()
    node.machine.status('systemctl start nvme-agent')
    node.machine.wait_until(
        lambda: node.show('ActiveState') == 'failed', 'it has ended')
    node.expect(node.show('ExecMainStatus') == REFUSED, 'it ended with '
                + node.show('ExecMainStatus'))
    said = re.search('.*later release.*', node.journal()[back:])
    node.expect(said, 'it does not say why:\n' + node.journal()[back:])
    node.wait_for_writes()

    _install(node, NEW)
    node.start()
    node.run('echo 200000 >/proc/sys/dev/raid/speed_limit_max')
    node.wait_whole(survivor, spare)
    node.wait_for('asking the provisioner to confirm replica %s'
                  % node_lib.uuid(dead), mark)
    times = node.journal()[mark:].count(node_lib.REPLACE)
    node.expect(times == 1, 'a replacement was requested %d times' % times)
    node.say(['tables of version %d, then %d' % (before, after),
              'lost, upgraded within %.0f s, replacement requested after '
              '%.0f s of %d' % (started - lost, asked - lost, GRACE),
              'the older release ended with ' + REFUSED, node.stop_guest()])


def _install(node: node_lib.Node, folder: str, then: str = 'true') -> None:
    """Stop the agent and install the release that lies there."""
    node.run('systemctl stop nvme-agent; systemctl reset-failed nvme-agent; '
             'set -e; /opt/nvme-agent/bin/pip -q install --no-deps '
             '--force-reinstall %s/os_brick_nvme_agent-*.whl; %s' % (
                 folder, then), installing.BLOCK_LIMIT, **installing.PIP)


def _tables(node: node_lib.Node) -> int:
    """Return the version of the ledger's tables."""
    return int(node.run(
        'python3 -c "import sqlite3; print(sqlite3.connect(\'%s\').execute('
        '\'PRAGMA user_version\').fetchone()[0])"' % LEDGER))


def _uptime(node: node_lib.Node) -> float:
    return float(node.run('cat /proc/uptime').split()[0])
