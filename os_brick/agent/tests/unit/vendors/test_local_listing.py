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
"""What the local driver lists of an inventory, also when it was edited."""

import os
import sqlite3
from unittest import mock

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors import local

State = model.ReplicaState
HOST = local_case.HOST
VOLUME = local_case.VOLUME
OTHER = local_case.OTHER
GIB = local_case.GIB
namespace = local_case.namespace
ns = local_case.ns
spare = local_case.spare
volume = local_case.volume


class ListTestCase(local_case.LocalTestCase):

    def test_all_that_the_inventory_says(self):
        self.start(volume('a', 'b', size=GIB, max_replica_down_time=5))
        one, = self.driver.get_volumes(HOST, (), ())
        self.assertEqual((VOLUME, 'vol1', GIB, 2, 5.0), (
            one.uuid, one.alias, one.size, one.replica_count,
            one.max_replica_down_time))
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual(
            model.Target('nqn.2014-08.org.example:a',
                         (model.Portal('192.0.2.97', 4420),)),
            one.replicas[0].target)

    def test_changed_target(self):
        self.start(volume('a'))
        self.volumes()
        self.write(volume(namespace('a', nqn='nqn.2014-08.org.example:z')))
        self.assertEqual('nqn.2014-08.org.example:z',
                         self.volumes()['vol1'].replicas[0].target.nqn)

    def test_reported_states_are_kept(self):
        self.start(volume('a', 'b'))
        before = self.volumes()['vol1'].replica(ns('a')).state_since
        with mock.patch.object(local.time, 'time', return_value=before + 7):
            self.report('a', State.MISSING)
        with mock.patch.object(local.time, 'time', return_value=before + 9):
            self.report('a', State.MISSING)
        self.restart()
        self.assertEqual({'a': 'MISSING', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual(
            before + 7, self.volumes()['vol1'].replica(ns('a')).state_since)

    def test_report_of_what_is_not_listed(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('c'), 'vol1', call=lambda: self.report(
            'c', State.MISSING))

    def test_report_of_what_is_terminating(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.rejected(ns('a'), 'TERMINATING', call=lambda: self.report(
            'a', State.AVAILABLE))
        self.assertEqual('TERMINATING', self.listed()['a'])

    def test_report_of_a_state_that_is_no_report(self):
        self.start(volume('a', 'b'))
        self.rejected('UNKNOWN', call=lambda: self.report(
            'a', State.UNKNOWN))

    def test_added_replica(self):
        self.start(volume('a'))
        self.volumes()
        self.write(volume('a', 'b'))
        self.assertEqual({'a': 'AVAILABLE', 'b': 'UNKNOWN'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_removed_replica(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.assertEqual({'a': 'TERMINATING', 'b': 'AVAILABLE'},
                         self.listed())
        one = self.volumes()['vol1']
        self.assertEqual(1, one.replica_count)
        self.assertEqual('nqn.2014-08.org.example:a',
                         one.replica(ns('a')).target.nqn)
        self.restart()
        self.assertEqual('TERMINATING', self.listed()['a'])
        self.confirm('a')
        self.confirm('a')
        self.assertEqual({'b': 'AVAILABLE'}, self.listed())

    def test_removed_replica_is_put_back(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.volumes()
        self.write(volume('a', 'b'))
        self.assertEqual('UNKNOWN', self.listed()['a'])
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_removed_and_confirmed_replica_is_put_back(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.confirm('a')
        self.write(volume('a', 'b'))
        self.assertEqual('UNKNOWN', self.listed()['a'])

    def test_removed_replica_is_not_replaced(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.volumes()
        self.write(volume('b'), spares=[spare('c')])
        self.rejected(ns('a'), self.path, 'no longer listed')

    def test_member_is_not_confirmed(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('a'), 'vol1', call=lambda: self.confirm('a'))
        self.assertEqual({'a', 'b'}, set(self.listed()))

    def test_removed_volume_is_unknown_not_gone(self):
        self.start(volume('a', 'b'), volume('c', uuid=OTHER, alias='vol2'))
        self.report('a', State.MISSING)
        self.write(volume('c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'vol2'}, set(self.volumes()))
        self.write(volume('a', 'b'))
        self.assertEqual({'a': 'MISSING', 'b': 'AVAILABLE'}, self.listed())

    def test_moved_replica_waits_until_it_was_let_go(self):
        other = {'uuid': OTHER, 'alias': 'vol2'}
        self.start(volume('a', 'b'), volume('c', **other))
        self.volumes()
        self.write(volume('b'), volume('c', 'a', **other))
        with self.assertLogs(local.LOG, 'WARNING') as logs:
            self.assertEqual({'c': 'AVAILABLE'}, self.listed('vol2'))
        self.assertEqual(1, len(logs.output))
        for word in ('vol2', ns('a'), 'volume vol1 has not'):
            self.assertIn(word, logs.output[0])
        with self.assertNoLogs(local.LOG, 'WARNING'):
            self.assertEqual(1, self.volumes()['vol2'].replica_count)
        self.confirm('a')
        self.assertEqual({'c': 'AVAILABLE', 'a': 'UNKNOWN'},
                         self.listed('vol2'))

    def test_broken_edit_while_running_and_across_a_restart(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(text='volumes:\n- uuid: x\n  alias: y\n')
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.restart()
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.write(volume('a', 'b', 'c'))
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        self.write(text='[')
        self.restart()
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE',
                          'c': 'UNKNOWN'}, self.listed())

    def test_steady_pass_writes_nothing(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.volumes()
        before = os.stat(self.sqlite).st_mtime_ns
        changes = self.driver._ledger._db.total_changes
        self.volumes()
        self.report('b', State.AVAILABLE)
        self.assertEqual(before, os.stat(self.sqlite).st_mtime_ns)
        self.assertEqual(changes, self.driver._ledger._db.total_changes)

    def test_ledger_that_fails_is_unavailable(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        one = self.volumes()['vol1']
        other = sqlite3.connect(self.sqlite, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.driver._ledger._db.execute('PRAGMA busy_timeout=1')
        for call in (lambda: self.driver.get_volumes(HOST, (), ()),
                     lambda: self.driver.request_replacement(
                         one, one.replicas[0])):
            error = self.assertRaises(vendor.Unavailable, call)
            self.assertIn(self.sqlite, str(error))
            self.assertIn('locked', str(error))
        other.execute('ROLLBACK')
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_step_that_fails_undoes_the_whole(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.volumes()
        put = assignments.Assignments.put

        def full(ledger, entry):
            if entry.successor:
                raise sqlite3.OperationalError('disk is full')
            put(ledger, entry)

        with mock.patch.object(assignments.Assignments, 'put', full):
            error = self.assertRaises(vendor.Unavailable, self.request, 'a')
        self.assertIn(self.sqlite + ' failed: disk is full', str(error))
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
