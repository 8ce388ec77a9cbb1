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
"""The guard in a small world, and a clock that the test sets."""

from __future__ import annotations

import dataclasses
import logging
from unittest import mock

import fixtures

from os_brick.agent.daemon import guard_loop
from os_brick.agent.host import activity
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit import small_world


class GuardianCase(small_world.WorldCase):
    """The small world, its guard, and a clock that the test sets."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.conf.set_override('io_guard', 'on')
        self.conf.set_override('legs_fail_fast', 'but-one')
        self.time = 1000.0
        self.fast: dict[str, float | None] = {}
        self.flow = model.IoCounters(0, 0)
        self.quiet: dict[model.Portal, float] = {}
        self.words: dict[str, str] = {}
        self.identities: dict[str, int] = {}
        self.keep_alive: dict[str, float] = {}
        self.answering = {'nvme10n1', 'nvme11n1'}
        self.woken: list[float] = []
        self.real_do = self.host._do
        patch = mock.patch.object(self.host, '_do', self.do)
        patch.start()
        self.addCleanup(patch.stop)
        self.host.answering = self.answer   # type: ignore[attr-defined]
        self.listens: set[model.Portal] = set()
        self.host.listening = (         # type: ignore[attr-defined]
            lambda portals: frozenset(portals) & self.listens)
        self.asked: list[frozenset[str]] = []
        self.guardian = guard_loop.GuardLoop(
            self.conf, self.scan, self.host,  # type: ignore[arg-type]
            mock.Mock(read=self.beat), self.unanswered,
            lambda: self.woken.append(self.time),
            small_world.Timer(lambda: self.time))
        self.guardian.publish(ownership.KnownVolumes(
            {volume.uuid: volume for volume
             in self.driver.volumes.values()}))

    def do(self, action: act.Action) -> None:
        if isinstance(action, act.SetFastIoFail):
            self.fast[action.controller] = action.seconds
        elif isinstance(action, act.SetKeepAlive):
            self.keep_alive[action.controller] = action.seconds
        elif isinstance(action, act.ResetConnection):
            self.host.live[action.controller] = False
        else:
            self.real_do(action)

    def unanswered(self) -> dict[model.Portal, float]:
        """As TCP counts it; what is here says since when."""
        return {portal: self.time - since - 0.2
                for portal, since in self.quiet.items()
                if self.time - since >= 0.4}

    def answer(self, devices: frozenset[str]) -> frozenset[str]:
        self.asked.append(devices)
        return devices & self.answering

    def scan(self) -> snapshots.HostSnapshot:
        snapshot = self.host.scan()
        return dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(
                one, fast_io_fail_tmo=self.fast.get(one.name),
                identity=self.identities.get(one.name, 0),
                state=self.words.get(one.name, one.state),
                keep_alive=self.keep_alive.get(one.name, 5.0))
            for one in snapshot.controllers))

    def beat(self, arrays: object) -> activity.Activity:
        return activity.Activity(
            {name: self.words.get(
                name, 'live' if live else 'connecting')
             for name, live in self.host.live.items()},
            {name: self.flow for name in arrays},   # type: ignore
            dict(self.identities))

    def looks(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time += self.guardian.look()

    def lose(self, letter: str) -> None:
        self.host.live[self.host.name(1, letter)] = False

    def did(self, kind: type[act.Action]) -> list[act.Action]:
        return [action for action in self.host.did
                if isinstance(action, kind)]
