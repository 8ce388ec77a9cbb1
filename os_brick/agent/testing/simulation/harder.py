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
"""What may happen beyond ``faults``: to the host, and to what is kept.

These came later than the others, and the histories of low seeds are to stay
what they are: see ``history``.
"""

from __future__ import annotations

import copy
import dataclasses
import random

from os_brick.agent import model
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import hands
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

State = model.ReplicaState
FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)


@fault
def leg_is_cut_in_a_write(world: worlds.World, dice: random.Random) -> None:
    """It is back long before its target has forgotten the write."""
    legs = [member for member in world.raid.members if member.in_sync]
    if not legs:
        return
    target = world.kernel.home(dice.choice(legs).medium.uuid)
    world.tell('target %s is cut off for a moment' % target.nqn)
    world.kernel.lose(target, dice.random() < 0.3)
    world.live(dice.choice((1.0, 2.5, 5.0)))
    world.kernel.restore(target)
    world.tell('target %s is there again' % target.nqn)
    world.live(dice.choice((5.0, 20.0)))


@fault
def disk_fails(world: worlds.World, dice: random.Random) -> None:
    """The ledger can be written no more, be the agent killed or not."""
    disk.Disk.trouble_is = dice.choice(disk.TROUBLES)
    world.tell('the disk of the ledger says: %s' % disk.Disk.trouble_is)
    world.live(dice.choice((0.5, 6.0, 20.0)))
    if dice.random() < 0.3:
        faults.agent_is_killed(world, dice)
        world.live(6.0)
    if dice.random() < 0.5:
        disk_works(world, dice)


@fault
def disk_works(world: worlds.World, dice: random.Random) -> None:
    world.tell('the disk of the ledger works')
    disk.works()


@fault
def helper_is_killed(world: worlds.World, dice: random.Random) -> None:
    """Of what it was to do nobody knows whether it was done."""
    more = random.Random(dice.random())
    seconds = dice.choice((0.5, 3.0, 8.0))
    world.tell('the helper is killed again and again for %g s' % seconds)
    world.hands.failing = lambda: more.choice(
        (hands.DONE, hands.UNTOLD, hands.LOST))
    if dice.random() < 0.5:
        faults.leg_dies(world, dice)
    world.live(seconds)
    world.hands.failing = None
    world.judge.excuse()


@fault
def host_boots(world: worlds.World, dice: random.Random) -> None:
    """Its array is assembled on whichever legs connect first."""
    world.tell('the host boots')
    boot(world, dice)


def boot(world: worlds.World, dice: random.Random) -> None:
    """Boot, and attach the volume; the agent is started sooner or later."""
    world.agent.kill()
    world.judge.guarded = False
    world.kernel.stop()
    world.clock.reboot()
    # what was asked for belongs to the attachment that has ended
    world.vendor.asked.clear()
    world.vendor.noted.clear()
    world.clock.offset += dice.choice((0.0, 0.0, 0.0, -4000.0, 4000.0))
    for uuid in sorted(world.volume.ever):
        target, fate = world.kernel.home(uuid), dice.random()
        if fate < 0.3:
            world.kernel.lose(target)
        elif fate < 0.7:
            world.kernel.restore(target)
    world.live(dice.choice((20.0, 60.0)))
    world.kernel.attach_strangers(sorted(world.judge.foreign_media))
    early = dice.random() < 0.5
    if early:
        world.agent.start()
        world.live(dice.choice((0.5, 6.0)))
    attach(world, dice)
    if not early:
        world.agent.start()
    world.judge.excuse()


def attach(world: worlds.World, dice: random.Random) -> None:
    """os-brick attaches the volume, as soon as it can."""
    listed = sorted(world.volume.replicas)
    dice.shuffle(listed)
    down = sorted({uuid for uuid in listed
                   if not world.kernel.home(uuid).reachable})
    dice.shuffle(down)
    world.hands.brick = True
    while True:
        try:
            world.kernel.assemble(world.raid.name, listed)
            break
        except md.KernelError as error:
            if not down:
                raise
            world.tell('the volume cannot be attached: %s' % error)
            home = world.kernel.home(down.pop())
            home.dead.clear()
            world.kernel.restore(home)
            world.live(1.0)
    world.hands.brick = False
    world.tell('it is attached on %s%s' % (
        ', '.join('%s (%s)' % (member.device, member.medium.uuid)
                  for member in world.raid.members),
        ', without what %s hold' % ', '.join(sorted(world.raid.beyond))
        if world.raid.beyond else ''))


@fault
def volume_is_extended(world: worlds.World, dice: random.Random) -> None:
    """Its replicas grow, then os-brick lets the array grow into them.

    A spare that was assigned in between may be too small.
    """
    raid, kernel = world.raid, world.kernel
    if raid.component_size > 512 * md.MIB:
        return
    world.tell('the volume is extended')
    for uuid in (*world.volume.replicas, *(
            world.volume.spares if dice.random() < 0.7 else ())):
        kernel.media[uuid].size *= 2
    kernel.touched()
    world.live(dice.choice((0.0, 1.0, 6.0)))
    world.hands.brick = True
    if not raid.hangs() and not raid.busy and raid.name in kernel.raids:
        raid.component_size = min(
            member.medium.size for member in raid.members
            if not member.faulty) - md.OFFSET
        raid.grown_at = world.kernel.now
        world.tell('its array has %d bytes' % raid.component_size)
        raid.write_superblocks()
        kernel.touched()
    world.live(0.5)
    world.hands.brick = False


@fault
def provisioner_errs(world: worlds.World, dice: random.Random) -> None:
    """A driver returns what can be read and is wrong."""
    def all_leaving(volumes: list[model.Volume]) -> object:
        return [dataclasses.replace(volume, replicas=tuple(
            dataclasses.replace(replica, state=State.TERMINATING)
            for replica in volume.replicas)) for volume in volumes]

    def claimed_twice(volumes: list[model.Volume]) -> object:
        return [*volumes, *(dataclasses.replace(
            volume, uuid=kernels.uuid_of(1900), alias='w')
            for volume in volumes)]

    def listed_twice(volumes: list[model.Volume]) -> object:
        return [dataclasses.replace(volume, replicas=volume.replicas * 2)
                for volume in volumes]

    def another_name(volumes: list[model.Volume]) -> object:
        return [dataclasses.replace(volume, alias='stranger')
                for volume in volumes]

    def targets_mixed_up(volumes: list[model.Volume]) -> object:
        return [dataclasses.replace(volume, replicas=tuple(
            dataclasses.replace(replica, target=other.target)
            for replica, other in zip(volume.replicas,
                                      reversed(volume.replicas))))
                for volume in volumes]

    lie = dice.choice((all_leaving, claimed_twice, listed_twice,
                       another_name, targets_mixed_up))
    world.tell('the driver errs: %s' % lie.__name__)
    world.vendor.lie = lie
    if lie is all_leaving:
        for _raid, volume in world.attached:
            volume.doomed |= set(volume.replicas)
    world.live(dice.choice((1.0, 6.0, 25.0)))
    if dice.random() < 0.7:
        world.tell('the driver errs no more')
        world.vendor.lie = None


@fault
def provisioner_is_restored(world: worlds.World,
                            dice: random.Random) -> None:
    """From a backup: what it was told since it does not know."""
    vendor, volume = world.vendor, world.volume
    if world.backup is not None and dice.random() < 0.6:
        world.tell('the provisioner is restored from its backup')
        vendor.restore(volume, world.backup)
        world.backup = None
    else:
        world.tell('the provisioner makes a backup')
        world.backup = copy.deepcopy((volume.replicas, volume.count,
                                      volume.spares, vendor.owed))
