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
"""The agent goes on with what an earlier one has written.

The files in ``earlier`` were written by those agents themselves, in the middle
of three stories; tools/earlier_ledger.py makes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import sqlite3
from typing import Any

from oslotest import base

from os_brick.agent import model
from os_brick.agent.store import database
from os_brick.agent.store import ledger
from os_brick.agent.store import tables
from os_brick.agent.tests.unit import small_world

State = model.ReplicaState
EARLIER = sorted((pathlib.Path(__file__).parent / 'earlier').glob('*.json'))
#: What the tables of each version look like: see test_a_version_is_one.
LOOKS = {3: 'fccfa8ad244cec94'}


class GoesOn(small_world.WorldCase):
    """The world as it was when the earlier agent was killed."""

    volumes = 3

    def continued(self, path: pathlib.Path) -> dict[str, Any]:
        """Give the file to this agent, 10 s after the other one's last pass.

        The provisioner takes every report again.
        """
        was: dict[str, Any] = json.loads(path.read_text())
        self.build()
        self.book.close()
        pathlib.Path(self.path).unlink()
        with contextlib.closing(sqlite3.connect(self.path)) as file:
            file.executescript('\n'.join(was['statements']))
            for name in ('user_version', 'application_id'):
                file.execute('PRAGMA %s=%d' % (name, was[name]))
        self.clock.boot_id = 'the boot of both'
        self.clock.since_boot, self.clock.time = was['since_boot'], was['time']
        self.host.live = dict(was['live'])
        self.host.legs = {int(number): {
            letter: (slot, set(flags)) for letter, (slot, flags)
            in legs.items()} for number, legs in was['legs'].items()}
        for number, replicas in was['replicas'].items():
            volume = self.driver.volumes[int(number)]
            self.driver.volumes[int(number)] = model.Volume(
                volume.uuid, volume.alias, volume.size, tuple(
                    model.Replica(small_world.uuid(int(number), letter),
                                  State(state))
                    for letter, state in replicas))
        self.book = ledger.Ledger(self.path, self.clock)
        self.restart()
        return was

    def each(self) -> list[pathlib.Path]:
        self.assertGreater(len(EARLIER), 2)
        return EARLIER

    def test_s7_what_was_asked_for_is_not_asked_for_again(self):
        for path in self.each():
            with self.subTest(path.stem):
                self.continued(path)
                self.turn(12)
                self.assertNotIn(('volume2', 'b'), self.said('replace'))
                self.assertEqual([('volume2', 'b')], [
                    words for words in self.said('confirm')
                    if words[0] == 'volume2'])
                self.assertEqual({'A', 'C'}, set(self.host.legs[2]))
                self.assertIn(('volume2', 'c', 'AVAILABLE'),
                              self.said('report'))

    def test_a_grace_period_goes_on(self):
        for path in self.each():
            with self.subTest(path.stem):
                was = self.continued(path)
                # 10 s are written down, and it was dead for another 10
                self.assertNotIn(['replace', 'volume1', 'b'], was['said'])
                self.turn(2)
                self.assertEqual([], self.said('replace'))
                self.turn(2)
                self.assertEqual(1, self.said('replace').count(
                    ('volume1', 'b')))
                self.turn(8)
                self.assertEqual(1, self.said('replace').count(
                    ('volume1', 'b')))

    def test_s6_reports_that_wait_are_sent_once(self):
        for path in self.each():
            with self.subTest(path.stem):
                was = self.continued(path)
                self.assertEqual(
                    [(small_world.uuid(3, 'b'), State.MISSING)],
                    [(report.replica, report.state)
                     for report in self.book.pending()])
                self.assertNotIn('volume3', [words[1] for words
                                             in was['said'] if words[0]
                                             == 'report'])
                self.turn()
                self.assertEqual([('volume3', 'b', 'MISSING')],
                                 self.said('report'))

    def test_nothing_is_put_aside(self):
        for path in self.each():
            with self.subTest(path.stem):
                self.continued(path)
                # what an operator may leave is in the file, too
                self.assertEqual({}, self.book.pauses())
                self.assertEqual({}, self.book.choices())
                self.turn()
                self.assertFalse(self.book.trouble)
                self.assertEqual(['agent.sqlite'], [
                    found.name for found in
                    pathlib.Path(self.path).parent.iterdir()])
                with contextlib.closing(sqlite3.connect(self.path)) as file:
                    self.assertEqual((tables.VERSION,), file.execute(
                        'PRAGMA user_version').fetchone())

    def test_s7_it_goes_on_once_more(self):
        """Killed right after the upgrade, before it has done anything."""
        for path in self.each():
            with self.subTest(path.stem):
                self.continued(path)
                before = [self.book.records(small_world.uuid(number, 'f'))
                          for number in (1, 2, 3)]
                self.assertTrue(all(before))
                self.restart()
                self.assertEqual(before, [
                    self.book.records(small_world.uuid(number, 'f'))
                    for number in (1, 2, 3)])
                self.assertEqual(1, len(self.book.pending()))


class TestVersion(base.BaseTestCase):

    def test_a_version_is_one(self):
        """Other tables are another version: an earlier agent must refuse it.

        When this fails count VERSION up, say in tables.py what is new, have
        the agent of before write its ledger (tools/earlier_ledger.py HEAD),
        and add the new look here.
        """
        with contextlib.closing(sqlite3.connect(':memory:')) as file:
            file.executescript(tables.ALL)
            look = sorted(' '.join(sql.split()) for (sql,) in file.execute(
                'SELECT sql FROM sqlite_master WHERE sql IS NOT NULL'))
        self.assertEqual(LOOKS[tables.VERSION], hashlib.sha256(
            '\n'.join(look).encode()).hexdigest()[:16])

    def test_nothing_but_the_agents_own_is_kept_in_memory(self):
        """What copy() leaves out is lost when a file is written anew."""
        with contextlib.closing(sqlite3.connect(':memory:')) as file:
            file.executescript(tables.OWN)
            own = {name for (name,) in file.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.assertEqual(own, set(tables._NAMES))
        self.assertIs(database.Database, ledger.Ledger.DATABASE)
