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
"""A KumoScale that is only asked, before an agent starts."""

import time

from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors import base
from os_brick.agent.vendors import kioxia

HOST = fixture.HOST


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
