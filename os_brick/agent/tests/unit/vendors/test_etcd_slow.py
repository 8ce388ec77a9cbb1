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
"""An etcd that answers each request, late."""

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import patience
from os_brick.agent.vendors.fleet import store

MANY = 20
State = etcd_fleet.State


class Slow:
    """A way to etcd on which each request takes its time."""

    each = 0.0

    def __init__(self, wire):
        self._wire = wire
        self.seconds = 0.0

    def call(self, path, body):
        self.seconds += self.each
        return self._wire.call(path, body)


class SlowTestCase(etcd_fleet.FleetTestCase):

    def setUp(self):
        super().setUp()
        self.begin({one: (10 * one, 10 * one + 1)
                    for one in range(1, MANY + 1)})
        self.slow = Slow(self.wire)
        self.one = self.driver('one')
        self.one._patience = patience.Patience(
            self.slow, lambda: self.slow.seconds)
        self.one._store = store.Store(self.one._patience)
        self.one._share = None
        self.volumes(self.one)
        self.one.heartbeat(etcd_fleet.host('one'), 30)
        self.slow.each = 4.0

    def passes(self, call):
        """Call until it succeeds; return how often that took."""
        for turn in range(1, 4 * MANY):
            before = self.slow.seconds
            try:
                return turn, call()
            except vendor.Unavailable as error:
                self.assertIn('the next pass goes on', str(error))
            finally:
                self.assertLessEqual(self.slow.seconds - before,
                                     patience.LIMIT + self.slow.each)
        self.fail('no pass came to an end')

    def test_what_is_handed_over_is_said_over_some_passes(self):
        for one in range(1, MANY + 1):
            self.operator.hand_over('v%d' % one, 'two', force=True)
        with self.assertLogs('os_brick', 'WARNING') as logged:
            turns = self.hand_all_over()
        self.assertGreater(turns, 1)
        # one line, not one for each volume
        self.assertEqual(1, len(logged.output), logged.output)

    def hand_all_over(self):
        for turn in range(1, MANY):
            self.volumes(self.one)
            before = self.slow.seconds
            self.one.delay_resyncs((), ())
            self.assertLessEqual(self.slow.seconds - before,
                                 patience.LIMIT + self.slow.each)
            if not any(record.yielding for record in
                       self.operator.everything().records.values()):
                return turn
        return self.fail('it was not said of all')

    def test_a_restored_one_is_put_right_over_some_passes(self):
        saved = dict(self.wire.values), self.wire.revision
        self.slow.each = 0.0
        for one in range(1, MANY + 1):
            self.one.report_replica_state(
                self.volume(one), self.replica(10 * one), State.MISSING)
        self.wire.values, self.wire.revision = saved
        self.wire.cluster += '1'
        self.operator.accept()
        self.slow.each = 4.0
        turns, found = self.passes(lambda: self.volumes(self.one))
        self.assertGreater(turns, 1)
        self.assertEqual({State.MISSING}, {
            volume.replicas[0].state for volume in found.values()})
        self.assertEqual(MANY, len(found))

    def test_what_takes_long_goes_on_where_etcd_is_quick_again(self):
        self.slow.seconds += 10 * patience.LIMIT    # between two calls
        self.assertEqual(MANY, len(self.volumes(self.one)))
