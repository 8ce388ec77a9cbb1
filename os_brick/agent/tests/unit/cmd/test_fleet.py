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
"""nvme-agent-fleet against a real etcd, as it is called."""

import contextlib
import io
import json
import os
from unittest import mock

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors import local
from os_brick.cmd import fleet
from os_brick.cmd import fleet_drain
from os_brick.cmd import fleet_hand_over

State = model.ReplicaState
ns = etcd_fleet.ns
FILE = """
volumes:
  - {uuid: %s, alias: v1, replicas: [%s, %s]}
spares: [%s]
"""


class CommandTestCase(etcd_fleet.RealTestCase):

    def setUp(self):
        super().setUp()
        self.config = os.path.join(self.directory, 'fleet.conf')
        with open(self.config, 'w') as stream:
            stream.write('[DEFAULT]\netcd_endpoints = %s\netcd_prefix = %s\n'
                         % (self.member.url, self.prefix))

    def write(self, *members, spares=(3,)):
        path = os.path.join(self.directory, 'volumes.yaml')
        with open(path, 'w') as stream:
            stream.write(FILE % (
                etcd_fleet.volume_uuid(1),
                *map(etcd_fleet.namespace, members),
                ', '.join(map(etcd_fleet.namespace, spares))))
        return path

    def shown(self, *arguments, status=0):
        """Return standard output, whatever the status is."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(io.StringIO()):
            found = fleet.main([arguments[0], '--config-file', self.config,
                                *arguments[1:]])
        self.assertEqual(status, found, out.getvalue())
        return out.getvalue()

    def run_it(self, *arguments, status=0):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(err):
            found = fleet.main([arguments[0], '--config-file', self.config,
                                *arguments[1:]])
        self.assertEqual(status, found, out.getvalue() + err.getvalue())
        return out.getvalue() if not status else err.getvalue()

    def begin(self, *names):
        """Make the fleet; these hosts' agents show themselves."""
        self.run_it('init')
        for name in names or ('one',):
            driver = self.driver(name)
            for _pass in range(2):
                driver.heartbeat(etcd_fleet.host(name), 30.0)
                self.volumes(driver, name)

    def test_a_file_is_loaded_and_its_difference_shown(self):
        self.begin()
        path = self.write(1, 2)
        self.assertIn('no host is named', self.run_it('load', path,
                                                      status=1))
        shown = self.run_it('load', path, '--host', 'one', '--dry-run')
        self.assertIn('+ volume v1 of one', shown)
        self.assertEqual([], json.loads(self.run_it(
            'status', '--json'))['volumes'])
        self.assertEqual(
            json.loads(self.run_it('load', path, '--host', 'one', '--json')
                       )['changes'], shown.splitlines())
        self.assertIn('nothing differs', self.run_it('load', path))
        with open(path) as stream:
            text = stream.read()
        with open(path, 'w') as stream:
            stream.write(text.replace('alias: v1', 'alias: v1, size: 1MiB'))
        self.assertEqual(
            ['~ volume v1 of one', '  ~ size: None -> 1048576'],
            self.run_it('load', path, '--dry-run').splitlines())
        with open(path, 'w') as stream:
            stream.write(text)
        self.assertIn('hand it over', self.run_it(
            'load', path, '--host', 'two', status=1))
        status = json.loads(self.run_it('status', '--json'))
        self.assertEqual(['AVAILABLE'] * 2, [
            one['state'] for one in status['volumes'][0]['replicas']])
        self.assertIn('alive', self.run_it('status'))
        self.assertIn('free', self.run_it('spares'))

    def test_a_replica_that_is_left_out_is_to_be_let_go(self):
        self.begin()
        self.run_it('load', self.write(1, 2), '--host', 'one')
        shown = self.run_it('load', self.write(1, 4))
        self.assertIn('~ replica %s: TERMINATING' % ns(2), shown)
        driver = self.driver()
        self.assertEqual({1: 'AVAILABLE', 2: 'TERMINATING', 4: 'UNKNOWN'},
                         self.states(driver))
        driver.confirm_replica_removed(self.volume(), self.replica(2))
        self.assertIn('nothing differs', self.run_it('load',
                                                     self.write(1, 4)))
        # what another volume has is not listed twice
        self.load({2: (5, 6)}, name='one')
        self.assertIn('in use by volume', self.run_it(
            'load', self.write(1, 5), status=1))

    def test_a_replacement_survives_the_old_file(self):
        self.begin()
        path = self.write(1, 2)
        self.run_it('load', path, '--host', 'one')
        driver = self.driver()
        driver.request_replacement(self.volume(), self.replica(1))
        driver.retire_replica(self.volume(), self.replica(1))
        driver.confirm_replica_removed(self.volume(), self.replica(1))
        self.run_it('load', path)
        self.assertEqual({2, 3}, set(self.states(driver)))

    def test_drain_moves_some_at_a_time(self):
        self.begin()
        self.run_it('load', self.write(1, 2, spares=(3, 4)), '--host', 'one')
        self.load({2: (7, 8)}, name='one')
        driver = self.driver()
        target = 'nqn.2014-08.org.example:t1'
        shown = self.run_it('drain', target)
        self.assertIn('1 replicas are still on', shown)
        states = self.states(driver)
        self.assertEqual('TERMINATING', states[1])
        self.assertEqual(2, self.volumes(driver)['v1'].replica_count)
        self.assertNotIn('->', self.run_it('drain', target))

        def heal(seconds):
            driver.confirm_replica_removed(self.volume(), self.replica(1))

        with mock.patch.object(fleet_drain.time, 'sleep', heal):
            self.assertIn('0 replicas', self.run_it('drain', target,
                                                    '--wait'))
        self.run_it('move', ns(7), '--json')
        # one is on the move: no second one at once
        self.assertNotIn('->', self.run_it(
            'drain', 'nqn.2014-08.org.example:t8', '--at-once', '1'))

    def test_a_volume_gives_up_one_replica_at_a_time(self):
        self.begin()
        self.run_it('load', self.write(1, 2, spares=(3, 4)), '--host', 'one')
        self.run_it('move', ns(1))
        self.assertIn('one at a time', self.run_it('move', ns(2), status=1))
        other = 'nqn.2014-08.org.example:t2'
        shown = self.run_it('drain', other)
        self.assertNotIn('->', shown)
        self.assertIn('1 replicas are still', shown)
        driver = self.driver()
        self.volumes(driver)
        driver.confirm_replica_removed(self.volume(), self.replica(1))
        self.assertIn('->', self.run_it('drain', other))

    def test_a_drain_tells_how_far_it_is(self):
        self.begin()
        self.run_it('load', self.write(1, 2, spares=(3, 4)), '--host', 'one')
        driver = self.driver()
        self.volumes(driver)
        err = io.StringIO()
        with mock.patch.object(
                fleet_drain.time, 'sleep',
                lambda seconds: driver.confirm_replica_removed(
                    self.volume(), self.replica(1))), \
                contextlib.redirect_stderr(err):
            fleet.main(['drain', '--config-file', self.config, '--wait',
                        'nqn.2014-08.org.example:t1'])
        self.assertEqual(['%s -> %s' % (ns(1), ns(spare))
                          for spare in set(self.states(driver)) - {2}]
                         + ['0 of 1', '1 of 1'], [
            line if '->' in line else line[:6]
            for line in err.getvalue().splitlines()])

    def test_a_name_that_was_mistyped_is_refused(self):
        self.begin()
        self.run_it('load', self.write(1, 2), '--host', 'one')
        for words in (('cordon', 'nqn:t9'), ('uncordon', 'nqn:t9'),
                      ('drain', 'nqn:t9'), ('fence', 'two', 'burns'),
                      ('unfence', 'two')):
            self.assertIn('in etcd', self.run_it(*words, status=1))
        found = json.loads(self.run_it('status', '--json'))
        self.assertEqual(([], [('one', '')]), (found['cordoned'], [
            (one['host'], one['fenced']) for one in found['hosts']]))
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertRaises(SystemExit, fleet.main, ['move', 'x'])
        self.assertIn('x is no UUID', err.getvalue())

    def test_a_host_that_was_mistyped_is_loaded_nothing(self):
        self.begin()
        path = self.write(1, 2)
        for words in (('--host', 'oen'), ('--host', 'oen', '--dry-run')):
            self.assertIn('shown itself as the host "oen"', self.run_it(
                'load', path, *words, status=1))
        self.assertEqual({}, self.operator.everything().records)
        self.run_it('load', path, '--host', 'one')
        with open(path) as stream:
            text = stream.read()
        with open(path, 'w') as stream:
            stream.write(text.replace('spares: [{', 'spares: [{host: oen, '))
        self.assertIn('"oen"', self.run_it('load', path, status=1))
        self.run_it('load', path, '--force')
        # what is loaded is not asked about again
        self.assertIn('nothing differs', self.run_it('load', path))
        for name in ('nqn.2014-08.org.example:one', 'ONE'):
            with open(path, 'w') as stream:
                stream.write(text.replace('spares: [{',
                                          'spares: [{host: "%s", ' % name))
            self.run_it('load', path)

    def test_a_host_that_is_silent_was_heard_of(self):
        self.run_it('init')
        driver = self.driver('two')
        driver.report_event(model.Event('KIND', events.INFO, 'said once'))
        self.assertEqual({}, self.operator.everything().alive)
        self.run_it('load', self.write(1, 2), '--host', 'two')

    def test_without_a_reason_nothing_is_fenced_or_held_or_let_loose(self):
        """An empty shell variable must not end a fence or a hold."""
        self.begin()
        self.run_it('load', self.write(1, 2), '--host', 'one')
        self.run_it('fence', 'one', 'burns')
        self.run_it('hold', 'because')
        for why in ('', ' \t\n'):
            for words in (('fence', 'one'), ('hold',)):
                self.assertIn('the reason is empty', self.run_it(
                    *words, why, status=1))
        found = json.loads(self.run_it('status', '--json'))
        self.assertEqual(('burns', 'because'), (
            found['hosts'][0]['fenced'], found['hold']))
        self.run_it('unfence', 'one')
        self.run_it('resume')
        found = json.loads(self.run_it('status', '--json'))
        self.assertEqual(('', ''), (
            found['hosts'][0]['fenced'], found['hold']))

    def test_options_stand_before_the_command_or_after_it(self):
        self.run_it('init')
        for words in (['--config-file', self.config, '--json', 'status'],
                      ['--json', 'status', '--config-file', self.config],
                      ['status', '--config-file', self.config, '--json']):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(0, fleet.main(words))
            self.assertEqual([], json.loads(out.getvalue())['volumes'])

    def test_limits_are_set_and_shown(self):
        self.begin()
        self.assertIn('any number', self.run_it('limits'))
        self.run_it('limits', '--target', '2')
        self.run_it('limits', '--all', '5')
        self.assertIn('at most 2 to one target, 5 in all',
                      self.run_it('status'))
        self.assertEqual({'target': 2, 'domain': 0, 'total': 5},
                         json.loads(self.run_it('limits', '--json')))
        self.run_it('load', self.write(1, 2), '--host', 'one')
        driver = self.driver()
        driver.heartbeat(etcd_fleet.host('one'), 1.0)
        self.volumes(driver)
        driver.delay_resyncs([], [model.Resync(self.volume(),
                                               self.replica(2))])
        self.assertRegex(self.run_it('status'),
                         'v1 +one +%s +repair +nqn.2014' % ns(2))
        self.run_it('hold', 'because')
        self.run_it('accept')
        self.assertIn('2 to one target', self.run_it('limits'))

    def test_the_words_that_change_one_thing(self):
        self.begin()
        self.run_it('load', self.write(1, 2), '--host', 'one')
        driver = self.driver()
        self.run_it('cordon', 'nqn.2014-08.org.example:t3')
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.assertIn('cordoned', self.run_it('spares'))
        self.run_it('uncordon', 'nqn.2014-08.org.example:t3')
        self.run_it('fence', 'one', 'burns')
        self.assertIn('burns', self.volumes(driver)['v1'].observe)
        self.run_it('unfence', 'one')
        self.run_it('hold', 'because')
        self.assertIn('ON HOLD: because', self.run_it('status'))
        self.run_it('resume')
        driver.request_replacement(self.volume(), self.replica(1))
        driver.retire_replica(self.volume(), self.replica(1))
        driver.confirm_replica_removed(self.volume(), self.replica(1))
        self.assertIn('let go', self.run_it('spares'))
        self.assertIn('was never in use', self.run_it(
            'give-back', ns(9), status=1))
        self.assertIn('mdadm --zero-superblock',
                      self.run_it('give-back', ns(1)))
        self.assertIn('no agent shows itself as the host "two"', self.run_it(
            'hand-over', 'v1', 'two', status=1))
        self.volumes(driver)
        self.assertIn('NOBODY heals v1: the agent of the host one has not',
                      self.shown('hand-over', 'v1', 'two', '--force',
                                 '--timeout', '0', status=1))
        self.assertIn('PROBLEM: volume v1: nobody heals it',
                      self.run_it('status'))
        with mock.patch.object(
                fleet_hand_over.time, 'sleep', lambda seconds: (
                    self.volumes(driver), driver.delay_resyncs((), ()))):
            self.assertIn('the host two heals v1', self.run_it(
                'hand-over', 'v1', 'two'))
        self.assertNotIn('PROBLEM', self.run_it('status'))
        self.assertIn('heals volume', self.run_it('detach', 'v1', 'two',
                                                  status=1))
        self.run_it('detach', 'v1', 'one')
        self.run_it('remove', 'v1')
        self.assertEqual({'let go', 'free'}, {
            one['state'] for one in json.loads(
                self.run_it('spares', '--json'))})
        self.assertIn('role add nvme-agent-one', self.run_it('roles', 'one'))
        self.assertIn('generation 2', self.run_it('accept'))

    def test_from_local_to_etcd_and_back(self):
        path = self.write(1, 2, spares=(3, 4))
        with open(path, 'a') as stream:
            stream.write('host: one\n')
        os.utime(path, (1e9, 1e9))
        conf = self.conf()
        conf.register_opts(list(local.LocalDriver.options()))
        conf.set_override('local_inventory_file', path)
        before = local.LocalDriver(conf)
        before.set_up()
        self.volumes(before)
        before.request_replacement(self.volume(), self.replica(1))
        before.retire_replica(self.volume(), self.replica(1))
        before.confirm_replica_removed(self.volume(), self.replica(1))
        taken = self.states(before)
        before.close()
        self.run_it('init')
        ledger = os.path.join(self.directory, 'one', 'local.sqlite')
        self.assertIn('no ledger', self.run_it(
            'load', path, '--host', 'one', '--ledger', ledger + 'x',
            '--force', status=1))
        self.assertIn('ever shown itself', self.run_it(
            'load', path, '--host', 'one', '--ledger', ledger, status=1))
        self.run_it('load', path, '--host', 'one', '--ledger', ledger,
                    '--force')
        driver = self.driver()
        self.assertEqual(taken, self.states(driver))
        states = {one['uuid']: one['state'] for one in json.loads(
            self.run_it('spares', '--json'))}
        spare, = set(taken) - {1, 2}
        other, = {3, 4} - {spare}
        self.assertEqual({ns(1): 'let go', ns(spare): 'in use',
                          ns(other): 'free'}, states)
        self.assertIn('nothing differs', self.run_it('load', path))
        # and back
        text = self.run_it('export', 'one')
        found = inventory_file.parse('exported', text.encode())
        self.assertEqual({ns(2), ns(spare)}, {
            one.uuid for one in found.volumes[0].replicas})
        driver.request_replacement(self.volume(), self.replica(2))
        self.assertIn('being exchanged', self.run_it('export', 'one',
                                                     status=1))

    def test_an_error_is_one_line(self):
        text = self.run_it('status', status=1)
        self.assertIn('nvme-agent-fleet init', text)
        self.assertEqual(1, len(text.splitlines()))
        self.assertIn('No such file', self.run_it('load', '/nonexistent',
                                                  status=1))
