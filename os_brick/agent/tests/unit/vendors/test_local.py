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
"""The local driver against real files: what it lists, assigns, lets go."""

import contextlib
import logging
import os
import random
import sqlite3
import stat
import subprocess
import tempfile
from unittest import mock

import fixtures
from oslo_config import cfg
from oslotest import base
from testtools import content
import yaml

from os_brick.agent import model
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors import local

State = model.ReplicaState
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


class StartTestCase(LocalTestCase):

    def refused(self, *words):
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.driver.set_up)
        for word in words:
            self.assertIn(word, str(error))

    def test_options_have_the_vendors_prefix(self):
        for option in local.LocalDriver.options():
            self.assertTrue(option.name.startswith('local_'))
            self.assertTrue(option.help)

    def test_no_file(self):
        self.refused('local_inventory_file', self.path, 'No such file')

    def test_broken_file(self):
        self.write(text='volumes:\n- 1\n')
        self.refused('local_inventory_file', self.path, 'line 2')

    def test_state_dir_cannot_be_made(self):
        self.write(volume('a'))
        open(self.state_dir, 'w').close()
        self.refused('state_dir', self.state_dir)

    def test_ledger_cannot_be_opened(self):
        self.write(volume('a'))
        os.makedirs(self.sqlite)
        self.refused('state_dir', self.sqlite, 'Is a directory')

    def test_ledger_is_no_database(self):
        """The agent starts, and guards what it knows."""
        self.write(volume('a'))
        os.makedirs(self.state_dir)
        with open(self.sqlite, 'wb') as stream:
            stream.write(b'no database ' * 1000)
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        self.driver.set_up()
        self.assertIn(self.sqlite + ' cannot be used: file is not a database',
                      log.output)
        for _again in range(2):
            error = self.assertRaises(vendor.Unavailable, self.volumes)
            self.assertIn('A damaged ledger', str(error))
        os.rename(self.sqlite, self.sqlite + '.away')
        self.assertEqual({'a'}, set(self.listed()))
        self.write(text='[')
        self.restart()
        self.assertEqual({'a'}, set(self.listed()))

    def test_any_damage_is_no_reason_not_to_start(self):
        seed = random.randrange(2 ** 32)
        self.addDetail('seed', content.text_content(str(seed)))
        chance = random.Random(seed)
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.exchange('a')
        self.driver.close()
        with open(self.sqlite, 'rb') as stream:
            good = bytearray(stream.read())
        for _round in range(60):
            bad = bytearray(good)
            for _byte in range(chance.choice((1, 10, 1000))):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            if chance.random() < 0.3:
                del bad[chance.randrange(len(bad)):]
            with open(self.sqlite, 'wb') as stream:
                stream.write(bad)
            self.driver = local.LocalDriver(self.conf)
            self.driver.set_up()
            for call in (self.volumes, lambda: self.report(
                    'b', State.MISSING)):
                with contextlib.suppress(vendor.Unavailable, vendor.Rejected,
                                         KeyError):
                    call()
            self.driver.close()

    def test_what_cannot_be_written_is_read(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.driver.close()
        self.addCleanup(subprocess.run, ['umount', '-l', self.state_dir],
                        capture_output=True)
        for words in (['--bind', self.state_dir, self.state_dir],
                      ['-o', 'remount,bind,ro', self.state_dir]):
            done = subprocess.run(['mount', *words], capture_output=True,
                                  text=True)
            if done.returncode:
                self.skipTest('needs root: %s' % done.stderr.strip())
        self.restart()
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        error = self.assertRaises(vendor.Unavailable, self.retire, 'a')
        self.assertIn('readonly', str(error))
        subprocess.run(['umount', '-l', self.state_dir], check=True)
        self.retire('a')

    def test_ledger_of_a_later_release(self):
        self.start(volume('a'))
        self.driver.close()
        with sqlite3.connect(self.sqlite) as database:
            for name, number in (('user_version', 0), (
                    'application_id', assignments.APPLICATION)):
                database.execute('PRAGMA %s=%d' % (
                    name, number + assignments.VERSION + 1))
        database.close()
        self.refused('state_dir', self.sqlite, 'later release')

    def test_files_are_the_agents_alone(self):
        self.start(volume('a'))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.sqlite).st_mode))
        self.assertEqual(0o700, stat.S_IMODE(
            os.stat(self.state_dir).st_mode))

    def test_operators_file_is_never_written_to(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        os.chmod(self.path, 0o400)
        before = os.stat(self.path)
        self.exchange('a')
        after = os.stat(self.path)
        self.assertEqual((before.st_mtime_ns, before.st_ino),
                         (after.st_mtime_ns, after.st_ino))


class ListTestCase(LocalTestCase):

    def test_all_that_the_inventory_says(self):
        self.start(volume('a', 'b', size=GIB, max_replica_down_time=5))
        one, = self.driver.get_volumes(HOST, (), ())
        self.assertEqual((VOLUME, 'vol1', GIB, 2, 5.0), (
            one.uuid, one.alias, one.size, one.replica_count,
            one.max_replica_down_time))
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual(
            model.Target('nqn.2014-08.org.example:a',
                         (model.Portal('192.0.2.97', 4420),)),
            one.replicas[0].target)

    def test_changed_target(self):
        self.start(volume('a'))
        self.volumes()
        self.write(volume(namespace('a', nqn='nqn.2014-08.org.example:z')))
        self.assertEqual('nqn.2014-08.org.example:z',
                         self.volumes()['vol1'].replicas[0].target.nqn)

    def test_reported_states_are_kept(self):
        self.start(volume('a', 'b'))
        before = self.volumes()['vol1'].replica(ns('a')).state_since
        with mock.patch.object(local.time, 'time', return_value=before + 7):
            self.report('a', State.MISSING)
        with mock.patch.object(local.time, 'time', return_value=before + 9):
            self.report('a', State.MISSING)
        self.restart()
        self.assertEqual({'a': 'MISSING', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual(
            before + 7, self.volumes()['vol1'].replica(ns('a')).state_since)

    def test_report_of_what_is_not_listed(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('c'), 'vol1', call=lambda: self.report(
            'c', State.MISSING))

    def test_report_of_what_is_terminating(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.rejected(ns('a'), 'TERMINATING', call=lambda: self.report(
            'a', State.AVAILABLE))
        self.assertEqual('TERMINATING', self.listed()['a'])

    def test_report_of_a_state_that_is_no_report(self):
        self.start(volume('a', 'b'))
        self.rejected('UNKNOWN', call=lambda: self.report(
            'a', State.UNKNOWN))

    def test_added_replica(self):
        self.start(volume('a'))
        self.volumes()
        self.write(volume('a', 'b'))
        self.assertEqual({'a': 'AVAILABLE', 'b': 'UNKNOWN'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_removed_replica(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.assertEqual({'a': 'TERMINATING', 'b': 'AVAILABLE'},
                         self.listed())
        one = self.volumes()['vol1']
        self.assertEqual(1, one.replica_count)
        self.assertEqual('nqn.2014-08.org.example:a',
                         one.replica(ns('a')).target.nqn)
        self.restart()
        self.assertEqual('TERMINATING', self.listed()['a'])
        self.confirm('a')
        self.confirm('a')
        self.assertEqual({'b': 'AVAILABLE'}, self.listed())

    def test_removed_replica_is_put_back(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.volumes()
        self.write(volume('a', 'b'))
        self.assertEqual('UNKNOWN', self.listed()['a'])
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_removed_and_confirmed_replica_is_put_back(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(volume('b'))
        self.confirm('a')
        self.write(volume('a', 'b'))
        self.assertEqual('UNKNOWN', self.listed()['a'])

    def test_removed_replica_is_not_replaced(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.volumes()
        self.write(volume('b'), spares=[spare('c')])
        self.rejected(ns('a'), self.path, 'no longer listed')

    def test_member_is_not_confirmed(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('a'), 'vol1', call=lambda: self.confirm('a'))
        self.assertEqual({'a', 'b'}, set(self.listed()))

    def test_removed_volume_is_unknown_not_gone(self):
        self.start(volume('a', 'b'), volume('c', uuid=OTHER, alias='vol2'))
        self.report('a', State.MISSING)
        self.write(volume('c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'vol2'}, set(self.volumes()))
        self.write(volume('a', 'b'))
        self.assertEqual({'a': 'MISSING', 'b': 'AVAILABLE'}, self.listed())

    def test_moved_replica_waits_until_it_was_let_go(self):
        other = {'uuid': OTHER, 'alias': 'vol2'}
        self.start(volume('a', 'b'), volume('c', **other))
        self.volumes()
        self.write(volume('b'), volume('c', 'a', **other))
        with self.assertLogs(local.LOG, 'WARNING') as logs:
            self.assertEqual({'c': 'AVAILABLE'}, self.listed('vol2'))
        self.assertEqual(1, len(logs.output))
        for word in ('vol2', ns('a'), 'volume vol1 has not'):
            self.assertIn(word, logs.output[0])
        with self.assertNoLogs(local.LOG, 'WARNING'):
            self.assertEqual(1, self.volumes()['vol2'].replica_count)
        self.confirm('a')
        self.assertEqual({'c': 'AVAILABLE', 'a': 'UNKNOWN'},
                         self.listed('vol2'))

    def test_broken_edit_while_running_and_across_a_restart(self):
        self.start(volume('a', 'b'))
        self.volumes()
        self.write(text='volumes:\n- uuid: x\n  alias: y\n')
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.restart()
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.write(volume('a', 'b', 'c'))
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        self.write(text='[')
        self.restart()
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE',
                          'c': 'UNKNOWN'}, self.listed())

    def test_steady_pass_writes_nothing(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.volumes()
        before = os.stat(self.sqlite).st_mtime_ns
        changes = self.driver._ledger._db.total_changes
        self.volumes()
        self.report('b', State.AVAILABLE)
        self.assertEqual(before, os.stat(self.sqlite).st_mtime_ns)
        self.assertEqual(changes, self.driver._ledger._db.total_changes)

    def test_ledger_that_fails_is_unavailable(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        one = self.volumes()['vol1']
        other = sqlite3.connect(self.sqlite, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.driver._ledger._db.execute('PRAGMA busy_timeout=1')
        for call in (lambda: self.driver.get_volumes(HOST, (), ()),
                     lambda: self.driver.request_replacement(
                         one, one.replicas[0])):
            error = self.assertRaises(vendor.Unavailable, call)
            self.assertIn(self.sqlite, str(error))
            self.assertIn('locked', str(error))
        other.execute('ROLLBACK')
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_step_that_fails_undoes_the_whole(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.volumes()
        put = assignments.Assignments.put

        def full(ledger, entry):
            if entry.successor:
                raise sqlite3.OperationalError('disk is full')
            put(ledger, entry)

        with mock.patch.object(assignments.Assignments, 'put', full):
            error = self.assertRaises(vendor.Unavailable, self.request, 'a')
        self.assertIn(self.sqlite + ' failed: disk is full', str(error))
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))


class ReplaceTestCase(LocalTestCase):

    def test_exchange(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE',
                          'c': 'UNKNOWN'}, self.listed())
        one = self.volumes()['vol1']
        self.assertEqual(2, one.replica_count)
        self.assertEqual('nqn.2014-08.org.example:c',
                         one.replica(ns('c')).target.nqn)
        self.report('c', State.AVAILABLE)
        self.retire('a')
        self.retire('a')
        self.assertEqual({'a': 'TERMINATING', 'b': 'AVAILABLE',
                          'c': 'AVAILABLE'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)
        self.confirm('a')
        self.confirm('a')
        self.retire('a')
        self.restart()
        self.assertEqual({'b': 'AVAILABLE', 'c': 'AVAILABLE'},
                         self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_asked_twice_one_spare_is_assigned(self):
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('a')
        self.restart()
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        self.retire('a')
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_of_what_is_not_listed(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.rejected(ns('f'), 'vol1', self.path,
                      call=lambda: self.request('f'))
        self.exchange('a')
        self.rejected(ns('a'), call=lambda: self.request('a'))

    def test_of_a_volume_that_is_not_listed(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        one = self.volumes()['vol1']
        self.write(volume('d', uuid=OTHER, alias='vol2'))
        self.volumes()
        self.rejected('vol1', call=lambda: self.driver.request_replacement(
            one, one.replicas[0]))

    def test_replica_without_successor_is_not_retired(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('a'), 'vol1', call=lambda: self.retire('a'))
        self.assertEqual('AVAILABLE', self.listed()['a'])

    def test_the_failed_spare_is_listed_and_its_successor_is_not(self):
        """The place is the listed one's in that very answer."""
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('b')
        self.request('c')
        self.write(volume('c'))
        self.assertEqual(1, self.volumes()['vol1'].replica_count)
        self.assertNotEqual('TERMINATING', self.listed()['c'])
        self.assertEqual('TERMINATING', self.listed()['d'])

    def test_failed_spare_is_replaced_too(self):
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('a')
        self.request('c')
        self.assertEqual({'a', 'b', 'c', 'd'}, set(self.listed()))
        self.assertEqual(2, self.volumes()['vol1'].replica_count)
        for old in ('c', 'a'):
            self.retire(old)
            self.confirm(old)
        self.assertEqual({'b', 'd'}, set(self.listed()))
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_no_spare(self):
        self.start(volume('a', 'b'))
        self.rejected('vol1', ns('a'), self.path, 'lists none')

    def test_why_no_spare_will_do(self):
        self.start(
            volume('a', 'b', size=2 * GIB),
            volume('c', uuid=OTHER, alias='vol2'), spares=[
                spare('d', size=2 * GIB - 1),
                spare('e', size=9 * GIB, volumes=['vol2']),
                spare('f', size=2 * GIB, tags=['gold'])])
        self.rejected('%s: too small, %d bytes where %d are needed' % (
            ns('d'), 2 * GIB - 1, 2 * GIB),
            ns('e') + ': set aside', ns('f') + ': set aside')

    def test_spare_of_another_volume(self):
        other = volume('c', 'd', uuid=OTHER, alias='vol2')
        self.start(volume('a', 'b'), other, spares=[spare('e')])
        self.request('c', alias='vol2')
        self.rejected(ns('e') + ': in use by volume vol2')

    def test_set_aside(self):
        for number, (fields, allowed) in enumerate((
                ({'volumes': ['vol1']}, True), ({'volumes': [VOLUME]}, True),
                ({'volumes': ['vol2']}, False), ({'tags': ['x']}, True),
                ({'tags': ['y']}, False),
                ({'tags': ['x'], 'volumes': ['vol2']}, True))):
            with self.subTest(number):
                self.write(volume('a', 'b', tags=['x']),
                           volume('c', uuid=OTHER, alias='vol2'),
                           spares=[spare('d', **fields)])
                self.conf.set_override('state_dir', self.state_dir
                                       + str(number))
                self.driver = local.LocalDriver(self.conf)
                self.driver.set_up()
                if allowed:
                    self.request('a')
                    self.assertIn('d', self.listed())
                else:
                    self.rejected('set aside')
                self.driver.close()

    def best(self, *spares, replicas=('a', 'b'), **fields):
        self.start(volume(*replicas, **fields), spares=spares)
        self.request('a')
        return set(self.listed()) - {'a', 'b'}

    def test_size_of_the_other_replicas_counts(self):
        self.assertEqual({'d'}, self.best(
            spare('c', size=GIB), spare('d', size=3 * GIB),
            replicas=(namespace('a'), namespace('b', size=2 * GIB))))

    def test_smallest_that_will_do(self):
        self.assertEqual({'d'}, self.best(
            spare('c', size=4 * GIB), spare('d', size=2 * GIB),
            spare('e', size=GIB), size=2 * GIB))

    def test_set_aside_for_the_volume_comes_first(self):
        self.assertEqual({'d'}, self.best(
            spare('c'), spare('d', size=5 * GIB, volumes=['vol1'])))

    def test_other_failure_domain_comes_first(self):
        self.assertEqual({'d'}, self.best(
            spare('c', 'r2', volumes=['vol1']), spare('d', 'r1', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_same_failure_domain_rather_than_none(self):
        self.assertEqual({'c'}, self.best(
            spare('c', 'r2'),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_shared_address_is_a_failure_domain(self):
        self.assertEqual({'d'}, self.best(
            spare('c', portals=namespace('b')['portals']),
            spare('d', size=9 * GIB)))

    def test_shared_subsystem_is_a_failure_domain(self):
        self.assertEqual({'d'}, self.best(
            spare('c', nqn=namespace('b')['nqn']), spare('d', size=9 * GIB)))

    def test_where_the_replica_was_lost_comes_later(self):
        self.assertEqual({'d'}, self.best(
            spare('c', 'r1', volumes=['vol1']), spare('d', 'r3', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_where_two_were_lost_comes_last(self):
        self.assertEqual({'c'}, self.best(
            spare('c', 'r1'), spare('d', 'r1', 9 * GIB),
            spare('e', 'r2', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))
        self.report('a', State.MISSING)
        self.report('c', State.MISSING)
        self.request('c')
        self.assertEqual({'a', 'b', 'c', 'e'}, set(self.listed()))


class AfterwardsTestCase(LocalTestCase):
    """What the operator edits after a replacement."""

    def setUp(self):
        super().setUp()
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.exchange('a')

    def held(self):
        """The spare keeps its place, and the volume its two replicas."""
        self.assertEqual({'b': 'AVAILABLE', 'c': 'UNKNOWN'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_old_replica_is_taken_out(self):
        self.write(volume('b'), spares=[spare('c')])
        self.held()

    def test_spare_is_taken_out(self):
        self.write(volume('a', 'b'))
        self.held()

    def test_spare_becomes_a_replica(self):
        self.write(volume('c', 'b'))
        self.held()
        self.write(volume('a', 'c', 'b'))
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_spare_is_listed_beside_the_old_replica(self):
        self.write(volume('a', 'c', 'b'))
        self.held()

    def test_both_are_taken_out(self):
        self.write(volume('b'))
        self.assertEqual({'b': 'AVAILABLE', 'c': 'TERMINATING'},
                         self.listed())
        self.assertEqual(1, self.volumes()['vol1'].replica_count)
        self.write(volume('b'), spares=[spare('c')])
        self.held()
        self.write(volume('b'))
        self.confirm('c')
        self.assertEqual({'b': 'AVAILABLE'}, self.listed())

    def test_used_namespace_needs_the_operators_word(self):
        self.write(volume('b'), spares=[spare('c'), spare('a')])
        self.rejected(ns('a') + ': was in use before', '"returned: 1"',
                      call=lambda: self.request('b'))
        self.write(volume('b'), spares=[spare('c'),
                                        spare('a', returned=True)])
        self.request('b')
        self.assertEqual({'a': 'UNKNOWN', 'b': 'AVAILABLE', 'c': 'UNKNOWN'},
                         self.listed())

    def test_one_word_counts_once(self):
        self.write(volume('b'), spares=[spare('c'), spare('a', returned=1)])
        self.exchange('b')
        self.assertEqual({'a', 'c'}, set(self.listed()))
        self.write(volume('c'), spares=[spare('a', returned=1),
                                        spare('b', returned=1)])
        self.exchange('a')
        self.assertEqual({'b', 'c'}, set(self.listed()))
        self.rejected(ns('a') + ': was in use before; "returned: 2"',
                      call=lambda: self.request('c'))

    def test_used_namespace_of_a_removed_volume(self):
        other = volume('d', 'e', uuid=OTHER, alias='vol2')
        self.write(other, spares=[spare('b'), spare('c', returned=5)])
        self.assertEqual({'vol2'}, set(self.volumes()))
        self.request('d', alias='vol2')
        self.assertEqual({'c', 'd', 'e'}, set(self.listed('vol2')))
        self.assertEqual(1, self.driver._ledger.used()[ns('c')])
        self.rejected(ns('b') + ': was in use before; "returned: 1"',
                      call=lambda: self.request('e', alias='vol2'))
        # the volume returns: the spare it had is another's now
        self.write(other, volume('a', 'b'), spares=[spare('c', returned=5)])
        self.assertEqual({'a': 'UNKNOWN', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual({'c', 'd', 'e'}, set(self.listed('vol2')))

    def test_replica_of_a_removed_volume_moves_to_another(self):
        self.write(volume('b', 'c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'b', 'c'}, set(self.listed('vol2')))
        self.write(volume('a', 'b'),
                   volume('c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'b': 'TERMINATING', 'c': 'AVAILABLE'},
                         self.listed('vol2'))
        self.assertEqual({'a': 'UNKNOWN'}, self.listed())


class SharedFileTestCase(LocalTestCase):
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
