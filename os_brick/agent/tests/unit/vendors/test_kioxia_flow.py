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
"""A replica is lost, and the agent heals its volume through KumoScale.

The agent's own passes over a small host, with the KumoScale driver and the
double over HTTPS in the provisioner's place; told by the double's requests.
"""

import dataclasses

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.tests.unit import small_world

HOST = dataclasses.replace(small_world.HOST, uuid=fixture.HOST.uuid)
VOLUME = small_world.uuid(1, 'f')
A, B, C = (small_world.uuid(1, letter) for letter in 'ABC')
# what is asked in every pass, and what is forwarded
_STEADY = ('POST host_probe', 'POST forward_log', 'GET volumes')


class FlowTestCase(fixture.KioxiaTestCase,  # type: ignore[misc]
                   small_world.WorldCase):

    def setUp(self):
        super().setUp()
        uuids = iter((A, B, C))
        self.world.new_uuid = lambda: next(uuids)
        # the small host's names and addresses
        self.world.nqn = lambda uuid: 'nqn.2024-01.test:%s' % (
            self.host.name(1, uuid[-1].upper()))
        for number, letter in enumerate('ABCD'):
            self.world.backends['backend-%d' % number]['portals'] = [{
                'ip': small_world.portal(1, letter).address, 'port': 4420,
                'transport': 'tcp'}]
        self.world.create_volume('', {
            'uuid': VOLUME, 'alias': 'volume1',
            'storageClass': {'numReplicas': 2, 'maxReplicaDownTime': 1}})
        self.put(small_world, 'HOST', HOST)
        self.world.probe({'hostNqn': HOST.nqn, 'hostId': HOST.uuid,
                          'name': HOST.name})
        self.world.publish('', {'volId': VOLUME, 'hostId': HOST.uuid})
        self.driver = fixture.KioxiaTestCase.driver(self)
        self.restart()
        self.turn()
        self.seen = len(self.calls())

    def lose_b(self):
        self.host.live[self.host.name(1, 'B')] = False

    def asked(self):
        """What was asked since the last time, beyond the steady pass."""
        calls = [call for call in self.calls()[self.seen:]
                 if not call.startswith(_STEADY)]
        self.seen = len(self.calls())
        return calls

    def listed(self):
        return {replica['uuid']: replica['replicaState'] for replica
                in self.world.volumes[VOLUME]['_replicas']}

    def legs(self):
        return {self.host.array(1).legs[number].replica_uuid
                for number in range(2) if self.host.array(1).legs[
                    number].in_sync}

    def healed(self):
        self.assertEqual({A, C}, self.legs())
        self.assertEqual({A: 'Available', C: 'Available'}, self.listed())
        self.assertNotIn(self.host.name(1, 'B'), self.host.live)

    def test_step_by_step(self):
        path = 'replica/%s/' % VOLUME
        self.lose_b()
        self.turn()
        self.assertEqual(['PATCH %s%s/Missing' % (path, B)], self.asked())
        self.turn(4)   # 50 s: less than the volume's one minute
        self.assertEqual({A: 'Available', B: 'Missing'}, self.listed())
        self.assertNotIn('POST replica/%s' % VOLUME, self.asked())
        self.turn(15)
        asked = self.asked()
        order = ['POST replica/%s' % VOLUME, 'GET targets', 'POST publish',
                 'GET targets', 'GET backends/backend-2',
                 'PATCH %s%s/Available' % (path, C),
                 'PATCH %s%s' % (path, B), 'DELETE %s%s' % (path, B)]
        self.assertEqual(order, [
            call for number, call in enumerate(asked)
            if call in order and (number == 0 or asked[number - 1] != call)
            and asked.index('POST replica/%s' % VOLUME) <= number])
        self.healed()

    def test_back_within_the_grace_period(self):
        self.lose_b()
        self.turn(2)
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(10)
        self.assertEqual({A: 'Available', B: 'Available'}, self.listed())
        self.assertFalse([call for call in self.asked()
                          if call.startswith(('POST replica', 'DELETE'))])

    def test_the_provisioner_is_down_during_the_fault(self):
        self.double.stop()
        self.lose_b()
        self.turn(20)
        self.restart()   # what is to be reported outlives the agent
        self.turn()
        self.double.start()
        self.turn()
        self.assertEqual('PATCH replica/%s/%s/Missing' % (VOLUME, B), [
            call for call in self.asked()
            if not call.startswith(('GET', 'POST publish'))][0])
        self.turn(20)
        self.healed()

    def test_the_answer_to_the_request_is_lost(self):
        self.spoil('drop_after', method='POST', path='^replica')
        self.lose_b()
        self.turn(40)
        self.assertEqual(1, self.asked().count('POST replica/%s' % VOLUME))
        self.healed()

    def test_the_provisioner_replaces_by_itself(self):
        self.lose_b()
        self.turn(2)
        self.world.add_replica('', VOLUME, {})
        self.turn(30)
        self.assertNotIn('POST replica/%s' % VOLUME, self.asked())
        self.assertIn(C, self.legs())
        self.assertEqual('Available', self.listed()[C])

    def test_a_host_that_lost_the_volume_does_not_take_it_back(self):
        """It was declared dead, and its machine runs elsewhere by now."""
        for letter in 'AB':
            self.host.live[self.host.name(1, letter)] = False
        self.world.unpublish('', {'volId': VOLUME, 'hostId': HOST.uuid})
        self.turn(30)
        self.assertNotIn('POST publish', self.asked())
        self.assertFalse([entry for entry in self.world.published
                          if entry[0] == HOST.uuid])

    def test_access_that_was_withdrawn_while_a_leg_still_lives(self):
        self.lose_b()
        self.world.unpublish('', {'volId': VOLUME, 'hostId': HOST.uuid})
        self.turn(30)
        self.assertNotIn('POST publish', self.asked())

    def test_nonsense_in_the_middle(self):
        """S8: what is not understood is unknown, and healing goes on."""
        self.lose_b()
        for kind in ('html', 'empty', 'truncated', 'error500', 'drop',
                     'unauthorized'):
            self.spoil(kind, path='^volumes', count=3)
            self.turn(5)
            self.assertIn(A, self.legs(), kind)
            self.double.faults.clear()
        self.turn(30)
        self.healed()

    def test_a_steady_pass(self):
        self.turn(3)
        self.assertEqual(
            3 * ['POST host_probe', 'GET volumes/%s' % VOLUME],
            self.calls()[self.seen:])
        self.assertEqual(model.ReplicaState.AVAILABLE.name.title(),
                         self.listed()[B])
