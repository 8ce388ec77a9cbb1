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
"""Slow but living targets for a long time: is ever one taken for dead?

Every few seconds the slowness changes: disks that take seconds, round trips
of up to 0.8 s, both, neither, several writers at once, a check of the array
at full speed.  Whatever the agent cuts off is a false alarm.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import session as session_lib

ALIAS = 'soak'
ALARM = re.compile(r'done: (FailLeg|Disconnect|ResetConnection)|is faulty')
DISKS = (0.0, 0.0, 0.2, 1.0, 4.0)
ROUND_TRIPS = (0.0, 0.0, 0.05, 0.4, 0.8)


def soak(session: session_lib.Session, seconds: float, seed: int) -> int:
    """Return how many false alarms there were."""
    chance = random.Random(seed)
    volume = session.attach(ALIAS, slow=True)
    agent = session.agent({'DEFAULT': {'debug': False}},
                          inventory.text([volume]))
    agent.wait_for_log('no leg fails fast')
    writers = [session.write(volume), session.write(
        volume, burst=50, gap=2.0)]
    end = time.monotonic() + seconds
    longest = 0.0
    while time.monotonic() < end:
        for target, _namespace in volume.replicas:
            target.namespace.backing.set_delay(chance.choice(DISKS))
            target.delay(chance.choice(ROUND_TRIPS))
        if chance.random() < 0.2:
            _check()
        time.sleep(min(chance.uniform(3, 20), max(0.0, end
                                                  - time.monotonic())))
        longest = max(longest, *(writer.status().longest_pause
                                 for writer in writers))
        alarms = _alarms(agent)
        print('soak: %5.0f s left, %d writes, longest %.1f s, %d false '
              'alarms' % (end - time.monotonic(),
                          sum(writer.status().finished for writer
                              in writers), longest, alarms), flush=True)
    for target, _namespace in volume.replicas:
        target.namespace.backing.set_delay(0)
        target.delay(0)
    errors = sum(writer.stop(120).errors for writer in writers)
    print('SOAKED seconds=%d seed=%d longest_write_s=%.1f write_errors=%d '
          'false_alarms=%d' % (seconds, seed, longest, errors,
                               _alarms(agent)), flush=True)
    return _alarms(agent) + errors


def _check() -> None:
    """Have md read all legs and compare them, where it is idle."""
    array = host.array(ALIAS)
    if array is None:
        raise RuntimeError('the array is gone')
    if array.sync_action == 'idle':
        (host.BLOCK / array.name / 'md' / 'sync_action').write_text('check')


def _alarms(agent: agent_lib.Agent) -> int:
    return len(ALARM.findall(agent.log()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('seconds', type=float, nargs='?', default=3600.0)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    session = session_lib.Session()
    try:
        return 1 if soak(session, options.seconds, options.seed) else 0
    finally:
        session.close()


if __name__ == '__main__':
    sys.exit(main())
