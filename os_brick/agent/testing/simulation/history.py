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
"""One history: a world, its faults, and that it is healed afterwards.

A seed decides all of it.  Each step has dice of its own, so that some may be
left out and the others stay what they are.  With an even seed no leg fails
fast (``legs_fail_fast``), with an odd one all but the anchor do.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import gc
import random
import tempfile

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.testing.simulation import access
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import bad_media
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import kinds as kinds_lib
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

#: How many faults a history has.
STEPS = 60
#: Seconds after the last fault within which everything has to be healed.
HEALED_WITHIN = 3600.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a history ended.

    :ivar broken: which law was, and how; '' where none was.
    :ivar seen: how often which event was told, and which law refused what.
    """

    seed: int
    broken: str
    story: tuple[str, ...]
    faults: dict[str, int]
    points: dict[str, int]
    seen: dict[str, int]


def play(seed: int, conf: cfg.ConfigOpts | None = None, steps: int = STEPS,
         without: Collection[int] = (),
         kinds: Sequence[str] = ()) -> Outcome:
    """Play one history.

    :param without: the numbers of steps that are left out.
    :param kinds: the faults it may have; none: all.
    """
    seen: dict[str, int] = {}
    broken = ''
    gc.disable()    # a world is small, and ends with its history
    with tempfile.TemporaryDirectory(dir=disk.memory()) as folder:
        more = (random.Random('more of %d' % seed)
                if seed >= kinds_lib.HARDER_FROM or kinds else None)
        world = worlds.World(random.Random(seed),
                             conf or agents.configuration(), folder, more,
                             kinds_lib.shape_of(seed, kinds))
        world.let_wait(seed % 2 == 0)
        if seed >= kinds_lib.RETURNING_FROM and seed // 2 % 2:
            world.kernel.number_disks()
        try:
            _run(world, seed, steps, without, kinds, seen)
        except judges.Violation as error:
            broken = str(error)
            world.tell('BROKEN: %s' % error)
        finally:
            world.close()
            gc.enable()
    return Outcome(seed, broken, tuple(world.story), seen,
                   world.baton.points, world.vendor.seen)


def _run(world: worlds.World, seed: int, steps: int,
         without: Collection[int], kinds: Sequence[str],
         seen: dict[str, int]) -> None:
    world.agent.start()
    world.live(6.0)
    for number in range(steps):
        dice = random.Random(seed * 1000003 + number)
        name = dice.choice(kinds or list(faults.FAULTS))
        if world.more is not None and not kinds:
            more = random.Random('%d, step %d' % (seed, number))
            if more.random() < kinds_lib.HARDER:
                name = more.choice(kinds_lib.beyond(seed))
        if number in without:
            continue
        seen[name] = seen.get(name, 0) + 1
        if seed >= kinds_lib.LIMITED_FROM:
            world.limit(random.Random('speed of %d, %d' % (seed, number)))
        world.dice.seed(seed * 1000003 + number)
        world.baton.handing = dice.choice((0.0, 0.0, 0.02, 0.2))
        kinds_lib.FAULTS[name](world, dice)
        world.live(dice.choice((0.0, 0.1, 0.6, 1.5)))
    _heal(world)


def _heal(world: worlds.World) -> None:
    """The faults are over: everything is healed, and stays so."""
    vendor = world.vendor
    world.tell('the faults are over')
    vendor.silent = vendor.deaf = vendor.slow = False
    vendor.slowly, vendor.lie, vendor.hides = 0.0, None, set()
    world.mode = 'on'
    disk.works()
    world.hands.failing = None
    world.conf.set_override('io_guard', 'on')
    world.conf.set_override('connection_check_interval', 5.0)
    world.baton.handing = 0.0
    # the clock is set right, and md writes superblocks when writes go on
    world.clock.offset = max(
        world.clock.furthest, world.elsewhere.clock.furthest
        if world.elsewhere is not None else 0.0)
    for raid, _volume in world.attached:
        if raid.members:
            raid.write_superblocks()
    vendor.repair(world.volume, [member.medium.uuid for member
                                 in world.raid.members])
    if world.moved and world.volume.count is None:
        # what another host let go of is else not to be told from what a
        # truncated list lacks (S8)
        world.volume.count = max(1, sum(
            state is not model.ReplicaState.TERMINATING
            for state in world.volume.replicas.values()))
    world.kernel.mend()
    bad_media.end(world)
    access.end(world)
    for raid, volume in world.attached:
        for uuid in volume.spares:
            medium = world.kernel.media[uuid]
            medium.size = max(medium.size, raid.component_size + 2 * md.MIB)
    gone = _for_good(world)
    for target in world.targets:
        target.dead.clear()
        if target is not gone:
            world.kernel.restore(target)
    world.add_spares()
    end = world.baton.now + HEALED_WITHIN
    while not all(world.facts().values()):
        for _raid, volume in world.attached:
            vendor.assign(volume)
            vendor.fill(volume)
        world.live(10.0)
        world.choose()
        bad_media.put_right(world)
        if world.baton.now > end:
            raise world.judge.broke('liveness: not healed after %g s: %s' % (
                HEALED_WITHIN, ', '.join(
                    name for name, true in world.facts().items()
                    if not true)))
    world.tell('everything is healed')
    world.live(40.0)
    if not all(world.facts().values()):
        raise world.judge.broke('liveness: it does not stay healed: %s'
                                % world.facts())


def _spared(world: worlds.World, raid: md.Raid,
            target: kernels.Target) -> bool:
    """An array can do without a target.

    What nobody has written to counts: no agent can know that.
    """
    copies = world.judge.good(raid)
    others = [copy for copy in copies if copy.medium.uuid not in target.media
              and raid.io(copy) == 'ok']
    return bool(others) and all(
        world.judge.spared(raid, copy, others, written=False)
        for copy in copies if copy.medium.uuid in target.media)


def _for_good(world: worlds.World) -> kernels.Target | None:
    """One target never comes back: its replica has to be replaced."""
    copies = world.judge.good(world.raid)
    if (world.dice.random() < 0.5 or not world.volume.spares
            or len([copy for copy in copies
                    if world.raid.io(copy) == 'ok']) < 2):
        return None
    target = world.kernel.home(world.dice.choice(copies).medium.uuid)
    if not all(_spared(world, raid, target)
               for raid, _volume in world.attached):
        return None    # nobody could heal that
    world.tell('target %s has died for good' % target.nqn)
    world.kernel.lose(target)
    return target


def shrink(outcome: Outcome, steps: int = STEPS,
           kinds: Sequence[str] = ()) -> tuple[Outcome, set[int]]:
    """Leave out steps, as long as the same law is broken."""
    without: set[int] = set()
    law = outcome.broken.split(':')[0]
    size = max(1, steps // 2)
    while size >= 1:
        for first in range(0, steps, size):
            left = without | set(range(first, first + size))
            if left == without:
                continue
            found = play(outcome.seed, None, steps, left, kinds)
            if found.broken.split(':')[0] == law:
                without, outcome = left, found
        size //= 2
    return outcome, without
