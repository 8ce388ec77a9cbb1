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
"""What the driver's tests share: a double, a host, arrays, a driver."""

import logging
import shutil
import tempfile

import fixtures
from oslo_config import cfg
from oslotest import base

from os_brick.agent import model
from os_brick.agent import opts
from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.testing.kumoscale import faults
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.vendors import kioxia

HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:host-1',
                  '5d1e4f2c-0001-4000-8000-000000000001',
                  'Compute-1.example.org', '1.2.3')


class WithCertificates:
    """Certificates for a double, made once for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = tempfile.mkdtemp(prefix='kumoscale-')
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.certificates = certificates.make(cls.directory)


class KioxiaTestCase(WithCertificates, base.BaseTestCase):
    """A running double with four backends, and a driver that talks to it."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.double = server.Double(self.certificates)
        self.addCleanup(self.double.close)
        self.double.start()
        self.world = self.double.world
        for number in range(4):
            self.world.add_backend('backend-%d' % number, [
                ('127.0.0.%d' % (11 + number), 4420, 'tcp')])
        self.pauses = []

    def configure(self, **options):
        conf = cfg.ConfigOpts()
        conf([], project='nvme-agent', default_config_files=[])
        opts.register(conf)
        conf.register_opts(list(kioxia.KioxiaDriver.options()))
        settings = {
            'kioxia_provisioner_ip': list(self.double.addresses),
            'kioxia_provisioner_port': self.double.port,
            'kioxia_provisioner_token': self.double.token,
            'kioxia_ca_file': self.certificates.ca,
            # long enough for a busy machine, never waited for in full
            'kioxia_connect_timeout': 20.0, 'kioxia_read_timeout': 30.0}
        settings.update(options)
        for name, value in settings.items():
            conf.set_override(name, value)
        return conf

    def driver(self, **options):
        driver = kioxia.KioxiaDriver(self.configure(**options))
        driver.set_up()
        self.addCleanup(driver.close)
        driver._rest._pause = self.pauses.append
        return driver

    def probed(self, **options):
        """A driver whose host the provisioner knows."""
        driver = self.driver(**options)
        driver.heartbeat(HOST, 30.0)
        return driver

    def volume(self, alias='vol-1', replicas=2, tenant='', down_time=10):
        """Make a volume and publish it; return what the double keeps."""
        made = self.world.create_volume(tenant, {
            'alias': alias, 'capacity': 1, 'storageClass': {
                'numReplicas': replicas, 'maxReplicaDownTime': down_time}})
        self.world.hosts.setdefault(HOST.nqn, {
            'nqn': HOST.nqn, 'uuid': HOST.uuid, 'name': 'compute-1'})
        self.world.publish(tenant, {'hostId': HOST.uuid,
                                    'volId': made['resID']})
        return self.world.volumes[made['resID']]

    def array(self, volume, name='md127', alias=None):
        """The array that os-brick builds of a volume."""
        return model.Array(
            name, alias or volume['alias'], None, len(volume['_replicas']),
            0, 'clean', 'idle', 1 << 20, tuple(
                model.Leg('nvme%dn1' % slot, slot, frozenset({'in_sync'}),
                          replica['uuid'])
                for slot, replica in enumerate(volume['_replicas'])))

    def spoil(self, kind, **fields):
        self.double.faults.add(faults.Fault(kind, **fields))

    def calls(self):
        return self.double.calls()
