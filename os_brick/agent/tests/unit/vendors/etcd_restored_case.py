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
"""Two hosts and a double of etcd, of which a backup is restored."""

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import report
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host


class RestoredCase(etcd_fleet.FleetTestCase):
    """On a double, of which a backup is a copy."""

    def setUp(self):
        super().setUp()
        self.begin(spares=(3, 4))
        self.drivers = {}
        for name in ('one', 'two'):
            self.live(name)

    def live(self, name, arrays=()):
        """Let a host's agent make a pass; return what it is told."""
        if name not in self.drivers:
            self.drivers[name] = self.driver(name)
        driver = self.drivers[name]
        driver.heartbeat(host(name), 30)
        found = self.volumes(driver, name, arrays)
        driver.delay_resyncs((), ())
        driver.heartbeat(host(name), 30)    # of the next pass
        return found

    def hand_over(self, volume, name):
        under_way = self.operator.hand_over(volume, name)
        while under_way.waits_for:
            for one in self.drivers:
                self.live(one)
            under_way.look()
            under_way.step()
        self.live(name)

    def exchange(self, name, number, out):
        """Exchange a replica of a volume; return what came for it."""
        before = set(self.numbers_of(name, number))
        driver, volume = self.drivers[name], self.volume(number)
        driver.request_replacement(volume, self.replica(out))
        driver.retire_replica(volume, self.replica(out))
        driver.confirm_replica_removed(volume, self.replica(out))
        return (set(self.numbers_of(name, number)) - before).pop()

    def numbers_of(self, name, number):
        return [int(one.uuid[:8]) for one
                in self.live(name)['v%d' % number].replicas]

    def backup(self):
        self.saved = dict(self.wire.values), self.wire.revision

    def restore(self):
        values, self.wire.revision = self.saved
        self.wire.values = dict(values)
        self.wire.cluster += '1'
        for name, driver in self.drivers.items():
            driver._lease = 0
            self.store.write(store.Write({self.keys.alive(name): None}))
        self.operator.accept()

    def uses(self):
        return {int(uuid[:8]): use.volume and int(use.volume[:8])
                for uuid, use in self.operator.everything().uses.items()}

    def problems(self):
        return report.status(self.operator.everything())['problems']

    def healers(self, *names):
        return [name for name in names for found in [self.live(name)]
                if 'v1' in found and not found['v1'].observe]

    def refuses_unheard(self, name, unheard='two'):
        """Nothing lets a host heal that does not know that one may."""
        for force in (False, True):
            error = self.assertRaises(vendor.Rejected,
                                      self.operator.hand_over, 'v1', name,
                                      force)
            if force or name != unheard:
                self.assertIn('the host %s may' % unheard, str(error))
        self.assertRaises(vendor.Rejected, self.load, {1: (1, 2, 9)},
                          name='')
        self.assertIn('--source-stopped', self.problems()[0])
        self.assertRaises(vendor.Rejected, self.operator.resume)
