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
"""A volume, its spares, a stranger beside it, and the agent.

The stranger is another product's array over two targets, and a raw namespace
that a virtual machine has open on a third.
"""

from __future__ import annotations

import random

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import hands as simulated_hands
from os_brick.agent.testing.simulation import healed
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import places
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.testing.simulation import shape as shapes

State = model.ReplicaState
#: Seconds after which a target executes nothing any more that was sent before
#: its connection broke: twice the keep-alive time that a host asks for.
LATEST = 10.0
#: An array, and the volume that it is.
Attached = tuple[md.Raid, provisioners.SimVolume]
#: From here on the companion's replicas are numbered.
COMPANIONS = 300


class World:
    """All that there is in one history.

    :ivar story: what has happened, one sentence each.
    :ivar companion: another volume on the same targets, None where there is
        none.
    :ivar moved: the volume has been on more hosts than one.
    :ivar there: another host that lives, ``elsewhere`` one that does not: with
        what is of it.

    :param dice: decides everything.
    :param folder: for the agent's files.
    :param more: decides what the harder histories have beyond the others;
        None: nothing.
    :param shape: what it begins with; None: the dice decide that, too.
    """

    PROVISIONER: type[provisioners.Provisioner] = provisioners.Provisioner

    def __init__(self, dice: random.Random, conf: cfg.ConfigOpts,
                 folder: str, more: random.Random | None = None,
                 shape: shapes.Shape | None = None) -> None:
        disk.works()
        self.dice = dice
        self.more = more
        self.conf = conf
        self.story: list[str] = []
        self.writing = True
        self._looked_at = self._judged_at = -1
        self.chosen = self.neighbours = 0
        self.backup: provisioners.Backup | None = None
        self.mode = 'on'
        self.there: places.Place | None = None
        self.elsewhere: places.Place | None = None
        self.moved = False
        self._silence = 0.0
        self._every = dice.choice((0.3, 0.9, 2.0))
        self._writes = random.Random(dice.random())
        self.kernel = kernels.Kernel()
        self.baton = batons.Baton(dice, self._advance)
        self.clock = batons.Clock(self.baton)
        self.kernel.wall = self.clock.wall
        self.kernel.told = self.tell
        if more is not None:
            self.kernel.lateness = lambda: more.uniform(0.0, LATEST)
        self.vendor = self.PROVISIONER(
            self.kernel, self.baton.point, self.baton.wait, self.tell)
        self.judge = judges.Judge(self.kernel, self.vendor)
        self.vendor.give_away = self.judge.give_away
        first = self.vendor
        first.double = lambda uuid: self.double(uuid, first)
        hands = simulated_hands.Hands(self.kernel, self.baton, self.judge,
                                      self.tell)
        self.hands = hands
        self._populate(shapes.drawn(dice) if shape is None else shape)
        agents.reset(conf)
        if more is not None and dice.random() < 0.3:
            conf.set_override('keep_alive_timeout', 2)
            conf.set_override('reconnect_delay', 3)
        self.agent = agents.Agent(conf, folder, self.kernel, self.vendor,
                                  self.judge, hands, self.baton, self.clock,
                                  dice)
        self.kernel.changed = self.agent.changed

    def let_wait(self, all_legs: bool) -> None:
        """Set which legs fail fast: none, or all but one."""
        self.conf.set_override('legs_fail_fast',
                               'none' if all_legs else 'but-one')
        self.judge.all_wait = all_legs

    def limit(self, dice: random.Random) -> None:
        """The operator limits copies, by the option or by hand, or neither.

        The kernel announces none of it.
        """
        self.conf.set_override('resync_speed_max', dice.choice((0, 1, 2, 4)))
        for raid in self.kernel.raids.values():
            if dice.random() < 0.3:
                theirs = raid.by_hand is None
                raid.by_hand = self.kernel.now if theirs else None
                raid.sync_speed_max = 1500 if theirs else 0
                self.kernel.touched()
                self.tell('somebody sets the limit of %s to %d KiB/s' % (
                    raid.name, raid.sync_speed_max))

    def _populate(self, shape: shapes.Shape) -> None:
        kernel, replicas = self.kernel, shape.replicas
        first = (0, COMPANIONS) if shape.companion else (0,)
        shelves = [[md.Medium(kernels.uuid_of(number + at)) for at in first]
                   for number in range(replicas + shape.spares)]
        if shape.first_is_small:
            shelves[replicas][0].size = 16 * md.MIB
        self.targets = [kernel.target(number, *media, portals=shape.portals)
                        for number, media in enumerate(shelves)]
        stranger = [md.Medium(kernels.uuid_of(500 + number))
                    for number in range(3)]
        for number, medium in enumerate(stranger):
            target = kernel.target(100 + number, medium)
            kernel.connect(target.nqn, target.portals[0])
        kernel.attach('md9', 'stranger', *[medium.uuid for medium
                                           in stranger[:2]], failfast=False)
        (self.raid, self.volume), *companion = (
            self._attach(number, alias, [media[number - 1].uuid
                                         for media in shelves], shape)
            for number, alias in enumerate('vu'[:len(first)], 1))
        self.companion = next(iter(companion), None)
        self._keep_back(self.targets[replicas:])
        self.judge.foreign_raids.add('md9')
        self.judge.foreign_media |= {medium.uuid for medium in stranger}

    def _attach(self, number: int, alias: str, uuids: list[str],
                shape: shapes.Shape) -> Attached:
        """:param uuids: its replicas, and then its spares."""
        replicas = uuids[:shape.replicas]
        return (self.kernel.attach('md%d' % number, alias, *replicas,
                                   failfast=shape.failfast,
                                   sync_time=shape.sync_time),
                self.vendor.volume(number, alias, replicas,
                                   uuids[shape.replicas:], shape.count,
                                   shape.down_time))

    @property
    def attached(self) -> list[Attached]:
        """The volume, and its companion where it has one."""
        return [(self.raid, self.volume), *(
            [self.companion] if self.companion else ())]

    def add_spares(self) -> None:
        """The provisioner gets disks, if it may need more than it has."""
        while any(len(volume.spares) < len(volume.replicas)
                  for _raid, volume in self.attached):
            number = len(self.targets)
            media = [md.Medium(kernels.uuid_of(number + at),
                               raid.component_size + 2 * md.MIB)
                     for at, (raid, _volume) in zip((0, COMPANIONS),
                                                    self.attached)]
            self.targets.append(self.kernel.target(
                number, *media, portals=len(self.targets[0].portals)))
            for medium, (_raid, volume) in zip(media, self.attached):
                volume.spares.append(medium.uuid)
            self._keep_back(self.targets[-1:])

    def _keep_back(self, targets: list[kernels.Target]) -> None:
        """A spare that shares its target is served when it is assigned."""
        for target in targets if self.companion else ():
            target.media.clear()

    def tell(self, sentence: str) -> None:
        self.story.append('%9.2f  %s' % (self.baton.now, sentence))

    def double(self, uuid: str, vendor: provisioners.Provisioner) -> None:
        """A replacement is asked for: is it for the same fault again?"""
        heir = self.volume.successors.get(uuid)
        # what it took for the replacement may have vanished from a list
        if (uuid in vendor.noted and uuid in vendor.owed
                and not vendor.hides and vendor.lie is None):
            raise self.judge.broke('S7: %s is asked for again' % uuid)
        asked_before = uuid in vendor.asked
        vendor.asked.add(uuid)
        if (asked_before and heir is not None and heir in vendor.shown
                and heir not in vendor.hides and vendor.lie is None
                and self.volume.replicas.get(heir) not in (
                    None, State.TERMINATING)
                and self.kernel.home(heir).reachable
                and heir in self.kernel.home(heir).media
                and self.kernel.media[heir].size
                >= self.raid.component_size + md.OFFSET):
            raise self.judge.broke('S7: %s was replaced by %s before' % (
                uuid, heir))

    def live(self, seconds: float, writing: bool = True) -> None:
        """Let time pass; the application writes all the while."""
        self.writing = writing
        self.baton.run(seconds)
        self._look()

    def _advance(self, seconds: float) -> None:
        """Time passes: in steps, with a write and a look at each."""
        while seconds > 0.0:
            step = min(seconds, 1.0)
            seconds -= step
            self._silence += step
            if self.writing and self._silence >= self._every:
                self._silence = 0.0
                for raid in self.kernel.raids.values():
                    self.kernel.write(raid,
                                      self._writes.randrange(md.BLOCKS))
            self.kernel.advance(step)
            if self.there is not None:
                self.there.kernel.advance(step)
            self._look()
            for raid, _volume in self.attached:
                self.judge.stands(raid, step)

    def _look(self) -> None:
        """:raises judges.Violation: a law was broken."""
        if self.there is not None:
            self.there.look()
        self.judge.guarded = (self.agent.alive and not self.agent.doomed
                              and self.agent.knows and self.mode == 'on')
        if (self.kernel.changes != self._looked_at
                or not self.judge.guarded) and not self.judge.broken:
            self._looked_at = self.kernel.changes
            # of a world that stood still it has said what there is to say
            if (self.kernel.moves != self._judged_at
                    or not self.judge.guarded or not self.judge.dealt):
                self._judged_at = self.kernel.moves
                self.judge.after()
        if self.judge.broken:
            raise judges.Violation(self.judge.broken)
        if self.vendor.asked or self.vendor.noted:
            healed = {member.medium.uuid for raid, _volume in self.attached
                      for member in raid.members
                      if member.in_sync and not member.bad}
            self.vendor.asked -= healed
            self.vendor.noted -= healed

    def choose(self) -> None:
        """The operator sees an alarm, and says which copy is the one."""
        for raid, volume in self.attached:
            healed.Healed(self, raid, volume).choose()

    def facts(self) -> dict[str, bool]:
        """What is true of volumes that are whole, and told so."""
        found: dict[str, bool] = {}
        for raid, volume in self.attached:
            for what, true in healed.Healed(self, raid,
                                            volume).facts().items():
                found[what] = found.get(what, True) and true
        return found

    @property
    def here(self) -> places.Place:
        """The host on which the application is."""
        return places.Place(self.kernel, self.raid, self.clock, self.vendor,
                            self.judge, self.hands, self.agent)

    def move_to(self, place: places.Place) -> None:
        """The application goes on there; what it was on is ``there`` now."""
        here = self.here
        self.kernel, self.raid, self.clock = (place.kernel, place.raid,
                                              place.clock)
        self.vendor, self.judge = place.vendor, place.judge
        self.hands, self.agent = place.hands, place.agent
        self.there = here
        here.judge.idle, self.judge.idle = True, False
        self._looked_at = self._judged_at = -1

    def close(self) -> None:
        self.agent.kill()
        if self.there is not None:
            self.there.agent.kill()
