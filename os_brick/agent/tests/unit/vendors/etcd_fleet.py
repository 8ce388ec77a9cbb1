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
"""A real etcd, a double of one, and a fleet to begin with.

Where there is no etcd, tests that need it are skipped and say so.
"""

import base64
import json
import os
import shutil
import threading

from oslo_config import cfg
from oslotest import base

from os_brick.agent import model
from os_brick.agent.testing.etcd import members
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file

State = model.ReplicaState
GIB = 2 ** 30
LONG = members.LONG
Member = members.Member
cluster = members.cluster
connected = members.connected
free_port = members.free_port
scratch = members.scratch
wait_for = members.wait_for


def host(name='one'):
    return model.Host('nqn.2014-08.org.example:' + name, None, name, 'x')


def ns(number):
    return '%08d-0000-4000-8000-000000000000' % number


def volume_uuid(number):
    return '%08d-1111-4000-8000-000000000000' % number


def namespace(number, **fields):
    text = ('{uuid: %s, nqn: "nqn.2014-08.org.example:t%d", portals: '
            '[{address: 192.0.2.%d}], size: 1GiB' % (
                ns(number), number, number % 250 + 1))
    return text + ''.join(', %s: %s' % pair for pair in fields.items()) + '}'


def listing(volumes, spares):
    """Return an inventory; ``volumes``: number -> namespaces."""
    text = 'volumes:\n' if volumes else 'volumes: []\n'
    for number, replicas in volumes.items():
        text += ' - {uuid: %s, alias: v%d, size: 1GiB, replicas: [%s]}\n' % (
            volume_uuid(number), number, ', '.join(map(namespace, replicas)))
    if spares:
        text += 'spares: [%s]\n' % ', '.join(map(namespace, spares))
    return inventory_file.parse('the file', text.encode())


class Double:
    """The transactions and leases of etcd, in memory."""

    def __init__(self):
        self.values = {}
        self.revision = 1
        self.cluster = '1'
        self.leases = 0
        self._lock = threading.Lock()

    def call(self, path, body):
        with self._lock:
            body = json.loads(json.dumps(body))
            return json.loads(json.dumps(getattr(
                self, '_' + path.replace('/', '_'))(body)))

    def close(self):
        pass

    @property
    def _header(self):
        return {'cluster_id': self.cluster, 'revision': str(self.revision)}

    def _lease_grant(self, body):
        self.leases += 1
        return {'header': self._header, 'ID': str(self.leases),
                'TTL': body['TTL']}

    def _lease_keepalive(self, body):
        return {'result': {'header': self._header, 'ID': body['ID'],
                           'TTL': '45'}}

    def _kv_txn(self, body):
        good = all(map(self._holds, body.get('compare', [])))
        answer = {'header': None}
        todo = body.get('success' if good else 'failure', [])
        if good:
            answer['succeeded'] = True
        if any('request_put' in one
               or one.get('request_delete_range', {}).get('key')
               in self.values for one in todo):
            self.revision += 1
        responses = [self._do(one) for one in todo]
        if responses:
            answer['responses'] = responses
        answer['header'] = self._header
        return answer

    def _holds(self, compare):
        assert compare['result'] == 'EQUAL'
        value, revision = self.values.get(compare['key'], (None, 0))
        if compare['target'] == 'MOD':
            return int(compare['mod_revision']) == revision
        assert compare['target'] == 'VALUE'
        return value == compare['value']

    def _do(self, one):
        if 'request_put' in one:
            put = one['request_put']
            self.values[put['key']] = (put['value'], self.revision)
            return {'response_put': {}}
        if 'request_delete_range' in one:
            self.values.pop(one['request_delete_range']['key'], None)
            return {'response_delete_range': {}}
        wanted = one['request_range']
        first = base64.b64decode(wanted['key'])
        end = base64.b64decode(wanted.get('range_end', ''))
        kvs = [{'key': key, 'value': value, 'mod_revision': str(revision)}
               for key, (value, revision) in sorted(
                   self.values.items(),
                   key=lambda pair: base64.b64decode(pair[0]))
               if (first <= base64.b64decode(key) < end if end
                   else key == wanted['key'])]
        most = int(wanted.get('limit', 0))
        if most and len(kvs) > most:
            return {'response_range': {'kvs': kvs[:most], 'more': True}}
        return {'response_range': {'kvs': kvs} if kvs else {}}


class Killed(BaseException):
    """The agent was killed in the middle of a call."""


class FleetTestCase(base.BaseTestCase):
    """Hosts on one etcd, each test below a prefix of its own."""

    member = None
    numbers = iter(range(10 ** 6))

    def setUp(self):
        super().setUp()
        self.directory = scratch()
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.prefix = '/test-%d' % next(FleetTestCase.numbers)
        self.keys = schema.Keys(self.prefix)
        self.wire = self.connect()
        self.addCleanup(self.wire.close)
        self.store = store.Store(self.wire)
        self.operator = admin.Operator(self.store, self.keys)

    def connect(self):
        return Double()

    def begin(self, volumes=None, spares=(), name='one'):
        self.operator.begin()
        self.load(volumes or {1: (1, 2)}, spares, name)

    def load(self, volumes, spares=(), name='one', dry_run=False):
        return loading.load(self.store, self.keys, listing(volumes, spares),
                            name, dry_run)

    def conf(self, name='one', **options):
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt('state_dir')])
        conf.register_opts(etcd.OPTS)
        conf([], default_config_files=[])
        conf.set_override('state_dir', os.path.join(self.directory, name))
        conf.set_override('etcd_prefix', self.prefix)
        for option, value in options.items():
            conf.set_override(option, value)
        return conf

    def driver(self, name='one', **options):
        """Return a driver that talks by what ``connect`` made."""
        made = self.started(name, **options)
        made._meet(host(name))
        return made

    def started(self, name='one', **options):
        """Return one that has not been asked for anything yet."""
        made = etcd.EtcdDriver(self.conf(name, **options))
        made.set_up()
        self.addCleanup(made.close)
        made._store = store.Store(self.wire)
        return made

    def volumes(self, driver, name='one', arrays=()):
        return {one.alias: one for one in driver.get_volumes(
            host(name), arrays, ())}

    def states(self, driver, name='one', alias='v1'):
        return {int(one.uuid[:8]): one.state.value for one
                in self.volumes(driver, name)[alias].replicas}

    def replica(self, number):
        return model.Replica(ns(number))

    def volume(self, number=1):
        return model.Volume(volume_uuid(number), 'v%d' % number)


class RealTestCase(FleetTestCase):
    """The same on one real member, which all tests of a class share."""

    arguments: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not members.installed():
            return
        directory = scratch()
        cls.addClassCleanup(shutil.rmtree, directory, True)
        cls.member = Member(directory, arguments=cls.arguments)
        cls.addClassCleanup(cls.member.stop)
        cls.member.start()

    def setUp(self):
        if not members.installed():
            self.skipTest('there is no etcd; apt-get install etcd-server '
                          'etcd-client')
        super().setUp()

    def connect(self):
        return connected([self.member])
