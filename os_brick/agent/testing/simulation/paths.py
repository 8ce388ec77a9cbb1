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
"""What may happen to single paths, where a target has several portals."""

from __future__ import annotations

import random

from os_brick.agent import model
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import targets
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)


def _portals(world: worlds.World) -> list[tuple[targets.Target,
                                                model.Portal]]:
    """Those of the legs' targets."""
    legs = {member.medium.uuid for member in world.raid.members}
    return [(target, portal) for target in world.targets
            if not legs.isdisjoint(target.media)
            for portal in target.portals]


@fault
def portal_dies(world: worlds.World, dice: random.Random) -> None:
    living = [(target, portal) for target, portal in _portals(world)
              if target.listens(portal)]
    if living:
        target, portal = dice.choice(living)
        silent = dice.random() < 0.4
        world.tell('portal %s of %s %s' % (
            portal, target.nqn, 'falls silent' if silent else 'dies'))
        world.kernel.lose_portal(target, portal, silent)


@fault
def portals_return(world: worlds.World, dice: random.Random) -> None:
    dead = [(target, portal) for target in world.targets
            for portal in sorted(target.dead)]
    for target, portal in dead:
        if dice.random() < 0.7:
            world.tell('portal %s of %s listens again' % (portal, target.nqn))
            target.dead.discard(portal)
    world.kernel.touched()


@fault
def target_returns_in_part(world: worlds.World,
                           dice: random.Random) -> None:
    """It dies, and one of its portals listens long before the others."""
    found = _portals(world)
    if not found:
        return
    target, first = dice.choice(found)
    world.tell('target %s dies' % target.nqn)
    world.kernel.lose(target, dice.random() < 0.4)
    world.live(dice.choice((1.0, 8.0, 25.0)))
    target.dead |= {*target.portals} - {first}
    world.tell('it returns with %s alone' % first)
    target.dead.discard(first)
    world.kernel.restore(target)
    world.live(dice.choice((5.0, 25.0)))
    if dice.random() < 0.7:
        world.tell('it has all its portals')
        target.dead.clear()
        world.kernel.restore(target)


@fault
def path_is_forgotten(world: worlds.World, dice: random.Random) -> None:
    """The kernel gives a lost path up, or somebody disconnects one."""
    legs = {member.medium.uuid for member in world.raid.members}
    spare = [path for path in world.kernel.paths.values()
             if path.seen & legs and any(
                 other is not path and other.nqn == path.nqn
                 and other.lost_at is None
                 for other in world.kernel.paths.values())]
    if spare:
        path = dice.choice(spare)
        world.tell('the kernel forgets the connection %s' % path.name)
        world.kernel.forget_path(path)
