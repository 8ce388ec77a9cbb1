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
"""The targets that the KumoScale driver finds for replicas."""

import dataclasses
import json

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture

HOST = fixture.HOST


class TargetsTestCase(fixture.KioxiaTestCase):

    def targets(self, driver, volume, array=None, wanted=None):
        found, = driver.get_volumes(
            HOST, [array or self.array(volume)],
            wanted or [r['uuid'] for r in volume['_replicas']])
        return [replica.target for replica in found.replicas]

    def expected(self, volume, shared=False):
        return [model.Target(
            self.world.nqn(volume['uuid'] if shared else replica['uuid']),
            (model.Portal('127.0.0.1%d' % (
                1 + int(replica['_backend'][-1])), 4420),))
            for replica in volume['_replicas']]

    def test_a_target_for_each_replica(self):
        volume = self.volume()
        for self.world.new_names in (False, True):
            self.assertEqual(self.expected(volume), self.targets(
                self.probed(), volume))

    def test_one_target_for_the_volume(self):
        self.world.shared_target = True
        volume = self.volume()
        self.assertEqual(self.expected(volume, shared=True), self.targets(
            self.probed(), volume))

    def test_one_target_that_names_one_of_its_backends(self):
        volume = self.volume()
        nqn = self.world.nqn(volume['uuid'])
        self.spoil('body', path='^targets', count=None, value=json.dumps([
            {'name': nqn, 'backend': {'persistentID': 'backend-0'}}]))
        self.assertEqual(self.expected(volume, shared=True), self.targets(
            self.probed(), volume))

    def test_kept_while_it_is_needed(self):
        volume = self.volume()
        driver = self.probed()
        for _ in range(5):
            self.targets(driver, volume)
        self.assertEqual(1, self.calls().count('GET targets'))
        driver.get_volumes(HOST, [self.array(volume)], [])
        self.targets(driver, volume)
        self.assertEqual(2, self.calls().count('GET targets'))

    def test_a_replica_that_has_moved_is_looked_up_anew(self):
        volume = self.volume()
        driver = self.probed()
        before = self.targets(driver, volume)
        volume['_replicas'][0]['_backend'] = 'backend-3'
        after = self.targets(driver, volume)
        self.assertNotEqual(before[0], after[0])
        self.assertEqual(self.expected(volume), after)

    def test_looked_up_again_after_some_passes(self):
        volume = self.volume()
        driver = self.probed()
        self.targets(driver, volume)
        self.world.backends['backend-0']['portals'][0]['port'] = 4421
        for _ in range(20):
            targets = self.targets(driver, volume)
        self.assertEqual(4421, targets[0].portals[0].port)

    def test_new_replica_is_published_again(self):
        volume = self.volume()
        array = self.array(volume)
        driver = self.probed()
        self.world.add_replica('', volume['uuid'], {})
        new = volume['_replicas'][2]
        targets = self.targets(driver, volume, array, [new['uuid']])
        self.assertEqual([None, None, self.expected(volume)[2]], targets)
        self.assertEqual(
            ['GET targets', 'POST publish', 'GET targets',
             'GET backends/backend-2'], self.calls()[2:])
        body = {'hostId': HOST.uuid, 'volId': volume['uuid']}
        self.assertEqual(body, self.double.requests[3].body)
        self.assertEqual(body, self.double.requests[4].query)

    def test_no_leg_lives_and_nothing_is_published(self):
        """md calls the last leg in sync also when its target is lost."""
        volume = self.volume()
        self.world.published.clear()
        self.assertEqual([None, None], self.targets(self.probed(), volume))
        dead = dataclasses.replace(self.array(volume), legs=())
        self.probed().get_volumes(
            HOST, [dead], [volume['_replicas'][0]['uuid']])
        self.assertNotIn('POST publish', self.calls())
        self.assertEqual(set(), self.world.published)
        self.assertIn('no leg of its array is in sync', self.log.output)

    def test_legs_that_lack_paths_need_no_publication(self):
        """All are looked for, and have their access."""
        volume = self.volume()
        self.assertEqual(self.expected(volume)[:2], self.targets(
            self.probed(), volume, self.array(volume)))
        self.assertNotIn('POST publish', self.calls())
        self.assertNotIn('not published again', self.log.output)

    def test_withdrawn_access_is_not_asked_for(self):
        volume = self.volume()
        lost = volume['_replicas'][0]['uuid']
        driver = self.probed()
        self.world.published.clear()
        for _ in range(20):
            self.assertEqual([None, None], self.targets(
                driver, volume, wanted=[lost]))
        for kind in ('error500', 'html', 'truncated', 'empty'):
            self.spoil(kind, path='^targets', count=None)
            self.targets(driver, volume, wanted=[lost])
            self.double.faults.clear()
        self.assertNotIn('POST publish', self.calls())
        self.assertEqual(1, self.log.output.count('access was withdrawn'))

    def test_refused_publication(self):
        volume = self.volume()
        self.spoil('refusal', path='^publish', count=None, value='NoLicense')
        self.assertEqual(self.expected(volume), self.targets(
            self.probed(), volume))
        self.world.shared_target = True
        self.assertEqual(self.expected(volume, shared=True), self.targets(
            self.probed(), volume))
        self.world.shared_target = False
        self.assertNotIn('NoLicense', self.log.output)
        array = self.array(volume)
        self.world.add_replica('', volume['uuid'], {})
        self.assertIsNone(self.targets(
            self.probed(), volume, array,
            [volume['_replicas'][2]['uuid']])[2])
        self.assertIn('NoLicense: refused on request', self.log.output)

    def test_no_target_leaves_the_volume(self):
        volume = self.volume()
        for kind in ('empty', 'error500', 'html'):
            self.spoil(kind, path='^targets', count=None)
            self.assertEqual([None, None], self.targets(
                self.probed(), volume))
            self.double.faults.clear()
        self.spoil('body', path='^targets', count=None,
                   value='[{"targetName": "--evil"}]')
        self.assertEqual([None, None], self.targets(self.probed(), volume))
        self.assertIn("'--evil'", self.log.output)

    def test_one_bad_backend_costs_no_other(self):
        volume = self.volume()
        self.world.backends['backend-0']['portals'][0]['port'] = 0
        self.assertEqual([None, self.expected(volume)[1]], self.targets(
            self.probed(), volume))

    def test_transports(self):
        self.world.backends['backend-0']['portals'] = [
            {'ip': '10.0.0.1', 'port': 4420, 'transport': 'RoCEv2'},
            {'ip': 'fd00::1', 'port': '4421', 'transport': 'TCP'}]
        volume = self.volume()
        target, _ = self.targets(self.probed(), volume)
        self.assertEqual((model.Portal('10.0.0.1', 4420, 'rdma'),
                          model.Portal('fd00::1', 4421, 'tcp')),
                         target.portals)
