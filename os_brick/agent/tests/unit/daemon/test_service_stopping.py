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
"""The service stops, and takes in a new configuration, when it is told."""

from __future__ import annotations

import os
import signal
import threading
from unittest import mock

from oslo_config import cfg
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent import opts  # noqa: E402
from os_brick.agent.tests.unit.daemon import service_case  # noqa: E402

PATIENCE = service_case.PATIENCE


class TestStop(service_case.ServiceCase):

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


class TestSignals(service_case.ServiceCase):

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
