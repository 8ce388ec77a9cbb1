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
"""Killed and started again: in an exchange, and during an outage."""

from __future__ import annotations

from unittest import mock

from os_brick.agent.healing import decision
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base


class TestKilled(healing_loop_case.CycleCase):
    """S7: killed at every point of an exchange, and started again."""

    def exchange(self, kill_at: int | None) -> None:
        self.build()
        self.turn()
        self.lose()
        self.points.passed, self.points.kill_at = 0, kill_at
        for _pass in range(35):
            try:
                self.turn()
            except small_world.Killed:
                self.restart()
            self.assertTrue(self.legs(), 'S1')
            if self.said('confirm') and self.legs() == {'A', 'C'}:
                return
        self.fail_here(kill_at)

    def fail_here(self, kill_at: int | None) -> None:
        raise AssertionError('not healed, killed at %s: %s %s' % (
            kill_at, self.host.did, self.driver.said))

    def test_s7_one_request_wherever_it_is_killed(self):
        self.exchange(None)
        points = self.points.passed
        self.assertGreater(points, 30)
        for kill_at in range(points):
            self.exchange(kill_at)
            self.assertEqual([('volume1', 'b')], self.said('replace'),
                             'killed at %d' % kill_at)
            self.assertEqual({'A', 'C'}, set(self.host.legs[1]))

    def test_s7_killed_between_the_request_and_its_being_noted(self):
        self.turn()
        self.lose()
        self.turn(4)
        with mock.patch.object(decision, 'answered',
                               side_effect=small_world.Killed):
            self.assertRaises(small_world.Killed, self.turn)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.restart()
        self.turn(20)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual({'A', 'C'}, self.legs())

    def test_a_request_that_was_declined_is_made_again_later(self):
        self.refuse('replace', error=base.Rejected('no spare is left'))
        self.lose()
        self.turn(12)
        self.mend()
        self.assertEqual([], self.said('replace'))
        self.turn(30)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual(1, len(self.lines('no spare is left')))


class TestOutage(healing_loop_case.CycleCase):
    """Started while the provisioner is away."""

    def test_what_is_claimed_is_known_before_the_first_answer(self):
        self.turn(2)
        self.refuse('volumes', 'heartbeat', 'event', 'report')
        self.restart()
        self.assertEqual({small_world.uuid(1, 'f')},
                         set(self.claimed[-1].volumes))
        self.lose()
        self.turn(3)
        self.assertNotEqual([], self.book.pending())

    def test_a_word_from_before_a_reboot_does_not_count(self):
        self.turn(2)
        self.clock.boot_id = 'another'
        self.restart()
        self.assertEqual({}, dict(self.claimed[-1].volumes))
