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
"""The etcd driver when etcd is ill: dead members, backups, no space, users."""

import base64
import os
import shutil
import signal
import tempfile
import time

from oslotest import base

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import roles
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire

State = model.ReplicaState
host = etcd_fleet.host
ns = etcd_fleet.ns


class AloneTestCase(etcd_fleet.RealTestCase):
    """Each test breaks an etcd of its own."""

    arguments: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        pass

    def connect(self):
        self.member = etcd_fleet.Member(self.directory,
                                        arguments=self.arguments)
        self.addCleanup(lambda: self.member.stop())
        self.member.start()
        return etcd_fleet.connected([self.member])

    def back(self):
        """Wait until the member serves again."""
        etcd_fleet.wait_for(lambda: self.store.read([self.keys.schema]))

    def refused(self, driver, *words):
        error = self.assertRaises(vendor.BadAnswer, driver.get_volumes,
                                  host(), (), ())
        for word in words:
            self.assertIn(word, str(error))
        self.assertRaises(vendor.BadAnswer, driver.request_replacement,
                          self.volume(), self.replica(2))
        self.assertRaises(vendor.BadAnswer, driver.report_replica_state,
                          self.volume(), self.replica(2), State.MISSING)


class BackupTestCase(AloneTestCase):

    def restored(self):
        """Take a backup, take a spare, and restore the backup."""
        self.begin(spares=(3, 4))
        driver = self.driver()
        self.volumes(driver)
        backup = os.path.join(self.directory, 'backup')
        self.member.control('snapshot', 'save', backup)
        driver.request_replacement(self.volume(), self.replica(1))
        taken = set(self.states(driver)) - {1, 2}
        self.restore(backup)
        return driver, taken

    def restore(self, backup):
        self.member.stop()
        shutil.rmtree(self.member.data)
        self.member.control(
            'snapshot', 'restore', backup, '--data-dir', self.member.data,
            '--name', self.member.name, '--initial-cluster', '%s=%s' % (
                self.member.name, self.member.peer),
            '--initial-advertise-peer-urls', self.member.peer,
            '--initial-cluster-token', 'restored')
        self.member.start()
        self.back()

    def test_what_came_after_the_backup_is_completed(self):
        self.begin(spares=(3, 4))
        one, two = self.driver('one'), self.driver('two')
        for name, driver in (('one', one), ('two', two)):
            driver.heartbeat(host(name), 30)
            self.volumes(driver, name)
        backup = os.path.join(self.directory, 'backup')
        self.member.control('snapshot', 'save', backup)
        # one volume is loaded, the other one is handed over
        self.load({2: (5, 6)})
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(one)
        one.delay_resyncs((), ())
        under_way.look()
        under_way.step()
        self.volumes(two, 'two')
        one.request_replacement(self.volume(2), self.replica(5))
        two.request_replacement(self.volume(1), self.replica(1))
        wanted = {name: {volume.alias: ({
            replica.uuid for replica in volume.replicas}, volume.observe)
            for volume in self.volumes(driver, name).values()}
            for name, driver in (('one', one), ('two', two))}
        self.restore(backup)
        self.operator.accept()
        for _pass in range(2):
            for name, driver in (('two', two), ('one', one)):
                driver.heartbeat(host(name), 30)
                found = {volume.alias: ({
                    replica.uuid for replica in volume.replicas},
                    volume.observe)
                    for volume in self.volumes(driver, name).values()}
                # what one observes is of when it healed
                self.assertEqual(wanted[name], found)
        self.assertEqual(2, len(self.operator.resume()))
        every = self.operator.everything()
        self.assertEqual({'v1': 'two', 'v2': 'one'}, {
            record.listing.alias: name for name, record in every.owned()})
        self.assertEqual(
            {ns(number): self.volume(volume).uuid for volume, numbers in (
                (1, (1, 2)), (2, (5, 6))) for number in numbers},
            {uuid: use.volume for uuid, use in every.uses.items()
             if uuid not in (ns(3), ns(4))})
        self.assertEqual({self.volume(1).uuid, self.volume(2).uuid}, {
            every.uses[ns(number)].volume for number in (3, 4)})
        self.assertRaises(vendor.Rejected, one.request_replacement,
                          self.volume(2), self.replica(6))

    def test_a_restored_backup_is_unknown_also_after_a_restart(self):
        driver, _taken = self.restored()
        self.refused(driver, 'restored from a backup', 'another cluster')
        self.refused(self.driver(), 'restored from a backup')

    def test_accepted_the_hosts_write_what_they_remember(self):
        driver, taken = self.restored()
        self.operator.accept()
        driver.heartbeat(host(), 30)
        self.assertEqual({1, 2} | taken, set(self.states(driver)))
        every = self.operator.everything()
        spare, = taken
        self.assertEqual(self.volume().uuid, every.uses[ns(spare)].volume)
        # nobody takes one before the operator has seen that all have
        error = self.assertRaises(
            vendor.Rejected, driver.request_replacement, self.volume(),
            self.replica(2))
        self.assertIn('on hold', str(error))
        # nor can it be let loose before
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('not shown generation 2 yet', str(error))
        self.assertIn('free: one;', str(error))
        driver.heartbeat(host(), 30)
        self.assertIn('"generation": 2',
                      self.operator.everything().alive['one'])
        self.operator.resume()
        driver.request_replacement(self.volume(), self.replica(2))
        self.assertEqual({1, 2, 3, 4}, set(self.states(self.driver())))

    def test_what_the_backup_gave_to_another_is_not_written_over(self):
        driver, taken = self.restored()
        spare, = taken
        self.store.write(store.Write({
            self.keys.uses + ns(spare): '{"namespace":"%s","nqn":"nqn.2014-08'
            '.org.example:t","portals":[["192.0.2.1",4420,"tcp"]],"size":1,'
            '"failure_domain":null,"volume":"%s","times":0}' % (
                ns(spare), etcd_fleet.volume_uuid(9))}))
        self.operator.accept()
        error = self.assertRaises(vendor.BadAnswer, driver.get_volumes,
                                  host(), (), ())
        self.assertIn(etcd_fleet.volume_uuid(9), str(error))

    def test_the_same_cluster_at_an_older_revision(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.member.stop()
        shutil.copytree(self.member.data, self.member.data + '.old')
        self.member.start()
        self.back()
        driver.request_replacement(self.volume(), self.replica(1))
        self.member.stop()
        shutil.rmtree(self.member.data)
        os.rename(self.member.data + '.old', self.member.data)
        self.member.start()
        self.back()
        self.refused(driver, 'revision')
        self.refused(self.driver(), 'revision')

    def test_restored_between_the_intent_and_the_change(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        key = self.keys.intent('one')
        true_write = driver._store.write
        lost = []

        def forget(write):
            if write.holds and not lost:
                lost.append(self.store._wire.call('kv/deleterange', {
                    'key': base64.b64encode(key.encode()).decode()}))
            return true_write(write)

        driver._share._store.write = forget
        before = self.store.read([key]).point
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertTrue(lost)
        # the first turn's change did not come to pass: two intents
        self.assertEqual(before.revision + 4,
                         self.store.read([key]).point.revision)

    def test_a_compaction_is_not_noticed(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.wire.call('kv/compaction', {'revision': str(
            self.store.read([self.keys.schema]).point.revision),
            'physical': True})
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1, 2, 3}, set(self.states(driver)))


class FullTestCase(AloneTestCase):

    arguments = ('--quota-backend-bytes', str(4 * 2 ** 20))

    def test_a_full_etcd_is_read_and_nothing_is_half_done(self):
        self.begin(spares=(3,))
        driver = self.driver()
        driver.heartbeat(host(), 30)
        self.volumes(driver)

        def fill():
            for _turn in range(20):
                self.store.write(store.Write({'/filler': 'x' * 10 ** 6}))

        error = self.assertRaises(vendor.Unavailable, fill)
        self.assertIn('space', str(error))
        for _again in range(2):
            driver.heartbeat(host(), 30)
            self.assertEqual({1, 2}, set(self.states(driver)))
            error = self.assertRaises(
                vendor.Unavailable, driver.request_replacement,
                self.volume(), self.replica(1))
            self.assertIn('space', str(error))
        self.wire.call('kv/compaction', {'revision': str(
            self.store.read([self.keys.schema]).point.revision),
            'physical': True})
        self.member.control('defrag')
        self.member.control('alarm', 'disarm')
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1, 2, 3}, set(self.states(driver)))


class MembersTestCase(AloneTestCase):

    def connect(self):
        self.members, made = etcd_fleet.cluster(self.directory,
                                                self.addCleanup)
        self.member = self.members[0]
        return made

    def leader(self):
        for one in self.members:
            if one.process is None:
                continue
            said = etcd_fleet.connected([one]).call('maintenance/status', {})
            if said['leader'] == said['header']['member_id']:
                return one
        return None

    def request(self, driver, number):
        """Ask until it is accepted, as the agent does."""
        def once():
            driver.request_replacement(self.volume(), self.replica(number))
            return True
        etcd_fleet.wait_for(once)

    def test_a_leader_that_dies_and_one_that_falls_silent(self):
        self.begin(spares=(3, 4, 5))
        driver = self.driver()
        self.volumes(driver)
        for how, number in ((signal.SIGKILL, 1), (signal.SIGSTOP, 2)):
            leader = etcd_fleet.wait_for(self.leader)
            # the leader is the one that the driver speaks to
            url = leader.url
            self.wire._members.sort(key=lambda one: one.base_url != url)
            leader.process.send_signal(how)
            self.request(driver, number)
            self.request(driver, number)
            leader.stop()
            leader.start(self.members)
            etcd_fleet.wait_for(lambda: etcd_fleet.connected([leader]))
        self.assertEqual(4, len(self.states(driver)))
        self.assertEqual(2, sum(use.volume is not None and uuid in {
            ns(3), ns(4), ns(5)} for uuid, use
            in self.operator.everything().uses.items()))

    def test_without_a_majority_nothing_is_said(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        self.members[0].stop()
        self.members[1].stop()
        self.assertRaises(vendor.Unavailable, driver.get_volumes, host(),
                          (), ())
        self.assertRaises(vendor.Unavailable, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.members[0].start(self.members)
        self.request(driver, 1)
        self.assertEqual({1, 2, 3}, set(self.states(driver)))


class UsersTestCase(AloneTestCase):

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


class TlsTestCase(AloneTestCase):

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


class OptionsTestCase(etcd_fleet.FleetTestCase):

    def refused(self, *words, **options):
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.driver, **options)
        for word in words:
            self.assertIn(word, str(error))

    def test_what_can_never_work_is_refused_at_start(self):
        self.refused('etcd_ca_file', etcd_ca_file='/nonexistent')
        self.refused('etcd_key_file', etcd_cert_file='/dev/null')
        self.refused('etcd_password', etcd_user='one')
        self.refused('/nonexistent', etcd_user='one',
                     etcd_password_file='/nonexistent')
        self.refused('etcd_endpoints', etcd_endpoints=[])
        for url in ('etcd-1:2379', 'ftp://etcd-1', 'http://e:x', 'http://'):
            self.refused('etcd_endpoints', etcd_endpoints=[url])
        self.refused('in the clear', 'etcd-1', etcd_user='one',
                     etcd_password='secret',
                     etcd_endpoints=['http://etcd-1:2379'])
        self.driver(etcd_user='one', etcd_password='secret',
                    etcd_endpoints=['http://[::1]:2379'])


class HostileTestCase(base.BaseTestCase):
    """Answers that no etcd gives."""

    def test_no_answer_is_believed_by_half(self):
        class Liar:
            def call(self, path, body):
                return answer

        header = {'cluster_id': '1', 'revision': '5'}
        etcd_says = store.Store(Liar())
        for answer in (
                {}, {'header': 7}, {'header': {'revision': 'x'}},
                {'header': header}, {'header': header, 'responses': {}},
                {'header': header, 'responses': [{}]},
                {'header': header, 'responses': [7]},
                {'header': header, 'responses': [{'response_range': {
                    'kvs': [{'key': '***', 'mod_revision': '1'}]}}]},
                {'header': header, 'responses': [{'response_range': {
                    'kvs': 7}}]}):
            self.assertRaises(vendor.BadAnswer, etcd_says.read, ['/a'])

    def test_a_port_that_nobody_listens_on(self):
        with tempfile.TemporaryDirectory():
            made = wire.Wire(wire.Settings(
                ('http://127.0.0.1:%d' % etcd_fleet.free_port(),), 1.0))
            self.addCleanup(made.close)
            self.assertRaises(vendor.Unavailable, made.call, 'kv/txn', {})
