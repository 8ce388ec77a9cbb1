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
"""What may happen to namespaces of targets that live.

A target says that it gives no access to one (ANA), on all of its portals or on
some, and gives it again.  Its connections are live all the while.
"""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)


@fault
def access_is_withdrawn(world: worlds.World, dice: random.Random) -> None:
    """To a leg, or to whatever else is behind the targets."""
    kernel = world.kernel
    legs = [member.medium.uuid for raid, _volume in world.attached
            for member in raid.members]
    every = sorted(uuid for target in world.targets for uuid in target.media)
    found = legs if legs and dice.random() < 0.8 else every
    if not found:
        return
    uuid = dice.choice(found)
    home = kernel.home(uuid)
    portals = (home.portals if dice.random() < 0.6
               else [dice.choice(home.portals)])
    world.tell('%s gives no access to %s over %s' % (
        home.nqn, uuid, ', '.join(map(str, portals))))
    kernel.give_access(home, uuid, portals, False)
    world.live(dice.choice((0.0, 0.6, 6.0, 40.0)))
    if dice.random() < 0.5:
        access_is_given(world, dice)


@fault
def access_is_given(world: worlds.World, dice: random.Random) -> None:
    """To all of it again, or to some."""
    for target in world.targets:
        for portal, uuid in sorted(target.closed):
            if dice.random() < 0.7:
                world.tell('%s gives access to %s over %s' % (
                    target.nqn, uuid, portal))
                world.kernel.give_access(target, uuid, [portal], True)


@fault
def access_changes_hands(world: worlds.World, dice: random.Random) -> None:
    """A failover of the storage: another portal has it from now on."""
    legs = [member.medium.uuid for member in world.raid.members]
    homes = [world.kernel.home(uuid) for uuid in legs]
    several = [(uuid, home) for uuid, home in zip(legs, homes)
               if len(home.portals) > 1]
    if several:
        uuid, home = dice.choice(several)
        first = dice.choice(home.portals)
        world.tell('%s gives access to %s over %s alone' % (
            home.nqn, uuid, first))
        world.kernel.give_access(home, uuid, {*home.portals} - {first}, False)
        world.live(dice.choice((0.0, 2.0)))
        world.kernel.give_access(home, uuid, [first], True)


def end(world: worlds.World) -> None:
    """All is accessible."""
    for target in world.targets:
        for portal, uuid in sorted(target.closed):
            world.kernel.give_access(target, uuid, [portal], True)
