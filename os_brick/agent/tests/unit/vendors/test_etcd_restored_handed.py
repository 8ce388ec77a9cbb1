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
"""Volumes of a restored etcd that were handed over since, or meanwhile."""

import dataclasses

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_restored_case
from os_brick.agent.vendors import base as vendor

ns = etcd_fleet.ns
volume_uuid = etcd_fleet.volume_uuid


class RestoredHandOverTestCase(etcd_restored_case.RestoredCase):

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

    def test_what_was_off_twice_was_said_to_be_off(self):
        """It was to have it back meanwhile, and never heard of that."""
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        under_way = self.operator.hand_over('v1', 'one', force=True)
        self.live('two')
        self.operator.hand_over('v1', 'two', stopped=True)
        self.assertEqual(('two',), under_way.waits_for)
        self.assertRaises(vendor.Rejected, self.operator.detach, 'v1', 'one')

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
