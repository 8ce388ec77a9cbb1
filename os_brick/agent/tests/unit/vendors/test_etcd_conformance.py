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
"""The etcd driver keeps the contract of the drivers, over a real etcd.

The user of etcd has the role that ``nvme-agent-fleet roles`` gives a host's.
"""

import contextlib
import os
import shutil
import unittest

from os_brick.agent.testing.conformance import suite
from os_brick.agent.testing.etcd import members
from os_brick.agent.testing.etcd import relay
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import roles
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

PREFIX = '/nvme-agent'
USER, PASSWORD = 'host-1', 'sesame-4711'
ROOT = {'user': 'root', 'password': lambda: 'rootpw'}
NONSENSE = {
    'an HTML page': b'<html>Log in</html>', 'half of an answer':
    b'{"header": {"cluster_id": "1", "rev', 'nothing': b'',
    'a number': b'5', 'an empty object': b'{}',
    'another answer': b'{"header": {"cluster_id": "1", "revision": "9"}, '
    b'"succeeded": true, "responses": [{"response_put": {}}]}'}


class TestEtcdConformance(suite.DriverConformance, unittest.TestCase):
    """Nothing is missing."""

    vendor = 'etcd'
    aliases = ('v1', 'v2')
    story_examples = 8
    story_steps = 15
    member = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not members.installed():
            return
        directory = members.scratch()
        cls.addClassCleanup(shutil.rmtree, directory, True)
        # a login is to cost no tenth of a second
        cls.member = members.Member(directory, arguments=(
            '--bcrypt-cost', '4'))
        cls.addClassCleanup(cls.member.stop)
        cls.member.start()
        members.connected([cls.member]).close()
        control = cls.member.control
        for line in roles.commands(PREFIX, cls.host.name):
            control(*line.split())
        control('user', 'add', '%s:%s' % (USER, PASSWORD))
        control('user', 'grant-role', USER, roles.ROLE % cls.host.name)
        control('user', 'add', 'root:rootpw')
        control('user', 'grant-role', 'root', 'root')
        control('auth', 'enable')
        cls.wire = members.connected([cls.member], **ROOT)
        cls.addClassCleanup(cls.wire.close)
        cls.keys, cls.store = schema.Keys(PREFIX), store.Store(cls.wire)
        cls.operator = admin.Operator(cls.store, cls.keys)
        cls.operator.begin()
        loading.load(cls.store, cls.keys, etcd_fleet.listing(
            {1: (10, 11), 2: (20, 21)}, range(30, 50)), cls.host.name, False)
        cls.fleet = {key: value.text for key, value
                     in cls.read(PREFIX + '/').items()}

    @classmethod
    def read(cls, prefix):
        return dict(cls.store.read([], [prefix]).found)

    def setUp(self):
        if not members.installed():
            self.skipTest('there is no etcd; apt-get install etcd-server '
                          'etcd-client')
        super().setUp()
        self.place = members.scratch()
        self.addCleanup(shutil.rmtree, self.place)
        self.relay = relay.Relay(self.member.url)
        self.addCleanup(self.relay.close)
        self.put({**dict.fromkeys(self.read(PREFIX + '/')), **self.fleet})

    def put(self, texts):
        self.store.write(store.Write(texts))

    def make_driver(self):
        return self.made()

    def made(self, **settings):
        return etcd.EtcdDriver(self.configure(etcd.EtcdDriver, **{
            'etcd_endpoints': self.relay.url, 'etcd_user': USER,
            'etcd_password': PASSWORD, 'etcd_timeout': self.timeout,
            'state_dir': self.place, **settings}))

    @property
    def timeout(self):
        """Long enough for a busy machine, where it is not waited for."""
        return 1.0 if 'silence' in self._testMethodName else 20.0

    def secrets(self):
        return [PASSWORD, *self.relay.tokens]

    def outage(self):
        return self.relay.cut()

    def silence(self):
        return self.relay.silent()

    def lost_answer(self):
        return self.relay.losing()

    def hostile_answers(self):
        return [(name, self.relay.lying(answer))
                for name, answer in NONSENSE.items()]

    @contextlib.contextmanager
    def refused_credentials(self):
        self.change_password('another')
        try:
            yield
        finally:
            self.change_password(PASSWORD)

    def change_password(self, password):
        self.wire.call('auth/user/changepw', {'name': USER,
                                              'password': password})

    @contextlib.contextmanager
    def broken_volume(self):
        key = self.keys.volume(self.host.name, etcd_fleet.volume_uuid(2))
        before = self.read(key)[key].text
        self.put({key: '{"serial": "banana"}'})
        yield 'v2'
        self.put({key: before})

    @contextlib.contextmanager
    def without_spares(self):
        there = self.read(self.keys.spares)
        self.put(dict.fromkeys(there))
        yield
        self.put({key: value.text for key, value in there.items()})

    @contextlib.contextmanager
    def resync_limit(self):
        self.operator.limit({'total': 1})
        yield

    def impossible_settings(self):
        nowhere = os.path.join(self.place, 'nowhere')
        yield 'etcd_endpoints', self.made(etcd_endpoints='etcd-1:2379')
        yield 'etcd_endpoints', self.made(
            etcd_endpoints='http://etcd-1.example.org:2379')
        yield 'etcd_ca_file', self.made(etcd_ca_file=nowhere)
        yield 'etcd_cert_file', self.made(etcd_cert_file='/dev/null')
        yield 'etcd_password', self.made(etcd_password=None)
        yield 'etcd_password_file', self.made(etcd_password=None,
                                              etcd_password_file=nowhere)

    def live_changes(self):
        return []    # it has no mutable option
