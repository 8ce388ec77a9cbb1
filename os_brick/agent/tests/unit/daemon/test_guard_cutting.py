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
"""A connection is lost: when its leg is cut off, and what is said."""

from __future__ import annotations

import logging
from unittest import mock

import fixtures

from os_brick.agent.guard import cutoff
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import guard_loop_case
from os_brick.agent.tests.unit import small_world


class TestLost(guard_loop_case.GuardianCase):

    def test_a_lost_anchor_is_cut_off_within_a_second(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(1.1)
        self.assertEqual(['FailLeg', 'Disconnect', 'KeepMarked'],
                         [type(action).__name__ for action
                          in self.host.did[-3:]])
        self.assertIsNone(self.fast['nvme11'])

    def test_what_was_done_is_counted(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(1.1)
        counted = self.guardian.tally.actions
        for action in ('FailLeg', 'Disconnect'):
            self.assertEqual(1, counted['volume1', action])
        self.assertLess(0.5, self.guardian.standing['md1'])
        self.flow = model.IoCounters(1, 0)
        self.looks(1.0)
        self.assertEqual({}, self.guardian.standing)
        one = self.guardian.tally.pauses['volume1']
        self.assertEqual(1, one.counts[-1])
        self.assertLess(0.5, one.total)
        # it is no longer here
        self.host.legs.clear()
        self.guardian.wake()
        self.looks(1.0)
        self.assertEqual({}, self.guardian.tally.pauses)

    def test_an_unknown_state_is_lost_named_and_looked_at_again(
            self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.words['nvme10'] = 'fencing'
        self.looks(30.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertEqual(1, self.log.output.count("state 'fencing'"))
        # the other leg waits now
        self.assertIsNone(self.fast['nvme11'])
        self.words['nvme10'] = 'fenced'
        self.looks(30.0)
        self.assertEqual(1, self.log.output.count("state 'fenced'"))
        self.assertEqual([], self.did(act.Disconnect))
        del self.words['nvme10']
        self.lose('A')
        self.looks(1.1)
        self.assertEqual(1, len(self.did(act.Disconnect)))

    def test_a_blip_costs_nothing(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(0.3)
        self.host.live['nvme10'] = True
        self.looks(30.0)
        self.assertEqual([], self.did(act.FailLeg))

    def test_an_idle_array_waits_for_the_kernel_to_reconnect(self) -> None:
        self.looks(1.0)
        self.lose('A')
        self.looks(12.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.looks(10.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_what_fails_is_said_once_and_tried_again(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        tried = []

        def refuse(action: act.Action) -> None:
            tried.append(action)
            raise execute.NotDone('mdadm failed (1): busy')

        self.host.broken = refuse
        self.looks(10.0)
        self.assertGreater(len(tried), 6)
        self.assertEqual(1, self.log.output.count('FailLeg'))
        self.host.broken = lambda action: None
        self.looks(2.0)
        self.assertEqual(1, len(self.did(act.Disconnect)))


class TestReturning(guard_loop_case.GuardianCase):
    """A target listens again when its leg is to be cut."""

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('legs_fail_fast', 'none')
        self.looks(1.0)
        # nobody vouches for the other leg before the kernel tries again
        self.answering.clear()
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(10.0)
        self.assertEqual([], self.did(act.FailLeg))

    def test_it_is_given_an_attempt(self) -> None:
        self.listens = {small_world.portal(1, 'A')}
        self.answering = {'nvme11n1'}
        self.looks(cutoff.RETURN + 10.5)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertEqual(1, self.log.output.count('listens again'))
        # the kernel's attempt has failed
        self.looks(1.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_where_nobody_listens_it_is_cut(self) -> None:
        self.answering = {'nvme11n1'}
        self.looks(cutoff.RETURN + 0.5)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_who_only_observes_asks_nobody(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.host.listening = mock.Mock(  # type: ignore[attr-defined]
            side_effect=AssertionError)
        self.looks(cutoff.RETURN + 0.5)
        self.assertIn('FailLeg', self.log.output)


class TestOutcomes(guard_loop_case.GuardianCase):
    """What became of an action is said as loud as it matters."""

    def becomes(self, outcome: Exception) -> str:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.host.broken = mock.Mock(side_effect=outcome)
        self.looks(3.0)
        return self.log.output

    def test_what_has_ended_already_is_no_news(self) -> None:
        self.assertNotIn('FailLeg', self.becomes(
            not_done.Ended('the leg is gone')))

    def test_what_goes_on_is_no_warning(self) -> None:
        with fixtures.FakeLogger(level=logging.WARNING) as warnings:
            self.becomes(not_done.UnderWay('it hangs'))
            self.assertNotIn('FailLeg', warnings.output)
        # and is seen to again
        self.host.broken = lambda action: None
        self.looks(2.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_what_is_refused_is_one(self) -> None:
        self.assertIn('not done: S1: no', self.becomes(
            not_done.Refused('S1: no')))
