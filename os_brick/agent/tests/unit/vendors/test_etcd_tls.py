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
"""Certificates of etcd and of its driver: verified, and when they end."""

import shutil
import time

from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.tests.unit.vendors import etcd_alone_case
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import roles

host = etcd_fleet.host


class TlsTestCase(etcd_alone_case.AloneTestCase):

    def setUp(self):
        if shutil.which('openssl') is None:
            self.skipTest('there is no openssl')
        super().setUp()

    def connect(self):
        self.made = certificates.make(self.directory)
        self.member = etcd_fleet.Member(self.directory, tls=(
            self.made.ca, self.made.server, self.made.server))
        self.addCleanup(lambda: self.member.stop())
        self.member.start()
        return etcd_fleet.connected([self.member], verify=self.made.ca, cert=(
            self.made.client, self.made.client))

    def made_driver(self, **options):
        made = etcd.EtcdDriver(self.conf(**{
            'etcd_endpoints': [self.member.url],
            'etcd_ca_file': self.made.ca, 'etcd_cert_file': self.made.client,
            'etcd_key_file': self.made.client, **options}))
        made.set_up()
        self.addCleanup(made.close)
        return made

    def test_both_sides_are_verified(self):
        self.begin()
        self.assertEqual({1, 2}, set(self.states(self.made_driver())))
        for options in ({'etcd_ca_file': ''},
                        {'etcd_cert_file': '', 'etcd_key_file': ''}):
            driver = self.made_driver(**options)
            error = self.assertRaises(vendor.Unavailable, driver.get_volumes,
                                      host(), (), ())
            self.assertIn('etcd_c', str(error))

    def test_a_user_beside_the_certificate(self):
        self.begin()
        self.load({2: (3, 4)}, name='two')
        made = self.made
        for line in (*roles.commands(self.prefix, 'one'),
                     'user add nvme-agent-one:pw-one',
                     'user grant-role nvme-agent-one nvme-agent-one',
                     'user add root:rootpw', 'user grant-role root root',
                     'auth enable'):
            self.member.control('--cacert', made.ca, '--cert', made.client,
                                '--key', made.client, *line.split())
        user = {'etcd_user': 'nvme-agent-one', 'etcd_password': 'pw-one'}
        # etcd refuses such a certificate, whoever asks
        error = self.assertRaises(vendor.Unauthorized, self.volumes,
                                  self.made_driver(**user))
        self.assertIn('etcd_cert_file', str(error))
        plain = certificates.nameless(self.directory)
        user.update(etcd_cert_file=plain, etcd_key_file=plain)
        one = self.made_driver(**user)
        one.heartbeat(host('one'), 30)
        self.assertEqual({1, 2}, set(self.states(one)))
        self.assertRaises(vendor.Unauthorized, self.volumes,
                          self.made_driver(**user), 'two')

    def test_when_the_certificates_end(self):
        made = self.made_driver()
        self.assertEqual(
            ['of the provisioner at 127.0.0.1',
             'of this host (option etcd_cert_file)'],
            [one.whose for one in made.certificates()])
        for one in made.certificates():
            self.assertEqual(1, one.days_left(time.time()))
        # the member answers no more: its certificate is left out
        self.member.stop()
        self.assertEqual(1, len(made.certificates()))
