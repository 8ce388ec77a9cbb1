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
"""Event sinks: a slow or dead one costs its own events and nothing else."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading
import time

import fixtures
from oslotest import base

from os_brick.agent.daemon import outlets
from os_brick.agent import model
from os_brick.agent.reporting import metrics
from os_brick.agent.sinks import base as sinks
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.tests.unit import small_world

HOST = model.Host('nqn.2014-08.org.example:host', None, 'compute', '1.0')
LONG = 60


class Sink(sinks.EventSink):
    """Sends to a list, or does what the test says."""

    def __init__(self, conf: object = None) -> None:
        self.sent: list[str] = []
        self.closed = 0
        self.act: Callable[[], None] = lambda: None

    def send(self, notice: sinks.Notice) -> None:
        self.act()
        self.sent.append(notice.event.message)

    def close(self) -> None:
        self.closed += 1


def event(message: object) -> model.Event:
    return model.Event('KIND', 'WARN', str(message))


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > until:
            raise AssertionError('it did not come to pass')
        time.sleep(0.005)


class OutletTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.sink = Sink()
        self.outlet = outlets.Outlet('acme', self.sink)
        self.all = outlets.Outlets([self.outlet])
        self.go = threading.Event()
        self.addCleanup(self.all.close)
        self.addCleanup(self.go.set)

    def put(self, *messages: object) -> None:
        for message in messages:
            self.all.put(HOST, event(message))

    def raising(self, error: BaseException) -> Callable[[], None]:
        def act() -> None:
            raise error
        return act

    def test_in_order(self) -> None:
        self.put(*range(100))
        wait_for(lambda: len(self.sink.sent) == 100)
        self.assertEqual([str(one) for one in range(100)], self.sink.sent)
        self.assertEqual([{'name': 'acme', 'waiting': 0, 'lost': 0,
                           'trouble': ''}], self.all.state())

    def test_a_slow_one_loses_the_oldest(self) -> None:
        begun = threading.Event()

        def hang() -> None:
            begun.set()
            self.go.wait(LONG)

        self.sink.act = hang
        self.put('first')
        self.assertTrue(begun.wait(LONG))
        # nobody waits for it
        self.put(*range(outlets.MOST + 7))
        state, = self.all.state()
        self.assertEqual((outlets.MOST, 7),
                         (state['waiting'], state['lost']))
        self.assertIn('slower than the events come', state['trouble'])
        self.assertEqual(1, self.log.output.count('event sink acme'))
        self.go.set()
        wait_for(lambda: not self.outlet.waiting and not self.outlet.trouble)
        wait_for(lambda: len(self.sink.sent) == outlets.MOST + 1)
        self.assertEqual('7', self.sink.sent[1])
        self.assertEqual(7, self.outlet.lost)
        self.assertIn('event sink acme: works again', self.log.output)

    def test_one_that_fails_is_counted_and_said_once(self) -> None:
        for error, words in ((sinks.SinkError('nobody there'), 'nobody there'),
                             (ValueError('x'), 'defect: ValueError: x'),
                             (SystemExit(1), 'defect: SystemExit: 1')):
            before = self.outlet.lost
            self.sink.act = self.raising(error)
            self.put(1, 2, 3)
            wait_for(lambda: self.outlet.lost == before + 3)
            self.assertEqual(words, self.outlet.trouble)
            self.assertEqual(1, self.log.output.count(words))
            self.sink.act = lambda: None
            self.put('good')
            wait_for(lambda: not self.outlet.trouble)
        self.assertEqual(['good'] * 3, self.sink.sent)

    def test_no_thread_can_be_had(self) -> None:
        with fixtures.MockPatchObject(
                threading.Thread, 'start',
                side_effect=RuntimeError('can\'t start new thread')):
            self.put(1)
        self.assertEqual((0, 1), (self.outlet.waiting, self.outlet.lost))
        self.put(2)
        wait_for(lambda: self.sink.sent == ['2'])

    def test_the_end_sends_what_is_left(self) -> None:
        self.put(*range(50))
        self.all.close()
        self.assertEqual(50, len(self.sink.sent))
        self.assertEqual(1, self.sink.closed)
        self.put('late')
        self.assertEqual(0, self.outlet.waiting)

    def test_the_end_does_not_wait_for_one_that_hangs(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.daemon.outlets.FAREWELL', 0.05))

        def hang() -> None:
            self.go.wait()

        self.sink.act = hang
        self.put(1, 2)
        closing = threading.Thread(target=self.all.close, daemon=True)
        closing.start()
        closing.join(LONG)
        self.assertFalse(closing.is_alive())
        self.assertIn('the agent stops, and does not wait', self.log.output)


class ChoosingTest(base.BaseTestCase):

    def refused(self, *names: str) -> str:
        return str(self.assertRaises(
            sinks.ConfigurationError, outlets.make,
            small_world.configuration(event_sinks=list(names))))

    def test_what_the_passes_do_themselves_is_no_sink(self) -> None:
        for names in ([], ['log'], ['log', 'provisioner']):
            made = outlets.make(small_world.configuration(event_sinks=names))
            self.assertEqual([], made.state())
        self.assertEqual(['log', 'provisioner'],
                         small_world.configuration().event_sinks)

    def test_what_is_wrong(self) -> None:
        self.assertIn('there is no "banana"; there are: exec, log, '
                      'oslo_messaging, provisioner', self.refused('banana'))
        self.assertIn('event_exec', self.refused('log', 'exec'))
        for value, words in (('os:getcwd', 'is no EventSink'),
                             ('nowhere:x', 'cannot be loaded')):
            with fixtures.MockPatchObject(outlets, 'EMBEDDED',
                                          {'acme': value}):
                self.assertIn(words, self.refused('acme'))

    def test_one_of_another_distribution(self) -> None:
        with fixtures.MockPatchObject(outlets, 'EMBEDDED', {
                'acme': '%s:Sink' % __name__}):
            made = outlets.make(small_world.configuration(
                event_sinks=['acme', 'acme']))
        self.assertEqual(['acme'], [one['name'] for one in made.state()])


class ShownTest(shown_case.ShownCase):
    """In the passes: what is sent, and what is shown of it."""

    def restart(self) -> None:
        super().restart()
        self.sink = Sink()
        self.outlet = outlets.Outlet('acme', self.sink)
        self.addCleanup(self.outlet.wait, LONG)
        self.addCleanup(self.outlet.end)
        every = outlets.Outlets([self.outlet], self.clock)
        self.cycle._sinks = every
        self.cycle._show._sinks = every  # type: ignore

    def sent(self, words: str) -> None:
        wait_for(lambda: any(words in one for one in self.sink.sent))

    def test_what_happens_and_what_it_means(self) -> None:
        self.turn()
        self.lose()
        self.turn(2)
        for words in ('array volume1 (md1) is new',
                      'ARRAY_DEGRADED, volume volume1: 1 of 2'):
            self.sent(words)
        self.turn(20)
        self.sent('ARRAY_DEGRADED, volume volume1: over')

    def test_one_that_fails_is_shown(self) -> None:
        self.turn()

        def act() -> None:
            raise sinks.SinkError('nobody there')

        self.sink.act = act
        self.lose()
        self.turn()
        wait_for(lambda: self.outlet.lost)
        self.turn()
        self.assertIn('EVENTS_LOST', self.codes())
        self.assertIn('event sink acme: nobody there', self.look()[1])
        lines = metrics.text(self.shown()).splitlines()
        self.assertIn('# TYPE nvme_agent_event_sink_lost_total counter',
                      lines)
        self.assertTrue(any(line.startswith(
            'nvme_agent_event_sink_lost_total{sink="acme"} ')
            and not line.endswith(' 0') for line in lines))
        self.sink.act = lambda: None
        self.turn(20)
        wait_for(lambda: not self.outlet.trouble)
        self.turn()
        self.assertNotIn('EVENTS_LOST', self.codes())
        self.assertGreater(self.shown()['event_sinks'][0]['lost'], 0)

    def test_log_and_provisioner_are_left_out(self) -> None:
        for names in (['log', 'provisioner'], ['provisioner'], ['log'], []):
            self.conf.set_override('event_sinks', names)
            self.restart()
            told: list[str] = []
            self.driver.report_event = (  # type: ignore[method-assign]
                lambda event: told.append(event.message))
            log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
            self.turn()
            self.assertEqual('log' in names, 'is new' in log.output,
                             str(names))
            self.assertEqual('provisioner' in names, bool(told), str(names))
            self.sent('is new')
