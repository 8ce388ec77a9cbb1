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
"""The etcd driver, when it is only asked."""

import os

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host


class ExaminedTestCase(etcd_fleet.RealTestCase):

    def examined(self, name='one'):
        driver = etcd.EtcdDriver(self.conf(
            name, etcd_endpoints=[self.member.url]))
        self.addCleanup(driver.close)
        return driver.examine(host(name), ()), driver.certificates()

    def test_it_only_asks(self):
        self.begin()
        before = self.store.read([self.keys.schema]).point
        found, ends = self.examined()
        self.assertEqual(before, self.store.read([self.keys.schema]).point)
        self.assertFalse(os.path.exists(os.path.join(self.directory, 'one')))
        self.assertEqual(self.member.url, found.where.rstrip('/'))
        self.assertRegex(found.version, r'^3[.]')
        self.assertEqual(['v1'], [one.alias for one in found.volumes])
        self.assertFalse(found.credentials)
        self.assertEqual([], ends)
        self.assertEqual((), self.examined('two')[0].volumes)

    def test_no_fleet(self):
        self.assertIn('no fleet', str(self.assertRaises(
            vendor.BadAnswer, self.examined)))

    def test_a_volume_that_makes_no_sense_is_named(self):
        self.begin({1: (1, 2), 2: (3, 4)})
        key = self.keys.volume('one', etcd_fleet.volume_uuid(1))
        self.store.write(store.Write({key: 'banana'}))
        found, _ends = self.examined()
        self.assertEqual(['v2'], [one.alias for one in found.volumes])
        self.assertIn(etcd_fleet.volume_uuid(1), found.troubles[0])

    def test_a_host_that_is_fenced(self):
        self.begin()
        self.store.write(store.Write(
            {schema.Keys(self.prefix).fenced('one'): 'it is dead'}))
        self.assertIn('it is dead', self.examined()[0].volumes[0].observe)
