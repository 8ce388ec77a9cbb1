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
"""Several hosts whose local drivers have the same inventory."""

import fixtures
from oslo_config import cfg
import yaml

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import local

HOST = local_case.HOST
ns = local_case.ns
spare = local_case.spare
volume = local_case.volume


class SharedFileTestCase(local_case.LocalTestCase):
    """Configuration management gives all hosts the same file."""

    def other(self):
        """The driver on another host, with a ledger of its own."""
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt('state_dir')])
        conf.register_opts(list(local.LocalDriver.options()))
        conf([], default_config_files=[])
        conf.set_override('state_dir', self.state_dir + '-2')
        conf.set_override('local_inventory_file', self.path)
        driver = local.LocalDriver(conf)
        driver.set_up()
        self.addCleanup(driver.close)
        return driver, model.Host(HOST.nqn + '-2', None, HOST.name + '-2')

    def taken(self, driver, host):
        """Which spare this host takes when a replica stays bad."""
        one, = driver.get_volumes(host, (), ())
        try:
            driver.request_replacement(one, one.replicas[0])
        except vendor.Rejected as error:
            return str(error)
        one, = driver.get_volumes(host, (), ())
        return one.replicas[-1].uuid

    def test_a_spare_is_taken_on_the_host_that_it_names_alone(self):
        driver, host = self.other_host([spare('c'), spare(
            'd', host=HOST.nqn + '-2')])
        self.assertEqual(ns('c'), self.taken(self.driver, HOST))
        self.assertEqual(ns('d'), self.taken(driver, host))

    def other_host(self, spares):
        self.start(volume('a', 'b'), spares=spares)
        return self.other()

    def test_one_spare_is_not_taken_by_two_hosts(self):
        driver, host = self.other_host([spare('c')])
        self.assertEqual(ns('c'), self.taken(self.driver, HOST))
        self.assertIn('for the host %s' % HOST.name,
                      self.taken(driver, host))

    def test_a_spare_of_no_host_is_taken_by_none_and_that_is_said(self):
        log = self.useFixture(fixtures.FakeLogger())
        shared = spare('c')
        del shared['host']
        driver, host = self.other_host([shared])
        for one, where in ((self.driver, HOST), (driver, host)):
            self.assertIn('no host is named', self.taken(one, where))
            self.taken(one, where)
        self.assertEqual(2, log.output.count('line '))

    def test_a_volume_is_healed_by_the_host_that_it_names(self):
        """Both have it: it is on its way from one to the other."""
        for name in (HOST.name.upper(), HOST.nqn):
            self.start(volume('a', 'b', host=name))
            driver, host = self.other()
            one, = self.driver.get_volumes(HOST, (), ())
            self.assertEqual('', one.observe)
            one, = driver.get_volumes(host, (), ())
            self.assertEqual('the inventory names the host %s for it' % name,
                             one.observe)

    def test_a_volume_of_no_host_is_healed_by_whoever_has_it(self):
        driver, host = self.other_host([])
        for one, where in ((self.driver, HOST), (driver, host)):
            found, = one.get_volumes(where, (), ())
            self.assertEqual('', found.observe)

    def test_the_host_of_the_file_is_that_of_its_spares(self):
        shared = spare('c')
        del shared['host']
        self.write(text=yaml.safe_dump({
            'host': HOST.name.upper(), 'volumes': [volume('a', 'b')],
            'spares': [shared]}))
        self.driver.set_up()
        driver, host = self.other()
        self.assertEqual(ns('c'), self.taken(self.driver, HOST))
        self.assertIn('for the host', self.taken(driver, host))
