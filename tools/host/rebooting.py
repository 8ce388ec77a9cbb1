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
"""The story of the machine that goes down, and comes up again."""

from __future__ import annotations

import re
import time

import installing
import node as node_lib

UNITS = 'nvme-agent nvme-agent-shutdown'
#: Puts an inventory with a short grace period in place while the machine is
#: away, so that none of it has run before.
DROP_IN = '/etc/systemd/system/nvme-agent.service.d/next-inventory.conf'
NEXT = 'volumes.next'
#: Seconds within which a machine is to be down, beyond those that the same
#: machine takes with no volume; and until its power is cut.
WANTED, PATIENCE = 60.0, 300.0


def reboots(node: node_lib.Node) -> None:
    """Down within a minute, whatever is lost; nothing is replaced for it."""
    idle = _with_nothing(node)
    node.say(['with no volume: down after %.0f s' % idle])
    slow = []
    for agent in (True, False):
        for lost in (2, 1, 0):
            seconds = _reboot(node, agent, lost)
            what = '%s, %s of 2 targets lost' % (
                'with the agent' if agent else 'without it', lost)
            node.say(['%s: %s' % (what, 'up after %.0f s, power cut'
                                  % PATIENCE if seconds is None
                                  else 'down after %.0f s' % seconds)])
            if agent and (seconds is None or seconds > idle + WANTED):
                slow.append(what)
    node.expect(not slow, 'not down within %d s: %s' % (WANTED,
                                                        '; '.join(slow)))


def _with_nothing(node: node_lib.Node) -> float:
    """Reboot with no volume; return the seconds until it is down."""
    if not node.up:
        node.boot()
    if node.attached:
        # of an earlier story, and in sync: it goes with the machine
        node.down('reboot')
        node.boot()
    seconds = node.down('reboot', PATIENCE)
    node.boot()
    node.expect(seconds is not None, 'up after %d s, with no volume'
                % PATIENCE)
    assert seconds is not None
    return seconds


def _reboot(node: node_lib.Node, agent: bool, lost: int) -> float | None:
    """Reboot with a guest at work and that many targets lost."""
    node.volume(node_lib.NEVER)
    if agent:
        node.run('systemctl enable --quiet %s; '
                 'systemctl start nvme-agent-shutdown' % UNITS)
        node.start()
        # every new connection has another one than the agent's
        node.wait_for('done: SetReconnectDelay')
    else:
        # what the agent has set on a connection goes with it
        node.run('systemctl disable --quiet --now %s' % UNITS)
        node.down('reboot', PATIENCE)
        node.boot()
        node.volume(node_lib.NEVER)
    node.start_guest()
    goal = node.writes() + 20
    for target in node.legs[:lost]:
        node.storage('kill', target)
    if agent and lost == 1:
        node.wait_for_writes()
    elif lost:
        # a write that was under way may end with an error, and md go on
        node.machine.wait_until(
            lambda: node.guest()[3] > 5 or lost == 1
            and node.writes() >= goal, 'the guest waits')
    if agent:
        node.inventory(node_lib.SOON, NEXT)
        node.run('printf "[Service]\\nExecStartPre=+-/bin/mv '
                 '/etc/nvme-agent/%s /etc/nvme-agent/volumes.yaml\\n" >%s; '
                 'systemctl daemon-reload' % (NEXT, DROP_IN))
    seconds = node.down('reboot', PATIENCE)
    node.boot()
    if agent:
        _nothing_is_replaced(node)
    else:
        node.attach()
        # the agent puts the legs in order, for what comes next
        node.start()
    node.wait_whole(*node.legs)
    if seconds is not None:
        node.say([node.read_back(errors=lost == 2)])
    return seconds


def _nothing_is_replaced(node: node_lib.Node) -> None:
    """Each replica was away for longer than it may be, with the machine."""
    node.wait_for('starts on host')
    installing.kept_in_memory(node)
    node.run('rm %s; systemctl daemon-reload' % DROP_IN)
    time.sleep(4 * node_lib.SOON)
    node.attach()
    node.wait_whole(*node.legs)
    words = node.journal()
    node.expect(not re.search(node_lib.REPLACE, words),
                'replaced for having been away:\n' + words)
