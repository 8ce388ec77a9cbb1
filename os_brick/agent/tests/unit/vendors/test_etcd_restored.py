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

import contextlib
import dataclasses
import os

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import test_etcd
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import documents
from os_brick.agent.vendors.fleet import report
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host
ns = etcd_fleet.ns
volume_uuid = etcd_fleet.volume_uuid


class RestoredTestCase(etcd_fleet.FleetTestCase):
    """On a double, of which a backup is a copy."""

    def setUp(self):
        super().setUp()
        self.begin(spares=(3, 4))
        self.drivers = {}
        for name in ('one', 'two'):
            self.live(name)

    def live(self, name, arrays=()):
        """Let a host's agent make a pass; return what it is told."""
        if name not in self.drivers:
            self.drivers[name] = self.driver(name)
        driver = self.drivers[name]
        driver.heartbeat(host(name), 30)
        found = self.volumes(driver, name, arrays)
        driver.delay_resyncs((), ())
        driver.heartbeat(host(name), 30)    # of the next pass
        return found

    def hand_over(self, volume, name):
        under_way = self.operator.hand_over(volume, name)
        while under_way.waits_for:
            for one in self.drivers:
                self.live(one)
            under_way.look()
            under_way.step()
        self.live(name)

    def exchange(self, name, number, out):
        """Exchange a replica of a volume; return what came for it."""
        before = set(self.numbers_of(name, number))
        driver, volume = self.drivers[name], self.volume(number)
        driver.request_replacement(volume, self.replica(out))
        driver.retire_replica(volume, self.replica(out))
        driver.confirm_replica_removed(volume, self.replica(out))
        return (set(self.numbers_of(name, number)) - before).pop()

    def numbers_of(self, name, number):
        return [int(one.uuid[:8]) for one
                in self.live(name)['v%d' % number].replicas]

    def handed_while_off(self, *hosts):
        """Host one was off, two took a spare; a backup has none of that.

        :param hosts: those that are back.
        :returns: the spare.
        """
        self.backup()
        self.operator.hand_over('v1', 'two', stopped=True)
        taken = self.exchange('two', 1, 1)
        self.restore()
        for name in hosts:
            self.live(name)
        return taken

    def backup(self):
        self.saved = dict(self.wire.values), self.wire.revision

    def restore(self):
        values, self.wire.revision = self.saved
        self.wire.values = dict(values)
        self.wire.cluster += '1'
        for name, driver in self.drivers.items():
            driver._lease = 0
            self.store.write(store.Write({self.keys.alive(name): None}))
        self.operator.accept()

    def uses(self):
        return {int(uuid[:8]): use.volume and int(use.volume[:8])
                for uuid, use in self.operator.everything().uses.items()}

    def problems(self):
        return report.status(self.operator.everything())['problems']

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

    def first_is_let_go_elsewhere(self):
        """The volume goes to another host, and loses its first replica."""
        self.hand_over('v1', 'two')
        self.load({1: (2, 5)}, name='')    # the first one is left out
        self.live('two')
        self.drivers['two'].confirm_replica_removed(self.volume(),
                                                    self.replica(1))

    def test_nobody_heals_and_the_backup_names_one_of_long_ago(self):
        """What counts is what the last healer left, not whose it was."""
        self.live('three')
        self.backup()
        self.first_is_let_go_elsewhere()
        under_way = self.operator.hand_over('v1', 'three')
        for name in ('one', 'two', 'three'):
            self.live(name)
        self.assertEqual(('two',), under_way.waits_for)
        self.restore()
        for name in ('one', 'two', 'three'):
            self.live(name)
        self.says_who_heals('three')
        self.operator.resume()
        self.assertEqual({1: None, 2: 1, 5: 1}, self.uses())
        self.assertEqual({2, 5}, set(self.numbers_of('three', 1)))
        # in the middle of one that nothing was lost of, it goes on
        under_way = self.operator.hand_over('v1', 'two')
        self.live('three')
        self.assertEqual([], self.operator.resume())
        under_way.look()

    def says_who_heals(self, name, does=True):
        """It was under way, and may have been done since, to any host."""
        for call in (self.operator.resume, lambda: self.operator.hand_over(
                'v1', name)):
            self.assertIn('another one may', str(self.assertRaises(
                vendor.Rejected, call)))
        self.assertIn('another one may', self.problems()[0])
        self.assertEqual([], self.healers('one', 'two'))
        if does:
            self.operator.hand_over('v1', name, stopped=True)

    def test_what_nobody_has_any_more_is_let_go(self):
        self.backup()
        self.first_is_let_go_elsewhere()
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        # the backup has it in the volume, and so has who observes it
        self.assertEqual(1, self.uses()[1])
        self.assertIn('volume v1: it let go of the namespace %s' % ns(1),
                      self.operator.resume())
        self.assertEqual({1: None, 2: 1, 5: 1}, self.uses())

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

    def test_what_was_off_twice_was_said_to_be_off(self):
        """It was to have it back meanwhile, and never heard of that."""
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        under_way = self.operator.hand_over('v1', 'one', force=True)
        self.live('two')
        self.operator.hand_over('v1', 'two', stopped=True)
        self.assertEqual(('two',), under_way.waits_for)
        self.assertRaises(vendor.Rejected, self.operator.detach, 'v1', 'one')

    def records(self, *numbers):
        records = self.operator.everything().records
        return [records['one', volume_uuid(number)] for number in numbers]

    def test_two_that_say_they_heal_are_not_let_loose(self):
        """It was off when it was handed over, and is back now."""
        taken = self.handed_while_off('one', 'two')
        self.assertIn('the hosts one, two all heal it', self.problems()[0])
        for force in (False, True):
            error = self.assertRaises(vendor.Rejected, self.operator.resume,
                                      force)
            self.assertIn('one, two all say', str(error))
        self.assertTrue(self.operator.everything().fleet.hold)
        self.hand_over('v1', 'two')
        self.assertTrue(self.live('one')['v1'].observe)
        self.operator.resume()
        self.assertEqual((1, {2, taken}), (
            self.uses()[taken], set(self.numbers_of('two', 1))))

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

    def test_handed_to_a_third_one_it_is_what_came_last_that_counts(self):
        self.live('three')
        taken = self.handed_while_off('one', 'two', 'three')
        self.hand_over('v1', 'three')
        self.assertEqual({2, taken}, set(self.numbers_of('three', 1)))

    def test_handed_to_the_one_of_the_backup_it_is_what_came_last(self):
        """What the backup has of it is not what the volume has."""
        taken = self.handed_while_off('one', 'two')
        self.hand_over('v1', 'one')
        self.assertEqual({2, taken}, set(self.numbers_of('one', 1)))
        self.operator.resume()
        self.assertEqual({1: None, 2: 1, taken: 1}, self.uses())

    def test_however_often_one_writes_that_is_of_before_it_does_not_count(
            self):
        """It was off when it was handed over, and a backup let it heal."""
        self.live('three')
        self.backup()
        self.operator.hand_over('v1', 'two', stopped=True)
        taken = self.exchange('two', 1, 1)
        two = self.drivers.pop('two')
        self.restore()
        self.live('one')
        for turn in range(20):
            self.drivers['one'].report_replica_state(
                self.volume(), self.replica(2), (
                    model.ReplicaState.MISSING,
                    model.ReplicaState.AVAILABLE)[turn % 2])
        self.drivers['two'] = two
        for name in ('two', 'three'):
            self.live(name)
        # both say their word in the course of it
        self.hand_over('v1', 'three')
        self.assertEqual({2, taken}, set(self.numbers_of('three', 1)))

    def test_a_document_of_another_volume_is_none(self):
        self.load({2: (5, 6)})
        keys = [self.keys.volume('one', volume_uuid(number))
                for number in (1, 2)]
        self.store.write(store.Write({keys[1]: self.store.read(
            keys).get(keys[0]).text}))
        self.assertEqual([], self.operator.resume(force=True))

    def test_one_whose_healer_is_not_there(self):
        self.backup()
        self.hand_over('v1', 'two')
        taken = self.exchange('two', 1, 1)
        self.restore()
        self.live('one')
        # a spare that it took would look free
        for found in (str(self.assertRaises(
                vendor.Rejected, self.operator.resume)), self.problems()[0]):
            self.assertIn('the host two may heal it, and has not', found)
        self.operator.resume(force=True)
        self.assertIn('the host two may heal it', self.problems()[0])
        # it comes back, and is heard
        self.live('two')
        self.assertIn('nvme-agent-fleet resume', self.problems()[0])
        self.operator.resume()
        self.assertEqual(([], 1, None), (
            self.problems(), self.uses()[taken], self.uses()[1]))

    def test_who_was_named_and_has_spoken_does_not_heal(self):
        """Who does is not known: it may have been handed on since."""
        self.backup()
        self.operator.hand_over('v1', 'two')
        self.volumes(self.drivers['one'], 'one')    # and has not said so
        self.restore()
        self.live('one')
        self.refuses_unheard('one')
        self.live('two')
        self.says_who_heals('two')
        self.assertEqual((['two'], []), (self.healers('one', 'two'),
                                         self.problems()))
        self.operator.resume()

    def test_it_was_handed_on_while_its_healer_was_off(self):
        """What one remembers of the first step says nothing of the last."""
        self.live('three')
        self.backup()
        self.handed_on(self.operator.hand_over('v1', 'two'))

    def test_so_it_was_where_the_backup_is_from_the_middle(self):
        self.live('three')
        under_way = self.operator.hand_over('v1', 'two')
        self.backup()
        self.handed_on(under_way)

    def handed_on(self, under_way):
        self.assertEqual(('one',), under_way.waits_for)
        self.volumes(self.drivers['one'], 'one')
        one = self.drivers.pop('one')
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        self.hand_over('v1', 'three')
        self.operator.detach('v1', 'two')
        self.live('two')
        self.exchange('three', 1, 2)
        self.restore()
        three, self.drivers['one'] = self.drivers.pop('three'), one
        for name in ('one', 'two', 'one'):
            self.live(name)
        self.says_who_heals('two', does=False)
        self.drivers['three'] = three
        self.assertEqual({'three'}, set(self.healers(
            'three', 'one', 'two', 'three')))
        self.operator.resume()
        self.assertEqual([], self.problems())

    def test_what_an_earlier_release_remembers_is_the_same(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        under_way = self.operator.hand_over('v1', 'one', force=True)
        self.live('two')
        under_way.look()
        under_way.step()
        self.live('one')
        memory = self.drivers['one']._memory
        memory.seen = dataclasses.replace(memory.seen, volumes={
            uuid: dataclasses.replace(record, put_right=0, unheard=False)
            for uuid, record in memory.seen.volumes.items()})
        self.assertTrue(self.operator.everything().records[
            'one', volume_uuid(1)].unheard)
        self.assertEqual('', self.live('one')['v1'].observe)

    def refuses_unheard(self, name, unheard='two'):
        """Nothing lets a host heal that does not know that one may."""
        for force in (False, True):
            error = self.assertRaises(vendor.Rejected,
                                      self.operator.hand_over, 'v1', name,
                                      force)
            if force or name != unheard:
                self.assertIn('the host %s may' % unheard, str(error))
        self.assertRaises(vendor.Rejected, self.load, {1: (1, 2, 9)},
                          name='')
        self.assertIn('--source-stopped', self.problems()[0])
        self.assertRaises(vendor.Rejected, self.operator.resume)

    def test_one_that_is_named_and_has_no_document_may_be_healing(self):
        """It is cut off, and goes on by its last word."""
        self.backup()
        self.hand_over('v1', 'two')
        self.exchange('two', 1, 1)
        self.restore()
        self.drivers.pop('two')
        self.live('one')
        self.refuses_unheard('one')
        self.operator.resume(force=True)
        self.refuses_unheard('one')
        self.assertTrue(self.live('one')['v1'].observe)
        # the operator knows better
        self.operator.hand_over('v1', 'one', stopped=True)
        self.assertEqual(('', []), (self.live('one')['v1'].observe,
                                    self.problems()))
        self.operator.resume()

    def test_one_whose_document_is_of_before_may_be_healing(self):
        """The backup was made in the middle of the hand-over to it."""
        under_way = self.operator.hand_over('v1', 'two')
        self.live('one')
        self.backup()
        under_way.look()
        under_way.step()
        self.assertEqual('', self.live('two')['v1'].observe)
        self.restore()
        two = self.drivers.pop('two')
        self.live('one')
        self.refuses_unheard('two')    # its agent does not show itself
        self.refuses_unheard('one')
        under_way.look()
        self.assertRaises(vendor.Rejected, under_way.step)
        self.drivers['two'] = two
        self.assertEqual('', self.live('two')['v1'].observe)
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.hand_over('v1', 'one')

    def test_who_is_to_heal_first_writes_what_it_remembers(self):
        self.backup()
        self.exchange('one', 1, 1)
        self.restore()
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'one', stopped=True)
        self.assertIn('Wait for its agent', str(error))
        self.live('one')
        self.operator.hand_over('v1', 'one', stopped=True)

    def test_a_document_of_before_is_not_detached(self):
        self.hand_over('v1', 'two')
        self.hand_over('v1', 'one')
        self.backup()
        self.hand_over('v1', 'two')
        self.restore()
        self.drivers.pop('two')
        self.live('one')
        error = self.assertRaises(vendor.Rejected, self.operator.detach,
                                  'v1', 'two')
        self.assertIn('the host two may heal it', str(error))
        self.operator.hand_over('v1', 'one', stopped=True)
        self.operator.detach('v1', 'two', gone=True)

    def test_who_was_off_finds_what_was_said_after_a_detach_too(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        self.assertRaises(vendor.Rejected, self.operator.detach, 'v1', 'one')
        self.operator.accept()    # of no backup
        self.assertEqual(['two'], self.healers('one', 'two'))

    def test_who_observes_and_is_silent_is_in_nobodys_way(self):
        self.hand_over('v1', 'two')
        self.backup()
        self.restore()
        self.drivers.pop('one')
        self.live('two')
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.live('three')
        self.hand_over('v1', 'three')
        self.operator.detach('v1', 'one')

    def test_who_is_silent_and_has_written_is_heard(self):
        self.hand_over('v1', 'two')
        self.backup()
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.operator.resume()
        for name in ('one', 'two'):
            self.store.write(store.Write({self.keys.alive(name): None}))
        self.assertEqual([], self.problems())
        self.assertEqual([], self.operator.resume())

    def test_what_was_shown_to_another_store_is_not_shown_to_this_one(self):
        """Two restored backups may be of one generation."""
        self.backup()
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.hand_over('v1', 'two')
        self.restore()
        for driver, name in ((self.drivers[one], one) for one
                             in ('one', 'two')):
            driver.heartbeat(host(name), 30)
            self.assertRaises(vendor.BadAnswer, self.volumes, driver, name)
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('free: one, two;', str(error))
        self.operator.accept()
        for name in ('one', 'two'):
            self.live(name)
        self.operator.resume()
        self.assertEqual('', self.live('two')['v1'].observe)

    def test_what_was_taken_in_the_middle_of_a_hand_over_stays_taken(self):
        """Both observe, and neither says that it heals."""
        self.backup()
        taken = self.exchange('one', 1, 1)
        under_way = self.operator.hand_over('v1', 'two')
        for name in ('one', 'two'):
            self.live(name)
        self.assertEqual(('one',), under_way.waits_for)
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.says_who_heals('two')
        self.operator.resume()
        self.assertEqual(1, self.uses()[taken])
        self.assertEqual({2, taken}, set(self.numbers_of('two', 1)))

    def test_what_was_removed_long_ago_is_in_nobodys_way(self):
        self.load({2: (5, 6)})
        self.live('one')
        self.operator.remove('v1')
        self.load({9: (1, 19)}, name='two')
        self.live('two')
        self.backup()
        self.restore()
        self.live('two')
        # somebody might still say that the namespace is free
        error = self.assertRaises(vendor.BadAnswer, self.live, 'one')
        self.assertIn('resume --force', str(error))
        self.operator.resume(force=True)
        with self.assertLogs('os_brick.agent', 'WARNING') as logs:
            self.assertEqual({'v2'}, set(self.live('one')))
        self.assertIn('volume v1 is forgotten', ''.join(logs.output))
        self.assertEqual({'v2'}, set(self.live('one')))
        self.assertEqual((9, []), (self.uses()[1], self.operator.resume()))

    def test_what_was_removed_and_is_still_used_here_is_loud(self):
        self.operator.remove('v1')
        self.load({9: (1, 19)}, name='two')
        self.backup()
        self.restore()
        error = self.assertRaises(vendor.BadAnswer, self.live, 'one',
                                  [test_etcd.array(1, 2)])
        self.assertIn('stop one of them', str(error))

    def test_what_was_taken_off_a_host_does_not_come_back(self):
        self.hand_over('v1', 'two')
        self.operator.detach('v1', 'one')
        found = self.live('one', [test_etcd.array(1, 2)])
        self.assertIn('no longer', found['v1'].observe)
        self.backup()
        self.restore()
        self.live('one', [test_etcd.array(1, 2)])
        self.live('two')
        self.assertEqual({('two', volume_uuid(1))}, set(
            self.operator.everything().records))

    def healers(self, *names):
        return [name for name in names for found in [self.live(name)]
                if 'v1' in found and not found['v1'].observe]

    def migrate(self):
        """The ordinary way, to the end; return what the volume took."""
        self.hand_over('v1', 'two')
        self.operator.detach('v1', 'one')
        taken = self.exchange('two', 1, 1)
        self.live('one')
        return taken

    def test_what_was_taken_off_a_host_is_not_healed_there(self):
        self.backup()
        taken = self.migrate()
        self.restore()
        # in the order in which they come
        self.assertEqual([], self.healers('one'))
        self.assertEqual(['two'], self.healers('one', 'two', 'one'))
        self.operator.resume()
        self.assertEqual(([], {1: None, 2: 1, taken: 1}), (
            self.problems(), self.uses()))
        self.assertIn('the host two heals it', self.live('one')['v1'].observe)

    def test_nor_where_the_host_that_has_it_is_cut_off(self):
        self.backup()
        self.migrate()
        self.restore()
        two = self.drivers.pop('two')
        self.assertEqual([], self.healers('one'))
        self.assertIn('it is not known who heals it',
                      self.live('one')['v1'].observe)
        for call in (self.operator.resume,
                     lambda: self.operator.hand_over('v1', 'one')):
            self.assertIn('another one may', str(self.assertRaises(
                vendor.Rejected, call)))
        self.assertIn('another one may', self.problems()[0])
        # by force spares are taken, and nobody heals it all the same
        self.operator.resume(force=True)
        self.assertEqual([], self.healers('one'))
        self.drivers['two'] = two
        self.assertEqual(['two'], self.healers('one', 'two', 'one'))
        self.operator.resume()
        self.assertEqual([], self.problems())

    def comes_back_and_does_not_heal(self):
        """It was off, as the operator said."""
        self.restore()
        two = self.drivers.pop('two')
        self.live('one')
        self.operator.hand_over('v1', 'one', stopped=True)
        self.drivers['two'] = two
        self.assertEqual(['one'], self.healers('two', 'one'))
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.hand_over('v1', 'two')

    def test_the_word_that_a_host_is_off_counts_when_it_comes_back(self):
        self.hand_over('v1', 'two')
        self.hand_over('v1', 'one')
        self.backup()
        for name in ('two', 'one', 'two'):
            self.hand_over('v1', name)
        self.exchange('two', 1, 1)
        self.comes_back_and_does_not_heal()

    def test_so_it_does_where_the_backup_does_not_have_the_host(self):
        self.backup()
        for name in ('two', 'one', 'two'):
            self.hand_over('v1', name)
        self.exchange('two', 1, 1)
        self.comes_back_and_does_not_heal()

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

    def test_what_was_removed_is_not_healed(self):
        self.backup()
        self.operator.remove('v1')
        for name in ('one', 'two'):
            self.live(name)
        self.restore()
        self.assertEqual([], self.healers('one', 'two'))
        self.assertRaises(vendor.Rejected, self.operator.resume)
        self.operator.remove('v1')
        self.operator.resume()
        self.assertEqual([], self.problems())

    def test_what_was_removed_and_is_here_is_not_healed(self):
        arrays = [test_etcd.array(1, 2)]
        self.backup()
        self.operator.remove('v1')
        self.load({1: (1, 2)}, name='two')
        self.assertIn('no longer', self.live('one', arrays)['v1'].observe)
        self.assertEqual(['two'], self.healers('two'))
        self.restore()
        self.live('one', arrays)
        self.live('two')
        self.assertTrue(self.live('one', arrays)['v1'].observe)
        self.assertEqual(['two'], self.healers('two'))
        # that was no hand-over, and nothing tells which one was the last
        self.assertRaises(vendor.Rejected, self.operator.resume)
        self.operator.resume(force=True)
        self.assertEqual([], self.problems())

    def test_what_was_loaded_after_the_backup_was_accepted_is_healed(self):
        self.backup()
        self.restore()
        self.load({2: (5, 6)})
        self.assertEqual('', self.live('one')['v2'].observe)
        self.operator.resume()
        self.assertEqual([], self.problems())


class PlayedTestCase(test_etcd_interleaved.InterleavedTestCase):
    """Many hosts, killed at any call, and a backup at any moment."""

    PLAYS = 4
    STEPS = 60
    CHANCE = 0.02

    def test_no_spare_twice_and_no_second_replacement(self):
        scratch = self.directory
        for play in range(self.PLAYS):
            self.wire.__init__()
            self.directory = os.path.join(scratch, str(play))
            for name in test_etcd_interleaved.HOSTS:
                os.makedirs(os.path.join(self.directory, name))
            self.play_anew()

    def play(self, chance):
        self.begin({one: (10 * one, 10 * one + 1)
                    for one in test_etcd_interleaved.VOLUMES},
                   test_etcd_interleaved.SPARES, 'h1')
        self.taken = set()
        self.under_way = None
        self.agents = {
            name: test_etcd_interleaved.Agent(
                self, name, test_etcd_interleaved.Deadly(
                    self.wire, self.CHANCE, chance.random(), lambda: None))
            for name in test_etcd_interleaved.HOSTS}
        # who has never looked remembers nothing, and says so
        self.calm(True)
        for agent in self.agents.values():
            agent.volumes()
        self.calm(False)
        self.some_steps(chance)
        saved = dict(self.wire.values), self.wire.revision
        self.some_steps(chance)
        self.calm(True)
        had = self.had()
        self.wire.values, self.wire.revision = dict(saved[0]), saved[1]
        self.wire.cluster += '1'
        self.operator.accept()
        for _turn in range(3):
            self.settle(chance)
            try:
                self.operator.resume()
            except vendor.Rejected:
                self.say_who_heals()
        self.assertEqual('', self.operator.everything().fleet.hold)
        self.judge()
        now = self.operator.everything().uses
        for namespace, volume in had.items():
            self.assertEqual(volume, now[namespace].volume)
        self.calm(False)
        self.some_steps(chance)

    def say_who_heals(self):
        """Nobody does, as the operator has made sure."""
        every = self.operator.everything()
        for uuid in every.holders:
            found = documents.of(self.keys, every, uuid)
            if found.doubtful() == [schema.UNKNOWN]:
                self.operator.hand_over(uuid, documents.counts(
                    found.records, found.owner), stopped=True)

    def some_steps(self, chance):
        for _step in range(chance.randrange(self.STEPS)):
            if chance.random() < 0.2:
                self.operate(chance)
            else:
                self.heal(chance, self.agents[chance.choice(
                    test_etcd_interleaved.HOSTS)])
            self.judge()

    def heal(self, chance, agent):
        super().heal(chance, agent)
        agent.do(lambda driver: driver.delay_resyncs((), ()))

    def operate(self, chance):
        if chance.random() < 0.3:
            self.give_back(chance)
            return
        for agent in self.agents.values():
            agent.do(lambda driver: driver.heartbeat(host(agent.name), 30))
        with contextlib.suppress(vendor.ProvisionerError):
            if self.under_way is None:
                self.under_way = self.operator.hand_over(
                    'v%d' % chance.choice(test_etcd_interleaved.VOLUMES),
                    chance.choice(test_etcd_interleaved.HOSTS))
            else:
                self.under_way.look()
                self.under_way.step()
        if self.under_way is not None and not self.under_way.waits_for:
            self.under_way = None

    def give_back(self, chance):
        free = [uuid for uuid, use in self.operator.everything().uses.items()
                if use.volume is None]
        if free:
            self.operator.give_back(chance.choice(free))

    def calm(self, on):
        for agent in self.agents.values():
            agent._wire.chance = 0.0 if on else self.CHANCE

    def had(self):
        """Return what each host that heals had: namespace -> volume."""
        return {entry.uuid: uuid for agent in self.agents.values()
                for uuid, record in agent.driver._memory.seen.volumes.items()
                if record.heals(agent.name)
                for entry in record.entries if entry.live}

    def settle(self, chance):
        """Each host makes passes until all have the new generation."""
        names = list(test_etcd_interleaved.HOSTS)
        for _pass in range(4):
            chance.shuffle(names)
            for name in names:
                driver = self.agents[name].driver
                driver._lease = 0
                with contextlib.suppress(vendor.BadAnswer):
                    driver.get_volumes(host(name), (), ())
                    driver.heartbeat(host(name), 30)

    def judge(self):
        every = self.operator.everything()
        self.judge_uses(every)
        healers = [record.uuid for (name, _uuid), record
                   in every.records.items() if record.healer == name]
        self.assertEqual(len(healers), len(set(healers)))
