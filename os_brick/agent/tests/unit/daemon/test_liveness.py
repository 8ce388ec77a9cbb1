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
"""The watchdog is fed while the passes and the guard make progress."""

from __future__ import annotations

import logging

import fixtures
from oslotest import base

from os_brick.agent.daemon import liveness
from os_brick.agent.tests.unit import small_world


class LivenessTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.told: list[float] = []
        self.triggered: list[float] = []
        self.ended: list[float] = []
        self.useFixture(fixtures.EnvironmentVariable(
            'NOTIFY_SOCKET', '/run/systemd/notify'))
        self.life = liveness.Liveness(
            small_world.Timer(lambda: self.now), self._hear,
            lambda: self.ended.append(self.now))
        self.life.expect('passes')
        self.life.expect('guard')

    def _hear(self, message: str) -> None:
        self.assertIn(message, ('WATCHDOG=1', 'WATCHDOG=trigger'))
        (self.told if message == 'WATCHDOG=1' else self.triggered).append(
            self.now)

    def go(self, seconds: int, *well: str) -> list[float]:
        """Let time pass, each of these doing well once a second."""
        self.told.clear()
        for _second in range(seconds):
            self.now += 1.0
            for who in well:
                self.life.well(who)
        return self.told

    def test_both_at_work(self):
        told = self.go(1000, 'passes', 'guard')
        self.assertLessEqual(max(
            later - earlier for earlier, later in zip(told, told[1:])), 10.0)

    def test_one_that_hangs_or_has_died(self):
        for quiet, other in (('passes', 'guard'), ('guard', 'passes')):
            self.go(10, quiet, other)
            last = self.now
            self.go(1000, other)
            self.assertLessEqual(max(self.told) - last, liveness.STEP)
        self.assertNotEqual([], self.go(10, 'passes', 'guard'))

    def test_one_that_has_never_begun(self):
        self.go(1000, 'guard')
        self.assertLessEqual(max(self.told), liveness.STEP)

    def test_systemd_hears_at_once_of_one_that_hangs(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.CRITICAL))
        self.go(10, 'passes', 'guard')
        last = self.now
        self.assertEqual([], self.triggered)
        self.go(1000, 'guard')
        self.assertLess(self.triggered[0] - last,
                        liveness.STEP + 2 * liveness.GAP)
        self.assertEqual(1, log.output.count(
            'the thread of the passes has taken no step'))

    def test_systemd_is_left_time_to_end_it(self):
        self.go(10, 'passes', 'guard')
        self.go(1000, 'guard')
        self.assertLess(abs(self.ended[0] - self.triggered[0]
                            - liveness.OBEYED), liveness.GAP + 1.0)

    def test_without_systemd_it_ends_itself(self):
        """In a container nobody else takes it for hung."""
        self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET'))
        self.go(10, 'passes', 'guard')
        for quiet, other in (('guard', 'passes'), ('passes', 'guard')):
            self.go(int(liveness.STEP), other)
            self.assertEqual([], self.ended)
            self.go(10, other)
            self.assertEqual(self.triggered, self.ended)
            self.assertNotEqual([], self.ended)
            self.ended.clear()
            self.triggered.clear()
            self.go(10, quiet, other)

    def test_one_that_fails_is_not_ended(self):
        self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET'))
        self.life.failed('passes')
        self.go(1000, 'guard')
        self.assertEqual([], self.ended)

    def test_a_process_that_stood_still(self):
        """Whoever goes on first finds the other late, and no more."""
        self.go(10, 'passes', 'guard')
        for seconds in (1.0, 1000.0):
            self.now += seconds
            self.life.step('guard')
            self.now += 1.0
            self.life.step('passes')
            self.go(100, 'passes', 'guard')
        self.assertEqual([], self.triggered)

    def test_a_step_goes_on_in_which_the_process_stood_still(self):
        """It has as long from then on as any step."""
        self.life.step('passes')
        self.life.well('guard', 0.5)
        self.now += liveness.STEP + 20.0
        self.go(int(liveness.STEP) - 10, 'guard')
        self.assertEqual([], self.triggered)
        self.life.step('passes')
        self.go(10, 'guard')
        self.assertEqual([], self.triggered)
        self.go(1000, 'guard')
        self.assertNotEqual([], self.triggered)

    def test_one_that_hangs_while_all_stands_still_again_and_again(self):
        """The other one is late itself each time, and spares it once."""
        for _time in range(3):
            self.now += 2 * liveness.STEP
            self.life.step('passes')
            self.now += liveness.GAP
            self.life.step('passes')
        self.assertNotEqual([], self.triggered)

    def test_passes_an_hour_apart(self):
        self.life.well('passes', 3600.0)
        told = self.go(3600, 'guard')
        self.assertGreater(max(told), 3590.0)

    def test_a_long_pass_that_makes_progress(self):
        self.told.clear()
        for _minute in range(60):
            self.now += 60.0
            self.life.step('passes')
            self.life.well('guard')
        self.assertGreater(len(self.told), 50)

    def test_passes_that_fail_again_and_again(self):
        self.life.well('passes')
        self.told.clear()
        began = self.now
        for _second in range(1000):
            self.now += 1.0
            self.life.step('passes')
            self.life.failed('passes')
            self.life.well('guard')
        self.assertLessEqual(max(self.told) - began, liveness.STEP + 1.0)
        self.assertEqual([], self.triggered)
        self.life.well('passes')
        self.assertEqual(self.now, self.told[-1])
