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
"""The stories of the service at work."""

from __future__ import annotations

import time

import installing
import node as node_lib

DROP_IN = '/etc/systemd/system/nvme-agent.service.d/watchdog.conf'
CONF = '/etc/nvme-agent/agent.conf'
STOP_TIMEOUT = 90.0


def heals_a_volume(node: node_lib.Node) -> None:
    """A target dies under a guest; a spare takes its place in the unit."""
    node.volume(node_lib.SOON)
    mark = node.mark()
    node.wait_for('done: SetReconnectDelay')
    node.start_guest()
    dead, survivor = node.legs
    spare = node.unused()
    node.storage('kill', dead)
    seconds = node.wait_whole(survivor, spare)
    node.wait_for('asking the provisioner to confirm replica %s'
                  % node_lib.uuid(dead), mark)
    node.wait_for_writes()
    _pause = node.guest()[2]
    node.say(['whole over %s after %.0f s' % (spare, seconds),
              'longest pause of a write %.1f s' % _pause, node.stop_guest()])
    installing.hardened(node)
    installing.kept_in_memory(node)
    installing.priorities(node)


def killed_and_hung(node: node_lib.Node) -> None:
    """systemd starts it again after a kill, and after a hang."""
    node.volume(node_lib.NEVER)
    node.start_guest()
    mark, restarts = node.mark(), int(node.show('NRestarts'))
    node.run('kill -9 %s' % node.show('MainPID'))
    node.storage('kill', node.legs[0])
    seconds = node.wait_for('no leg fails fast|was lost|MISSING', mark)
    node.wait_for_writes()
    # more than once where the machine was too slow for the helper's start
    again = int(node.show('NRestarts')) - restarts
    node.expect(again, 'systemd did not start it again')
    node.say(['killed: served again after %.0f s, %d starts' % (seconds,
                                                                again),
              'a target died meanwhile, the longest pause of a write was '
              '%.0f s' % node.guest()[2]])
    node.storage('revive', node.legs[0])
    node.wait_whole(*node.legs)
    node.expect(node_lib.REPLACE not in node.journal()[mark:],
                'a replacement was requested')

    # five minutes are the unit's; the same with one
    node.run('printf "[Service]\\nWatchdogSec=60\\n" >%s; '
             'systemctl daemon-reload' % DROP_IN)
    node.start('restart')
    try:
        mark, restarts = node.mark(), int(node.show('NRestarts'))
        node.run('kill -STOP %s' % node.show('MainPID'))
        seconds = node.wait_for('starts on host', mark)
        node.expect('watchdog' in node.journal()[mark:].lower(),
                    'the watchdog is not named:\n' + node.journal()[mark:])
        mark = node.mark()
        node.storage('kill', node.legs[1])
        node.wait_for('%s is MISSING' % node_lib.uuid(node.legs[1]), mark)
        node.wait_for_writes()
        node.storage('revive', node.legs[1])
        node.wait_whole(*node.legs)
        node.say(['hung: served again after %.0f s (WatchdogSec=60)'
                  % seconds, node.stop_guest()])
    finally:
        node.run('rm -f %s; systemctl daemon-reload' % DROP_IN)
        node.start('restart')


def reload_and_wrong_configuration(node: node_lib.Node) -> None:
    """A live option is taken in; a wrong file ends it, once and for all."""
    installing.ensure_up(node)
    mark = node.mark()
    node.run('cp %s /root/good.conf; sed -i "/^.DEFAULT/a poll_interval = 7" '
             '%s; systemctl reload nvme-agent' % (CONF, CONF))
    node.wait_for('poll_interval', mark)
    node.expect(node.show('ActiveState') == 'active', 'it is not active')
    pid = node.show('MainPID')
    node.run('sed -i "s/^poll_interval.*/poll_interval = never/" %s; '
             'systemctl reload nvme-agent' % CONF)
    node.wait_for('the new configuration is not used', mark)
    node.expect(node.show('MainPID') == pid, 'it was started again')
    status, _output = node.machine.status('systemctl restart nvme-agent')
    node.expect(status, 'it started with a wrong configuration')
    time.sleep(15)      # three times RestartSec
    found = [node.show(name) for name in ('ActiveState', 'ExecMainStatus',
                                          'NRestarts')]
    node.expect(found == ['failed', '78', '0'], 'it is %s' % found)
    errors = node.run('journalctl -b -p err -o cat -u nvme-agent')
    node.expect('poll_interval' in errors,
                'journalctl -p err does not say why:\n' + errors)
    node.run('cp /root/good.conf %s' % CONF)
    node.start()
    node.say(['failed with 78, not started again'])


def stopped_in_an_exchange(node: node_lib.Node) -> None:
    """It stops in time while a spare is copied to, and goes on later."""
    node.volume(node_lib.SOON)
    node.wait_for('done: SetReconnectDelay')
    mark = node.mark()
    node.start_guest()
    node.copy_slowly(500)
    dead, survivor = node.legs
    spare = node.unused()
    node.storage('kill', dead)
    node.wait_for_copy()
    began = time.monotonic()
    node.run('systemctl stop nvme-agent')
    seconds = time.monotonic() - began
    node.expect(node.show('Result') == 'success' and seconds < STOP_TIMEOUT,
                'it ended with %s after %.0f s' % (node.show('Result'),
                                                   seconds))
    node.expect('recovery' in node.run('cat /proc/mdstat'),
                'the copy did not go on')
    node.start()
    node.finish_exchange(dead, survivor, spare, mark)
    node.say(['stopped after %.0f s, whole after its start' % seconds,
              node.stop_guest()])
