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
"""What a fault of many arrays costs the guard itself: CPU, calls, scans.

    python tools/bench/guard_batch.py [ARRAYS]

Of so many arrays (256) every anchor is lost at once, with a few connections
for all of them or one for each leg. The host is made up: what is measured is
the guard's own work, the decision and its order, and the batch with its last
looks.
"""

from __future__ import annotations

import sys
import time

from os_brick.agent.guard import roles
from os_brick.agent.tests.unit.host import batch_world


def lost(arrays: int, shared: bool
         ) -> tuple[batch_world.World, roles.GuardMemory]:
    """Arrays whose anchors have been lost for long."""
    world = batch_world.World(arrays, shared)
    for name in world.states:
        world.tmo[name] = 1.0 if int(name[4:]) % 2 else None
    memory = world.decide(roles.GuardMemory(), 0.0).memory
    for name in world.states:
        if not int(name[4:]) % 2:
            world.states[name] = 'connecting'
    return world, world.decide(memory, 100.0).memory


def main() -> int:
    arrays = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    print('arrays  connections  decision  batch    scans  calls')
    for shared in (True, False):
        world, memory = lost(arrays, shared)
        snapshot = world.scan()
        begun = time.process_time()
        decision = world.decide_on(snapshot, memory, 200.0)
        decided = time.process_time()
        world.scans, world.calls = 0, []
        world.run(decision)
        done = time.process_time()
        print('%6d  %11s  %6.1f ms  %4.1f ms  %5d  %5d' % (
            arrays, 'shared' if shared else 'own',
            1000 * (decided - begun), 1000 * (done - decided), world.scans,
            len(world.calls)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
