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
"""A thread that is kept running, whatever ends it."""

from __future__ import annotations

import threading

import fixtures
from oslotest import base

from os_brick.agent.daemon import worker

PATIENCE = 30.0


class TestWorker(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.uncaught: list[object] = []
        self.useFixture(fixtures.MonkeyPatch('threading.excepthook',
                                             self.uncaught.append))
        self.errors: list[BaseException] = []
        self.running = threading.Event()
        self.worker = worker.Worker('digging', self.body)
        self.addCleanup(self.worker.stop, lambda: None)

    def body(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.running.set()
        self.worker.stopping.wait(PATIENCE)

    def die(self, *errors: BaseException) -> None:
        self.errors += errors
        for _error in errors:
            self.worker.ensure_running()
            assert self.worker._thread is not None
            self.worker._thread.join(PATIENCE)

    def test_whatever_ends_it_is_said_once_and_it_is_begun_again(
            self) -> None:
        self.die(SystemExit(3), SystemExit(3), GeneratorExit('why'))
        self.assertEqual(1, self.log.output.count(
            'digging: defect: SystemExit: 3'))
        self.assertEqual(1, self.log.output.count(
            'digging: defect: GeneratorExit: why'))
        self.assertEqual([], self.uncaught)
        self.worker.ensure_running()
        self.assertTrue(self.running.wait(PATIENCE))

    def test_it_stops_after_it_died(self) -> None:
        self.die(SystemExit(3))
        woken: list[int] = []
        self.worker.stop(lambda: woken.append(1))
        self.assertEqual([1], woken)
        self.worker.ensure_running()
        self.assertFalse(self.running.is_set())
