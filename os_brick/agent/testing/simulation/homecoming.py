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
"""A degraded volume is migrated alive, and comes home degraded.

While two hosts have it, each of them marks in its own write-intent bitmap what
it writes, and writes that over the other's on the legs.  A replica that is
out all the while and is back in the end lacks what neither may have marked.

No replacement is asked for meanwhile, or there would be nothing to put back.
"""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import migration
from os_brick.agent.testing.simulation import places
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)
#: Seconds within which the agent drops a leg that is lost, or waits with it.
DROPPED_WITHIN = 40.0


@fault
def degraded_volume_comes_home(world: worlds.World,
                               dice: random.Random) -> None:
    """It goes to another host with a replica out, and comes back so."""
    if world.raid.hangs() or len(_legs(world)) < 2:
        return
    patience, world.volume.down_time = world.volume.down_time, 0
    meanwhile = dice.random() < 0.2
    if meanwhile or _drop_one(world, dice):
        _there_and_back(world, dice, meanwhile)
    migration.targets_return(world, dice)
    world.live(dice.choice((20.0, 40.0)))
    world.volume.down_time = patience


def _legs(world: worlds.World) -> list[md.Member]:
    return [member for member in world.raid.members
            if member.in_sync and world.raid.io(member) == 'ok']


def _drop_one(world: worlds.World, dice: random.Random) -> bool:
    """One leg's target dies, and md drops the leg."""
    leg = dice.choice(_legs(world))
    target = world.kernel.home(leg.medium.uuid)
    world.tell('target %s dies, and stays away' % target.nqn)
    world.kernel.lose(target)
    end = world.baton.now + DROPPED_WITHIN
    while leg.in_sync and world.baton.now < end:
        world.live(1.0)
    return not leg.in_sync and bool(_legs(world))


def _there_and_back(world: worlds.World, dice: random.Random,
                    meanwhile: bool) -> None:
    """:param meanwhile: the leg is lost only while both hosts have it."""
    there = migration.other_host(world, dice)
    # a driver that does not say who heals lets both, and nobody may return
    # before one of them has it alone
    told = not meanwhile and dice.random() < 0.5
    world.tell('the volume%s is attached to another host, too' % (
        '' if meanwhile else ', which lacks a leg,'))
    world.vendor.healer = world.vendor if told else None
    there.agent.start()
    if migration.attach(world, there, dice):
        world.moved = True
        lost = not meanwhile or _drop_one(world, dice)
        world.live(dice.choice((2.0, 6.0)))
        if lost and migration.switch(world, there, dice):
            if not told:
                world.vendor.healer = None
            world.live(dice.choice((1.0, 4.0)))
            migration.leave(world)
            world.live(dice.choice((2.0, 6.0)))
            if dice.random() < 0.7:
                _go_home(world, dice)
    migration.leave(world)
    world.live(dice.choice((1.0, 12.0)))
    migration.forget(world)


def _go_home(world: worlds.World, dice: random.Random) -> None:
    """Its virtual machine is stopped here, and started where it was."""
    assert world.there is not None
    home: places.Place = world.there
    if not migration.comes_to_rest(world):
        return
    world.tell('the virtual machine is stopped, and started at home')
    left = world.raid
    legs = [member.medium.uuid for member in left.members]
    world.kernel.detach(left.name, world.volume.ever)
    world.vendor.attached = False
    home.raid = home.kernel.twin(left)
    home.vendor.attached, home.vendor.observed = True, False
    migration.carry_over(left, home.raid)
    world.move_to(home)
    home.agent.knows_no_more()
    world.live(dice.choice((0.0, 3.0)), writing=False)
    world.vendor.asked.clear()
    world.vendor.noted.clear()
    world.hands.brick = True
    try:
        world.kernel.assemble(home.raid.name, sorted(
            world.volume.replicas))
    finally:
        world.hands.brick = False
    world.judge.excuse()
    world.tell('it is attached at home on %s, of %s' % (
        ', '.join(member.device for member in world.raid.members),
        ', '.join(legs)))
