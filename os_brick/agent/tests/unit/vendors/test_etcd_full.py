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
"""The etcd driver when etcd has no space left."""

from os_brick.agent.tests.unit.vendors import etcd_alone_case
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host


class FullTestCase(etcd_alone_case.AloneTestCase):

    arguments = ('--quota-backend-bytes', str(4 * 2 ** 20))

    def test_a_full_etcd_is_read_and_nothing_is_half_done(self):
        self.begin(spares=(3,))
        driver = self.driver()
        driver.heartbeat(host(), 30)
        self.volumes(driver)

        def fill():
            for _turn in range(20):
                self.store.write(store.Write({'/filler': 'x' * 10 ** 6}))

        error = self.assertRaises(vendor.Unavailable, fill)
        self.assertIn('space', str(error))
        for _again in range(2):
            driver.heartbeat(host(), 30)
            self.assertEqual({1, 2}, set(self.states(driver)))
            error = self.assertRaises(
                vendor.Unavailable, driver.request_replacement,
                self.volume(), self.replica(1))
            self.assertIn('space', str(error))
        self.wire.call('kv/compaction', {'revision': str(
            self.store.read([self.keys.schema]).point.revision),
            'physical': True})
        self.member.control('defrag')
        self.member.control('alarm', 'disarm')
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1, 2, 3}, set(self.states(driver)))
