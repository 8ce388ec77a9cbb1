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
"""A driver and a real etcd of its own, which may be broken."""

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor

State = model.ReplicaState
host = etcd_fleet.host


class AloneTestCase(etcd_fleet.RealTestCase):
    """Each test breaks an etcd of its own."""

    arguments: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        pass

    def connect(self):
        self.member = etcd_fleet.Member(self.directory,
                                        arguments=self.arguments)
        self.addCleanup(lambda: self.member.stop())
        self.member.start()
        return etcd_fleet.connected([self.member])

    def back(self):
        """Wait until the member serves again."""
        etcd_fleet.wait_for(lambda: self.store.read([self.keys.schema]))

    def refused(self, driver, *words):
        error = self.assertRaises(vendor.BadAnswer, driver.get_volumes,
                                  host(), (), ())
        for word in words:
            self.assertIn(word, str(error))
        self.assertRaises(vendor.BadAnswer, driver.request_replacement,
                          self.volume(), self.replica(2))
        self.assertRaises(vendor.BadAnswer, driver.report_replica_state,
                          self.volume(), self.replica(2), State.MISSING)
