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
"""What may happen to a world: each fault by its name."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random

from os_brick.agent import model
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

State = model.ReplicaState
Fault = Callable[[worlds.World, random.Random], None]
FAULTS: dict[str, Fault] = {}


def kept_in(found: dict[str, Fault]) -> Callable[[Fault], Fault]:
    """Return a decorator that keeps faults by their names."""
    def fault(body: Fault) -> Fault:
        found[body.__name__] = body
        return body
    return fault


fault = kept_in(FAULTS)


def _target(world: worlds.World, dice: random.Random) -> int:
    return dice.randrange(max(2, len(world.volume.ever)))


def _survives_without(world: worlds.World, leg: md.Member) -> bool:
    raid = world.raid
    return any(other is not leg and raid.io(other) == 'ok'
               for other in raid.copies())


@fault
def time_passes(world: worlds.World, dice: random.Random) -> None:
    seconds = dice.choice((0.3, 1.0, 2.0, 5.0))
    world.tell('%g s pass' % seconds)
    world.live(seconds, writing=dice.random() < 0.8)


@fault
def a_long_time_passes(world: worlds.World, dice: random.Random) -> None:
    world.tell('25 s pass')
    world.live(25.0, writing=dice.random() < 0.7)


@fault
def target_dies(world: worlds.World, dice: random.Random) -> None:
    target = world.targets[_target(world, dice)]
    silent = dice.random() < 0.4
    world.tell('target %s %s' % (target.nqn, 'falls silent' if silent
                                 else 'resets its connections'))
    world.kernel.lose(target, silent)


@fault
def leg_dies(world: worlds.World, dice: random.Random) -> None:
    if world.raid.members:
        member = dice.choice(world.raid.members)
        silent = dice.random() < 0.4
        world.tell('the target of leg %s %s' % (
            member.device, 'falls silent' if silent else 'dies'))
        world.kernel.lose(world.kernel.home(member.medium.uuid), silent)


@fault
def connection_breaks(world: worlds.World, dice: random.Random) -> None:
    paths = [path for path in world.kernel.paths.values()
             if not path.seen & world.judge.foreign_media]
    if paths:
        path = dice.choice(paths)
        world.tell('the connection %s breaks' % path.name)
        world.kernel.lose_path(path, False)


@fault
def target_returns(world: worlds.World, dice: random.Random) -> None:
    target = world.targets[_target(world, dice)]
    if not target.up:
        world.tell('target %s returns' % target.nqn)
        world.kernel.restore(target)


@fault
def all_targets_return(world: worlds.World, dice: random.Random) -> None:
    world.tell('all targets return')
    for target in world.targets:
        world.kernel.restore(target)
    if dice.random() < 0.5:
        world.live(2.5)
        world.tell('udev puts former legs back')
        world.kernel.incremental(world.raid)


@fault
def network_fails(world: worlds.World, dice: random.Random) -> None:
    seconds = dice.choice((1.0, 5.0, 12.0))
    world.tell('the host has no network for %g s' % seconds)
    world.kernel.cut()
    world.live(seconds)
    world.kernel.mend()
    world.tell('the network is back')


@fault
def medium_fails(world: worlds.World, dice: random.Random) -> None:
    """A write error: md drops the leg, its target answers."""
    legs = [member for member in world.raid.members if not member.faulty]
    if legs:
        leg = dice.choice(legs)
        if _survives_without(world, leg):
            world.tell('md drops leg %s' % leg.device)
            world.judge.excuse()
            world.raid.fault(leg)
            world.live(0.5)


@fault
def namespace_is_removed(world: worlds.World, dice: random.Random) -> None:
    if not world.raid.members:
        return
    leg = dice.choice(world.raid.members)
    if not leg.vanished and _survives_without(world, leg):
        world.tell('the namespace of leg %s is removed' % leg.device)
        world.judge.excuse()
        home = world.kernel.home(leg.medium.uuid)
        world.kernel.remove_namespace(leg.medium.uuid)
        world.live(dice.choice((1.0, 8.0, 25.0)))
        if leg.medium.uuid not in world.vendor.withdrawn:
            world.tell('and is there again')
            home.media[leg.medium.uuid] = leg.medium
            world.kernel.rescan()


@fault
def provisioner_is_slow(world: worlds.World, dice: random.Random) -> None:
    world.vendor.slow = dice.random() < 0.5
    world.vendor.slowly = dice.choice((0.0, 0.0, 0.2, 3.0))
    world.tell('the provisioner takes %g s for each answer%s' % (
        world.vendor.slowly, ' and assigns later'
        if world.vendor.slow else ''))
    if not world.vendor.slow:
        for _raid, volume in world.attached:
            world.vendor.assign(volume)


@fault
def provisioner_is_silent(world: worlds.World, dice: random.Random) -> None:
    world.vendor.silent = dice.random() < 0.6
    world.vendor.deaf = dice.random() < 0.4
    world.tell('the provisioner is%s silent; its answers are %s' % (
        '' if world.vendor.silent else ' not',
        'lost' if world.vendor.deaf else 'not lost'))


@fault
def lists_are_truncated(world: worlds.World, dice: random.Random) -> None:
    world.vendor.hides = {uuid for uuid in world.volume.replicas
                          if dice.random() < 0.4}
    world.tell('%d replicas are not listed' % len(world.vendor.hides))


@fault
def provisioner_lies(world: worlds.World, dice: random.Random) -> None:
    """Nothing, nonsense, or a stranger's copies."""
    stranger = model.Replica(
        world.kernel.raids['md9'].members[0].medium.uuid)

    def claim(volumes: list[model.Volume]) -> object:
        return [dataclasses.replace(
            volume, replicas=volume.replicas + (stranger,))
            for volume in volumes]

    kind, lie = dice.choice((
        ('the truth', None), ('the truth', None),
        ('an empty list', lambda volumes: []),
        ('nonsense', lambda volumes: 'nonsense'),
        ('half of it, and breaks off', lambda volumes: volumes + [None]),
        ('a stranger\'s copy, too', claim)))
    world.tell('the provisioner tells %s' % kind)
    world.vendor.lie = lie
    if lie is claim:
        # its word counts: the copy is the volume's, and somebody else's
        for _raid, volume in world.attached:
            volume.given.add(stranger.uuid)
        # it may seem to be the replacement that is still owed, and to have
        # gone when it is listed no more
        world.vendor.accepted.clear()
        world.vendor.noted.clear()


@fault
def replica_is_moved(world: worlds.World, dice: random.Random) -> None:
    """The provisioner marks a replica TERMINATING by itself."""
    volume = world.volume
    # one that was replaced is to go anyhow
    members = [uuid for uuid, state in volume.replicas.items()
               if state is not State.TERMINATING
               and uuid not in world.vendor.owed
               and volume.successors.get(uuid) not in volume.replicas]
    if (len(members) < 2 or len(volume.replicas) > 5
            or len(volume.spares) <= 6):
        return
    if len(members) < 3 or dice.random() < 0.5:
        world.vendor.give(volume)
    elif volume.count:
        volume.count = min(volume.count, len(members) - 1)
    uuid = dice.choice(members)
    world.tell('the provisioner takes replica %s away' % uuid)
    world.vendor.terminate(volume, uuid)


@fault
def volume_grows(world: worlds.World, dice: random.Random) -> None:
    volume = world.volume
    if len(volume.replicas) < 4 and len(volume.spares) > 4:
        world.tell('the volume is to have another replica')
        world.vendor.give(volume)
        if volume.count:
            volume.count += 1


@fault
def agent_is_killed(world: worlds.World, dice: random.Random) -> None:
    seconds = dice.choice((0.5, 5.0, 10.0))
    world.tell('the agent is killed; after %g s it is there again' % seconds)
    world.agent.kill()
    world.judge.guarded = False
    world.live(seconds)
    world.agent.start()
    world.judge.excuse()


@fault
def agent_is_killed_at_a_point(world: worlds.World,
                               dice: random.Random) -> None:
    def kill(what: str) -> None:
        world.tell('the agent is killed (%s)' % what)
        world.judge.guarded = False
        world.agent.doom()

    world.baton.surprise, world.baton.surprise_kills = kill, True
    world.baton.surprise_in = dice.randrange(1, 60)
    world.live(6.0)
    world.baton.surprise, world.baton.surprise_kills = None, False
    if world.agent.doomed:
        world.agent.kill()
        world.agent.start()
        world.judge.excuse()


@fault
def something_comes_between(world: worlds.World,
                            dice: random.Random) -> None:
    """A fault, while the agent is in the middle of something."""
    kind = dice.choice((target_dies, leg_dies, connection_breaks,
                        target_returns, replica_is_moved, volume_grows))

    def come(what: str) -> None:
        world.tell('now, %s:' % what)
        kind(world, dice)

    world.baton.surprise = come
    world.baton.surprise_in = dice.randrange(1, 60)
    world.live(3.0)
    world.baton.surprise = None


@fault
def os_brick_holds_its_lock(world: worlds.World,
                            dice: random.Random) -> None:
    seconds = dice.choice((0.5, 3.0, 12.0))
    world.tell('os-brick holds its lock for %g s' % seconds)
    world.hands.brick = True
    if dice.random() < 0.5:
        leg_dies(world, dice)
    world.live(seconds)
    world.hands.brick = False


@fault
def operator_switches_the_guard(world: worlds.World,
                                dice: random.Random) -> None:
    mode = dice.choice(('on', 'on', 'off', 'observe'))
    world.tell('the operator sets io_guard=%s' % mode)
    world.mode = mode
    world.conf.set_override('io_guard', mode)
    world.judge.excuse()


@fault
def the_clock_steps(world: worlds.World, dice: random.Random) -> None:
    world.clock.offset += dice.choice((-30.0, 30.0, 4000.0))
    world.tell('the wall clock is set to %f' % world.clock.wall())
