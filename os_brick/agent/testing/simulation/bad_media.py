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
"""What may happen to media: they refuse writes, for a while or for good."""

from __future__ import annotations

from collections.abc import Sequence
import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)


def _legs(world: worlds.World) -> list[md.Medium]:
    return [member.medium for member in world.raid.members
            if not member.faulty]


def _refuse(world: worlds.World, dice: random.Random, medium: md.Medium,
            blocks: Sequence[int]) -> None:
    for_good = dice.random() < 0.3
    medium.refuses.update(dict.fromkeys(blocks, for_good))
    world.tell('%s refuses writes to the blocks %s%s' % (
        medium.uuid, ', '.join(map(str, blocks)),
        ', for good' if for_good else ''))


def _some_blocks(dice: random.Random) -> list[int]:
    return sorted(dice.sample(range(md.BLOCKS), dice.choice((1, 1, 2, 3))))


@fault
def sectors_fail(world: worlds.World, dice: random.Random) -> None:
    """Of one leg."""
    legs = _legs(world)
    if legs:
        _refuse(world, dice, dice.choice(legs), _some_blocks(dice))
        world.live(dice.choice((0.0, 2.0, 10.0)))


@fault
def sectors_fail_and_another_leg_dies(world: worlds.World,
                                      dice: random.Random) -> None:
    """It is back before anybody has a reason to replace it."""
    legs = _legs(world)
    if len(legs) < 2:
        return
    bad, other = dice.sample(legs, 2)
    _refuse(world, dice, bad, _some_blocks(dice))
    world.live(dice.choice((2.0, 10.0)))
    home = world.kernel.home(other.uuid)
    world.tell('target %s dies' % home.nqn)
    world.kernel.lose(home, dice.random() < 0.4)
    world.live(dice.choice((1.0, 8.0, 15.0)))
    if dice.random() < 0.5:
        faults.medium_fails(world, dice)
    world.tell('target %s returns' % home.nqn)
    world.kernel.restore(home)
    world.live(dice.choice((0.0, 12.0)))


@fault
def pool_is_full(world: worlds.World, dice: random.Random) -> None:
    """A thin pool: what was never written cannot be, on several legs."""
    media = [medium for medium in _legs(world) if dice.random() < 0.7]
    blocks = _some_blocks(dice)
    for medium in media:
        medium.refuses.update(dict.fromkeys(blocks, False))
    world.tell('the pool of %s is full: blocks %s' % (
        ', '.join(medium.uuid for medium in media),
        ', '.join(map(str, blocks))))
    world.live(dice.choice((2.0, 6.0, 25.0)))
    if dice.random() < 0.8:
        world.tell('the pool has room again')
        for medium in media:
            for block in blocks:
                medium.refuses.pop(block, None)


@fault
def spare_has_bad_sectors(world: worlds.World, dice: random.Random) -> None:
    """What is copied to it next is refused in part."""
    spares = world.volume.spares[:2]
    if spares:
        _refuse(world, dice, world.kernel.media[dice.choice(spares)],
                _some_blocks(dice))


@fault
def disk_takes_no_writes(world: worlds.World, dice: random.Random) -> None:
    """It can be read; md cannot even note what it lacks."""
    legs = _legs(world)
    if not legs:
        return
    medium = dice.choice(legs)
    world.tell('%s takes no writes at all' % medium.uuid)
    # as if its target were lost: md drops the leg
    world.judge.excuse()
    world.kernel.losses.append((world.kernel.now, medium.uuid))
    medium.read_only = True
    world.live(dice.choice((2.0, 10.0, 40.0)))
    if dice.random() < 0.7:
        world.tell('%s takes writes again' % medium.uuid)
        medium.read_only = False


@fault
def media_take_writes_again(world: worlds.World,
                            dice: random.Random) -> None:
    """Those that refuse them for a while."""
    world.tell('media take writes again')
    for medium in world.kernel.media.values():
        medium.read_only = False
        for block, for_good in list(medium.refuses.items()):
            if not for_good and dice.random() < 0.7:
                del medium.refuses[block]


@fault
def volume_is_attached_anew(world: worlds.World,
                            dice: random.Random) -> None:
    """Its virtual machine is stopped and started; md forgets the errors."""
    if world.raid.name in world.kernel.raids and not world.raid.hangs():
        attach_anew(world, dice)


def attach_anew(world: worlds.World, dice: random.Random) -> None:
    world.tell('the volume is detached, and attached again')
    world.hands.brick = True
    world.kernel.detach_to_return(world.raid.name)
    world.agent.knows_no_more()
    world.judge.excuse()
    world.live(dice.choice((1.0, 6.0)))
    # what it has noticed of that it may ask again
    for uuid, record in world.agent.records(world.volume.uuid).items():
        if record.requested_at is None:
            world.vendor.asked.discard(uuid)
            world.vendor.noted.discard(uuid)
    harder.attach(world, dice)
    world.judge.excuse()


def end(world: worlds.World) -> None:
    """Of one leg that has bad blocks these stay bad for good."""
    worn = next((member for member in world.raid.members
                 if member.in_sync and member.bad
                 and not member.medium.read_only
                 and any(member.medium.refuses.values())), None)
    for medium in world.kernel.media.values():
        medium.read_only = False
        if worn is None or medium is not worn.medium:
            medium.refuses.clear()
    if worn is not None:
        worn.medium.refuses = {
            block: True for block, for_good in worn.medium.refuses.items()
            if for_good and block in worn.bad}


def put_right(world: worlds.World) -> None:
    """An operator has the blocks written that nobody holds any more."""
    raid = world.raid
    if raid.broken or raid.incomplete and raid.lacks():
        raid.owe_nothing_that_is_lost()
        for member in raid.members:
            member.medium.refuses.clear()
        # md does not try them again as it is, nor takes in what it was copying
        # to when the array broke
        if raid.pending is None and (raid.broken or not (
                raid.syncing or raid.would_try())):
            attach_anew(world, world.dice)
