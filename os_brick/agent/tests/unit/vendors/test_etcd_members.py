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
"""The etcd driver when members of etcd are dead or silent."""

import signal

from os_brick.agent.tests.unit.vendors import etcd_alone_case
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor

host = etcd_fleet.host
ns = etcd_fleet.ns


class MembersTestCase(etcd_alone_case.AloneTestCase):

    def connect(self):
        self.members, made = etcd_fleet.cluster(self.directory,
                                                self.addCleanup)
        self.member = self.members[0]
        return made

    def leader(self):
        for one in self.members:
            if one.process is None:
                continue
            said = etcd_fleet.connected([one]).call('maintenance/status', {})
            if said['leader'] == said['header']['member_id']:
                return one
        return None

    def request(self, driver, number):
        """Ask until it is accepted, as the agent does."""
        def once():
            driver.request_replacement(self.volume(), self.replica(number))
            return True
        etcd_fleet.wait_for(once)

    def test_a_leader_that_dies_and_one_that_falls_silent(self):
        self.begin(spares=(3, 4, 5))
        driver = self.driver()
        self.volumes(driver)
        for how, number in ((signal.SIGKILL, 1), (signal.SIGSTOP, 2)):
            leader = etcd_fleet.wait_for(self.leader)
            # the leader is the one that the driver speaks to
            url = leader.url
            self.wire._members.sort(key=lambda one: one.base_url != url)
            leader.process.send_signal(how)
            self.request(driver, number)
            self.request(driver, number)
            leader.stop()
            leader.start(self.members)
            etcd_fleet.wait_for(lambda: etcd_fleet.connected([leader]))
        self.assertEqual(4, len(self.states(driver)))
        self.assertEqual(2, sum(use.volume is not None and uuid in {
            ns(3), ns(4), ns(5)} for uuid, use
            in self.operator.everything().uses.items()))

    def test_without_a_majority_nothing_is_said(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.members[0].stop()
        self.members[1].stop()
        self.assertRaises(vendor.Unavailable, driver.get_volumes, host(),
                          (), ())
        self.assertRaises(vendor.Unavailable, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.members[0].start(self.members)
        self.request(driver, 1)
        self.assertEqual({1, 2, 3}, set(self.states(driver)))
