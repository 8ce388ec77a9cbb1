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

import installing
import node as node_lib
import page

#: A tree of it, without its history.
OLD = '/root/older-release'
LEDGER = '/var/lib/nvme-agent/agent.sqlite'
#: Seconds a replica may be bad: longer than an upgrade takes.
GRACE = 240


def upgrades(node: node_lib.Node) -> None:
    """A grace period and an exchange outlive it; the way back is refused."""
    node.volume(GRACE)
    # the older release begins with nothing that a later one has written
    _older(node)
    node.run('mv %s /root' % LEDGER)
    begun = node.mark()
    node.start()
    before = _tables(node)
    node.wait_for('is new: 2 of 2 legs in sync', begun)
    node.start_guest()
    node.copy_slowly(300)
    dead, survivor = node.legs
    spare = node.unused()
    mark = node.mark()
    node.storage('kill', dead)
    node.wait_for('%s is MISSING' % node_lib.uuid(dead), mark)
    lost = _uptime(node)

    _present(node)
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
    node.wait_for_copy()

    _older(node)
    back = node.mark()
    # this release is started again and again all the same
    node.run('systemctl start --no-block nvme-agent')
    node.wait_for('was written by a later release', back)
    node.expect(node.show('ActiveState') != 'active', 'it serves')
    node.wait_for_writes()

    _present(node)
    node.finish_exchange(dead, survivor, spare, mark)
    node.say(['tables of version %d, then %d' % (before, after),
              'lost, upgraded within %.0f s, replacement requested after '
              '%.0f s of %d' % (started - lost, asked - lost, GRACE),
              'the older release refused its ledger', node.stop_guest()])


def _older(node: node_lib.Node) -> None:
    """Stop the agent and install the older release in its place.

    Its page had a path changed by hand where an environment is used.
    """
    node.run('systemctl stop nvme-agent; systemctl reset-failed nvme-agent; '
             'test -d %s || cp -r /mnt/old %s' % (OLD, OLD))
    installing.follow(node, page.upgrading(page.PAGE.read_text()), OLD,
                      PBR_VERSION='0.0.1')
    node.run("sed -i 's|/usr/local/bin/privsep|/opt/nvme-agent/bin/privsep|' "
             '/etc/sudoers.d/nvme-agent')


def _present(node: node_lib.Node) -> None:
    """Stop the agent, install the present release, and start it."""
    node.run('systemctl stop nvme-agent; systemctl reset-failed nvme-agent')
    installing.follow(node, page.upgrading(page.PAGE.read_text()))
    node.start()


def _tables(node: node_lib.Node) -> int:
    """Return the version of the ledger's tables."""
    return int(node.run(
        'python3 -c "import sqlite3; print(sqlite3.connect(\'%s\').execute('
        '\'PRAGMA user_version\').fetchone()[0])"' % LEDGER))


def _uptime(node: node_lib.Node) -> float:
    return float(node.run('cat /proc/uptime').split()[0])
