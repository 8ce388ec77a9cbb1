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
"""What is ACME's own; the contract is the conformance kit's."""

import unittest

from acme_agent import driver


class TestDriver(unittest.TestCase):

    def test_options_for_the_sample_are_those_of_the_driver(self):
        self.assertEqual([('DEFAULT', list(driver.AcmeDriver.options()))],
                         driver.list_opts())

    def test_a_volume_as_acme_describes_it(self):
        volume = driver._volume({
            'uuid': '00000000-0000-4000-8000-000000000001', 'alias': 'vol-1',
            'size': 4096, 'replica_count': 2, 'replicas': [{
                'uuid': '00000000-0000-4000-8000-000000000011',
                'state': 'MISSING', 'nqn': 'nqn.2014-08.com.acme:11',
                'portals': [['192.0.2.1', 4420]]}]})
        self.assertEqual(4096, volume.size)
        self.assertIsNone(volume.max_replica_down_time)
        replica, = volume.replicas
        self.assertEqual('MISSING', replica.state.value)
        self.assertEqual('tcp://192.0.2.1:4420',
                         str(replica.target.portals[0]))
