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
"""The daemon's loop: when a pass begins, and that none ends the loop."""

from __future__ import annotations

import os
import socket
import threading
import time
from unittest import mock

from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import pace
from os_brick.agent.host import attributes
from os_brick.agent.tests.unit.daemon import service_case

PATIENCE = service_case.PATIENCE


class TestPasses(service_case.ServiceCase):

    def test_the_first_pass_is_at_once(self):
        self.begin()
        self.wait_for_a_pass()

    def test_the_first_pass_is_within_the_jitter(self):
        self.conf.set_override('poll_jitter', 500.0)
        uniform = mock.Mock(return_value=0.0)
        agent = self.agent()
        agent._pace = pace.Pace(self.conf, uniform)
        agent.start()
        self.addCleanup(self.end, agent)
        self.wait_for_a_pass()
        self.assertEqual(mock.call(0, 500.0), uniform.call_args_list[0])

    def test_the_guard_goes_first(self):
        """It has what I/O waits for to do, and a pass takes time from it."""
        begun: list[bool] = []
        agent = self.agent(lambda: begun.append(self.guard.pressed))
        answers = [True, True, False]
        type(self.guard).pressed = mock.PropertyMock(
            side_effect=lambda: answers.pop(0) if answers else False)
        agent._watch = mock.Mock()
        agent._one_pass()
        self.assertEqual([[False], []], [begun, answers])

    def test_the_guard_does_not_go_first_for_ever(self):
        self.put('FIRST', 0.2, guard_loop)
        agent = self.agent()
        self.guard.pressed = True
        agent._watch = mock.Mock()
        agent._one_pass()
        self.wait_for_a_pass()

    def test_a_pass_that_asks_for_another_gets_it_soon(self):
        self.begin(lambda: self.one_pass() or 0.0)
        for _number in range(3):
            self.wait_for_a_pass()

    def test_the_next_pass_is_an_interval_after_the_begin_of_the_last(self):
        self.conf.set_override('poll_interval', 30.0)
        self.conf.set_override('poll_jitter', 4.0)
        now = [100.0]

        def slow():
            now[0] += 20.0
            return None

        agent = self.agent(slow)
        agent._watch = mock.Mock()
        agent._clock = mock.Mock(monotonic=lambda: now[0])
        agent._pace = pace.Pace(self.conf, lambda low, high: high)
        agent._one_pass()
        self.assertEqual(30.0 + 4.0 - 20.0, agent._delay)
        agent._run_pass = lambda: slow() or 7.0
        agent._wake.set()
        agent._one_pass()
        self.assertEqual(7.0, agent._delay)
        agent._run_pass = slow
        self.put('SOON', 50.0, pace)
        agent._wake.set()
        agent._one_pass()
        self.assertEqual(50.0, agent._delay)

    def test_a_failing_pass_does_not_end_the_loop(self):
        def failing():
            self.passes.put(1)
            raise ZeroDivisionError('a defect')

        agent = self.begin(failing)
        for _number in range(3):
            self.wait_for_a_pass()
            agent._wake.set()
        self.wait_for_a_pass()
        self.end(agent)
        self.assertIn('ZeroDivisionError', self.log.output)
        self.assertNotIn('WATCHDOG=1', self.notes)

    def test_a_pass_that_would_exit_does_not_end_the_loop(self):
        """Python says nothing of a SystemExit that ends a thread."""
        errors = [SystemExit(3), SystemExit(3), GeneratorExit('why')]

        def exiting():
            self.passes.put(1)
            if errors:
                raise errors.pop(0)

        agent = self.begin(exiting)
        for number in range(4):
            self.wait_for_a_pass()
            if number == 2:
                self.assertNotIn('WATCHDOG=1', self.notes)
            agent._wake.set()
        agent.stop()
        waiting = threading.Thread(target=agent.wait, daemon=True)
        waiting.start()
        waiting.join(PATIENCE)
        self.assertFalse(waiting.is_alive())
        self.assertEqual([1], self.cleaned)
        self.assertEqual(1, self.log.output.count(
            'a pass failed, the next one is on time: defect: SystemExit: 3'))
        self.assertIn('defect: GeneratorExit: why', self.log.output)
        self.assertIn('WATCHDOG=1', self.notes)

    def test_a_host_that_cannot_be_looked_at_is_said_in_one_line(self):
        def exhausted():
            self.passes.put(1)
            raise attributes.Exhausted('this host cannot be looked at: why')

        agent = self.begin(exhausted)
        self.wait_for_a_pass()
        self.end(agent)
        self.assertIn('a pass failed, the next one is on time: this host '
                      'cannot be looked at: why', self.log.output)
        self.assertNotIn('Traceback', self.log.output)
        self.assertNotIn('WATCHDOG=1', self.notes)

    def test_a_wake_up_starts_a_pass(self):
        self.begin()
        self.wait_for_a_pass()
        path = os.path.join(self.folder, 'nudge.sock')
        end = time.monotonic() + PATIENCE
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.01)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
            hook.sendto(b'attached\n', path)
        self.wait_for_a_pass()

    def test_passes_never_overlap(self):
        inside = threading.Semaphore(1)
        overlaps: list[int] = []

        def pass_():
            if not inside.acquire(blocking=False):
                overlaps.append(1)
                return None
            try:
                agent._wake.set()
                self.passes.put(1)
            finally:
                inside.release()
            return None

        agent = self.agent(pass_)
        agent.start()
        self.addCleanup(self.end, agent)
        for _number in range(20):
            self.wait_for_a_pass()
            agent._wake.set()
        self.assertEqual([], overlaps)

    def test_a_storm_of_wake_ups_is_slowed_down(self):
        """Ever more; and what comes after it is followed at once."""
        self.put('GAP', 0.2, pace)
        self.put('SOON', 1.0, pace)
        agent = self.agent()
        agent._watch = mock.Mock()
        clock = [100.0]
        rests: list[float] = []

        def rest(seconds: float) -> None:
            rests.append(round(seconds, 3))
            clock[0] += seconds

        agent._stopping = mock.Mock(is_set=lambda: False, wait=rest)
        agent._clock = mock.Mock(monotonic=lambda: clock[0])
        for quiet in (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5, 0.1):
            clock[0] += quiet
            agent._wake.set()
            agent._one_pass()
        self.assertEqual([0.0, 0.2, 0.4, 0.8, 1.0, 1.0, 0.0, 0.1], rests)
