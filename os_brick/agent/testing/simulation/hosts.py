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
"""A volume that moves from host to host, each with an agent of its own.

One host after the other has it: the one that had it is dead, and boots before
it has it again.  What its agent remembers then is of before.
"""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)
#: How many hosts take turns.
HOSTS = 2


@fault
def volume_moves(world: worlds.World, dice: random.Random) -> None:
    """Its host dies, and its virtual machine is started on another one."""
    world.agent.kill()
    host = (world.agent.host + 1) % HOSTS
    world.tell('the host dies; the volume moves to host %d' % host)
    world.moved = True
    world.agent.move(host)
    world.judge.move(host)
    world.vendor.move(host)
    harder.boot(world, dice)
