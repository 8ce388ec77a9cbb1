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
"""Which volumes of the double the KumoScale driver finds for arrays."""

import time

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors.kumoscale import volumes

HOST = fixture.HOST
State = model.ReplicaState


class GetVolumesTestCase(fixture.KioxiaTestCase):

    def test_mapping(self):
        volume = self.volume(down_time=90)
        bad, good = volume['_replicas']
        bad.update(replicaState='Missing', _since=time.time() - 3600)
        found, = self.probed().get_volumes(HOST, [self.array(volume)], [])
        self.assertEqual(volume['uuid'], found.uuid)
        self.assertEqual('vol-1', found.alias)
        self.assertEqual(2, found.replica_count)
        self.assertEqual(90 * 60.0, found.max_replica_down_time)
        self.assertEqual([(bad['uuid'], State.MISSING, None),
                          (good['uuid'], State.AVAILABLE, None)],
                         [(r.uuid, r.state, r.target)
                          for r in found.replicas])
        self.assertAlmostEqual(bad['_since'], found.replicas[0].state_since,
                               delta=600)

    def test_time_in_state_may_be_a_date(self):
        self.world.dates = True
        volume = self.volume()
        volume['_replicas'][0]['_since'] = 1700000000.0
        found, = self.probed().get_volumes(HOST, [self.array(volume)], [])
        self.assertEqual(1700000000.0, found.replicas[0].state_since)

    def test_zero_down_time_means_never(self):
        volume = self.volume(down_time=0)
        found, = self.probed().get_volumes(HOST, [self.array(volume)], [])
        self.assertEqual(0.0, found.max_replica_down_time)

    def test_no_arrays_no_request(self):
        driver = self.probed()
        self.assertEqual([], driver.get_volumes(HOST, [], []))
        self.assertEqual(['POST host_probe'], self.calls())

    def test_alias_once_then_uuid(self):
        volume = self.volume()
        driver = self.probed()
        for _ in range(3):
            driver.get_volumes(HOST, [self.array(volume)], [])
        self.assertEqual(
            ['POST host_probe', 'GET volumes_by_alias/vol-1']
            + 2 * ['GET volumes/%s' % volume['uuid']], self.calls())

    def test_many_arrays_cost_one_request(self):
        listed = [self.volume('vol-%d' % number)
                  for number in range(volumes._SINGLY + 1)]
        arrays = [self.array(volume, 'md%d' % number)
                  for number, volume in enumerate(listed)]
        driver = self.probed()
        for _ in range(2):
            found = driver.get_volumes(HOST, arrays, [])
            self.assertEqual({volume['uuid'] for volume in listed},
                             {volume.uuid for volume in found})
        self.assertEqual(['POST host_probe'] + 2 * ['GET volumes'],
                         self.calls())

    def test_a_list_that_is_too_large_is_not_asked_for_again(self):
        listed = [self.volume('vol-%d' % number)
                  for number in range(volumes._SINGLY + 1)]
        arrays = [self.array(volume, 'md%d' % number)
                  for number, volume in enumerate(listed)]
        driver = self.probed()
        self.spoil('huge', path='^volumes$', value=str(100 << 20))
        for _ in range(2):
            self.assertEqual(len(listed), len(
                driver.get_volumes(HOST, arrays, [])))
        self.assertEqual(1, self.calls().count('GET volumes'))

    def test_alias_with_unusual_characters(self):
        volume = self.volume('vol 1ä?#%')
        self.assertEqual(1, len(self.probed().get_volumes(
            HOST, [self.array(volume)], [])))

    def test_an_alias_that_cannot_be_an_array_costs_its_volume_alone(self):
        bad, good = self.volume('vol/1'), self.volume('vol-2')
        found = self.probed().get_volumes(
            HOST, [self.array(bad, 'md1'), self.array(good, 'md2')], [])
        self.assertEqual([good['uuid']], [one.uuid for one in found])
        self.assertIn("'vol/1'", self.log.output)

    def test_array_named_by_the_uuid_of_its_volume(self):
        volume = self.volume()
        array = model.Array(
            'md127', None, volume['uuid'].replace('-', ':'), 2, 0, 'clean',
            'idle', 1, (self.array(volume).legs[0],))
        self.assertEqual(1, len(self.probed().get_volumes(
            HOST, [array], [])))

    def test_tenant(self):
        tenant = self.world.add_tenant('acme')['tenantId']
        volume = self.volume(tenant=tenant)
        driver = self.probed(kioxia_tenant=tenant)
        found, = driver.get_volumes(HOST, [self.array(volume)], [
            volume['_replicas'][0]['uuid']])
        driver.report_replica_state(found, found.replicas[0], State.MISSING)
        self.assertEqual([
            'POST host_probe', 'GET %s/volumes_by_alias/vol-1' % tenant,
            'GET targets', 'POST %s/publish' % tenant, 'GET targets',
            'GET backends/backend-0',
            'PATCH %s/replica/%s/%s/Missing' % (
                tenant, found.uuid, found.replicas[0].uuid)], self.calls())

    def test_same_alias_as_another_hosts_volume(self):
        """An array is another's only by its legs, never by its name."""
        mine, other = self.volume(), self.volume()
        found = self.probed().get_volumes(HOST, [self.array(mine)], [])
        self.assertEqual([mine['uuid']], [volume.uuid for volume in found])
        self.world.volumes.pop(mine['uuid'])
        self.assertEqual([], self.probed().get_volumes(
            HOST, [self.array(mine)], []))
        self.assertIn(other['uuid'], self.log.output)

    def test_an_alias_that_two_volumes_have(self):
        """Without a leg that tells, neither is taken."""
        listed = [self.volume(), self.volume()]
        array = self.array({'alias': 'vol-1', '_replicas': []})
        self.assertEqual([], self.probed().get_volumes(HOST, [array], []))
        self.assertIn('all claim the array', self.log.output)
        for volume in listed:
            self.assertIn(volume['uuid'], self.log.output)

    def test_an_array_name_that_is_used_again(self):
        first, second = self.volume(), self.volume('vol-2')
        driver = self.probed()
        driver.get_volumes(HOST, [self.array(first)], [])
        driver.get_volumes(HOST, [self.array(second)], [])
        found, = driver.get_volumes(HOST, [self.array(second)], [])
        self.assertEqual(second['uuid'], found.uuid)

    def test_s8_an_empty_list_is_unknown(self):
        volume = self.volume()
        driver = self.probed()
        driver.get_volumes(HOST, [self.array(volume)], [])
        self.spoil('empty', path='volumes', count=2)
        self.assertEqual([], driver.get_volumes(
            HOST, [self.array(volume)], []))
        self.assertIn('does not list it any more', self.log.output)
        self.assertEqual(1, len(driver.get_volumes(
            HOST, [self.array(volume)], [])))

    def test_one_unbelievable_volume_costs_no_other(self):
        good, bad = self.volume('good'), self.volume('bad')
        bad['_replicas'][0]['replicaState'] = 'Sparkling'
        driver = self.probed()
        arrays = [self.array(bad, 'md1'), self.array(good, 'md2')]
        for _ in range(3):
            found = driver.get_volumes(HOST, arrays, [])
            self.assertEqual([good['uuid']], [v.uuid for v in found])
        self.assertEqual(1, self.log.output.count("'Sparkling'"))

    def test_one_failing_request_costs_no_other(self):
        good, bad = self.volume('good'), self.volume('bad')
        arrays = [self.array(bad, 'md1'), self.array(good, 'md2')]
        driver = self.probed()
        for kind in ('error500', 'html', 'truncated', 'drop', 'redirect'):
            self.spoil(kind, path='alias/bad', count=None)
            found = driver.get_volumes(HOST, arrays, [])
            self.assertEqual([good['uuid']], [v.uuid for v in found], kind)
            self.double.faults.clear()
