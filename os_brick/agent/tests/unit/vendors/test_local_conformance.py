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
"""The local driver keeps the contract of the drivers."""

import contextlib
import os
import shutil
import tempfile
import unittest

import yaml

from os_brick.agent.testing.conformance import suite
from os_brick.agent.vendors import local

GIB = 2 ** 30


def uuid(number):
    return '00000000-0000-4000-8000-%012d' % number


def namespace(number):
    return {'uuid': uuid(number),
            'nqn': 'nqn.2014-08.org.example:%d' % number,
            'portals': [{'address': '192.0.2.%d' % number}], 'size': GIB}


class TestLocalConformance(suite.DriverConformance, unittest.TestCase):
    """The back end is a file and a ledger on this host."""

    vendor = 'local'
    missing = {name: 'the inventory is a file on this host' for name in (
        'secrets', 'outage', 'silence', 'refused_credentials',
        'hostile_answers', 'lost_answer', 'broken_volume')}
    aliases = ('vol-1', 'vol-2')

    def setUp(self):
        super().setUp()
        self.place = tempfile.mkdtemp(prefix='local-')
        self.addCleanup(shutil.rmtree, self.place)
        self.path = os.path.join(self.place, 'volumes.yaml')
        self.spares = list(range(30, 60))
        self.write()

    def write(self):
        with open(self.path, 'w', encoding='utf-8') as stream:
            yaml.safe_dump({
                'host': self.host.name,
                'volumes': [{'uuid': uuid(number), 'alias': 'vol-%d' % number,
                             'size': GIB, 'replicas': [
                                 namespace(10 * number + slot)
                                 for slot in range(2)]}
                            for number in (1, 2)],
                'spares': list(map(namespace, self.spares))}, stream)
        # as an editor had left it some time ago
        os.utime(self.path, (1.7e9, 1.7e9 + os.stat(self.path).st_size))

    def make_driver(self):
        return self.made(self.path)

    def made(self, path):
        return local.LocalDriver(self.configure(
            local.LocalDriver, local_inventory_file=path,
            state_dir=self.place))

    def impossible_settings(self):
        yield 'local_inventory_file', self.made('/nonexistent.yaml')

    def live_changes(self):
        return []    # it has no mutable option

    @contextlib.contextmanager
    def without_spares(self):
        before, self.spares = self.spares, []
        self.write()
        yield
        self.spares = before
        self.write()
