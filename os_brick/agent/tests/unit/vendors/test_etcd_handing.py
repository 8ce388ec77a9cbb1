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
"""A volume is handed over: who says what, and who heals when."""

import os
from unittest import mock

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_handing_agent
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store

NAMES = etcd_handing_agent.NAMES
host = etcd_fleet.host


class HandOverTestCase(etcd_fleet.RealTestCase):

    def setUp(self):
        super().setUp()
        self.begin(spares=(3,))
        self.one, self.two = map(self.alive, NAMES[:2])

    def alive(self, name):
        driver = self.driver(name)
        driver.heartbeat(host(name), 30)
        self.volumes(driver, name)
        return driver

    def observes(self, driver, name):
        return self.volumes(driver, name)['v1'].observe

    def go_on(self, under_way):
        under_way.look()
        under_way.step()
        return under_way.waits_for

    def say(self, driver):
        """The agent goes on with its pass: it works with what it was told."""
        driver.delay_resyncs((), ())

    def test_the_next_one_begins_when_the_one_before_has_said_so(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.assertEqual(('one',), under_way.waits_for)
        # it does not know yet, and goes on healing
        self.say(self.one)
        self.assertEqual(('one',), self.go_on(under_way))
        self.assertTrue(self.observes(self.two, 'two'))
        self.assertTrue(self.observes(self.one, 'one'))
        # it was told, which is not to say that it goes by that
        self.assertEqual(('one',), self.go_on(under_way))
        self.assertTrue(self.observes(self.two, 'two'))
        self.say(self.one)
        self.assertTrue(self.observes(self.two, 'two'))
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('', self.observes(self.two, 'two'))
        self.assertIn('two', self.observes(self.one, 'one'))
        self.two.request_replacement(self.volume(), self.replica(1))
        revision = self.store.read(['/x']).point.revision
        self.assertEqual((), self.go_on(under_way))
        self.say(self.one)
        self.assertEqual(revision, self.store.read(['/x']).point.revision)
        # who observes for long makes no request for that
        self.volumes(self.one)
        with mock.patch.object(self.one._share, '_look',
                               side_effect=AssertionError):
            self.say(self.one)

    def test_nobody_heals_in_between_and_it_is_said(self):
        self.operator.hand_over('v1', 'two')
        for driver, name in ((self.one, 'one'), (self.two, 'two')):
            self.volumes(driver, name)
            for call, more in (
                    (driver.request_replacement, ()),
                    (driver.retire_replica, ()),
                    (driver.confirm_replica_removed, ()),
                    (driver.report_replica_state, (
                        model.ReplicaState.MISSING,))):
                self.assertRaises(vendor.Rejected, call, self.volume(),
                                  self.replica(1), *more)

    def test_killed_after_it_was_told_it_says_nothing_before_it_knows(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        again = self.driver('one')
        again._meet(host('one'))
        self.say(again)
        self.assertEqual(('one',), self.go_on(under_way))
        self.volumes(again)
        self.say(again)
        self.assertEqual((), self.go_on(under_way))

    def test_what_a_restart_would_not_remember_is_not_said(self):
        under_way = self.operator.hand_over('v1', 'two')
        path = os.path.join(self.directory, 'one', 'etcd.json.new')
        os.mkdir(path)
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual(('one',), self.go_on(under_way))
        os.rmdir(path)
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))

    def test_in_between_no_host_says_that_another_one_heals(self):
        under_way = self.operator.hand_over('v1', 'two')
        for _pass in range(2):
            for driver, name in ((self.one, 'one'), (self.two, 'two')):
                self.assertIn('its hand-over is not done',
                              self.observes(driver, name))
                self.say(driver)
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('the host two heals it',
                         self.observes(self.one, 'one'))
        self.assertEqual('', self.observes(self.two, 'two'))

    def test_while_md_copies_it_is_not_said(self):
        """The next host would put the same replica into its own array."""
        under_way = self.operator.hand_over('v1', 'two')
        volume = self.volumes(self.one)['v1']
        copying = model.Resync(volume, volume.replicas[1], False)
        with self.assertLogs('os_brick.agent.log_once', 'INFO') as logs:
            for _pass in range(2):
                self.one.delay_resyncs([copying], ())
                self.assertEqual(('one',), self.go_on(under_way))
        self.assertEqual(1, ''.join(logs.output).count('md here still copies '
                                                       'to replica'))
        # another volume's copy is in nobody's way
        self.one.delay_resyncs([model.Resync(
            self.volume(2), self.replica(9), False)], ())
        self.assertEqual((), self.go_on(under_way))

    def test_it_may_be_taken_back_before_it_is_done(self):
        self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        self.assertEqual((), self.operator.hand_over('v1', 'one').waits_for)
        self.assertEqual('', self.observes(self.one, 'one'))
        self.assertIn('one', self.observes(self.two, 'two'))
        self.one.request_replacement(self.volume(), self.replica(1))
        self.assertIn(3, self.states(self.one))

    def test_it_may_go_to_a_third_one_before_it_is_done(self):
        three = self.alive('three')
        first = self.operator.hand_over('v1', 'two')
        under_way = self.operator.hand_over('v1', 'three')
        error = self.assertRaises(vendor.Rejected, first.look)
        self.assertIn('three', str(error))
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('', self.observes(three, 'three'))
        self.assertIn('three', self.observes(self.two, 'two'))

    def test_one_that_is_silent_may_go_on_healing(self):
        self.wire.call('lease/revoke', {'ID': str(self.one._lease)})
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'two')
        self.assertIn('--source-stopped', str(error))
        self.assertEqual({self.volume().uuid: 'one'},
                         self.operator.everything().owners)
        self.assertEqual((), self.operator.hand_over(
            'v1', 'two', stopped=True).waits_for)
        self.assertEqual('', self.observes(self.two, 'two'))

    def test_it_is_not_detached_before_it_has_said_so(self):
        under_way = self.operator.hand_over('v1', 'two')
        error = self.assertRaises(vendor.Rejected, self.operator.detach, 'v1',
                                  'one')
        self.assertIn('has not said yet', str(error))
        self.volumes(self.one)
        self.say(self.one)
        # by its document the next one knows that it may begin
        error = self.assertRaises(vendor.Rejected, self.operator.detach, 'v1',
                                  'one')
        self.assertIn('is not done', str(error))
        self.go_on(under_way)
        self.operator.detach('v1', 'one')

    def test_nor_before_it_has_read_that_it_was_said_to_be_stopped(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        for _again in range(2):
            error = self.assertRaises(vendor.Rejected, self.operator.detach,
                                      'v1', 'one')
            self.assertIn('the host one was said to be stopped', str(error))
            self.volumes(self.one)    # read, and not yet in force
        self.say(self.one)
        self.operator.detach('v1', 'one')

    def test_who_never_comes_back_is_detached(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        self.operator.detach('v1', 'one', gone=True)
        self.assertEqual(['two'], [
            name for name, _uuid in self.operator.everything().records])

    def test_it_is_not_loaded_in_the_middle(self):
        under_way = self.operator.hand_over('v1', 'two')
        for name in ('two', ''):
            error = self.assertRaises(vendor.Rejected, self.load,
                                      {1: (1, 4)}, name=name)
            self.assertIn('does not heal it yet, and the host one may',
                          str(error))
        self.volumes(self.one)
        self.say(self.one)
        self.assertRaises(vendor.Rejected, self.load, {1: (1, 4)}, name='')
        self.go_on(under_way)
        self.load({1: (1, 4)}, name='')
        self.assertIn(4, self.states(self.two, 'two'))

    def test_a_document_that_cannot_be_read_may_be_that_of_a_healer(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        key = self.keys.volume('one', self.volume().uuid)
        self.store.write(store.Write({key: '{'}))
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'one')
        self.assertIn('the host one cannot be read', str(error))

    def test_etcd_that_fails_costs_the_word_and_nothing_else(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        sound = self.one._share._store.write

        def fail(write):
            raise vendor.Unavailable('no leader')

        self.one._share._store.write = fail
        with self.assertLogs(
                'os_brick.agent.log_once', 'WARNING') as logs:
            self.say(self.one)
        self.assertIn('no leader', ''.join(logs.output))
        self.assertEqual(('one',), self.go_on(under_way))
        self.one._share._store.write = sound
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))
