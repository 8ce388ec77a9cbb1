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
"""What a pause and the limits hold back, and what they do not."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import holding
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import pauses
from os_brick.agent.tests.unit import small_world

PAUSE = pauses.Pause(1.0, 'a new cable')


class HoldingTest(base.BaseTestCase):

    def array(self, **values: object) -> model.Array:
        found = small_world.SmallHost(1, small_world.Points()).array(1)
        return dataclasses.replace(found, **values)     # type: ignore

    def test_whose_pause_it_is(self) -> None:
        limits = holding.Limits({'one': PAUSE})
        self.assertEqual('paused by the operator (a new cable)',
                         limits.volume('one'))
        self.assertEqual('', limits.volume('two'))
        limits = holding.Limits({pauses.ALL: PAUSE})
        self.assertIn('paused', limits.volume('two'))
        self.assertIn('dry_run', holding.Limits(dry_run=True).volume('one'))

    def test_reports_and_records_are_left(self) -> None:
        whole = decision.HealingDecision(
            {}, (decision.Report('a', model.ReplicaState.MISSING),),
            (decision.Request(decision.RequestKind.REPLACE, 'a', 'why'),),
            (act.RemoveLeg('why', 'md1', 'nvme1n1'),), frozenset('a'), True,
            3.0, 'alarm')
        self.assertIs(whole, holding.hold(whole, ''))
        self.assertEqual(
            decision.HealingDecision({}, whole.reports, alarm='alarm'),
            holding.hold(whole, 'paused'))

    def test_S15_what_is_put_in_waits_for_the_first_write(self) -> None:
        fresh = self.array(written=False)
        for step, waits in (
                (act.AddLeg('why', 'md1', 'nvme1n1', 'a', False), True),
                (act.AddLeg('why', 'md1', 'nvme1n1', 'a', True), True),
                (act.ReplaceLeg('why', 'md1', 'nvme1n1', 'nvme2n1', 'a'),
                 True),
                (act.Resize('why', 'md1', 3), True),
                (act.Resize('why', 'md1', 1), False),
                (act.FailLeg('why', 'md1', 'nvme1n1'), False),
                (act.RemoveLeg('why', 'md1', 'nvme1n1'), False)):
            why = holding.action(step, fresh, [fresh], holding.Limits())
            self.assertEqual(waits, 'S15: nobody on this host' in why,
                             str(step))
            self.assertEqual('', holding.action(
                step, self.array(), [self.array()], holding.Limits()))

    def test_an_exchange_waits_for_its_hours(self) -> None:
        closed = holding.Limits(may_exchange=False)
        exchange = act.ReplaceLeg('why', 'md1', 'nvme1n1', 'nvme2n1', 'b')
        add = act.AddLeg('why', 'md1', 'nvme1n1', 'a', False)
        array = self.array()
        self.assertIn('exchange_hours', holding.action(
            exchange, array, [array], closed))
        self.assertEqual('', holding.action(add, array, [array], closed))
        self.assertEqual('', holding.action(exchange, array, [array],
                                            holding.Limits()))

    def test_so_many_copies_at_once(self) -> None:
        array = self.array(degraded=1, legs=self.array().legs[:1])
        busy = self.array(name='md2', alias='other', sync_action='recover')
        add = act.AddLeg('why', 'md1', 'nvme1n1', 'a', False)
        for limits, arrays, expected in (
                (0, [busy], ''), (1, [busy], 'max_resyncs: other'),
                (2, [busy], ''), (1, [array], ''),
                (1, [self.array(name='md2', sync_action='check')], '')):
            self.assertIn(expected, found := holding.action(
                add, array, arrays, holding.Limits(resyncs=limits)))
            self.assertEqual(bool(expected), bool(found))
        back = dataclasses.replace(add, returning=True)
        self.assertEqual('', holding.action(back, array, [busy],
                                            holding.Limits(resyncs=1)))
        erased = dataclasses.replace(back, erase=True)
        self.assertIn('max_resyncs', holding.action(
            erased, array, [busy], holding.Limits(resyncs=1)))

    def test_what_is_begun_counts(self) -> None:
        host = small_world.SmallHost(2, small_world.Points())
        self.assertEqual(['idle', 'recover'], [
            array.sync_action for array in holding.copying(
                host.scan(), ['md1', 'md2'], ['md2'])])
        self.assertEqual([], holding.copying(host.scan(), [], ['md2']))

    def test_hours(self) -> None:
        for hours, inside in (('', range(24)), ('22-6', {22, 23, *range(6)}),
                              ('08-10', {8, 9}), ('22-24', {22, 23}),
                              ('0-24', range(24))):
            self.assertEqual({*inside}, {
                hour for hour in range(24) if holding.within(hours, hour)},
                hours)
