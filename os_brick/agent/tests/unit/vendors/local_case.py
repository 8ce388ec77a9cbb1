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
"""The local driver on a file and a ledger of its own."""

import os
import tempfile

from oslo_config import cfg
from oslotest import base
import yaml

from os_brick.agent import model
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import local

HOST = model.Host('nqn.2014-08.org.example:host', None, 'host')
VOLUME = '11111111-0000-4000-8000-000000000001'
OTHER = '11111111-0000-4000-8000-000000000002'
GIB = 2 ** 30


def ns(letter):
    return '%s0000000-0000-4000-8000-000000000000' % letter


def namespace(letter, domain=None, **fields):
    described = {'uuid': ns(letter), 'nqn': 'nqn.2014-08.org.example:'
                 + letter, 'portals': [{'address': '192.0.2.%d'
                                        % ord(letter)}]}
    if domain is not None:
        described['failure_domain'] = domain
    return dict(described, **fields)


def spare(letter, domain=None, size=GIB, **fields):
    return namespace(letter, domain, **{
        'size': size, 'host': HOST.name, **fields})


def volume(*letters, **fields):
    return dict({'uuid': VOLUME, 'alias': 'vol1', 'replicas': [
        one if isinstance(one, dict) else namespace(one)
        for one in letters]}, **fields)


class LocalTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'volumes.yaml')
        self.conf = cfg.ConfigOpts()
        self.conf.register_opts([cfg.StrOpt('state_dir')])
        self.conf.register_opts(list(local.LocalDriver.options()))
        self.conf([], default_config_files=[])
        self.state_dir = os.path.join(directory.name, 'state')
        self.sqlite = os.path.join(self.state_dir, 'local.sqlite')
        self.conf.set_override('state_dir', self.state_dir)
        self.conf.set_override('local_inventory_file', self.path)
        self.driver = local.LocalDriver(self.conf)
        self.addCleanup(lambda: self.driver.close()
                        if hasattr(self.driver, '_ledger') else None)

    def write(self, *volumes, spares=(), text=None):
        """Replace the file, as old as if the editor was closed long ago."""
        with open(self.path + '.new', 'w') as stream:
            stream.write(text or yaml.safe_dump(
                {'volumes': list(volumes), 'spares': list(spares)}))
        os.utime(self.path + '.new', (1e9, 1e9))
        os.rename(self.path + '.new', self.path)

    def start(self, *volumes, spares=()):
        self.write(*volumes, spares=spares)
        self.driver.set_up()

    def restart(self):
        self.driver.close()
        self.driver = local.LocalDriver(self.conf)
        self.driver.set_up()

    def volumes(self):
        return {one.alias: one
                for one in self.driver.get_volumes(HOST, (), ())}

    def listed(self, alias='vol1'):
        """Letter -> state of the volume's replicas."""
        return {replica.uuid[0]: replica.state.value
                for replica in self.volumes()[alias].replicas}

    def call(self, method, letter, *arguments, alias='vol1'):
        one = self.volumes()[alias]
        getattr(self.driver, method)(
            one, one.replica(ns(letter)) or model.Replica(ns(letter)),
            *arguments)

    def request(self, letter, **kwargs):
        self.call('request_replacement', letter, **kwargs)

    def retire(self, letter):
        self.call('retire_replica', letter)

    def confirm(self, letter, **kwargs):
        self.call('confirm_replica_removed', letter, **kwargs)

    def report(self, letter, state):
        self.call('report_replica_state', letter, state)

    def rejected(self, *words, call=None):
        error = self.assertRaises(vendor.Rejected,
                                  call or (lambda: self.request('a')))
        for word in words:
            self.assertIn(word, str(error))

    def exchange(self, old):
        self.request(old)
        self.retire(old)
        self.confirm(old)
