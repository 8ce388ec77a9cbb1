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
"""The simulated world with a story that a test tells, instead of a seed.

It is the agent itself that lives in it, as in ``testing/simulation``: both of
its loops, the executor with its last look, the outbox and the ledger.  The
judge looks at everything that it does.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import random
import tempfile
from typing import Any
from unittest import mock

from oslotest import base as test_base

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.store import ledger
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.testing.simulation import shape as shapes
from os_brick.agent.testing.simulation import targets
from os_brick.agent.testing.simulation import world as worlds
from os_brick.agent.vendors import base

Shape = shapes.Shape
uuid_of = targets.uuid_of
#: Seconds between two passes, two writes, two looks of the guard; until a
#: replica is replaced, or something is told again.
PASS, WRITE, LOOK, GRACE = 5.0, 1.0, 2.0, 60.0
#: Agent time after which a calm volume is looked at again.
LATER = 1e6
_DECIDE = decision.decide


class Provisioner(provisioners.Provisioner):
    """:ivar log: what it was told and asked, while it was not silent.

    :ivar lost: the calls whose answers are lost.
    :ivar most: how many replicas a volume may list; None: any number.
    """

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.log: list[tuple[str, str]] = []
        self.most: int | None = None
        self.lost: set[str] = set()

    def _answer(self, what: str) -> None:
        super()._answer(what)
        if what in self.lost:
            raise base.Unavailable('the answer was lost')

    def _note(self, what: str, replica: model.Replica) -> None:
        if not self.silent:
            self.log.append((what, replica.uuid))

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        self._note('report ' + state.value, replica)
        super().report_replica_state(volume, replica, state)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        self._note('replace', replica)
        if self.most is not None and self.most <= len(
                self.volumes[volume.uuid].replicas):
            raise base.Rejected('it has as many replicas as it may have')
        super().request_replacement(volume, replica)

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._note('retire', replica)
        super().retire_replica(volume, replica)

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self._note('confirm', replica)
        super().confirm_replica_removed(volume, replica)


class World(worlds.World):
    """A volume ``v`` on md1, over targets 0..n-1; spares behind it.

    Nothing happens but what the test does to it.  The agent is started with
    the first pass; what a test asks of pure functions needs none.

    :param poll: seconds between two passes.
    :ivar done: every action that was carried out.
    """

    PROVISIONER = Provisioner
    vendor: Provisioner

    def __init__(self, folder: str, shape: Shape, guarded: bool,
                 poll: float) -> None:
        super().__init__(random.Random(1), agents.configuration(), folder,
                         shape=shape)
        self._every = WRITE
        self.kernel.lateness = lambda: worlds.LATEST
        self.let_wait(False)
        for name, value in (('poll_interval', poll), ('poll_jitter', 0.0),
                            ('connection_check_interval', LOOK),
                            ('replacement_grace_period', GRACE),
                            ('report_repeat_interval', GRACE)):
            self.conf.set_override(name, value)
        if not guarded:
            self.mode = 'off'
            self.conf.set_override('io_guard', 'off')
        self.done: list[act.Action] = []
        self.agent.done = self.done.append

    def passes(self, number: int, step: float = PASS,
               writing: bool = True) -> list[act.Action]:
        """Live for so many times as long; return what was done in it."""
        before = len(self.done)
        if not self.agent.alive:
            self.agent.start()
        for _time in range(number):
            self.live(step, writing)
        return self.done[before:]

    def until(self, so: Callable[[], bool], within: float = 300.0) -> None:
        """Live until something is so."""
        end = self.baton.now + within
        while not so():
            assert self.baton.now < end, 'it is not so after %g s' % within
            self.passes(1)

    def restart(self) -> None:
        """SIGKILL; nothing is left but what is in the ledger."""
        self.agent.kill()
        self.agent.start()

    def forget(self) -> None:
        """The agent is killed, and its ledger is lost with it."""
        self.agent.kill()
        os.unlink(self._ledger)
        self.agent.start()

    @property
    def _ledger(self) -> str:
        return os.path.join(self.agent.folder, ledger.FILE)

    def remember(self, records: decision.ReplicaRecords) -> None:
        """The agent is killed, and finds these and no more when it starts."""
        self.agent.kill()
        os.unlink(self._ledger)
        book = ledger.Ledger(self._ledger, self.clock)
        book.save(self.volume.uuid, dict(records))
        book.close()
        self.agent.start()

    @property
    def records(self) -> decision.ReplicaRecords:
        found: decision.ReplicaRecords = self.agent.records(
            self.volume.uuid)
        return found

    @property
    def whole(self) -> bool:
        """It is, and the provisioner was told so."""
        return all(self.facts().values())

    @property
    def asked(self) -> list[str]:
        """What was asked of the provisioner, without of which replica."""
        return [what for what, _replica in self.vendor.log]

    def listed(self) -> model.Volume:
        """The volume as the provisioner lists it, with all targets."""
        volume, = self.vendor.get_volumes(
            agents.HOST, (), frozenset(self.volume.replicas))
        return volume


def world(case: test_base.BaseTestCase, replicas: int = 2, spares: int = 2,
          count: int | None = -1, down_time: float | None = None,
          guarded: bool = True, first_is_small: bool = False,
          poll: float = PASS, portals: int = 1) -> World:
    """Make one that lives as long as the test.

    :param count: of how many replicas the provisioner speaks; -1: of those
        that there are.
    """
    folder = tempfile.TemporaryDirectory(dir=disk.memory())
    case.addCleanup(folder.cleanup)
    made = World(folder.name, Shape(
        replicas, spares, portals, first_is_small, sync_time=40.0,
        count=replicas if count == -1 else count, down_time=down_time,
        failfast=guarded), guarded, poll)
    case.addCleanup(made.close)
    _watch_calm(case, made)
    return made


def _watch_calm(case: test_base.BaseTestCase, made: World) -> None:
    """Time alone must bring nothing to do: passes rely on it."""
    def watched(volume: model.Volume, array: model.Array, snapshot: Any,
                records: decision.ReplicaRecords, now: float, *words: Any,
                **more: Any) -> decision.HealingDecision:
        found = _DECIDE(volume, array, snapshot, records, now, *words, **more)
        if found.settled and found.records == records:
            later = _DECIDE(volume, array, snapshot, records, now + LATER,
                            *words, **more)
            if later.actions or later.requests or later.reports:
                raise made.judge.broke('calm, and yet: %s' % (later,))
        return found

    patch = mock.patch.object(decision, 'decide', watched)
    patch.start()
    case.addCleanup(patch.stop)
