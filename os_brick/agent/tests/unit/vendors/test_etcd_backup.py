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
"""The etcd driver when a real etcd is restored from a backup."""

import base64
import os
import shutil

from os_brick.agent.tests.unit.vendors import etcd_alone_case
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host
ns = etcd_fleet.ns


class BackupTestCase(etcd_alone_case.AloneTestCase):

    def restored(self):
        """Take a backup, take a spare, and restore the backup."""
        self.begin(spares=(3, 4))
        driver = self.driver()
        self.volumes(driver)
        backup = os.path.join(self.directory, 'backup')
        self.member.control('snapshot', 'save', backup)
        driver.request_replacement(self.volume(), self.replica(1))
        taken = set(self.states(driver)) - {1, 2}
        self.restore(backup)
        return driver, taken

    def restore(self, backup):
        self.member.stop()
        shutil.rmtree(self.member.data)
        self.member.control(
            'snapshot', 'restore', backup, '--data-dir', self.member.data,
            '--name', self.member.name, '--initial-cluster', '%s=%s' % (
                self.member.name, self.member.peer),
            '--initial-advertise-peer-urls', self.member.peer,
            '--initial-cluster-token', 'restored')
        self.member.start()
        self.back()

    def test_what_came_after_the_backup_is_completed(self):
        self.begin(spares=(3, 4))
        one, two = self.driver('one'), self.driver('two')
        for name, driver in (('one', one), ('two', two)):
            driver.heartbeat(host(name), 30)
            self.volumes(driver, name)
        backup = os.path.join(self.directory, 'backup')
        self.member.control('snapshot', 'save', backup)
        # one volume is loaded, the other one is handed over
        self.load({2: (5, 6)})
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(one)
        one.delay_resyncs((), ())
        under_way.look()
        under_way.step()
        self.volumes(two, 'two')
        one.request_replacement(self.volume(2), self.replica(5))
        two.request_replacement(self.volume(1), self.replica(1))
        wanted = {name: {volume.alias: ({
            replica.uuid for replica in volume.replicas}, volume.observe)
            for volume in self.volumes(driver, name).values()}
            for name, driver in (('one', one), ('two', two))}
        self.restore(backup)
        self.operator.accept()
        for _pass in range(2):
            for name, driver in (('two', two), ('one', one)):
                driver.heartbeat(host(name), 30)
                found = {volume.alias: ({
                    replica.uuid for replica in volume.replicas},
                    volume.observe)
                    for volume in self.volumes(driver, name).values()}
                # what one observes is of when it healed
                self.assertEqual(wanted[name], found)
        self.assertEqual(2, len(self.operator.resume()))
        every = self.operator.everything()
        self.assertEqual({'v1': 'two', 'v2': 'one'}, {
            record.listing.alias: name for name, record in every.owned()})
        self.assertEqual(
            {ns(number): self.volume(volume).uuid for volume, numbers in (
                (1, (1, 2)), (2, (5, 6))) for number in numbers},
            {uuid: use.volume for uuid, use in every.uses.items()
             if uuid not in (ns(3), ns(4))})
        self.assertEqual({self.volume(1).uuid, self.volume(2).uuid}, {
            every.uses[ns(number)].volume for number in (3, 4)})
        self.assertRaises(vendor.Rejected, one.request_replacement,
                          self.volume(2), self.replica(6))

    def test_a_restored_backup_is_unknown_also_after_a_restart(self):
        driver, _taken = self.restored()
        self.refused(driver, 'restored from a backup', 'another cluster')
        self.refused(self.driver(), 'restored from a backup')

    def test_accepted_the_hosts_write_what_they_remember(self):
        driver, taken = self.restored()
        self.operator.accept()
        driver.heartbeat(host(), 30)
        self.assertEqual({1, 2} | taken, set(self.states(driver)))
        every = self.operator.everything()
        spare, = taken
        self.assertEqual(self.volume().uuid, every.uses[ns(spare)].volume)
        # nobody takes one before the operator has seen that all have
        error = self.assertRaises(
            vendor.Rejected, driver.request_replacement, self.volume(),
            self.replica(2))
        self.assertIn('on hold', str(error))
        # nor can it be let loose before
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('not shown generation 2 yet', str(error))
        self.assertIn('free: one;', str(error))
        driver.heartbeat(host(), 30)
        self.assertIn('"generation": 2',
                      self.operator.everything().alive['one'])
        self.operator.resume()
        driver.request_replacement(self.volume(), self.replica(2))
        self.assertEqual({1, 2, 3, 4}, set(self.states(self.driver())))

    def test_what_the_backup_gave_to_another_is_not_written_over(self):
        driver, taken = self.restored()
        spare, = taken
        self.store.write(store.Write({
            self.keys.uses + ns(spare): '{"namespace":"%s","nqn":"nqn.2014-08'
            '.org.example:t","portals":[["192.0.2.1",4420,"tcp"]],"size":1,'
            '"failure_domain":null,"volume":"%s","times":0}' % (
                ns(spare), etcd_fleet.volume_uuid(9))}))
        self.operator.accept()
        error = self.assertRaises(vendor.BadAnswer, driver.get_volumes,
                                  host(), (), ())
        self.assertIn(etcd_fleet.volume_uuid(9), str(error))

    def test_the_same_cluster_at_an_older_revision(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.member.stop()
        shutil.copytree(self.member.data, self.member.data + '.old')
        self.member.start()
        self.back()
        driver.request_replacement(self.volume(), self.replica(1))
        self.member.stop()
        shutil.rmtree(self.member.data)
        os.rename(self.member.data + '.old', self.member.data)
        self.member.start()
        self.back()
        self.refused(driver, 'revision')
        self.refused(self.driver(), 'revision')

    def test_restored_between_the_intent_and_the_change(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        key = self.keys.intent('one')
        true_write = driver._store.write
        lost = []

        def forget(write):
            if write.holds and not lost:
                lost.append(self.store._wire.call('kv/deleterange', {
                    'key': base64.b64encode(key.encode()).decode()}))
            return true_write(write)

        driver._share._store.write = forget
        before = self.store.read([key]).point
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertTrue(lost)
        # the first turn's change did not come to pass: two intents
        self.assertEqual(before.revision + 4,
                         self.store.read([key]).point.revision)

    def test_a_compaction_is_not_noticed(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.wire.call('kv/compaction', {'revision': str(
            self.store.read([self.keys.schema]).point.revision),
            'physical': True})
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1, 2, 3}, set(self.states(driver)))
