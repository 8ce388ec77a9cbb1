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
"""A restored etcd is completed from what the hosts remember."""

import dataclasses
import os

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_restored_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host
ns = etcd_fleet.ns
volume_uuid = etcd_fleet.volume_uuid


class RestoredTestCase(etcd_restored_case.RestoredCase):

    def test_what_was_loaded_and_handed_over_since_is_there_again(self):
        self.backup()
        self.load({2: (5, 6)}, (7,))
        self.live('one')
        mine = self.exchange('one', 2, 5)
        self.hand_over('v1', 'two')
        theirs = self.exchange('two', 1, 1)
        self.restore()
        for name in ('two', 'one', 'two'):
            self.live(name)
        self.assertEqual({'v1'}, {
            name for name, volume in self.live('two').items()
            if not volume.observe})
        self.assertEqual({'v2'}, {
            name for name, volume in self.live('one').items()
            if not volume.observe})
        # nobody takes a spare before it is known whose all are
        self.assertRaises(vendor.Rejected,
                          self.drivers['two'].request_replacement,
                          self.volume(), self.replica(2))
        self.assertEqual(2, len(self.problems()), self.problems())
        said = self.operator.resume()
        self.assertIn("volume v1: it is the host two's, not one's", said)
        self.assertIn("volume v2: it is the host one's, not nobody's", said)
        self.assertEqual([], self.problems())
        every = self.operator.everything()
        self.assertEqual({volume_uuid(1): 'two', volume_uuid(2): 'one'},
                         every.owners)
        self.assertEqual({1: None, 2: 1, theirs: 1, 5: None, 6: 2, mine: 2},
                         self.uses())
        self.assertEqual([], self.operator.resume())
        self.assertEqual({2, theirs}, set(self.numbers_of('two', 1)))
        self.assertEqual({6, mine}, set(self.numbers_of('one', 2)))

    def test_a_spare_that_came_and_went_is_not_handed_out_again(self):
        self.backup()
        first = self.exchange('one', 1, 1)
        other = self.exchange('one', 1, first)
        self.restore()
        self.live('one')
        self.operator.resume()
        self.assertEqual({1: None, first: None, other: 1, 2: 1}, self.uses())
        self.assertRaises(vendor.Rejected,
                          self.drivers['one'].request_replacement,
                          self.volume(), self.replica(2))
        self.operator.give_back(ns(first))
        self.drivers['one'].request_replacement(self.volume(),
                                                self.replica(2))

    def test_what_was_changed_before_the_host_came_is_put_right_too(self):
        self.backup()
        taken = self.exchange('one', 1, 1)
        self.restore()
        key = self.keys.volume('one', volume_uuid(1))
        mine = self.drivers['one']._memory.seen.volumes[volume_uuid(1)]
        record = schema.load_record(self.store.read([key]).get(key).text)
        # an operator loads it again, and again
        self.store.write(store.Write({key: schema.dump_record(
            dataclasses.replace(record, serial=mine.serial + 3))}))
        self.assertEqual({2, taken}, set(self.numbers_of('one', 1)))
        self.assertEqual({1: None, 2: 1, taken: 1}, self.uses())

    def test_who_comes_late_believes_what_came_after_it(self):
        late = self.drivers.pop('one')
        self.load({1: (2, 5)})    # the first one is left out, and let go of
        self.live('one')
        self.drivers['one'].confirm_replica_removed(self.volume(),
                                                    self.replica(1))
        self.backup()
        self.restore()
        self.drivers['one'] = late
        self.assertEqual({2, 5}, set(self.numbers_of('one', 1)))
        self.assertEqual({1: None, 2: 1, 5: 1}, self.uses())

    def test_who_only_observes_says_nothing_of_namespaces(self):
        """What it remembers of them is of when it healed."""
        self.live('three')
        self.backup()
        self.hand_over('v1', 'two')
        self.exchange('two', 1, 1)
        self.operator.give_back(ns(1))
        self.load({3: (1, 8)}, name='three')
        self.live('three')
        self.restore()
        # the backup has given it to volume 1, whose host has not said yet
        error = self.assertRaises(vendor.BadAnswer, self.live, 'three')
        self.assertIn('to volume %s' % volume_uuid(1), str(error))
        self.assertRaises(vendor.BadAnswer, self.live, 'three')
        self.live('two')
        self.assertEqual({'v3'}, set(self.live('three')))
        self.assertTrue(self.live('one')['v1'].observe)
        self.operator.resume()
        self.assertEqual(3, self.uses()[1])
        self.assertEqual({volume_uuid(1): 'two', volume_uuid(3): 'three'},
                         self.operator.everything().owners)

    def test_one_conflict_keeps_no_other_volume_from_being_put_right(self):
        self.load({2: (5, 6), 8: (17, 18)})
        self.live('one')
        self.backup()
        taken = self.exchange('one', 2, 5)
        other = self.exchange('one', 1, 1)
        self.wire.values = dict(self.saved[0])
        self.load({9: (other, 19)}, name='nine')
        self.backup()
        self.restore()
        serials = set()
        for _pass in range(3):
            self.assertRaises(vendor.BadAnswer, self.live, 'one')
            self.assertEqual((9, 2), (self.uses()[other], self.uses()[taken]))
            one, eight = self.records(1, 8)
            self.assertEqual((1, 2), (one.valid_for, eight.valid_for))
            serials.add(eight.serial)
        self.assertEqual(1, len(serials))    # written once
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('free: one;', str(error))

    def test_two_that_have_what_the_other_had_wait_for_nobody(self):
        self.load({2: (5, 6)}, name='two')
        self.live('two')
        self.backup()
        spares = (self.exchange('one', 1, 1), self.exchange('two', 2, 5))
        for name, number, spare, free in (('one', 1, spares[0], 5),
                                          ('two', 2, spares[1], 1)):
            self.operator.give_back(ns(free))
            self.assertEqual(free, self.exchange(name, number, spare))
        had = {2: 1, 5: 1, 6: 2, 1: 2}
        self.assertLessEqual(had.items(), self.uses().items())
        self.restore()
        self.assertRaises(vendor.BadAnswer, self.live, 'one')
        for name in ('two', 'one'):
            self.live(name)
        self.operator.resume()
        self.assertLessEqual(had.items(), self.uses().items())

    def records(self, *numbers):
        records = self.operator.everything().records
        return [records['one', volume_uuid(number)] for number in numbers]

    def test_nobody_heals_and_another_waits_for_what_it_let_go(self):
        """A host that may not be waited for settles what one waits for."""
        self.backup()
        self.exchange('one', 1, 1)
        self.operator.give_back(ns(1))
        self.live('three')
        self.load({3: (1, 8)}, name='three')
        self.live('three')
        self.operator.hand_over('v1', 'two')
        for name in ('one', 'two'):
            self.live(name)
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.assertRaises(vendor.BadAnswer, self.live, 'three')
        self.operator.hand_over('v1', 'two', stopped=True)
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('free: three;', str(error))
        self.live('three')
        self.operator.resume()
        self.assertEqual(3, self.uses()[1])

    def test_what_it_waits_for_may_be_in_its_own_documents(self):
        self.live('two')
        self.backup()
        self.exchange('one', 1, 1)
        self.operator.give_back(ns(1))
        self.load({3: (1, 8)})
        self.live('one')
        self.operator.hand_over('v1', 'two')
        for name in ('one', 'two'):
            self.live(name)
        self.restore()
        self.live('two')
        for turn in range(2):
            self.assertIn(ns(1), str(self.assertRaises(
                vendor.BadAnswer, self.live, 'one')))
        self.operator.hand_over('v1', 'two', stopped=True)
        self.assertIn('free: one;', str(self.assertRaises(
            vendor.Rejected, self.operator.resume)))
        self.live('one')
        self.operator.resume()
        self.assertEqual(3, self.uses()[1])

    def test_of_a_volume_whose_host_is_late_nothing_is_said(self):
        self.hand_over('v1', 'two')
        self.hand_over('v1', 'one')
        self.backup()
        first = self.exchange('one', 1, 1)
        self.hand_over('v1', 'two')
        other = self.exchange('two', 1, first)
        self.restore()
        # it has shown itself, and has not looked yet
        self.drivers['two'].heartbeat(host('two'), 30)
        self.live('one')
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('free: two;', str(error))
        self.assertNotIn(first, self.uses())
        self.live('two')
        self.operator.resume()
        self.assertEqual({1: None, 2: 1, first: None, other: 1},
                         self.uses())

    def test_a_document_of_another_volume_is_none(self):
        self.load({2: (5, 6)})
        keys = [self.keys.volume('one', volume_uuid(number))
                for number in (1, 2)]
        self.store.write(store.Write({keys[1]: self.store.read(
            keys).get(keys[0]).text}))
        self.assertEqual([], self.operator.resume(force=True))

    def forget(self, name):
        os.unlink(os.path.join(self.directory, name, 'etcd.json'))
        self.drivers.pop(name)

    def test_who_remembers_nothing_heals_nothing_of_a_backup(self):
        self.forget('one')
        self.assertEqual(['one'], self.healers('one'))
        self.backup()
        self.forget('one')
        self.restore()
        self.load({2: (5, 6)})
        self.assertEqual([], self.healers('one'))
        # what it was given since the backup was accepted it heals
        self.assertEqual('', self.live('one')['v2'].observe)
        self.assertRaises(vendor.Rejected, self.operator.hand_over, 'v1',
                          'one')
        self.operator.hand_over('v1', 'one', stopped=True)
        self.assertEqual(['one'], self.healers('one'))
        self.operator.resume()
        self.forget('one')
        self.assertEqual(['one'], self.healers('one'))

    def test_a_document_that_cannot_be_read_was_not_lost(self):
        self.hand_over('v1', 'two')
        key = self.keys.volume('two', volume_uuid(1))
        self.store.write(store.Write({key: '{'}))
        self.assertEqual(['%s: it is not JSON' % key], self.problems())

    def test_what_was_loaded_after_the_backup_was_accepted_is_healed(self):
        self.backup()
        self.restore()
        self.load({2: (5, 6)})
        self.assertEqual('', self.live('one')['v2'].observe)
        self.operator.resume()
        self.assertEqual([], self.problems())
