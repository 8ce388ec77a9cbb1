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
"""nvme-agent-fleet drain, where not everything goes well."""

import contextlib
import io
import json
from unittest import mock

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.cmd import fleet
from os_brick.cmd import fleet_drain

ns = etcd_fleet.ns
SHELF = 'nqn.2014-08.org.example:shelf'
REPLICA = ('{uuid: %s, nqn: "nqn.2014-08.org.example:%s", portals: '
           '[{address: 192.0.2.1}], size: %dMiB}')


class DrainTestCase(etcd_fleet.FleetTestCase):
    """Volume 1 is big, and only volumes 2 and 3 have spares that fit."""

    def setUp(self):
        super().setUp()
        self.operator.begin()
        text = 'volumes:\n'
        for number, size in ((1, 900), (2, 100), (3, 100)):
            text += ' - {uuid: %s, alias: v%d, size: %dMiB, replicas: ' % (
                etcd_fleet.volume_uuid(number), number, size)
            text += '[%s, %s]}\n' % (
                REPLICA % (ns(10 * number), 'shelf', size),
                REPLICA % (ns(10 * number + 1), 'other', size))
        text += 'spares: [%s]\n' % ', '.join(
            REPLICA % (ns(number), 's%d' % number, 100)
            for number in (91, 92))
        fleet.loading.load(self.store, self.keys, inventory_file.parse(
            'the file', text.encode()), 'one', False)
        self.driver().heartbeat(etcd_fleet.host(), 30.0)
        self.sound = self.wire.call
        patched = mock.patch.object(fleet, '_read', mock.Mock(
            return_value=mock.Mock(etcd_prefix=self.prefix)))
        patched.start()
        self.addCleanup(patched.stop)
        patched = mock.patch.object(fleet.etcd, 'connect',
                                    lambda conf: self.wire)
        patched.start()
        self.addCleanup(patched.stop)
        self.sleeps = 0

    def drain(self, *more, sleep=None):
        """Return exit status, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(err), \
                mock.patch.object(fleet_drain.time, 'sleep',
                                  sleep or self.heal):
            status = fleet.main(['drain', SHELF, *more])
        return status, out.getvalue(), err.getvalue()

    def heal(self, seconds):
        """Let go of all that is on the move, as the agents would."""
        self.sleeps += 1
        self.assertLess(self.sleeps, 100, 'it does not end')
        driver = self.driver()
        for volume in driver.get_volumes(etcd_fleet.host(), (), ()):
            for replica in volume.replicas:
                if replica.state is etcd_fleet.State.TERMINATING:
                    driver.confirm_replica_removed(volume, replica)

    def test_a_volume_without_a_spare_stands_in_nobodys_way(self):
        status, out, _err = self.drain()
        self.assertEqual(1, status)
        self.assertEqual(2, out.count(' -> '), out)
        self.assertRegex(out, 'not begun: %s of volume v1: no spare' % ns(10))
        self.assertIn('3 replicas are still on', out)

    def test_waited_for_it_ends_when_only_the_operator_can_help(self):
        status, out, err = self.drain('--wait', '--at-once', '1', '--json')
        found = json.loads(out)
        self.assertEqual((1, 1, 2), (status, found['left'],
                                     len(found['begun'])))
        self.assertEqual(['v1'], [one['volume']
                                  for one in found['not_begun']])
        self.assertIn('2 of 3 replicas have left', err)
        # told once, not in each step
        self.assertEqual(1, err.count('not begun'), err)

    def test_etcd_that_fails_for_a_while_does_not_end_it(self):
        self.load({}, spares=(), name='one')
        steps = []

        def sleep(seconds):
            steps.append(seconds)
            if len(steps) == 1:
                self.wire.call = mock.Mock(
                    side_effect=vendor.Unavailable('no leader'))
            elif len(steps) == 9:
                self.wire.call = self.sound
            elif len(steps) > 9:
                self.heal(seconds)
        status, out, err = self.drain('--wait', '--at-once', '1',
                                      sleep=sleep)
        self.assertEqual(2, out.count(' -> '), out)
        self.assertIn('1 replicas are still on', out)
        self.assertEqual(1, err.count('no leader; it is tried again'), err)
        self.assertNotIn('ended early', out)

    def test_etcd_that_stays_away_ends_it_and_what_was_begun_is_told(self):
        def sleep(seconds):
            self.sleeps += 1
            self.assertLess(self.sleeps, 100, 'it does not end')
            self.wire.call = mock.Mock(
                side_effect=vendor.Unavailable('no leader'))
        status, out, err = self.drain('--wait', sleep=sleep)
        self.assertEqual(1, status)
        self.assertEqual(2, out.count(' -> '), out)
        self.assertIn('ended early: no leader', out)

    def test_what_changes_meanwhile_is_begun_in_the_next_step(self):
        true_write, lost = store.Store.write, []

        def write(one, transaction):
            if len(lost) < 2 and any(key.startswith(self.keys.uses)
                                     for key in transaction.puts):
                lost.append(transaction)
                return None
            return true_write(one, transaction)

        with mock.patch.object(store.Store, 'write', write):
            status, out, err = self.drain('--wait')
        self.assertIn('changed meanwhile', err)
        self.assertNotIn('changed meanwhile', out)
        self.assertEqual(2, out.count(' -> '), out)

    def test_etcd_that_fails_in_the_middle_of_a_step(self):
        true_write, done = store.Store.write, []

        def write(one, transaction):
            if any(key.startswith(self.keys.uses)
                   for key in transaction.puts):
                if done:
                    raise vendor.Unavailable('no leader')
                done.append(transaction)
            return true_write(one, transaction)

        with mock.patch.object(store.Store, 'write', write):
            status, out, _err = self.drain()
        self.assertEqual((1, 1), (status, out.count(' -> ')))
        self.assertIn('ended early: no leader', out)

    def test_on_hold_nothing_is_begun_and_it_is_said_why(self):
        self.operator.hold('a test')
        status, out, _err = self.drain('--wait')
        self.assertEqual((1, 3), (status, out.count(
            'the fleet is on hold: a test')))

    def silence(self, *names):
        """The leases of these hosts end."""
        for name in names:
            self.store.write(store.Write({self.keys.alive(name): None}))

    def test_a_host_that_does_not_heal_is_left_out_and_named(self):
        before = self.operator.everything().uses
        self.operator.fence('one', 'burns')
        status, out, _err = self.drain('--json')
        found = json.loads(out)
        self.assertEqual((1, 3, []), (status, found['left'],
                                      found['begun']))
        self.assertEqual({('one', ns(10 * number), 'the host one, which '
                           'heals volume v%d, is fenced: burns' % number)
                          for number in (1, 2, 3)}, {
            (one['host'], one['replica'], one['why'])
            for one in found['not_begun']})
        self.operator.unfence('one')
        self.silence('one')
        status, out, err = self.drain('--wait')
        self.assertIn('no agent shows itself as the host one', out)
        self.assertEqual((1, before), (
            status, self.operator.everything().uses))
        error = self.assertRaises(vendor.Rejected, self.operator.move, ns(20))
        self.assertIn('no agent shows itself', str(error))

    def test_it_comes_back_to_a_host_that_heals_again(self):
        def sleep(seconds):
            self.driver().heartbeat(etcd_fleet.host(), 30.0)
            self.heal(seconds)

        # another volume, of a host that is alive, keeps the drain going
        fleet.loading.load(self.store, self.keys, inventory_file.parse(
            'the file', ('volumes: [{uuid: %s, alias: v4, size: 100MiB, '
                         'replicas: [%s, %s]}]' % (
                             etcd_fleet.volume_uuid(4),
                             REPLICA % (ns(40), 'shelf', 100),
                             REPLICA % (ns(41), 'other', 100))).encode()),
            'two', False)
        self.driver('two').heartbeat(etcd_fleet.host('two'), 30.0)
        self.silence('one')
        status, out, err = self.drain('--wait', '--at-once', '1', sleep=(
            lambda seconds: (sleep(seconds), self.let_go('two'))))
        lines = err.splitlines()
        told = [number for number, line in enumerate(lines)
                if 'no agent shows itself' in line]
        begun = [number for number, line in enumerate(lines)
                 if ' -> ' in line]
        self.assertEqual((3, 2), (len(told), len(begun)), err)
        self.assertLess(told[-1], begun[-1])
        self.assertIn('2 replicas are still on', out)

    def let_go(self, name):
        driver = self.driver(name)
        for volume in driver.get_volumes(etcd_fleet.host(name), (), ()):
            for replica in volume.replicas:
                if replica.state is etcd_fleet.State.TERMINATING:
                    driver.confirm_replica_removed(volume, replica)

    def test_what_was_begun_and_does_not_go_on_takes_no_turn(self):
        status, out, _err = self.drain('--at-once', '1')
        self.assertEqual(1, out.count(' -> '))
        self.silence('one')
        status, out, _err = self.drain('--at-once', '1', '--wait', '--json')
        found = json.loads(out)
        stalled, = found['stalled']
        self.assertEqual((1, 'one', 2), (status, stalled['host'],
                                         len(found['not_begun'])))
        self.assertIn('no agent shows itself', stalled['why'])
        status, out, _err = self.drain('--at-once', '1')
        self.assertIn('does not go on: %s of volume' % stalled['replica'],
                      out)
        # its host is back: one at once, and that is it
        self.driver().heartbeat(etcd_fleet.host(), 30.0)
        status, out, _err = self.drain('--at-once', '1')
        self.assertEqual((0, 0), (status, out.count(' -> ')), out)

    def test_a_hand_over_that_is_not_done_is_waited_for(self):
        self.driver('two').heartbeat(etcd_fleet.host('two'), 30.0)
        self.operator.hand_over('v2', 'two')
        status, out, _err = self.drain()
        self.assertIn('not begun: %s of volume v2: volume v2 is being handed '
                      'over to the host two' % ns(20), out)
        self.assertEqual(1, out.count(' -> '), out)

    def test_fenced_just_before_it_is_begun(self):
        true_write = store.Store.write

        def write(one, transaction):
            if any(key.startswith(self.keys.uses)
                   for key in transaction.puts):
                true_write(one, store.Write({self.keys.fenced('one'):
                                             'burns'}))
            return true_write(one, transaction)

        with mock.patch.object(store.Store, 'write', write):
            _status, out, _err = self.drain()
        self.assertEqual(0, out.count(' -> '), out)
        self.assertIn('changed meanwhile', out)

    def test_none_at_once_is_refused(self):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertRaises(SystemExit, fleet.main,
                              ['drain', SHELF, '--at-once', '0'])
        self.assertIn('never come to an end', err.getvalue())
