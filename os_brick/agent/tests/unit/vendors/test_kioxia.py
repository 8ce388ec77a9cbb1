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
"""The KumoScale driver's mapping, over HTTPS against the double."""

import dataclasses
import hashlib
import json
import time

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors import base
from os_brick.agent.vendors import kioxia
from os_brick.agent.vendors.kumoscale import volumes

HOST = fixture.HOST
State = model.ReplicaState


class HeartbeatTestCase(fixture.KioxiaTestCase):

    def test_probe(self):
        self.driver().heartbeat(HOST, 12.3)
        self.assertEqual([{
            'hostNqn': HOST.nqn, 'hostId': HOST.uuid,
            'name': 'compute-1-example-org', 'clientType': 'Agent',
            'version': '1.2.3', 'duration': 13}], self.world.probes)

    def test_host_without_uuid(self):
        self.driver().heartbeat(
            model.Host('nqn.2014-08.org:h', None, 'h'), 30)
        self.assertNotIn('hostId', self.world.probes[0])

    def test_long_name_is_hashed(self):
        name = 'Compute.' + 'x' * 40
        self.driver().heartbeat(model.Host('nqn.2014-08.org:h', None, name),
                                30)
        self.assertEqual(
            hashlib.md5(('compute-' + 'x' * 40).encode()).hexdigest(),
            self.world.probes[0]['name'])


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


class ReplicaTestCase(fixture.KioxiaTestCase):

    def setUp(self):
        super().setUp()
        self.kept = self.volume()
        self.provisioner = self.probed()
        self.found, = self.provisioner.get_volumes(
            HOST, [self.array(self.kept)], [])
        self.replica = self.found.replicas[0]
        self.before = len(self.calls())

    def test_s6_what_no_provisioner_said_declines_nothing(self):
        """A gateway's answer, whatever its status, is neither yes nor no."""
        calls = (
            lambda: self.provisioner.report_replica_state(
                self.found, self.replica, State.MISSING),
            lambda: self.provisioner.request_replacement(
                self.found, self.replica),
            lambda: self.provisioner.retire_replica(
                self.found, self.replica),
            lambda: self.provisioner.confirm_replica_removed(
                self.found, self.replica))
        for kind in ('gateway400', 'gateway404', 'body'):
            for text in ('<html>no route</html>', '[]', '"NotExists"', '{}',
                         '{"message": "no Route matched"}',
                         '{"status": 404, "error": "Not Found", "path": ""}',
                         '{"status": "404", "description": "none"}',
                         '{"status": "Failure", "message": "not found"}',
                         '{"status": null, "description": ""}'):
                for call in calls:
                    self.spoil(kind, path='^replica', count=None, value=text)
                    self.assertRaises(base.BadAnswer, call)
                    self.double.faults.clear()
        for call in calls:
            self.spoil('gateway404', path='^replica', count=None)
            self.assertRaises(base.BadAnswer, call)
            self.double.faults.clear()
        self.assertEqual('Available', self.state())

    def test_s6_its_own_word_declines_whatever_the_http_status(self):
        for kind in ('gateway400', 'gateway404'):
            self.spoil(kind, path='^replica', value=(
                '{"status": "InvalidState", "description": "Terminating"}'))
            self.assertRaises(
                base.Rejected, self.provisioner.report_replica_state,
                self.found, self.replica, State.MISSING)

    def test_an_address_that_is_no_provisioner_is_left(self):
        self.spoil('gateway404', path='^replica', count=None, server=0)
        self.assertRaises(
            base.BadAnswer, self.provisioner.report_replica_state,
            self.found, self.replica, State.MISSING)
        self.provisioner.report_replica_state(
            self.found, self.replica, State.MISSING)
        self.assertEqual('Missing', self.state())

    def state(self):
        return self.kept['_replicas'][0]['replicaState']

    def test_states(self):
        for state, word in ((State.MISSING, 'Missing'),
                            (State.SYNCHRONIZING, 'Synchronizing'),
                            (State.AVAILABLE, 'Available')):
            for _ in range(2):
                self.provisioner.report_replica_state(
                    self.found, self.replica, state)
                self.assertEqual(word, self.state())

    def test_state_of_a_terminating_replica_is_rejected(self):
        self.kept['_replicas'][0]['replicaState'] = 'Terminating'
        error = self.assertRaises(
            base.Rejected, self.provisioner.report_replica_state,
            self.found, self.replica, State.MISSING)
        self.assertIn('InvalidState: the replica is Terminating', str(error))

    def test_state_of_an_unknown_replica_is_rejected(self):
        del self.kept['_replicas'][0]
        self.assertRaises(
            base.Rejected, self.provisioner.report_replica_state,
            self.found, self.replica, State.MISSING)

    def test_exchange(self):
        driver = self.provisioner
        driver.request_replacement(self.found, self.replica)
        self.assertEqual(3, len(self.kept['_replicas']))
        self.assertEqual({'sameRackAllowed': False},
                         self.double.requests[-1].body)
        driver.retire_replica(self.found, self.replica)
        self.assertEqual('Terminating', self.state())
        driver.retire_replica(self.found, self.replica)
        driver.confirm_replica_removed(self.found, self.replica)
        self.assertEqual(2, len(self.kept['_replicas']))
        driver.confirm_replica_removed(self.found, self.replica)
        driver.retire_replica(self.found, self.replica)

    def test_replacement_is_not_asked_for_twice(self):
        """The answer to the first request was lost."""
        self.spoil('drop_after', method='POST', path='replica/')
        error = self.assertRaises(
            base.Unavailable, self.provisioner.request_replacement,
            self.found, self.replica)
        self.assertIn('whether it was carried out is not known', str(error))
        self.provisioner.request_replacement(self.found, self.replica)
        self.assertEqual(3, len(self.kept['_replicas']))

    def test_the_provisioner_was_faster(self):
        self.world.add_replica('', self.found.uuid, {})
        self.provisioner.request_replacement(self.found, self.replica)
        self.assertEqual(3, len(self.kept['_replicas']))

    def test_each_of_two_bad_replicas_is_replaced(self):
        """What was added for one of them does not stand for the other."""
        for replica in self.found.replicas:
            self.provisioner.request_replacement(self.found, replica)
        self.assertEqual(4, len(self.kept['_replicas']))
        self.provisioner.request_replacement(self.found, self.replica)
        self.assertEqual(4, len(self.kept['_replicas']))

    def test_the_provisioner_was_faster_with_one_of_two(self):
        self.world.add_replica('', self.found.uuid, {})
        for _ in range(2):
            for replica in self.found.replicas:
                self.provisioner.request_replacement(self.found, replica)
        self.assertEqual(4, len(self.kept['_replicas']))

    def test_both_of_two_after_an_answer_was_lost(self):
        for kind in ('drop', 'drop_after'):
            self.spoil(kind, method='POST', path='replica/')
            self.assertRaises(
                base.Unavailable, self.provisioner.request_replacement,
                self.found, self.replica)
        for replica in reversed(self.found.replicas):
            self.provisioner.request_replacement(self.found, replica)
        self.assertEqual(4, len(self.kept['_replicas']))

    def test_what_was_listed_since_is_no_replacement(self):
        self.provisioner.request_replacement(self.found, self.replica)
        found, = self.provisioner.get_volumes(
            HOST, [self.array(self.kept)], [])
        self.provisioner.request_replacement(found, found.replicas[1])
        self.assertEqual(4, len(self.kept['_replicas']))

    def test_a_refused_request_is_not_counted(self):
        self.spoil('refusal', method='POST', path='replica/', value='Busy')
        self.assertRaises(
            base.Rejected, self.provisioner.request_replacement, self.found,
            self.replica)
        self.world.add_replica('', self.found.uuid, {})
        self.provisioner.request_replacement(self.found,
                                             self.found.replicas[1])
        self.assertEqual(3, len(self.kept['_replicas']))

    def test_a_replica_that_lost_its_backend_is_no_replacement(self):
        self.kept['_replicas'][1].update(_backend='', replicaState='Missing')
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(self.kept)], [])
        self.assertEqual([self.replica.uuid],
                         [replica.uuid for replica in found.replicas])
        self.world.backends[''] = {'rack': '', 'state': 'Lost'}
        driver.request_replacement(found, self.replica)
        self.assertEqual(3, len(self.kept['_replicas']))

    def test_a_replica_that_waits_for_its_backend_is_one(self):
        self.world.add_replica('', self.found.uuid, {})
        self.kept['_replicas'][2]['_backend'] = ''
        self.provisioner.request_replacement(self.found, self.replica)
        self.assertEqual(3, len(self.kept['_replicas']))

    def test_no_spare_is_rejected(self):
        for name in ('backend-2', 'backend-3'):
            self.world.backends[name]['state'] = 'Unavailable'
        error = self.assertRaises(
            base.Rejected, self.provisioner.request_replacement, self.found,
            self.replica)
        self.assertIn('NoSpace', str(error))

    def test_no_room_for_a_fifth(self):
        volume = model.Volume(self.found.uuid, 'vol-1', replica_count=4)
        self.assertRaises(
            base.Rejected, self.provisioner.request_replacement, volume,
            self.replica)
        self.assertEqual(self.before, len(self.calls()))

    def test_last_replica_is_not_retired(self):
        self.kept['_replicas'][1]['replicaState'] = 'Missing'
        error = self.assertRaises(
            base.Rejected, self.provisioner.retire_replica, self.found,
            self.replica)
        self.assertIn('LastReplica', str(error))

    def test_nothing_is_left_to_be_let_go_of_a_deleted_volume(self):
        self.world.volumes.clear()
        self.provisioner.retire_replica(self.found, self.replica)
        self.provisioner.confirm_replica_removed(self.found, self.replica)
        self.assertRaises(
            base.Rejected, self.provisioner.request_replacement, self.found,
            self.replica)

    def test_confirmation_that_was_not_started_is_rejected(self):
        self.assertRaises(
            base.Rejected, self.provisioner.confirm_replica_removed,
            self.found, self.replica)

    def test_event(self):
        self.provisioner.report_event(model.Event(
            'LEG_FAULTY', 'WARN', 'leg nvme1n1 is faulty',
            (('array', 'md127'), ('alias', 'vol-1'), ('leg', 'nvme1n1'),
             ('copied', '4096'))))
        self.assertEqual([{
            'loggingType': 'EVENT', 'level': 'WARN',
            'host': 'compute-1-example-org', 'appName': 'nvme-agent',
            'message': 'leg nvme1n1 is faulty',
            'parametersList': ['md127', 'vol-1', 'nvme1n1']}],
            self.world.logs)


class ExaminationTestCase(fixture.KioxiaTestCase):

    def examined(self, arrays=(), **options):
        driver = kioxia.KioxiaDriver(self.configure(**options))
        self.addCleanup(driver.close)
        return driver.examine(HOST, arrays), driver.certificates()

    def test_it_only_asks(self):
        volume = self.volume()
        del self.double.requests[:]
        found, ends = self.examined([self.array(volume)],
                                    kioxia_cert_file=self.certificates.client)
        self.assertEqual('3.20', found.version)
        self.assertIn(str(self.double.port), found.where)
        self.assertEqual([volume['uuid']],
                         [one.uuid for one in found.volumes])
        self.assertEqual((), found.troubles)
        self.assertEqual(set(), {call for call in self.calls()
                                 if not call.startswith('GET ')})
        self.assertEqual(
            ['of the provisioner at %s' % address
             for address in self.double.addresses]
            + ['of this host (option kioxia_cert_file)'],
            [one.whose for one in ends])
        for one in ends:
            self.assertEqual(1, one.days_left(time.time()))

    def test_a_wrong_token(self):
        self.assertRaises(base.Unauthorized, self.examined,
                          kioxia_provisioner_token='wrong')

    def test_nobody_there(self):
        port = self.double.port
        self.double.close()
        self.assertRaises(base.Unavailable, self.examined,
                          kioxia_provisioner_port=port)

    def test_an_unverified_provisioner_is_said(self):
        found, _ends = self.examined(kioxia_tls_insecure=True)
        self.assertIn('kioxia_tls_insecure', found.troubles[0])
