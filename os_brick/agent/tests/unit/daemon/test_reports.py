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
"""What the provisioner hears of replicas: all of it, and in order."""

from __future__ import annotations

import dataclasses
from unittest import mock

from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base


class TestReports(healing_loop_case.CycleCase):
    """S6: every change, at least once, in order; nothing old after new."""

    volumes = 2

    def states(self, alias: str = 'volume1', letter: str = 'b'):
        return [words[2] for words in self.said('report')
                if words[:2] == (alias, letter)]

    def flap(self, number: int = 1) -> None:
        self.host.live[self.host.name(number, 'B')] ^= True
        self.turn()

    def settled(self) -> None:
        """Nothing is replaced: only states change."""
        self.conf.set_override('replacement_grace_period', 1e6)
        self.turn()

    def test_s6_in_order_over_an_outage_and_restarts(self):
        self.settled()
        self.refuse('report', 'volumes', 'heartbeat', 'event')
        for _change in range(3):
            self.flap()
            self.restart()
            # what a restart does not know it cannot serve: a moment of
            # answers, while reports still do not get through
            self.refuse('report')
            self.turn()
            self.refuse('report', 'volumes', 'heartbeat', 'event')
        self.assertEqual([], self.states())
        expected = [pending.state.value for pending in self.book.pending()
                    if pending.replica[-1] == 'b']
        self.assertEqual(['MISSING', 'AVAILABLE', 'MISSING'], expected)
        self.mend()
        self.restart()
        self.turn(2)
        self.assertEqual(expected, self.states())
        self.assertEqual([], self.book.pending())

    def test_s6_a_report_is_sent_again_when_killed_before_it_is_noted(self):
        self.settled()
        self.lose()
        with mock.patch.object(self.book, 'delivered',
                               side_effect=small_world.Killed):
            self.assertRaises(small_world.Killed, self.turn)
        self.restart()
        self.turn()
        self.assertEqual(['MISSING', 'MISSING'], self.states())

    def test_s6_nothing_newer_overtakes_a_report_that_does_not_get_through(
            self):
        self.settled()
        self.flap()
        failed = []

        def broken(name: str, alias: str) -> None:
            if name == 'report' and len(failed) < 1:
                failed.append(alias)
                raise base.Unavailable('no answer')

        self.driver.broken = broken
        self.flap()
        self.flap()
        self.turn(2)
        self.assertEqual(['volume1'], failed)
        self.assertEqual(['MISSING', 'AVAILABLE', 'MISSING'], self.states())

    def test_one_volumes_report_does_not_hold_up_another_volume(self):
        for error in (base.Unavailable('no answer'), base.BadAnswer('<html>'),
                      KeyError('defect'), SystemExit(3)):
            self.build()
            self.settled()
            self.refuse('report', error=error, volume='volume1')
            self.lose('B', 1)
            self.lose('B', 2)
            self.turn(2)
            self.assertEqual([], self.states('volume1'))
            self.assertEqual(['MISSING'], self.states('volume2'))

    def test_nothing_is_requested_before_the_report_has_arrived(self):
        self.refuse('report', volume='volume1')
        self.lose('B', 1)
        self.lose('B', 2)
        self.turn(7)
        self.assertEqual([('volume2', 'b')], self.said('replace'))

    def test_a_declined_report_is_not_repeated(self):
        self.settled()
        self.refuse('report', error=base.Rejected('no such replica'))
        self.lose()
        self.turn(3)
        self.assertEqual([], self.book.pending())
        self.assertEqual(1, len(self.lines('declined', 'no such replica')))

    def test_a_replica_left_out_of_a_list_is_reported_all_the_same(self):
        self.settled()
        self.refuse('report')
        self.lose()
        self.turn()
        self.mend()
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes]
        self.turn()
        self.assertEqual(['MISSING'], self.states())

    def test_an_outage_costs_one_call_and_not_one_for_each_volume(self):
        self.settled()
        self.lose('B', 1)
        self.lose('B', 2)
        tried: list[str] = []

        def broken(name: str, alias: str) -> None:
            tried.append(name)
            raise base.Unavailable('no answer')

        self.driver.broken = broken
        self.turn()
        self.assertEqual(['heartbeat', 'volumes'], tried)
        self.assertEqual(2, len(self.book.pending()))
