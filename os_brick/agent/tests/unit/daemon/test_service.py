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
"""The daemon's loop: passes, wake-ups, signals and the word to systemd."""

from __future__ import annotations

import os
import queue
import signal
import socket
import tempfile
import threading
import time
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_service import backend
from oslotest import base

backend.init_backend(backend.BackendType.THREADING)

from os_brick.agent.daemon import guard_loop  # noqa: E402
from os_brick.agent.daemon import liveness  # noqa: E402
from os_brick.agent.daemon import pace  # noqa: E402
from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent.host import attributes  # noqa: E402
from os_brick.agent import opts  # noqa: E402
from os_brick.agent.tests.unit import small_world  # noqa: E402

PATIENCE = 30.0


class ServiceCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.log = self.useFixture(fixtures.FakeLogger())
        self.put('notify', self.note)
        self.put('notify', self.note, liveness)
        self.put('GAP', 0.0, liveness)
        self.notes: list[str] = []
        self.put('SOON', 0.01, pace)
        self.put('GAP', 0.0, pace)
        self.conf = small_world.configuration(
            run_dir=self.folder, poll_jitter=0.0, poll_interval=3600.0)
        self.passes: queue.Queue[int] = queue.Queue()
        self.cleaned: list[int] = []
        self.stopping = threading.Event()

    def put(self, name: str, value: object, where: object = service) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def one_pass(self) -> None:
        self.passes.put(1)
        return None

    def agent(self, run_pass=None, clean_up=None) -> service.AgentService:
        self.guard = mock.Mock(pressed=False)
        self.guard.stop = clean_up or (lambda: self.cleaned.append(1))
        return service.AgentService(
            self.conf, run_pass or self.one_pass, self.guard, self.stopping)

    def begin(self, run_pass=None, clean_up=None) -> service.AgentService:
        agent = self.agent(run_pass, clean_up)
        agent.start()
        self.addCleanup(self.end, agent)
        return agent

    def end(self, agent: service.AgentService) -> None:
        if not self.stopping.is_set():
            agent.stop()
            agent.wait()

    def wait_for_a_pass(self) -> None:
        self.passes.get(timeout=PATIENCE)


class TestPasses(ServiceCase):

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
        agent = self.begin()
        self.wait_for_a_pass()
        path = os.path.join(self.folder, 'nudge.sock')
        end = time.monotonic() + PATIENCE
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.01)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
            hook.sendto(b'attached\n', path)
        self.wait_for_a_pass()
        self.assertIsNotNone(agent)

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


class TestStop(ServiceCase):

    def test_the_running_pass_ends_and_nothing_new_starts(self):
        entered, leave = threading.Event(), threading.Event()
        ended: list[int] = []

        def long():
            entered.set()
            leave.wait(PATIENCE)
            ended.append(1)
            return 0.0

        order = []
        agent = self.begin(long, lambda: order.append(list(ended)))
        self.assertTrue(entered.wait(PATIENCE))
        agent.stop()
        waiting = threading.Thread(target=agent.wait)
        waiting.start()
        self.assertEqual([], order)
        leave.set()
        waiting.join(PATIENCE)
        self.assertFalse(waiting.is_alive())
        self.assertEqual([[1]], order)
        self.assertEqual([1], ended)

    def test_stopping_between_two_passes_is_at_once(self):
        agent = self.begin()
        self.wait_for_a_pass()
        agent.stop()
        agent.wait()
        self.assertEqual([1], self.cleaned)
        self.assertTrue(self.passes.empty())
        self.assertEqual('STOPPING=1', self.notes[-1])

    def test_a_turn_that_ate_the_wake_up_ends_the_loop(self):
        agent = self.agent()
        agent._watch = mock.Mock()
        self.stopping.set()
        agent._wake.set()
        self.assertRaises(service.loopingcall.LoopingCallDone, agent._one_pass)

    def test_a_clean_up_that_fails_is_said(self):
        agent = self.begin(clean_up=mock.Mock(side_effect=OSError('why')))
        agent.stop()
        agent.wait()
        self.assertIn('why', self.log.output)

    def test_the_limits_are_put_back_last_and_whatever_was_before(self):
        order: list[str] = []

        def clean_up():
            order.append('guard')
            raise OSError('why')
        self.guard = mock.Mock(pressed=False)
        self.guard.stop = clean_up
        agent = service.AgentService(
            self.conf, self.one_pass, self.guard, self.stopping,
            leave=lambda: order.append('limits'))
        agent.start()
        self.wait_for_a_pass()
        self.assertEqual([], order)
        agent.stop()
        agent.wait()
        self.assertEqual(['guard', 'limits'], order)


class TestSignals(ServiceCase):

    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.path = os.path.join(self.folder, 'agent.conf')
        self.configure(7.0)
        self.conf.clear_override('poll_interval')
        self.conf(['--config-file', self.path])

    def configure(self, interval: object) -> None:
        with open(self.path, 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\npoll_interval = %s\n' % interval)

    def check(self) -> None:
        fresh = cfg.ConfigOpts()
        opts.register(fresh)
        fresh(['--config-file', self.path])
        opts.check(fresh)

    def run_it(self, *steps) -> None:
        """Run the service; do one step after each signal was served."""
        agent = self.agent()
        remaining = list(steps)

        def step(*_words) -> None:
            remaining.pop(0)()

        def started() -> None:
            step()

        with mock.patch.object(agent, 'start', started):
            agent._loop = mock.Mock()
            agent._watch = mock.Mock()
            real = self.conf.mutate_config_files

            def mutate():
                try:
                    return real()
                finally:
                    step()

            def check():
                try:
                    self.check()
                except cfg.Error:
                    step()
                    raise

            with mock.patch.object(self.conf, 'mutate_config_files', mutate):
                service.run(agent, self.conf, check)
        self.assertEqual([], remaining)
        self.assertEqual([1], self.cleaned)

    def send(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def test_sigterm_and_sigint_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.cleaned.clear()
            self.run_it(lambda number=number: self.send(number))

    def test_sighup_takes_in_mutable_options(self):
        def first():
            self.configure(9.0)
            self.send(signal.SIGHUP)

        seen = []

        def second():
            seen.append(self.conf.poll_interval)
            self.send(signal.SIGTERM)

        self.run_it(first, second)
        self.assertEqual([9.0], seen)

    def test_a_broken_configuration_is_refused_as_a_whole(self):
        for broken in ('banana', '-5', '9\n[DEFAULT\nx'):
            self.cleaned.clear()

            def first(broken=broken):
                self.configure(broken)
                self.send(signal.SIGHUP)

            self.run_it(first, lambda: self.send(signal.SIGTERM))
            self.assertEqual(7.0, self.conf.poll_interval)
            self.assertIn('the new configuration is not used',
                          self.log.output)
        self.assertIn('poll_interval', self.log.output)


class TestNotify(base.BaseTestCase):

    def listen(self, address: str, name: str) -> socket.socket:
        systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(systemd.close)
        systemd.bind(address)
        systemd.settimeout(PATIENCE)
        self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET', name))
        return systemd

    def test_messages_arrive(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'notify')
        systemd = self.listen(path, path)
        service.notify('READY=1')
        self.assertEqual(b'READY=1', systemd.recv(64))

    def test_an_abstract_socket(self):
        name = 'nvme-agent-test-%d' % os.getpid()
        systemd = self.listen('\0' + name, '@' + name)
        service.notify('WATCHDOG=1')
        self.assertEqual(b'WATCHDOG=1', systemd.recv(64))

    def test_nobody_listens(self):
        for name in ('', '/nowhere/notify'):
            self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET',
                                                         name))
            service.notify('READY=1')

    def test_start_pass_and_stop_are_told(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'notify')
        systemd = self.listen(path, path)
        conf = small_world.configuration(run_dir=folder.name,
                                         poll_jitter=0.0)
        agent = service.AgentService(conf, lambda: None, mock.Mock(),
                                     threading.Event())
        agent.start()
        told = {systemd.recv(64) for _number in range(2)}
        agent.stop()
        agent.wait()
        self.assertEqual({b'READY=1', b'WATCHDOG=1'}, told)
        self.assertEqual(b'STOPPING=1', systemd.recv(64))
