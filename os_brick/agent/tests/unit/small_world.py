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
"""A volume, a host and a provisioner, small enough to hold in mind.

The volume has the replicas A and B on targets of their own; C is the spare.
Everything that is called passes ``Points``, which can stop the world there:
before a call has an effect, or after it had, and before its caller knows.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import tempfile
from typing import cast
from unittest import mock

from oslo_config import cfg
from oslotest import base as test_base

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import healing_loop
from os_brick.agent.host import batch
from os_brick.agent.host import evidence
from os_brick.agent.host import execute
from os_brick.agent.host import origins
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent import opts
from os_brick.agent.safety import copies
from os_brick.agent.safety import farewell
from os_brick.agent.safety import origin
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reading
from os_brick.agent.safety import rules
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit import superblocks
from os_brick.agent.vendors import base

State = model.ReplicaState
SIZE = 64 << 20
HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:host', None, 'compute')


class Killed(BaseException):
    """SIGKILL, as near as one process gets to it."""


class Points:
    """Counts what is called; stops the world at one of them.

    :ivar kill_at: the point at which to raise, None for none.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.kill_at: int | None = None

    def __call__(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.kill_at:
            raise Killed()


def uuid(volume: int, letter: str) -> str:
    return '%08d-0000-4000-8000-00000000000%s' % (volume, letter.lower())


class Clock(clocks.Clock):
    """The boot, its clock and the wall clock, all set by the test."""

    def __init__(self) -> None:
        self.boot_id = clocks.HOST.boot()
        self.since_boot = 1000.0
        self.time = 1.7e9

    def boot(self) -> str:
        return self.boot_id

    def boottime(self) -> float:
        return self.since_boot

    def wall(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.since_boot += seconds
        self.time += seconds


class Timer(clocks.Clock):
    """Its time is what the test says; threads wait in earnest."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.monotonic = now    # type: ignore[method-assign]


class SmallHost:
    """Arrays md1, md2...: legs of A and B; stands in for the executor too."""

    def __init__(self, volumes: int, points: Points) -> None:
        self.points = points
        self.live: dict[str, bool] = {}
        self.legs: dict[int, dict[str, tuple[int | None, set[str]]]] = {}
        self.did: list[act.Action] = []
        self.silent: set[str] = set()
        self.unreadable: set[str] = set()
        self.written: dict[str, superblock.Content] = {}
        self.heard: frozenset[str] = frozenset()
        self.origins = origins.Origins(cast(evidence.Evidence, self))
        self.no_way = ''
        self.array_state = 'active'
        self.instance = ''
        self.used = True
        self.bitmap_delay: float | None = None
        self.limits: dict[str, int] = {}
        self.broken: Callable[[act.Action], None] = lambda action: None
        for number in range(1, volumes + 1):
            self.legs[number] = {'A': (0, {'in_sync'}), 'B': (1, {'in_sync'})}
            for letter in 'AB':
                self.live[self.name(number, letter)] = True

    @staticmethod
    def name(number: int, letter: str) -> str:
        return 'nvme%d' % (10 * number + 'ABCD'.index(letter))

    def number_and_letter(self, device: str) -> tuple[int, str]:
        code = int(device[4:].split('n')[0])
        return code // 10, 'ABCD'[code % 10]

    def scan(self) -> snapshots.HostSnapshot:
        controllers, namespaces = [], []
        for name, live in self.live.items():
            number, letter = self.number_and_letter(name)
            controllers.append(model.Controller(
                name, 'nqn.2024-01.test:' + name, portal(number, letter),
                HOST.nqn, 'live' if live else 'connecting'))
            namespaces.append(model.Namespace(
                name + 'n1', uuid(number, letter), SIZE, (name,),
                ('md%d' % number,) if letter in self.legs.get(number, ())
                else ()))
        return snapshots.HostSnapshot(
            tuple(controllers), tuple(namespaces),
            tuple(self.array(number) for number in self.legs))

    def array(self, number: int) -> model.Array:
        legs = tuple(
            model.Leg(self.name(number, letter) + 'n1', slot,
                      frozenset(flags), uuid(number, letter)
                      if self.name(number, letter) in self.live else None)
            for letter, (slot, flags) in self.legs[number].items())
        in_sync = sum(leg.in_sync for leg in legs)
        return model.Array(
            'md%d' % number, 'volume%d' % number, 'md-uuid-%d' % number, 2,
            2 - in_sync, self.array_state, 'recover' if any(
                not leg.in_sync and not leg.faulty for leg in legs)
            else 'idle', SIZE // 2, legs, instance=self.instance,
            written=self.used,
            sync_speed_max=self.limits.get('md%d' % number, 0),
            bitmap_delay=self.bitmap_delay)

    def settle(self) -> None:
        """What md does by itself until the next pass: finish recoveries."""
        for legs in self.legs.values():
            for letter, (slot, flags) in list(legs.items()):
                if 'spare' in flags:
                    taken = {place for place, _flags in legs.values()}
                    free = {0, 1} - taken
                    legs[letter] = (free.pop(), {'in_sync'}) if free else (
                        slot, flags)

    def execute(self, action: act.Action, volume: model.Volume,
                owned: ownership.Owned) -> None:
        self.points()
        self.broken(action)
        snapshot = self.scan()
        contents = self.superblocks(reading.to_be_read(
            action, volume, snapshot, owned))
        why = rules.refusal(action, volume, snapshot, owned, contents,
                            self.answering_patiently(farewell.to_answer(
                                action, volume, snapshot, owned).devices),
                            self.past())
        if why is not None:
            for replica, found in reading.judged(
                    action, volume, snapshot, owned, contents,
                    self.past()).items():
                if found.standing is copies.Standing.DIVERGENT:
                    raise execute.Divergent(found.why, replica)
            raise execute.Refused(why)
        self.did.append(action)
        if isinstance(action, act.AddLeg):
            self.origins.put_in(cast(model.Array, snapshot.array(
                action.array)), action.replica_uuid)
        self._do(action)
        self.points()

    def execute_all(self, steps: Sequence[batch.Step],
                    owned: ownership.Owned,
                    heard: Collection[str] = (),
                    budget: float = batch.BUDGET) -> list[batch.Outcome]:
        self.heard, self.budget = frozenset(heard), budget
        outcomes: list[batch.Outcome] = []
        for step in steps:
            try:
                self.execute(step.action, step.volume, owned)
            except Exception as error:
                outcomes.append(error)
            else:
                outcomes.append(None)
        return outcomes

    def survey(self, connects: Collection[act.Connect],
               more: bool = False) -> None:
        """Nobody is asked here: ``broken`` tells."""

    def offline(self, wanted: Mapping[str, Collection[model.Portal]]
                ) -> dict[str, str]:
        return {replica: self.no_way for replica in wanted if self.no_way}

    def note_origins(self, snapshot: snapshots.HostSnapshot) -> None:
        self.origins.look(snapshot)

    def note_legs(self, snapshot: snapshots.HostSnapshot) -> None:
        self.origins.note_legs(snapshot)

    def past(self) -> origin.Background:
        return origin.Background(None, self.origins.found)

    def superblocks(self, devices: Collection[str]
                    ) -> dict[str, superblock.Content]:
        """What is on those that answer: ``written``, or what is usual."""
        snapshot = self.scan()
        found: dict[str, superblock.Content] = {}
        for device in self.unreadable.intersection(devices):
            found[device] = superblock.Content(unreadable='I/O error')
        for device in self.answering_patiently(devices):
            number, _letter = self.number_and_letter(device)
            found[device] = self.written.get(device) or superblocks.contents(
                snapshot, snapshot.array('md%d' % number))[device]
        return found

    def answering_patiently(self, devices: Collection[str]
                            ) -> frozenset[str]:
        return frozenset(device for device in devices
                         if device not in self.silent | self.unreadable
                         and self.live.get(device[:-2]))

    def _do(self, action: act.Action) -> None:
        if isinstance(action, act.Connect):
            number, letter = (int(action.replica_uuid[:8]),
                              action.replica_uuid[-1])
            self.live[self.name(number, letter.upper())] = True
        elif isinstance(action, act.Disconnect):
            del self.live[action.controller]
        elif isinstance(action, act.SetSyncSpeedMax):
            self.limits[action.array] = action.kib_per_s
        elif isinstance(action, (act.FailLeg, act.RemoveLeg, act.AddLeg)):
            number, letter = self.number_and_letter(action.device)
            if isinstance(action, act.FailLeg):
                self.legs[number][letter] = (None, {'faulty'})
            elif isinstance(action, act.RemoveLeg):
                del self.legs[number][letter]
            else:
                self.legs[number][letter] = (None, {'spare'})


def portal(number: int, letter: str) -> model.Portal:
    return model.Portal('192.0.2.%d' % (10 * number + 'ABCD'.index(letter)),
                        4420)


class SmallProvisioner(base.ProvisionerDriver):
    """Assigns C in the place of B; every call may be made to fail.

    :ivar broken: called with each call's name and volume; raises to fail it.
    :ivar said: every call that was taken, as (name, volume, replica, ...).
    """

    def __init__(self, volumes: int, points: Points) -> None:
        self.points = points
        self.said: list[tuple[str, ...]] = []
        self.broken: Callable[[str, str], None] = lambda name, volume: None
        self.answer: Callable[[list[model.Volume]], object] = (
            lambda volumes: volumes)
        self.volumes = {number: model.Volume(
            uuid(number, 'f'), 'volume%d' % number, SIZE // 2, tuple(
                model.Replica(uuid(number, letter), State.AVAILABLE)
                for letter in 'AB')) for number in range(1, volumes + 1)}
        self.asked_for: list[str] = []

    def _take(self, name: str, alias: str, *words: str) -> None:
        self.points()
        self.broken(name, alias)
        self.said.append((name, alias) + words)

    def heartbeat(self, host, interval):
        self._take('heartbeat', '')
        self.points()

    def report_event(self, event):
        self._take('event', '', event.kind)
        self.points()

    def get_volumes(self, host, arrays, targets_for):
        self._take('volumes', '')
        answer = [dataclasses.replace(volume, replicas=tuple(
            dataclasses.replace(replica, target=model.Target(
                'nqn.2024-01.test:' + SmallHost.name(
                    number, replica.uuid[-1].upper()),
                (portal(number, replica.uuid[-1].upper()),)))
            if replica.uuid in targets_for else replica
            for replica in volume.replicas))
            for number, volume in self.volumes.items()]
        self.points()
        return self.answer(answer)

    def report_replica_state(self, volume, replica, state):
        self._take('report', volume.alias, replica.uuid[-1], state.value)
        self._set(volume, replica, state)
        self.points()

    def request_replacement(self, volume, replica):
        self._take('replace', volume.alias, replica.uuid[-1])
        number = int(volume.alias[6:])
        mine = self.volumes[number]
        fresh = uuid(number, 'c')
        if mine.replica(fresh) is None:
            self.volumes[number] = dataclasses.replace(
                mine, replicas=mine.replicas + (model.Replica(fresh),))
        self.points()

    def retire_replica(self, volume, replica):
        self._take('retire', volume.alias, replica.uuid[-1])
        self._set(volume, replica, State.TERMINATING)
        self.points()

    def confirm_replica_removed(self, volume, replica):
        self._take('confirm', volume.alias, replica.uuid[-1])
        number = int(volume.alias[6:])
        mine = self.volumes[number]
        self.volumes[number] = dataclasses.replace(mine, replicas=tuple(
            other for other in mine.replicas if other.uuid != replica.uuid))
        self.points()

    def _set(self, volume, replica, state):
        number = int(volume.alias[6:])
        mine = self.volumes[number]
        self.volumes[number] = dataclasses.replace(mine, replicas=tuple(
            dataclasses.replace(other, state=state)
            if other.uuid == replica.uuid else other
            for other in mine.replicas))


class WorldCase(test_base.BaseTestCase):
    """A world of ``volumes`` volumes, and a cycle that can be restarted."""

    volumes = 1

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.build()

    def put(self, where: object, name: str, value: object):
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def build(self) -> None:
        """A whole world, from the beginning."""
        folder = tempfile.TemporaryDirectory(
            dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'agent.sqlite')
        self.points = Points()
        self.host = SmallHost(self.volumes, self.points)
        self.driver = SmallProvisioner(self.volumes, self.points)
        self.conf = configuration(replacement_grace_period=40.0,
                                  io_guard='off')
        self.stopping = False
        self.claimed: list[ownership.KnownVolumes] = []
        self.book = ledger.Ledger(self.path, self.clock)
        self.addCleanup(lambda: self.book.close())
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is left but the ledger."""
        self.book.close()
        self.book = ledger.Ledger(self.path, self.clock)
        self.cycle = healing_loop.HealingLoop(
            self.conf, self.driver, HOST, self.host.scan,
            self.host,  # type: ignore[arg-type]
            self.book, lambda: self.stopping, self.claimed.append)

    def turn(self, passes: int = 1, seconds: float = 10.0) -> None:
        for _number in range(passes):
            self.cycle.run()
            self.host.settle()
            self.clock.advance(seconds)

    def said(self, name: str) -> list[tuple[str, ...]]:
        return [words[1:] for words in self.driver.said if words[0] == name]


def configuration(**values: object) -> cfg.ConfigOpts:
    """The agent's own options, with these values."""
    conf = cfg.ConfigOpts()
    opts.register(conf)
    conf.register_opts([cfg.StrOpt('lock_path')], 'os_brick')
    conf([])
    for name, value in values.items():
        conf.set_override(name, value)
    return conf
