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
"""Faults in histories with somebody else's namespaces behind one's targets.

A target of the volume serves another namespace for a while, which a program of
this host has open, say: what is done to the connection is done to that, too
(S4).  Or such a program opens a copy that is to be put in (S2).
"""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)
#: The number of the first one.
FIRST = 700


@fault
def neighbour_at_a_leg(world: worlds.World, dice: random.Random) -> None:
    """Behind the target of a leg, which is lost meanwhile, or is to leave."""
    legs = {member.medium.uuid for member in world.raid.members}
    _beside(world, dice, [target for target in world.targets
                          if not legs.isdisjoint(target.media)])


@fault
def neighbour_at_a_target(world: worlds.World, dice: random.Random) -> None:
    """Behind any that is connected: a leg that has left, or is to come."""
    connected = {path.nqn for path in world.kernel.paths.values()}
    _beside(world, dice, [target for target in world.targets
                          if target.nqn in connected])


@fault
def copy_is_held(world: worlds.World, dice: random.Random) -> None:
    """A program of this host opens a replica that is no leg.

    LVM or multipathd, say; what is a leg is md's alone.
    """
    kernel = world.kernel
    free = [device for uuid, device in sorted(kernel.heads.items())
            if uuid in world.volume.ever and kernel.holder(device) is None]
    if not free:
        return
    device = dice.choice(free)
    world.tell('%s is opened by somebody' % device)
    kernel.held[device] = 'dm-0'
    kernel.touched()
    world.live(dice.choice((1.0, 6.0, 25.0)))
    world.tell('and closed again')
    del kernel.held[device]
    kernel.touched()


def _beside(world: worlds.World, dice: random.Random,
            homes: list[kernels.Target]) -> None:
    if not homes:
        return
    home = dice.choice(homes)
    medium = md.Medium(kernels.uuid_of(FIRST + world.neighbours))
    world.neighbours += 1
    world.tell('target %s has a namespace of somebody else\'s, too'
               % home.nqn)
    world.kernel.export(home, medium)
    world.judge.shared.add(medium.uuid)
    world.live(dice.choice((0.0, 0.6, 6.0)))
    event = dice.random()
    if event < 0.5:
        world.tell('target %s %s' % (home.nqn, 'dies'))
        world.kernel.lose(home, dice.random() < 0.5)
    elif event < 0.8:
        faults.replica_is_moved(world, dice)
    world.live(dice.choice((1.0, 6.0, 25.0)))
    if dice.random() < 0.7:
        world.kernel.restore(home)
        world.live(dice.choice((1.0, 6.0)))
    world.tell('it has it no more')
    world.judge.shared.discard(medium.uuid)
    world.kernel.move_out(medium.uuid)
