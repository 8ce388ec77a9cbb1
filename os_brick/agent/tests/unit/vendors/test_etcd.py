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
"""The etcd driver against a real etcd: what it lists, takes and lets go."""

import base64
import json
import os
import threading

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

State = model.ReplicaState
host = etcd_fleet.host
ns = etcd_fleet.ns


def array(*numbers):
    legs = tuple(model.Leg('nvme%dn1' % one, slot, frozenset(['in_sync']),
                           ns(one)) for slot, one in enumerate(numbers))
    return model.Array('md0', 'v1', None, len(legs), 0, 'clean', 'idle',
                       2 ** 20, legs)


class StoryTestCase(etcd_fleet.RealTestCase):

    def test_a_replica_is_exchanged_and_given_back(self):
        self.begin(spares=(3,))
        driver = self.driver()
        driver.heartbeat(host(), 30)
        self.assertEqual({1: 'AVAILABLE', 2: 'AVAILABLE'},
                         self.states(driver))
        driver.report_replica_state(self.volume(), self.replica(1),
                                    State.MISSING)
        self.assertEqual({1: 'MISSING', 2: 'AVAILABLE'}, self.states(driver))
        driver.request_replacement(self.volume(), self.replica(1))
        driver.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1: 'MISSING', 2: 'AVAILABLE', 3: 'UNKNOWN'},
                         self.states(driver))
        self.assertEqual(2, self.volumes(driver)['v1'].replica_count)
        for _again in range(2):
            driver.retire_replica(self.volume(), self.replica(1))
        self.assertEqual('TERMINATING', self.states(driver)[1])
        for _again in range(2):
            driver.confirm_replica_removed(self.volume(), self.replica(1))
        self.assertEqual({2: 'AVAILABLE', 3: 'UNKNOWN'}, self.states(driver))
        # what was in use is not handed out again by itself
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(), self.replica(2))
        self.assertRaises(vendor.Rejected, self.operator.give_back, ns(3))
        self.operator.give_back(ns(1))
        driver.request_replacement(self.volume(), self.replica(2))
        self.assertIn(1, self.states(driver))
        # the file that lists the first replica changes nothing of it
        self.assertEqual(1, self.operator.everything().uses[ns(1)].times)

    def test_what_cannot_be_is_declined(self):
        self.begin()
        driver = self.driver()
        self.assertRaises(vendor.Rejected, driver.report_replica_state,
                          self.volume(), self.replica(9), State.MISSING)
        self.assertRaises(vendor.Rejected, driver.report_replica_state,
                          self.volume(), self.replica(1), State.TERMINATING)
        self.assertRaises(vendor.Rejected, driver.retire_replica,
                          self.volume(), self.replica(1))
        self.assertRaises(vendor.Rejected, driver.confirm_replica_removed,
                          self.volume(), self.replica(1))
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(7), self.replica(1))
        driver.retire_replica(self.volume(), self.replica(9))
        driver.confirm_replica_removed(self.volume(), self.replica(9))
        error = self.assertRaises(
            vendor.Rejected, driver.request_replacement, self.volume(),
            self.replica(1))
        self.assertIn('it lists none', str(error))

    def test_a_state_is_written_on_change_only(self):
        self.begin()
        driver = self.driver()
        driver.report_replica_state(self.volume(), self.replica(1),
                                    State.MISSING)
        before = self.store.read([self.keys.schema]).point
        driver.report_replica_state(self.volume(), self.replica(1),
                                    State.MISSING)
        self.volumes(driver)
        self.assertEqual(before, self.store.read([self.keys.schema]).point)

    def test_the_hosts_key_lives_as_long_as_its_lease(self):
        self.begin()
        driver = self.driver()
        driver.heartbeat(host(), 30)
        lease = driver._lease
        driver.heartbeat(host(), 30)
        self.assertEqual(lease, driver._lease)
        said = json.loads(self.operator.everything().alive['one'])
        self.assertEqual(host().nqn, said['nqn'])
        self.wire.call('lease/revoke', {'ID': str(lease)})
        self.assertEqual({}, self.operator.everything().alive)
        driver.heartbeat(host(), 30)
        self.assertIn('one', self.operator.everything().alive)
        answer = self.wire.call('lease/timetolive',
                                {'ID': str(driver._lease)})
        self.assertEqual('90', answer['grantedTTL'])

    def test_the_hosts_key_says_which_generation_it_has(self):
        self.begin()
        driver = self.driver()
        for _pass in range(2):
            driver.heartbeat(host(), 30)
            self.volumes(driver)
        self.assertIn('"generation": 1',
                      self.operator.everything().alive['one'])

    def test_two_machines_of_one_name(self):
        self.begin()
        self.driver().heartbeat(host(), 30)
        other = self.driver('one-too')
        twin = model.Host('nqn.2014-08.org.example:twin', None, 'one')
        self.assertRaises(vendor.Rejected, other.heartbeat, twin, 30)
        self.assertRaises(vendor.BadAnswer, other.get_volumes, twin, (), ())

    def test_events_are_a_ring(self):
        self.begin()
        for _restart in range(3):
            driver = self.driver()
            for number in range(45):
                driver.report_event(model.Event('KIND', 'INFO', 'x' * 5000))
        found = self.store.read([], [self.keys.events('one')]).found
        self.assertEqual(100, len(found))
        self.assertEqual(set(range(35, 135)), {
            json.loads(value.text)['number'] for value in found.values()})

    def test_no_fleet_is_no_empty_answer(self):
        driver = self.driver()
        error = self.assertRaises(vendor.BadAnswer, driver.get_volumes,
                                  host(), (), ())
        self.assertIn('nvme-agent-fleet init', str(error))

    def test_a_document_that_cannot_be_read_costs_itself_alone(self):
        self.begin({1: (1, 2), 2: (3, 4)}, spares=(5, 6))
        driver = self.driver()
        key = self.keys.volume('one', etcd_fleet.volume_uuid(1))
        self.store.write(store.Write({key: '{"uuid": 7',
                                      self.keys.spares + ns(5): '[]',
                                      self.keys.uses + ns(6): 'x'}))
        self.assertEqual({'v2'}, set(self.volumes(driver)))
        # a namespace of which nobody can say whose it is is not taken
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(2), self.replica(3))

    def test_a_release_that_came_later_is_not_understood(self):
        self.begin()
        self.store.write(store.Write({self.keys.schema: '{"version": 2}'}))
        self.assertRaises(vendor.BadAnswer, self.driver().get_volumes,
                          host(), (), ())

    def test_cordoned_and_on_hold(self):
        self.begin(spares=(3,))
        driver = self.driver()
        target = 'nqn.2014-08.org.example:t3'
        self.operator.cordon(target, True)
        error = self.assertRaises(
            vendor.Rejected, driver.request_replacement, self.volume(),
            self.replica(1))
        self.assertIn('cordoned', str(error))
        self.operator.cordon(target, False)
        self.operator.hold('a test')
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.operator.resume()
        driver.request_replacement(self.volume(), self.replica(1))

    def test_hosts_that_want_the_same_spares_get_one_each(self):
        self.begin({one: (10 * one, 10 * one + 1) for one in range(1, 7)},
                   spares=(91, 92, 93, 94), name='one')
        for number in range(2, 7):
            self.operator.hand_over('v%d' % number, 'h%d' % number,
                                    force=True, stopped=True)
        names = {1: 'one', **{one: 'h%d' % one for one in range(2, 7)}}
        drivers = {one: self.driver(name) for one, name in names.items()}
        begin = threading.Barrier(6)
        outcomes = {}

        def ask(number):
            begin.wait()
            while True:
                try:
                    drivers[number].request_replacement(
                        self.volume(number), self.replica(10 * number))
                    outcomes[number] = True
                    return
                except vendor.Rejected:
                    outcomes[number] = False
                    return
                except vendor.Unavailable:
                    continue    # others were quicker, eight times

        threads = [threading.Thread(target=ask, args=(one,))
                   for one in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(etcd_fleet.LONG)
        self.assertEqual(4, sum(outcomes.values()), outcomes)
        every = self.operator.everything()
        self.assertEqual(4, len({
            entry.uuid for _host, record in every.owned()
            for entry in record.entries if entry.uuid in every.spares}))


class WhoHealsTestCase(etcd_fleet.RealTestCase):

    def hand_over(self, name, before):
        under_way = self.operator.hand_over('v1', name)
        before.get_volumes(before._host, (), ())
        before.delay_resyncs((), ())
        under_way.look()
        under_way.step()
        self.assertEqual((), under_way.waits_for)

    def test_one_of_two_hosts_heals(self):
        self.begin(spares=(3,))
        one, two = self.driver('one'), self.driver('two')
        one.heartbeat(host('one'), 30)
        two.heartbeat(host('two'), 30)
        self.assertEqual('', self.volumes(one)['v1'].observe)
        self.assertEqual({}, self.volumes(two, 'two'))
        self.hand_over('two', one)
        self.assertIn('two', self.volumes(one)['v1'].observe)
        self.assertEqual('', self.volumes(two, 'two')['v1'].observe)
        for call, more in ((one.request_replacement, ()),
                           (one.retire_replica, ()),
                           (one.confirm_replica_removed, ()),
                           (one.report_replica_state, (State.MISSING,))):
            self.assertRaises(vendor.Rejected, call, self.volume(),
                              self.replica(1), *more)
        two.request_replacement(self.volume(), self.replica(1))
        self.hand_over('one', two)
        self.assertIn(3, self.states(one))
        self.assertEqual('', self.volumes(one)['v1'].observe)
        self.assertIn('one', self.volumes(two, 'two')['v1'].observe)

    def test_a_host_that_would_not_heal_is_given_no_volume(self):
        self.begin()
        for name in ('one', 'two'):
            self.driver(name).heartbeat(host(name), 30)
        self.operator.fence('two', 'burns')
        for name, words in (('tow', 'no agent shows itself'),
                            ('', 'empty'), ('two', 'burns')):
            error = self.assertRaises(vendor.Rejected,
                                      self.operator.hand_over, 'v1', name)
            self.assertIn(words, str(error))
        self.assertEqual({etcd_fleet.volume_uuid(1): 'one'},
                         self.operator.everything().owners)
        # such a name must not look like a host that the volume was taken off
        error = self.assertRaises(vendor.Rejected, self.operator.detach,
                                  'v1', 'tow')
        self.assertIn('does not have volume', str(error))
        self.operator.hand_over('v1', 'two', force=True)
        self.assertEqual({etcd_fleet.volume_uuid(1): 'two'},
                         self.operator.everything().owners)
        self.assertRaises(vendor.Rejected, self.operator.hand_over, 'v1', '',
                          force=True)

    def test_a_host_that_is_fenced_observes(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.operator.fence('one', 'evacuated')
        self.assertIn('evacuated', self.volumes(driver)['v1'].observe)
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.operator.unfence('one')
        driver.request_replacement(self.volume(), self.replica(1))

    def test_a_volume_that_went_is_observed_while_its_array_is_here(self):
        self.begin()
        driver = self.driver()
        self.volumes(driver)
        self.operator.hand_over('v1', 'two', force=True, stopped=True)
        self.operator.detach('v1', 'one', gone=True)
        driver = self.driver()    # restarted
        found = self.volumes(driver, arrays=[array(1, 2)])['v1']
        self.assertIn('no longer', found.observe)
        self.assertEqual({}, self.volumes(driver))
        self.assertEqual({}, self.volumes(driver, arrays=[array(1, 2)]))

    def test_fenced_between_the_look_and_the_write(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        true_write = driver._store.write

        def fence_first(write):
            if self.keys.spares + ns(3) in write.unchanged:
                self.operator.fence('one', 'just now')
            return true_write(write)

        driver._share._store.write = fence_first
        self.assertRaises(vendor.Rejected, driver.request_replacement,
                          self.volume(), self.replica(1))
        self.assertEqual({}, {
            uuid: use for uuid, use in self.operator.everything().uses.items()
            if uuid == ns(3)})


class RememberTestCase(etcd_fleet.RealTestCase):

    def test_a_serial_that_is_older_is_one_volume_that_is_unknown(self):
        self.begin({1: (1, 2), 2: (3, 4)})
        driver = self.driver()
        key = self.keys.volume('one', etcd_fleet.volume_uuid(1))
        old = self.store.read([key]).get(key).text
        driver.report_replica_state(self.volume(), self.replica(1),
                                    State.MISSING)
        self.store.write(store.Write({key: old}))
        for _restart in range(2):
            self.assertEqual({'v2'}, set(self.volumes(driver)))
            self.assertRaises(
                vendor.BadAnswer, driver.report_replica_state, self.volume(),
                self.replica(1), State.AVAILABLE)
            driver = self.driver()

    def test_what_cannot_be_remembered_is_not_begun(self):
        self.begin(spares=(3,))
        driver = self.driver()
        self.volumes(driver)
        path = os.path.join(self.directory, 'one', 'etcd.json')
        os.mkdir(path + '.new')    # also root cannot write to a directory
        self.operator.resume()
        self.assertEqual({'v1'}, set(self.volumes(driver)))
        self.assertRaises(vendor.Unavailable, driver.request_replacement,
                          self.volume(), self.replica(1))
        os.rmdir(path + '.new')
        self.volumes(driver)
        driver.request_replacement(self.volume(), self.replica(1))

    def test_a_memory_that_cannot_be_read_is_named(self):
        self.begin()
        self.volumes(self.driver())
        path = os.path.join(self.directory, 'one', 'etcd.json')
        for text in ('', '{}', '[1]', '{"version": 9}'):
            with open(path, 'w') as stream:
                stream.write(text)
            driver = self.started()
            for call in (lambda: self.volumes(driver),
                         lambda: driver.report_replica_state(
                             self.volume(), self.replica(1),
                             model.ReplicaState.MISSING)):
                error = self.assertRaises(vendor.Unavailable, call)
                self.assertIn(path, str(error))
            with open(path) as stream:
                self.assertEqual(text, stream.read())
        # the agent that guards by what its own ledger knows need not restart
        os.unlink(path)
        self.assertEqual({'v1'}, set(self.volumes(driver)))


class ManySparesTestCase(etcd_fleet.FleetTestCase):
    """On the double of etcd."""

    def setUp(self):
        super().setUp()
        self.begin(spares=range(3, 253))
        self.one = self.driver()
        self.volumes(self.one)
        self.asked = 0
        behind = self.wire.call

        def call(path, body):
            self.asked += sum(
                base64.b64decode(one['request_range']['key']).decode()
                .startswith(self.keys.uses) for one in body['success']
                if 'request_range' in one)
            return behind(path, body)
        self.wire.call = call

    def test_who_has_them_is_asked_of_some(self):
        self.one.request_replacement(self.volume(), self.replica(1))
        self.assertEqual(100, self.asked)
        self.assertEqual(3, len(self.states(self.one)))

    def test_the_last_one_that_is_free_is_found(self):
        backing = schema.load_spare(self.store.read(
            [self.keys.spares + ns(3)]).get(self.keys.spares + ns(3)).text
        ).backing
        self.store.write(store.Write({
            self.keys.uses + ns(number): schema.dump_use(schema.Use(
                etcd_fleet.volume_uuid(9), 0, backing))
            for number in range(3, 253) if number != 200}))
        self.one.request_replacement(self.volume(), self.replica(1))
        self.assertEqual({1, 2, 200}, set(self.states(self.one)))
        error = self.assertRaises(
            vendor.Rejected, self.one.request_replacement, self.volume(),
            self.replica(2))
        self.assertEqual(250, str(error).count('in use by volume'))
