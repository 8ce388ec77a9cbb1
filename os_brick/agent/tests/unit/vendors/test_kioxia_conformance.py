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
"""The KumoScale driver keeps the contract of the drivers, over its double."""

import contextlib
import unittest

from os_brick.agent.testing.conformance import suite
from os_brick.agent.testing.kumoscale import faults
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.vendors import kioxia

# all of the double's answers that are nonsense
NONSENSE = ('html', 'truncated', 'short', 'error500', 'redirect',
            'gateway404')


class TestKioxiaConformance(fixture.WithCertificates, suite.DriverConformance,
                            unittest.TestCase):
    """Nothing is missing."""

    vendor = 'kioxia'
    aliases = ('vol-1', 'vol-2')
    story_examples = 8
    story_steps = 15

    def setUp(self):
        super().setUp()
        self.double = server.Double(self.certificates, ['127.0.0.1'])
        self.addCleanup(self.double.close)
        self.double.start()
        world = self.double.world
        for number in range(4):
            world.add_backend('backend-%d' % number, [
                ('192.0.2.%d' % number, 4420, 'tcp')])
        world.hosts[self.host.nqn] = {
            'nqn': self.host.nqn, 'uuid': self.host.uuid, 'name': 'host-1'}
        self.uuids = {}
        for alias in self.aliases:
            made = world.create_volume('', {
                'alias': alias, 'capacity': 1, 'storageClass': {
                    'numReplicas': 2, 'maxReplicaDownTime': 10}})
            world.publish('', {'hostId': self.host.uuid,
                               'volId': made['resID']})
            self.uuids[alias] = made['resID']

    def make_driver(self):
        return self.made()

    def made(self, **settings):
        return kioxia.KioxiaDriver(self.configure(
            kioxia.KioxiaDriver, **{
                'kioxia_provisioner_ip': '127.0.0.1',
                'kioxia_provisioner_port': self.double.port,
                'kioxia_provisioner_token': self.double.token,
                'kioxia_ca_file': self.certificates.ca,
                'kioxia_connect_timeout': 20.0,
                'kioxia_read_timeout': self.read_timeout, **settings}))

    @property
    def read_timeout(self):
        """Long enough for a busy machine, where it is not waited for."""
        return 3.0 if 'silence' in self._testMethodName else 20.0

    def secrets(self):
        return [self.double.token] if self.double.tokens else [self.secret]

    @contextlib.contextmanager
    def outage(self):
        self.double.stop()
        try:
            yield
        finally:
            self.double.start()

    @contextlib.contextmanager
    def _spoilt(self, kind, value='', path=''):
        self.double.faults.add(faults.Fault(kind, path=path, value=value,
                                            count=None))
        try:
            yield
        finally:
            self.double.faults.clear()

    def silence(self):
        return self._spoilt('delay', '3600')

    @contextlib.contextmanager
    def refused_credentials(self):
        self.secret = self.double.token
        before, self.double.tokens = self.double.tokens, set()
        try:
            yield
        finally:
            self.double.tokens = before

    def hostile_answers(self):
        return [(kind, self._spoilt(kind)) for kind in NONSENSE]

    @contextlib.contextmanager
    def broken_volume(self):
        volume = self.double.world.volumes[self.uuids['vol-2']]
        before = volume['capacity']
        volume['_replicas'][0]['replicaState'] = 'Flourishing'
        volume['capacity'] = 'much'
        yield 'vol-2'
        volume['capacity'] = before
        volume['_replicas'][0]['replicaState'] = 'Available'

    @contextlib.contextmanager
    def without_spares(self):
        backends = self.double.world.backends.values()
        for backend in backends:
            backend['state'] = 'Unavailable'
        yield
        for backend in backends:
            backend['state'] = 'Available'

    def lost_answer(self):
        return self._spoilt('drop_after', path='^replica/')

    def impossible_settings(self):
        yield 'kioxia_provisioner_ip', self.made(kioxia_provisioner_ip='')
        yield 'kioxia_provisioner_token', self.made(
            kioxia_provisioner_token='')
        yield 'kioxia_ca_file', self.made(kioxia_ca_file='/nonexistent')
        yield 'kioxia_cert_file', self.made(kioxia_cert_file='/nonexistent')

    def live_changes(self):
        return []    # it has no mutable option
