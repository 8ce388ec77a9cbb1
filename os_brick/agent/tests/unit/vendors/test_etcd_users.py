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
"""Users of etcd: what each may do, and what is said of a wrong one."""

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_alone_case
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import roles
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire

State = model.ReplicaState
host = etcd_fleet.host
ns = etcd_fleet.ns


class UsersTestCase(etcd_alone_case.AloneTestCase):

    def start_users(self):
        """Turn users on; the operator is root from now on."""
        self.begin({1: (1, 2)}, spares=(5,), name='one')
        self.load({2: (3, 4)}, name='two')
        for line in roles.commands(self.prefix, 'one') + roles.commands(
                self.prefix, 'two'):
            self.member.control(*line.split())
        for name in ('one', 'two'):
            self.member.control('user', 'add', 'nvme-agent-%s:pw-%s' % (
                name, name))
            self.member.control('user', 'grant-role', 'nvme-agent-' + name,
                                'nvme-agent-' + name)
        self.member.control('user', 'add', 'root:rootpw')
        self.member.control('user', 'grant-role', 'root', 'root')
        self.member.control('auth', 'enable')
        self.operator._store = self.store = store.Store(
            self.wire_of('root', 'rootpw'))

    def wire_of(self, user, password):
        made = wire.Wire(wire.Settings((self.member.url,), 10.0, user,
                                       lambda: password))
        self.addCleanup(made.close)
        return made

    def agent(self, name, user=None, password=None):
        user = user or name
        made = self.driver(name)
        made._store = store.Store(self.wire_of(
            'nvme-agent-' + user, password or 'pw-' + user))
        made._share = None
        made._meet(host(name))
        return made

    def test_a_hosts_user_can_do_all_for_its_host_and_nothing_else(self):
        self.start_users()
        one = self.agent('one')
        one.heartbeat(host('one'), 30)
        one.heartbeat(host('one'), 30)
        self.assertEqual({1, 2}, set(self.states(one)))
        one.report_event(model.Event('KIND', 'INFO', 'words'))
        one.report_replica_state(self.volume(), self.replica(1),
                                 State.MISSING)
        one.request_replacement(self.volume(), self.replica(1))
        one.retire_replica(self.volume(), self.replica(1))
        one.confirm_replica_removed(self.volume(), self.replica(1))
        self.assertEqual({2, 5}, set(self.states(one)))
        self.operator.limit({'total': 1})
        self.states(one)
        copy = model.Resync(self.volume(), self.replica(5))
        for under_way, wanted in (([], [copy]), ([copy], []), ([], [])):
            self.assertEqual({}, one.delay_resyncs(under_way, wanted))
        # as another host
        thief = self.agent('two', user='one')
        for call in (lambda: thief.get_volumes(host('two'), (), ()),
                     lambda: thief.heartbeat(host('two'), 30),
                     lambda: thief.request_replacement(
                         self.volume(2), self.replica(3)),
                     lambda: thief._share.change(
                         etcd_fleet.volume_uuid(2), lambda record: None)):
            error = self.assertRaises(vendor.Unauthorized, call)
            self.assertIn('etcd_user', str(error))
        wire_of_one = one._store
        keys = self.keys
        theirs = keys.volume('two', etcd_fleet.volume_uuid(2))
        for key in (theirs, keys.schema, keys.fenced('two'),
                    keys.owners + etcd_fleet.volume_uuid(2),
                    keys.spares + ns(5), keys.alive('two'),
                    keys.event('two', 1), keys.cordon('x'),
                    keys.resync('two', ns(3)), keys.intent('two')):
            for text in ('stolen', None):
                self.assertRaises(vendor.Unauthorized, wire_of_one.write,
                                  store.Write({key: text}))
        self.assertRaises(vendor.Unauthorized, wire_of_one.read, [theirs])
        self.assertEqual('', self.volumes(
            self.agent('two'), 'two')['v2'].observe)

    def test_a_token_that_is_no_longer_known(self):
        self.start_users()
        one = self.agent('one')
        self.volumes(one)
        self.member.stop()
        self.member.start()
        etcd_fleet.wait_for(lambda: self.volumes(one))
        one._store._wire._session.headers['Authorization'] = 'stale.1'
        self.volumes(one)

    def test_a_wrong_password_is_named_and_not_shown(self):
        self.start_users()
        one = self.agent('one', password='not-the-password')
        error = self.assertRaises(vendor.Unauthorized, one.get_volumes,
                                  host(), (), ())
        self.assertIn('etcd_password', str(error))
        self.assertNotIn('not-the-password', str(error))
        nobody = self.driver()
        error = self.assertRaises(vendor.Unauthorized, nobody.get_volumes,
                                  host(), (), ())
        self.assertIn('etcd_user', str(error))

    def test_a_user_where_etcd_knows_none(self):
        self.begin()
        one = self.agent('one')
        error = self.assertRaises(vendor.Unauthorized, one.get_volumes,
                                  host(), (), ())
        self.assertIn('etcd knows no users', str(error))
