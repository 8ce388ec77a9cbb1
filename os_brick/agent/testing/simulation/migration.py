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
"""A live migration: two hosts have the volume at the same time.

os-brick attaches it on the destination before the virtual machine has left
the source; both agents live.  The driver says who heals: the source, until
the virtual machine has moved.  What md itself mixes is no agent's: where a leg
of the destination lacks what the source has written, the volume is detached
and attached once, as the documentation asks for.
"""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import assembly
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import hosts
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import places
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)
#: Seconds that the virtual machine waits for its last write.
PATIENCE = 60.0


@fault
def volume_is_migrated(world: worlds.World, dice: random.Random) -> None:
    """Its virtual machine goes to another host, alive."""
    if not world.raid.members or world.raid.hangs():
        return
    there = other_host(world, dice)
    world.tell('the volume is attached to another host, too')
    world.vendor.healer = world.vendor
    there.agent.start()
    world.live(dice.choice((1.0, 6.0)))
    if attach(world, there, dice):
        world.moved = True
        _both(world, dice, 4)
        if switch(world, there, dice):
            _both(world, dice, 3)
    leave(world)
    if world.raid.members:
        # it was idle: with its next write md says again which legs it has,
        # whatever the other host's has written to them last
        world.raid.write_superblocks()
    world.live(dice.choice((12.0, 30.0)))
    forget(world)


def _both(world: worlds.World, dice: random.Random, most: int) -> None:
    """What comes while both hosts have it."""
    for _number in range(dice.randrange(most)):
        dice.choice(_WHILE)(world, dice)
        world.live(dice.choice((0.0, 1.0, 6.0)))


def other_host(world: worlds.World, dice: random.Random) -> places.Place:
    found = world.elsewhere
    if found is None:
        found = places.beside(world.here, world.baton, world.conf,
                              world.agent.folder, world.dice, world.tell)
        vendor = found.vendor
        vendor.double = lambda uuid: world.double(uuid, vendor)
    world.there, world.elsewhere = found, None
    host = (world.agent.host + 1) % hosts.HOSTS
    found.agent.stand_in(host, world.agent)
    found.judge.move(host)
    found.vendor.move(host)
    found.kernel.now = world.kernel.now
    found.kernel.mend()
    found.clock.offset += dice.choice((0.0, 0.0, -2.0, 3.0))
    return found


def attach(world: worlds.World, there: places.Place,
           dice: random.Random) -> bool:
    """os-brick assembles it there on whichever legs connect."""
    listed = sorted(world.volume.replicas)
    dice.shuffle(listed)
    world.raid.write_superblocks()
    there.raid = there.kernel.twin(world.raid)
    there.vendor.attached, there.vendor.observed = True, False
    world.vendor.attachments += 1
    there.hands.brick = True
    try:
        there.kernel.assemble(there.raid.name, _alike_to_md(world, listed))
    except md.KernelError as error:
        world.tell('it cannot be attached there: %s' % error)
        return False
    finally:
        there.hands.brick = False
        there.judge.excuse()
    world.tell('it is attached there on %s' % ', '.join(
        '%s (%s)' % (member.device, member.medium.uuid)
        for member in there.raid.members))
    return True


def _alike_to_md(world: worlds.World, listed: list[str]) -> list[str]:
    """Without the copies that md would mix with what the source writes to.

    One that the source's array lacks may look as new as its legs: two that
    were in charge, each for itself.  No agent could keep md from making them
    equal while the source goes on; here those are taken that go together.
    """
    copies = {uuid: medium.written.events for uuid in listed
              if (medium := world.kernel.media[uuid]).written is not None
              and medium.written.array_uuid == world.raid.uuid
              and medium.whole}
    legs = {member.medium.uuid for member in world.raid.members
            if not member.faulty}
    newest = max(copies, key=lambda uuid: copies[uuid], default='')
    return [uuid for uuid in listed if uuid not in copies
            or (uuid in legs) is (newest in legs)]


def switch(world: worlds.World, there: places.Place,
           dice: random.Random) -> bool:
    """The virtual machine stops here, and goes on there."""
    if not comes_to_rest(world):
        return False
    world.tell('the virtual machine goes on on the other host')
    raid = there.raid
    carry_over(world.raid, raid)
    alike = _alike(raid)
    world.move_to(there)
    world.judge.excuse()
    if alike:
        raid.beyond.clear()
    else:
        world.tell('its array has legs that lack writes: it is detached, and '
                   'attached once')
        leave(world)
        assembly.stop(raid)
        world.kernel.stopped[raid.name] = world.kernel.raids.pop(raid.name)
        world.kernel.touched()
        world.live(dice.choice((1.0, 12.0)))
        harder.attach(world, dice)
        world.judge.excuse()
    world.live(dice.choice((0.0, 1.0, 10.0)))
    world.vendor.healer = world.vendor
    # what was asked for is of the host that healed until now
    world.vendor.asked.clear()
    world.vendor.noted.clear()
    return True


def comes_to_rest(world: worlds.World) -> bool:
    """The virtual machine writes no more; False: its last write hangs."""
    end = world.baton.now + PATIENCE
    while world.raid.pending is not None:
        if world.baton.now > end:
            world.tell('the virtual machine stays: its last write hangs')
            return False
        world.live(1.0, writing=False)
    return True


def carry_over(source: md.Raid, raid: md.Raid) -> None:
    """What the application was told is so wherever it is."""
    raid.acknowledged = list(source.acknowledged)
    raid.promised = list(source.promised)
    raid.version = max(raid.version, source.version)
    raid.torn |= source.torn


def _alike(raid: md.Raid) -> bool:
    """Its legs hold what was written on the other host."""
    legs = [member.medium for member in raid.members if member.in_sync]
    return bool(legs) and all(
        held == told or block in raid.torn for medium in legs
        for block, (held, told) in enumerate(zip(medium.blocks,
                                                 raid.acknowledged)))


def leave(world: worlds.World) -> None:
    """os-brick detaches it where the virtual machine is not."""
    there = world.there
    if there is None or not there.vendor.attached:
        return
    world.tell('the other host detaches it')
    there.kernel.detach(there.raid.name, world.volume.ever)
    there.vendor.detached([member.medium.uuid for member
                           in world.raid.members])
    there.judge.excuse()


def forget(world: worlds.World) -> None:
    """The other host lives on, and nothing of that is of interest."""
    assert world.there is not None
    world.there.agent.leave()
    world.there, world.elsewhere = None, world.there
    world.vendor.healer = None


# what comes meanwhile


def _a_while(world: worlds.World, dice: random.Random) -> None:
    world.live(dice.choice((2.0, 5.0, 25.0)))


def targets_return(world: worlds.World, dice: random.Random) -> None:
    world.tell('all targets return')
    for target in world.targets:
        world.kernel.restore(target)


def _other_connection_breaks(world: worlds.World,
                             dice: random.Random) -> None:
    there = world.there
    paths = [path for path in there.kernel.paths.values()
             if not path.seen & there.judge.foreign_media] if there else []
    if there is not None and paths:
        path = dice.choice(paths)
        world.tell('the connection %s of the other host breaks' % path.name)
        there.kernel.lose_path(path, False)


def _other_agent_is_killed(world: worlds.World, dice: random.Random) -> None:
    there = world.there
    if there is not None:
        world.tell('the agent of the other host is killed')
        there.agent.kill()
        world.live(dice.choice((0.5, 5.0)))
        there.agent.start()
        there.judge.excuse()


def _other_network_fails(world: worlds.World, dice: random.Random) -> None:
    there = world.there
    if there is not None:
        world.tell('the other host has no network')
        there.kernel.cut()
        world.live(dice.choice((1.0, 5.0, 12.0)))
        there.kernel.mend()
        world.tell('the network of the other host is back')


_WHILE: tuple[faults.Fault, ...] = (
    _a_while, _a_while, targets_return, _other_connection_breaks,
    _other_agent_is_killed, _other_network_fails, faults.leg_dies,
    faults.leg_dies, faults.connection_breaks, faults.agent_is_killed,
    faults.medium_fails, faults.network_fails, faults.replica_is_moved)
