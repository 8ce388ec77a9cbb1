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
"""The healing loop in a small world, with a log that can be asked."""

from __future__ import annotations

import logging

import fixtures

from os_brick.agent import model
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base


class CycleCase(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def lose(self, letter: str = 'B', number: int = 1) -> None:
        self.host.live[self.host.name(number, letter)] = False

    def refuse(self, *names: str, error: BaseException | None = None,
               volume: str | None = None) -> None:
        """Let these calls of the provisioner fail from now on."""
        error = error or base.Unavailable('192.0.2.99 does not answer')

        def broken(name: str, alias: str) -> None:
            if name in names and volume in (None, alias):
                raise error

        self.driver.broken = broken

    def mend(self) -> None:
        self.driver.broken = lambda name, volume: None

    def legs(self, number: int = 1) -> set[str]:
        return {letter for letter, (_slot, flags)
                in self.host.legs[number].items() if 'in_sync' in flags}

    def lines(self, *words: str) -> list[str]:
        return [line for line in self.log.output.splitlines()
                if all(word in line for word in words)]


class ComingAndGoingCase(CycleCase):
    """Volumes come and go, each with names that were never used before.

    :ivar listed: those that are, though they are not here.
    """

    def setUp(self) -> None:
        super().setUp()
        self.number = 0
        self.listed: dict[int, model.Volume] = {}

    def come(self) -> int:
        """A volume is attached that nobody has seen before."""
        self.number += 1
        made = small_world.SmallHost(self.number, self.points)
        self.host.legs = {self.number: made.legs[self.number]}
        self.host.live = {
            self.host.name(self.number, letter): True for letter in 'AB'}
        self.driver.volumes = {
            **self.listed, self.number: small_world.SmallProvisioner(
                self.number, self.points).volumes[self.number]}
        self.turn(2)
        return self.number

    def go(self, seconds: float = 10.0) -> None:
        """It is detached."""
        self.host.legs, self.driver.volumes = {}, dict(self.listed)
        self.turn(1, seconds)
