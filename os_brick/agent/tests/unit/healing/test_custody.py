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
"""Who holds every acknowledged write, across attaches (S10)."""

from __future__ import annotations

from oslotest import base

from os_brick.agent.healing import custody
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.testing.simulation import targets

State = model.ReplicaState
A, B, C = (targets.uuid_of(number) for number in range(3))
NAMES = {'A': A, 'B': B, 'C': C}
WORDS = {'+': State.AVAILABLE, '-': State.MISSING, '~': State.SYNCHRONIZING,
         '!': State.TERMINATING}
Records = replica_record.ReplicaRecords


def view(records: Records, legs: str, listed: str = 'A+B+',
         instance: str = '') -> volume_view.VolumeView:
    """:param listed: names, each with the sign of its state."""
    volume = model.Volume(targets.uuid_of(99), 'v', replicas=tuple(
        model.Replica(NAMES[name], WORDS[sign])
        for name, sign in zip(listed[::2], listed[1::2])))
    array = model.Array('md1', 'v', None, 2, 0, 'clean', 'idle', 1 << 20,
                        tuple(model.Leg('nvme%dn1' % slot, slot, frozenset(
                            ['in_sync']), NAMES[name])
                            for slot, name in enumerate(legs)),
                        instance=instance)
    return volume_view.VolumeView(
        volume, array, snapshots.HostSnapshot(), records, 0.0,
        replica_record.HealingPolicy())


def fresh(names: str = 'ABC') -> Records:
    return {NAMES[name]: replica_record.ReplicaRecord() for name in names}


def current(records: Records) -> str:
    return ''.join(name for name, uuid in NAMES.items()
                   if uuid in records and records[uuid].current)


class CustodyTest(base.BaseTestCase):

    def look(self, records: Records, legs: str, listed: str = 'A+B+',
             attached: bool = False, owing: bool = False,
             instance: str = '') -> Records:
        after = custody.follow(view(records, legs, listed, instance),
                               attached, owing)
        self.alarm = custody.alarm(view(after, legs, listed))
        return after

    def test_while_it_runs_md_knows(self) -> None:
        records = fresh()
        for legs in ('AB', 'B', 'BC', 'C', 'AC'):
            records = self.look(records, legs)
            self.assertEqual((''.join(sorted(legs)), ''),
                             (current(records), self.alarm))

    def test_no_leg_says_nothing(self) -> None:
        records = self.look(fresh(), 'B')
        self.assertEqual(records, self.look(records, ''))

    def test_S10_it_came_up_on_the_one_that_was_dropped(self) -> None:
        """A was dropped, B went on; A is assembled alone."""
        records = self.look(self.look(fresh(), 'AB'), 'B', 'A-B+')
        for listed in ('A-B+', 'A+B+', 'A-B-', 'A~B+'):
            for owing in (False, True):
                after = self.look(records, 'A', listed, True, owing)
                self.assertEqual('B', current(after))
                self.assertIn('old copy, replica %s; replica %s' % (A, B),
                              self.alarm)
                # and it stays so, whatever is told meanwhile
                after = self.look(after, 'A', 'A-B-')
                self.assertEqual('B', current(after))
                self.assertIn(A, self.alarm)

    def test_S10_over_when_the_right_one_is_in_charge(self) -> None:
        records = self.look(self.look(fresh(), 'B', 'A-B+'), 'A', 'A-B+',
                            True)
        self.assertNotEqual('', self.alarm)
        records = self.look(records, 'B', 'A-B+', True)
        self.assertEqual(('B', ''), (current(records), self.alarm))

    def test_S10_by_the_provisioners_word_alone(self) -> None:
        """This host has never had the volume."""
        records = self.look(fresh(), 'A', 'A-B+', True)
        self.assertEqual('B', current(records))
        self.assertIn(A, self.alarm)

    def test_S10_the_volume_was_on_another_host_meanwhile(self) -> None:
        """There A was dropped; here both were in sync."""
        records = self.look(fresh(), 'AB')
        self.look(records, 'A', 'A-B+', True)
        self.assertIn(A, self.alarm)
        # what this host has not told yet is no word of another one
        self.look(records, 'A', 'A-B+', True, owing=True)
        self.assertEqual('', self.alarm)

    def test_others_have_replaced_all_of_them(self) -> None:
        records = self.look(fresh(), 'AB')
        for listed in ('C+', 'B-C+', 'A!C+'):
            after = self.look(records, 'C', listed, True)
            self.assertEqual(('C', ''), (current(after), self.alarm))

    def test_S8_a_list_that_lacks_whoever_was_in_charge(self) -> None:
        """It may be truncated; and what was not told yet is no word."""
        before = self.look(self.look(fresh(), 'AB'), 'B', 'A-B+')
        for listed, owing in (('A-', False), ('A~', False), ('A+', True),
                              ('C+', False), ('A+B!', True)):
            after = self.look(before, 'A', listed, True, owing)
            self.assertEqual('B', current(after))
            self.assertIn(A, self.alarm, listed)
        # of another host's agent
        self.look(before, 'A', 'A+', True)
        self.assertEqual('', self.alarm)

    def test_an_array_that_never_was_away_came_up_on_nothing(self) -> None:
        """The agent alone was started anew; md went from B to A meanwhile."""
        before = self.look(self.look(fresh(), 'AB', instance='boot/7'), 'B',
                           'A-B+', instance='boot/7')
        for listed in ('A-B+', 'A-B-', 'A~B+'):
            after = self.look(before, 'A', listed, True, instance='boot/7')
            self.assertEqual(('A', ''), (current(after), self.alarm))
        # the kernel gives no number, or the ledger has none: as ever
        self.look(before, 'A', 'A-B+', True)
        self.assertIn(A, self.alarm)
        before = self.look(self.look(fresh(), 'AB'), 'B', 'A-B+')
        self.look(before, 'A', 'A-B+', True, instance='boot/7')
        self.assertIn(A, self.alarm)

    def test_an_array_of_three_that_never_was_away(self) -> None:
        listed = 'A-B+C-'
        before = self.look(self.look(fresh(), 'ABC', listed,
                                     instance='boot/7'), 'B', listed,
                           instance='boot/7')
        for legs in ('A', 'AC', 'C', 'BC'):
            after = self.look(before, legs, listed, True, instance='boot/7')
            self.assertEqual((legs, ''), (current(after), self.alarm))
            self.look(before, legs, listed, True, instance='boot/8')
            self.assertEqual('B' not in legs, self.alarm != '')

    def test_S10_an_array_put_together_anew_between_two_looks(self) -> None:
        """Too quickly for a pass to have seen it gone."""
        before = self.look(fresh(), 'B', 'A-B+', instance='boot/7')
        self.look(before, 'A', 'A-B+', instance='boot/8')
        self.assertIn('old copy, replica %s' % A, self.alarm)

    def test_S10_both_were_told_missing_and_the_older_one_came_up(self
                                                                  ) -> None:
        records = self.look(fresh(), 'B', 'A-B-')
        self.look(records, 'A', 'A-B-', True)
        self.assertIn(A, self.alarm)

    def test_S10_one_that_diverged_is_in_doubt_until_it_is_a_leg(self
                                                                 ) -> None:
        records: Records = {**fresh(), B: replica_record.diverged(
            replica_record.ReplicaRecord(), 'it is ahead')}
        records = self.look(records, 'A')
        self.assertIn('it is ahead', self.alarm)
        self.look(records, 'AB')
        self.assertEqual('', self.alarm)

    def test_the_operators_word(self) -> None:
        records: Records = {**fresh('AB'), B: replica_record.diverged(
            replica_record.ReplicaRecord(), 'it is ahead')}
        records = self.look(replica_record.chosen(records, A), 'A')
        self.assertEqual(('A', '', True), (current(records), self.alarm,
                                           records[B].given_up))
        records = self.look(records, 'AB')
        self.assertFalse(records[B].given_up)

    def test_S10_the_operators_word_for_one_that_is_not_in_charge(self
                                                                  ) -> None:
        records = self.look(fresh('AB'), 'A')
        records = self.look(replica_record.chosen(records, B), 'A')
        self.assertEqual('B', current(records))
        self.assertIn(A, self.alarm)
