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
"""What a provisioner that limits copies can and cannot do to a host."""

from __future__ import annotations

import logging
import sqlite3
from unittest import mock

import fixtures

from os_brick.agent.daemon import healing_pass
from os_brick.agent.healing import holding
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.store import database
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base

B, C = (small_world.uuid(1, letter) for letter in 'bc')
FULL = '1 of 1 copies to the shelf are under way'


class PermitsTest(small_world.WorldCase):

    def build(self) -> None:
        super().build()
        self.asked: list[tuple[set[str], set[str]]] = []
        self.answer: object = {}
        self.away = False

        def delay(under_way, wanted):
            self.reach('resyncs', '')
            self.asked.append((
                {one.replica.uuid for one in under_way},
                {one.replica.uuid for one in wanted}))
            return self.answer
        self.driver.delay_resyncs = delay  # type: ignore[method-assign]
        self.driver.broken = self.reach
        self.calls: list[str] = []

    def reach(self, name: str, alias: str) -> None:
        self.calls.append(name)
        if self.away:
            raise base.Unavailable('nobody answers')

    def lose(self) -> None:
        """B is lost, and is replaced by C, which is to be copied to."""
        self.turn()
        self.host.live[self.host.name(1, 'B')] = False
        self.host.legs[1]['B'] = (None, {'faulty'})
        for _number in range(20):
            if 'replace' in self.calls:
                return
            self.turn()
        self.fail('no replacement was requested')

    def added(self) -> bool:
        return any(isinstance(action, act.AddLeg)
                   and action.replica_uuid == C for action in self.host.did)

    def until_wanted(self) -> None:
        for _number in range(20):
            if any(C in wanted for _under_way, wanted in self.asked):
                return
            self.turn()
        self.fail('nothing was asked for')

    def test_a_copy_is_asked_for_before_it_begins(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.answer = {C: FULL, 'another': 'of no meaning'}
        self.lose()
        self.until_wanted()
        self.turn(30)
        self.assertFalse(self.added())
        # once, however long it takes
        self.assertEqual(1, log.output.count(FULL))
        self.answer = {}
        self.turn()
        self.assertTrue(self.added())

    def test_the_pass_that_asks_follows_at_once(self) -> None:
        self.lose()
        for _number in range(20):
            due = self.cycle.run()
            if self.cycle._last.wanted:
                break
            self.clock.advance(1.0)
        self.assertFalse(self.added())
        self.assertEqual(0.0, due)
        self.cycle.run()
        self.assertTrue(self.added())
        # md copies now, and says so
        self.cycle.run()
        self.assertEqual(({C}, set()), self.asked[-1])
        self.host.settle()
        self.cycle.run()
        self.assertEqual((set(), set()), self.asked[-1])

    def test_what_cannot_be_begun_keeps_no_place(self) -> None:
        def broken(action: act.Action) -> None:
            if isinstance(action, act.AddLeg):
                raise execute.Refused('it is ahead')
        self.host.broken = broken
        self.lose()
        self.until_wanted()
        self.asked.clear()
        passes = 0
        for _number in range(10):
            while self.cycle.run() == 0.0:
                passes += 1
                self.assertLess(passes, 15)
            self.clock.advance(10.0)
        kept = [bool(wanted) for _under_way, wanted in self.asked]
        self.assertIn(True, kept)
        self.assertNotIn((True, True), zip(kept, kept[1:]))

    def test_an_outage_is_not_prolonged_by_what_fails(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.lose_and_learn()
        lock = True

        def broken(action: act.Action) -> None:
            if lock and isinstance(action, act.AddLeg):
                raise execute.Refused('not now')
        self.host.broken = broken
        self.turn(35)
        lock = False
        self.turn(2)
        self.assertTrue(self.added())
        self.assertEqual(1, log.output.count('may begin without'))

    def test_a_wait_is_no_busy_loop(self) -> None:
        self.answer = {C: FULL}
        self.lose()
        self.until_wanted()
        for _number in range(5):
            due = self.cycle.run()
        self.assertNotEqual(0.0, due)

    def lose_and_learn(self) -> None:
        """The agent knows of C, and nobody has answered since."""
        self.answer = {C: FULL}
        self.lose()
        self.until_wanted()
        self.assertFalse(self.added())
        self.away = True

    def wait_for_it(self) -> float:
        began = self.clock.boottime()
        while not self.added():
            self.assertLess(self.clock.boottime() - began, 1000.0)
            self.turn(seconds=10.0)
        return self.clock.boottime() - began

    def test_an_outage_delays_for_a_bound(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.lose_and_learn()
        waited = self.wait_for_it()
        self.assertLessEqual(waited, 320.0)
        self.assertGreaterEqual(waited, 150.0)
        self.assertEqual(1, log.output.count(
            'may begin without the provisioner\'s word'))

    def test_the_bound_is_an_option(self) -> None:
        self.lose_and_learn()
        self.conf.set_override('resync_permit_timeout', 0.0)
        self.assertLessEqual(self.wait_for_it(), 20.0)

    def test_the_bound_begins_anew_with_an_answer(self) -> None:
        self.lose_and_learn()
        self.turn(14)
        self.away = False
        self.turn(2)
        self.away = True
        self.turn(14)
        self.assertFalse(self.added())

    def test_after_a_restart_it_may_be_limited(self) -> None:
        self.lose_and_learn()
        self.restart()
        self.turn(10)
        self.assertFalse(self.added())
        self.wait_for_it()

    def test_an_outage_costs_one_call_in_a_pass(self) -> None:
        self.lose_and_learn()
        self.turn()
        self.calls.clear()
        self.turn(3)
        self.assertEqual([], [name for name in self.calls
                              if name == 'resyncs'])

    def test_what_was_never_limited_is_not_in_an_outage(self) -> None:
        self.answer = None
        self.lose()
        cable = True

        def broken(action: act.Action) -> None:
            if cable and isinstance(action, act.AddLeg):
                raise OSError('not now')
        self.host.broken = broken
        self.turn(5)
        self.away, cable = True, False
        self.assertFalse(self.added())
        self.assertLessEqual(self.wait_for_it(), 40.0)

    def test_a_driver_that_limits_nothing_hides_no_outage(self) -> None:
        del self.driver.delay_resyncs
        self.turn()
        self.away = True
        self.calls.clear()
        self.turn()
        self.assertTrue(self.cycle._outbox.unavailable)
        self.restart()
        self.calls.clear()
        self.cycle.run()
        # nothing is told, which would cost a time-out each
        self.assertEqual(['heartbeat', 'volumes'], self.calls)

    def test_what_a_restart_would_not_know_is_not_in_force(self) -> None:
        """By the question a driver says that another host may begin."""
        self.answer = None
        self.turn()
        with mock.patch.object(
                database.Database, '_write', side_effect=(
                    sqlite3.OperationalError('database is locked'))):
            self.asked.clear()
            self.turn()
            self.assertTrue(self.book.trouble)
            self.assertEqual([], self.asked)
        self.turn()
        self.assertFalse(self.book.trouble)
        self.assertEqual(1, len(self.asked))

    def test_a_disk_that_fails_lifts_and_sets_no_limit(self) -> None:
        self.lose_and_learn()
        self.away = False
        with mock.patch.object(
                database.Database, '_write', side_effect=(
                    sqlite3.OperationalError('database is locked'))):
            self.assertGreaterEqual(self.wait_for_it(), 150.0)

    def test_a_call_that_fails_alone_lifts_and_sets_no_limit(self) -> None:
        self.answer = None
        self.turn()

        def broken(under_way, wanted):
            raise base.BadAnswer('it is gone')
        self.driver.delay_resyncs = broken  # type: ignore[method-assign]
        self.lose()
        self.assertLessEqual(self.wait_for_it(), 40.0)

    def test_nonsense_is_no_answer(self) -> None:
        self.answer = [C]
        self.lose()
        for _number in range(20):
            self.turn(seconds=5.0)
        self.assertFalse(self.added())
        self.assertIn('resyncs', self.cycle._outbox.errors)
        self.wait_for_it()

    def test_a_planned_exchange_waits_for_as_long_as_it_takes(self) -> None:
        self.lose_and_learn()
        last = healing_pass.Pass(wanted=[model.Resync(
            self.driver.volumes[1], model.Replica(B), planned=True)])
        self.turn()
        for now in (0.0, 1e3, 1e6):
            word = self.cycle._permits.ask(healing_pass.Pass(now=now), last)
            self.assertIn('cannot be asked', word.delays(B))

    def test_hosts_do_not_begin_all_at_once(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.lose_and_learn()
        last = healing_pass.Pass(wanted=[model.Resync(
            self.driver.volumes[1], model.Replica(small_world.uuid(
                number, 'b'))) for number in range(1, 201)])
        self.turn()
        begun = []
        for now in range(0, 310, 10):
            word = self.cycle._permits.ask(
                healing_pass.Pass(now=float(now)), last)
            begun.append(200 - len(word.waits))
        self.assertEqual((0, 200), (begun[14], begun[30]))
        # each once, however long it is not begun for another reason
        self.assertEqual(200, log.output.count('may begin without'))
        self.assertLess(max(after - before for before, after
                            in zip(begun, begun[1:])), 40)


class CopiesTest(small_world.WorldCase):
    """Which copies there are, and which one an action begins."""

    def array(self, *legs: model.Leg, action: str = 'recover'
              ) -> model.Array:
        return model.Array('md1', 'volume1', None, 2, 1, 'clean', action,
                           1 << 20, legs)

    def leg(self, letter: str, slot: int | None, *flags: str) -> model.Leg:
        return model.Leg('nvme%sn1' % letter, slot, frozenset(flags),
                         small_world.uuid(1, letter))

    def under_way(self, array: model.Array) -> list[tuple[str, bool]]:
        return [(one.replica.uuid[-1], one.planned) for one
                in holding.under_way(self.driver.volumes[1], array)]

    def test_what_md_copies_to(self) -> None:
        good = self.leg('a', 0, 'in_sync')
        other = self.leg('b', 1, 'in_sync')
        self.assertEqual([('b', False)], self.under_way(self.array(
            good, self.leg('b', 1, 'spare'))))
        self.assertEqual([('c', True)], self.under_way(self.array(
            good, other, self.leg('c', 1, 'spare', 'replacement'))))
        # a spare that waits is not copied to, nor one that is faulty
        self.assertEqual([], self.under_way(self.array(
            good, other, self.leg('c', None, 'spare'))))
        self.assertEqual([], self.under_way(self.array(
            good, self.leg('b', 1, 'faulty'))))
        self.assertEqual([], self.under_way(self.array(
            good, self.leg('b', 1, 'spare'), action='idle')))

    def test_what_an_action_begins(self) -> None:
        volume = self.driver.volumes[1]
        array = self.array(self.leg('a', 0, 'in_sync'),
                           self.leg('c', None, 'spare'), action='idle')
        for action, expected in (
                (act.AddLeg('', 'md1', 'nvmebn1', B, False), (B, False)),
                (act.AddLeg('', 'md1', 'nvmebn1', B, True), None),
                (act.ReplaceLeg('', 'md1', 'nvmean1', 'nvmecn1', C),
                 (C, True)),
                (act.FailLeg('', 'md1', 'nvmean1'), None)):
            found = holding.wanted(action, volume, array)
            self.assertEqual(expected, found and (
                found.replica.uuid, found.planned))
