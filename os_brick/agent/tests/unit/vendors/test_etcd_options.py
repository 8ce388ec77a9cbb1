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
"""Options with which the etcd driver can never work."""

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor


class OptionsTestCase(etcd_fleet.FleetTestCase):

    def refused(self, *words, **options):
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.driver, **options)
        for word in words:
            self.assertIn(word, str(error))

    def test_what_can_never_work_is_refused_at_start(self):
        self.refused('etcd_ca_file', etcd_ca_file='/nonexistent')
        self.refused('etcd_key_file', etcd_cert_file='/dev/null')
        self.refused('etcd_password', etcd_user='one')
        self.refused('/nonexistent', etcd_user='one',
                     etcd_password_file='/nonexistent')
        self.refused('etcd_endpoints', etcd_endpoints=[])
        for url in ('etcd-1:2379', 'ftp://etcd-1', 'http://e:x', 'http://'):
            self.refused('etcd_endpoints', etcd_endpoints=[url])
        self.refused('in the clear', 'etcd-1', etcd_user='one',
                     etcd_password='secret',
                     etcd_endpoints=['http://etcd-1:2379'])
        self.driver(etcd_user='one', etcd_password='secret',
                    etcd_endpoints=['http://[::1]:2379'])
