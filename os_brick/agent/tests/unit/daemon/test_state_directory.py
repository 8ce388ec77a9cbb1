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
"""The passes go on where the ledger cannot be written."""

from __future__ import annotations

import sqlite3

import fixtures

from os_brick.agent.tests.unit.daemon import healing_loop_case


class TestStateDirectory(healing_loop_case.CycleCase):
    """Another process that has the ledger's file stands for a full disk."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.store.database.BUSY', 0.0))

    def test_it_heals_and_tells_but_asks_for_nothing(self):
        self.turn(3)
        other = sqlite3.connect(self.book._db.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.lose()
        self.turn(20)
        self.assertEqual([], self.lines('a pass failed'))
        self.assertEqual([], self.lines('Traceback'))
        said = [words[0] for words in self.driver.said]
        self.assertIn('report', said)
        self.assertNotIn('replace', said)
        self.assertEqual(1, len(self.lines('goes on from memory')))
        other.execute('ROLLBACK')
        # until now the grace period has stood still
        self.turn(2)
        self.assertNotIn('replace', [words[0] for words in self.driver.said])
        self.turn(20)
        self.assertIn('replace', [words[0] for words in self.driver.said])
        self.assertEqual({'A', 'C'}, self.legs())

    def test_s6_a_later_report_waits_for_the_one_before(self):
        """Sent before that is struck out, it came before it once more."""
        self.turn(3)
        self.refuse('report')
        self.lose()
        self.turn(2)
        other = sqlite3.connect(self.book._db.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.mend()
        self.turn(2)
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(6)
        reports = [words[2:] for words in self.driver.said
                   if words[0] == 'report' and words[2] == 'b']
        self.assertEqual([('b', 'MISSING')], reports)
        self.assertEqual(1, len(self.lines('it waits')))
        other.execute('ROLLBACK')
        self.turn(20)
        reports = [words[3] for words in self.driver.said
                   if words[0] == 'report' and words[2] == 'b']
        self.assertEqual('AVAILABLE', reports[-1])
        self.assertEqual(1, reports.count('MISSING'))
