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
"""A host moves from the local driver to etcd and back while it writes."""

import os

import yaml

from os_brick.agent.testing.fleet import hosts
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors import local

PLAN = shelves.Plan(hosts=1, volumes=2, shelves=3, spares=3)
NAME = shelves.host_name(0)


class MovingTestCase(etcd_fleet.RealTestCase):

    def setUp(self):
        super().setUp()
        self.fleet = hosts.Fleet(PLAN, [self.member.url], self.directory,
                                 etcd_prefix=self.prefix)
        self.addCleanup(self.fleet.close)
        self.host, = self.fleet.hosts
        self.path = os.path.join(self.directory, 'volumes.yaml')
        self.write(PLAN.inventory())

    def write(self, inventory):
        with open(self.path, 'w', encoding='utf-8') as stream:
            yaml.safe_dump({**inventory, 'host': NAME}, stream)
        # as an editor had left it some time ago
        os.utime(self.path, (1.7e9, 1.7e9))

    def change_to(self, kind):
        """Stop the agent, and start one with another driver."""
        conf = self.host.conf
        self.host.close()
        conf.register_opts(list(kind.options()))
        if kind is local.LocalDriver:
            conf.set_override('local_inventory_file', self.path)
        driver = kind(conf)
        driver.set_up()
        self.host.use(driver)
        self.host.agent.start()
        self.fleet.live(60.0)

    def whole(self):
        """Wait until each volume is; return its legs, and what md has."""
        for _turn in range(20):
            self.fleet.live(10.0)
            if all(raid.whole for raid in self.host.kernel.raids.values()):
                break
        self.fleet.live(20.0)
        return self.host.copies(), self.seen()

    def seen(self):
        """Return all that would be different after something was done."""
        kernel = self.host.kernel
        return ({raid.name: (raid.events, [
            (member.device, sorted(member.flags)) for member in raid.members])
            for raid in kernel.raids.values()},
            {path.name: (path.nqn, path.state)
             for path in kernel.paths.values()})

    def in_etcd(self):
        return {record.listing.alias: {
            entry.uuid: entry.state.value for entry in record.entries
            if entry.live} for _host, record
            in self.operator.everything().owned()}

    def test_there_and_back(self):
        self.change_to(local.LocalDriver)
        self.fleet.lose(1)
        legs, seen = self.whole()
        taken = set().union(*legs.values()) - {
            leg for number in range(2) for leg, _shelf in PLAN.legs(number)}
        self.assertEqual(2, len(taken))

        self.host.agent.kill()
        self.operator.begin()
        self.operator.hold('moving')
        with open(self.path, 'rb') as stream:
            inventory = inventory_file.parse(self.path, stream.read())
        loading.load(self.store, self.keys, inventory, NAME, False,
                     loading.past(os.path.join(self.host.folder,
                                               'local.sqlite')))
        self.change_to(etcd.EtcdDriver)
        self.assertEqual(seen, self.seen())
        self.assertEqual(legs, {alias: set(states) for alias, states
                                in self.in_etcd().items()})
        # what the local driver took is nobody's to take
        uses = self.operator.everything().uses
        for leg in taken:
            self.assertIn(uses[leg].volume, {shelves.uuid(
                shelves.VOLUME, number) for number in range(2)})

        self.host.agent.kill()
        self.write(yaml.safe_load(loading.export(
            self.operator.everything(), NAME)))
        for alias in legs:
            self.operator.remove(alias)
        os.remove(os.path.join(self.host.folder, 'local.sqlite'))
        self.change_to(local.LocalDriver)
        self.assertEqual((legs, seen), (self.host.copies(), self.seen()))
        self.assertEqual(0, self.host.write_errors())
