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
"""What lives as long as the daemon does not grow with what has gone."""

from __future__ import annotations

from unittest import mock

from os_brick.agent.daemon import guard_kept
from os_brick.agent.daemon import observer
from os_brick.agent.host import execute
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.daemon import guard_loop_case
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.vendors import base


class PassesTest(healing_loop_case.ComingAndGoingCase):

    def standing(self) -> tuple[str, ...]:
        return self.cycle._log_once.standing()

    def test_no_trouble_outlives_its_volume(self):
        self.refuse('replace', 'report', error=base.Rejected('no spare'))
        for _volume in range(50):
            number = self.come()
            self.lose(number=number)
            self.host.legs[number]['B'] = (None, {'faulty'})
            self.turn(6)
            self.assertIn('no spare', ''.join(self.standing()))
            self.go()
            self.assertEqual((), self.standing())
        self.assertLessEqual(len(self.cycle._outbox.errors), 4)

    def dropped(self) -> int:
        """A volume, one leg of which cannot be removed."""
        number = self.come()
        self.host.legs[number]['B'] = (None, {'faulty'})
        self.host.broken = mock.Mock(
            side_effect=execute.NotDone('mdadm failed (1): busy'))
        return number

    def failing(self) -> None:
        """A pass fails once it has looked, and before it has told."""
        with mock.patch.object(self.cycle._knowledge, 'note_lost',
                               side_effect=ZeroDivisionError):
            self.assertRaises(ZeroDivisionError, self.cycle.run)

    def test_passes_that_fail_keep_so_many_events(self):
        self.put(observer, 'MOST_KEPT', 10)
        number = self.come()
        for turn in range(100):
            self.host.live[self.host.name(number, 'B')] = bool(turn % 2)
            self.failing()
        self.assertLessEqual(len(self.cycle._observer.take()), 12)

    def test_a_trouble_that_ends_in_a_pass_that_fails(self):
        number = self.dropped()
        self.turn(2)
        self.assertIn('busy', ''.join(self.standing()))
        self.host.legs[number]['B'] = (1, {'in_sync'})
        self.failing()
        self.turn()
        self.assertEqual((), self.standing())


class GuardTest(guard_loop_case.GuardianCase):

    def standing(self) -> tuple[str, ...]:
        return self.guardian._log_once.standing()

    def test_reads_of_legs_with_ever_new_names(self):
        look = guard_kept.Look(0.0, 'on')
        with mock.patch.object(
                self.host, 'answering', create=True,
                side_effect=execute.NotDone('the helper is away')):
            for number in range(1000):
                self.guardian._looker._ask(look, frozenset(
                    ['nvme%dn1' % number]))
        self.assertEqual(('reading legs: the helper is away',),
                         self.standing())
        self.guardian._looker._ask(look, frozenset(['nvme10n1']))
        self.assertEqual((), self.standing())

    def test_connections_in_a_state_that_nobody_knows(self):
        self.words = {'nvme%d' % number: 'odd' for number in range(1000)}
        self.host.live.update(dict.fromkeys(self.words, True))
        with mock.patch.object(self.host, 'scan',
                               return_value=snapshots.HostSnapshot()):
            self.guardian.look()
            self.assertEqual(1000, len(self.standing()))
            self.host.live.clear()
            self.guardian.look()
        self.assertEqual((), self.standing())
