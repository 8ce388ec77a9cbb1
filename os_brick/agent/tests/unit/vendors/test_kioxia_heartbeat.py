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
"""How the KumoScale driver makes this host known to the double."""

import hashlib

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture

HOST = fixture.HOST


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
