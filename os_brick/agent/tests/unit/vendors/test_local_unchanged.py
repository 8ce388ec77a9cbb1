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
"""The local driver answers the same while nothing has changed."""

from __future__ import annotations

import dataclasses
import sqlite3
from unittest import mock

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import assignments

State = model.ReplicaState


class UnchangedTest(local_case.LocalTestCase):

    def setUp(self):
        super().setUp()
        self.start(local_case.volume('a', 'b'),
                   spares=[local_case.spare('c')])

    def answer(self):
        return self.driver.get_volumes(local_case.HOST, (), ())

    def test_the_same_values(self):
        self.answer()
        one = self.answer()
        with mock.patch.object(assignments, '_entry') as made:
            self.assertIs(one[0], self.answer()[0])
        made.assert_not_called()

    def test_a_report_is_seen(self):
        self.answer()
        self.call('report_replica_state', 'a', State.MISSING)
        self.assertEqual('MISSING', self.listed()['a'])

    def test_an_edit_is_seen(self):
        self.answer()
        self.write(local_case.volume('a', 'b', 'd'))
        self.assertIn('d', self.listed())

    def test_what_another_connection_wrote_is_seen(self):
        self.answer()
        with sqlite3.connect(self.sqlite) as other:
            other.execute("UPDATE replica SET state='MISSING' "
                          "WHERE uuid=?", (local_case.ns('b'),))
        other.close()
        self.assertEqual('MISSING', self.listed()['b'])

    def test_what_was_rolled_back_is_not(self):
        self.answer()
        book = self.driver._ledger
        entry = book.entries()[0]
        try:
            with book.transaction():
                book.put(dataclasses.replace(entry, state=State.MISSING))
                self.assertIs(State.MISSING, book.entries()[0].state)
                raise vendor.Unavailable('in the middle of it')
        except vendor.Unavailable:
            pass
        self.assertIs(State.AVAILABLE, book.entries()[0].state)
        self.assertEqual('AVAILABLE', self.listed()['a'])
