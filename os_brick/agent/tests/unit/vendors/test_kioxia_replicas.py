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
"""What the KumoScale driver says of replicas, and has done with them."""

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors import base

HOST = fixture.HOST
State = model.ReplicaState


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

    def test_nothing_is_kept_of_volumes_that_are_detached(self):
        """And all of one that is here, however the provisioner fails."""
        driver = self.provisioner
        for number in range(20):
            volume = self.volume(alias='more-%d' % number)
            driver.get_volumes(HOST, [self.array(self.kept)], [])
            array = self.array(volume, 'md%d' % number)
            found, = driver.get_volumes(HOST, [array], [])
            driver.request_replacement(found, found.replicas[0])
        self.spoil('gateway404', path='^volumes', count=1)
        self.assertRaises(base.ProvisionerError, driver.get_volumes,
                          HOST, [array], [])
        self.assertEqual(({found.uuid}, {found.uuid}),
                         (set(driver._served), set(driver._listed)))
        driver.get_volumes(HOST, [], [])
        self.assertEqual((set(), set()),
                         (set(driver._served), set(driver._listed)))

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
