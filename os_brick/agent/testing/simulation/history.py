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
import itertools
import random
import tempfile

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import bad_media
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import forgetting
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import homecoming
from os_brick.agent.testing.simulation import hosts
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import migration
from os_brick.agent.testing.simulation import neighbours
from os_brick.agent.testing.simulation import paths
from os_brick.agent.testing.simulation import shape
from os_brick.agent.testing.simulation import world as worlds

#: How many faults a history has.
STEPS = 60
#: Histories with a higher seed are harder: they have all faults, and targets
#: that execute late what they were sent.
HARDER_FROM = 1 << 25
#: And with a higher one still: their volume may move to another host.
MOVING_FROM = 1 << 40
#: And from here on it may be migrated alive: two hosts have it at once.
MIGRATING_FROM = 1 << 41
#: And those in which the speed of copies is limited, by option and by hand.
LIMITED_FROM = 3 << 40
#: And from here on it may be migrated so while it is degraded, and return;
#: the kernels of every second pair of seeds number their arrays.
RETURNING_FROM = 1 << 42
#: And from here on all targets have two portals, and each dies for itself.
PATHS_FROM = 1 << 43
#: And from here on media refuse writes; no volume is migrated alive there:
#: what two hosts note of the same copies each for itself, md itself mixes.
BAD_MEDIA_FROM = 1 << 44
#: And from here on targets lose what they acknowledged lately; media refuse
#: nothing there.
FORGETTING_FROM = 1 << 45
#: And from here on targets serve somebody else, too; they forget nothing.
NEIGHBOURS_FROM = 1 << 46
#: And from here on another volume has its replicas on the same targets; the
#: host does not boot, and the provisioner is not restored.
COMPANIONS_FROM = 1 << 47
#: The first seeds of the histories of each kind, and where the last ones end.
KINDS_FROM = (0, HARDER_FROM, MOVING_FROM, MIGRATING_FROM, LIMITED_FROM,
              RETURNING_FROM, PATHS_FROM, BAD_MEDIA_FROM, FORGETTING_FROM,
              NEIGHBOURS_FROM, COMPANIONS_FROM, 2 * COMPANIONS_FROM)
#: How likely a fault of theirs is one that the others do not have.
HARDER = 0.2
#: Two hosts have so much to do with one another that it is one in five.
_MIGRATIONS = [*migration.FAULTS] * 3
_RETURNS = [*homecoming.FAULTS] * 3
_PATHS = [*paths.FAULTS] * 5
_BAD_MEDIA = [*bad_media.FAULTS] * 4
_FORGETTING = [*forgetting.FAULTS] * 8
_NEIGHBOURS = [*neighbours.FAULTS] * 8
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


_ALL = {**faults.FAULTS, **harder.FAULTS, **hosts.FAULTS,
        **migration.FAULTS, **homecoming.FAULTS, **paths.FAULTS,
        **bad_media.FAULTS, **forgetting.FAULTS, **neighbours.FAULTS}


def of_all_kinds(number: int, dice: random.Random) -> list[int]:
    """Draw the seeds of that many histories, of each kind in its turn."""
    first = [dice.randrange(begin, end) for begin, end
             in itertools.pairwise(KINDS_FROM)]
    # one that begins at the very end of its kind goes on in the next
    return [first[count % len(first)] + count // len(first)
            for count in range(number)]


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
                if seed >= HARDER_FROM or kinds else None)
        world = worlds.World(random.Random(seed),
                             conf or agents.configuration(), folder, more,
                             _shape(seed, kinds))
        world.let_wait(seed % 2 == 0)
        if seed >= RETURNING_FROM and seed // 2 % 2:
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


def _shape(seed: int, kinds: Sequence[str]) -> shape.Shape | None:
    """Return what the world begins with where that is not left to it."""
    found = shape.drawn(random.Random('shape of %d' % seed))
    if seed >= COMPANIONS_FROM:
        return dataclasses.replace(found, companion=True)
    if paths.FAULTS.keys().isdisjoint(kinds) and (
            seed < PATHS_FROM or seed >= BAD_MEDIA_FROM):
        return None
    return dataclasses.replace(found, portals=2)


def _harder(seed: int) -> list[str]:
    """The faults that the histories of low seeds do not have."""
    if seed >= COMPANIONS_FROM:
        return [name for name in harder.FAULTS if name not in (
            'host_boots', 'provisioner_is_restored')]
    if seed >= NEIGHBOURS_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_NEIGHBOURS]
    if seed >= FORGETTING_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_FORGETTING]
    if seed >= BAD_MEDIA_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_BAD_MEDIA]
    return [*harder.FAULTS, *(
        hosts.FAULTS if seed >= MOVING_FROM else ()), *(
        _MIGRATIONS if seed >= MIGRATING_FROM else ()), *(
        _RETURNS if seed >= RETURNING_FROM else ()), *(
        _PATHS if seed >= PATHS_FROM else ())]


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
            if more.random() < HARDER:
                name = more.choice(_harder(seed))
        if number in without:
            continue
        seen[name] = seen.get(name, 0) + 1
        if seed >= LIMITED_FROM:
            world.limit(random.Random('speed of %d, %d' % (seed, number)))
        world.dice.seed(seed * 1000003 + number)
        world.baton.handing = dice.choice((0.0, 0.0, 0.02, 0.2))
        _ALL[name](world, dice)
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


def _spares(world: worlds.World, target: kernels.Target) -> bool:
    """The companion can do without a target."""
    assert world.companion is not None
    raid = world.companion[0]
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
    copy = world.dice.choice(copies)
    if not world.judge.spared(world.raid, copy, [
            other for other in copies if other is not copy
            and world.raid.io(other) == 'ok'], written=False):
        # nobody could heal that, or knows that nobody wrote there
        return None
    target = world.kernel.home(copy.medium.uuid)
    if world.companion is not None and not _spares(world, target):
        return None
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
