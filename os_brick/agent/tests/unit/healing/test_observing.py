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

from __future__ import annotations

import dataclasses
import types
import typing

from oslotest import base

from os_brick.agent.healing import custody
from os_brick.agent.healing import observing
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.tests.unit import scripted_world

A, B, C = (scripted_world.uuid_of(number) for number in range(3))


def view(world: scripted_world.World,
         records: replica_record.ReplicaRecords) -> volume_view.VolumeView:
    world.kernel.touched()
    snapshot = world.kernel.scan()
    array = snapshot.array('md1')
    assert array is not None
    return volume_view.VolumeView(
        world.listed(), array, snapshot,
        types.MappingProxyType(dict(records)), world.kernel.now,
        replica_record.HealingPolicy(60.0, 60.0))


def without_the_second_leg(world: scripted_world.World,
                           records: replica_record.ReplicaRecords
                           ) -> volume_view.VolumeView:
    """md drops it, and lists it no more: what is seen then."""
    world.raid.fault(world.raid.members[1])
    world.raid.members.pop(1)
    seen = view(world, records)
    return seen.with_records(observing.observe(seen))


def later(records: replica_record.ReplicaRecords,
          uuid: str) -> frozenset[str]:
    return custody.departure(records, uuid).later


class TestObserve(base.BaseTestCase):

    def test_the_first_look_finds_legs(self) -> None:
        world = scripted_world.world(self)
        world.vendor.give(world.volume)
        records = observing.observe(view(world, {}))
        self.assertEqual({A: True, B: True, C: True}, {
            uuid: record.joined for uuid, record in records.items()})

    def test_the_first_look_takes_no_strangers_copy_for_a_leg(self) -> None:
        """Listed by mistake, it is missed by nobody when it no longer is."""
        world = scripted_world.world(self)
        stranger = scripted_world.uuid_of(500)
        world.volume.replicas[stranger] = model.ReplicaState.AVAILABLE
        records = observing.observe(view(world, {}))
        self.assertEqual({A: True, B: True, stranger: False}, {
            uuid: record.joined for uuid, record in records.items()})

    def test_S8_a_leg_that_no_list_has_had_is_missed(self) -> None:
        """The ledger was full, the agent began anew, the list is short."""
        world = scripted_world.world(self)
        world.volume.count = None
        records = dict(observing.observe(view(world, {})))
        del records[B]
        del world.volume.replicas[B]
        records = dict(observing.observe(view(world, records)))
        self.assertTrue(records[B].joined)
        later = without_the_second_leg(world, records)
        self.assertEqual([B], later.unlisted)
        self.assertEqual(2, later.goal)

    def test_S8_what_was_listed_here_before_it_was_a_leg_is_missed(
            self) -> None:
        """Another host has put it in, and the list is short since."""
        world = scripted_world.world(self)
        world.volume.count = None
        records = dict(observing.observe(view(world, {})))
        records[B] = replica_record.ReplicaRecord(seen_at=1.0)
        del world.volume.replicas[B]
        records = dict(observing.observe(view(world, records)))
        self.assertTrue(records[B].joined)
        self.assertEqual(1.0, records[B].seen_at)
        later = without_the_second_leg(world, records)
        self.assertEqual([B], later.unlisted)
        self.assertEqual(2, later.goal)

    def test_S8_what_is_to_go_is_not_missed(self) -> None:
        """It was let go of, and another host has not done so yet."""
        world = scripted_world.world(self)
        world.volume.count = None
        seen = dict(observing.observe(view(world, {})))
        del world.volume.replicas[B]
        for name in ('retired', 'terminating', 'confirmed'):
            let_go: dict[str, typing.Any] = {name: True}
            seen[B] = replica_record.ReplicaRecord(seen_at=1.0, **let_go)
            records = observing.observe(view(world, seen))
            self.assertTrue(getattr(records[B], name), name)
            self.assertFalse(records[B].joined, name)

    def test_a_leg_that_was_never_known_to_be_listed_is_not_missed(
            self) -> None:
        """The source of a migration may have let go of it."""
        world = scripted_world.world(self)
        world.volume.count = None
        del world.volume.replicas[B]
        records = observing.observe(view(world, {}))
        records = observing.observe(view(world, records))
        later = without_the_second_leg(world, records)
        self.assertEqual([], later.unlisted)
        self.assertEqual(1, later.goal)

    def test_S10_who_became_a_leg_after_it_had_left(self) -> None:
        world = scripted_world.world(self)
        records = dict(observing.observe(view(world, {})))
        self.assertEqual((0.0, None), (records[A].joined_at,
                                       records[A].out_at))
        world.raid.fault(world.raid.members[0])
        gone = world.raid.members.pop(0)
        world.kernel.advance(5.0)
        left = world.kernel.now
        records = dict(observing.observe(view(world, records)))
        world.kernel.advance(5.0)
        world.vendor.give(world.volume)
        records = dict(observing.observe(view(world, records)))
        self.assertNotIn(B, later(records, A))
        # killed as soon as it was put in, and the host boots
        records[C] = replica_record.put_in(records[C], world.kernel.now)
        world.kernel.advance(5.0)
        records = dict(observing.observe(dataclasses.replace(
            view(world, records), attached=True)))
        self.assertEqual((left, world.kernel.now), (
            records[A].out_at, records[A].left_at))
        self.assertEqual({C}, later(records, A))
        self.assertEqual(set(), later(records, B))
        # it is a leg again
        gone.flags.discard('faulty')
        world.raid.members.insert(0, gone)
        records = dict(observing.observe(view(world, records)))
        self.assertEqual(set(), later(records, A))

    def test_S10_only_an_instance_that_has_a_number_is_told_from_the_next(
            self) -> None:
        world = scripted_world.world(self)
        for numbered in (False, True):
            if numbered:
                world.kernel.number_disks()
            world.kernel.write(world.raid, 0)
            records = observing.observe(view(world, {}))
            left = custody.departure(records, A)
            self.assertEqual(numbered, bool(left.instance))
            self.assertTrue(left.was_leg)
        self.assertEqual(view(world, records).array.instance, left.instance)

    def test_S10_who_is_a_leg_again_is_no_witness_where_it_left_here(
            self) -> None:
        """B was out when A was dropped: it is not in what A wrote last."""
        for listed in (True, False):
            world = scripted_world.world(self)
            world.kernel.number_disks()
            world.kernel.write(world.raid, 0)
            records = dict(observing.observe(view(world, {})))
            if not listed:
                del world.volume.replicas[A]
            for leg, out in ((1, True), (0, True), (1, False)):
                world.kernel.advance(5.0)
                flags = world.raid.members[leg].flags
                flags ^= {'faulty'}
                self.assertEqual(out, 'faulty' in flags)
                records = dict(observing.observe(view(world, records)))
            self.assertEqual({B}, later(records, A))
            self.assertEqual(set(), later(records, B))
            for marked_by in ('', replica_record.UNNUMBERED):
                self.assertEqual(set(), later({
                    uuid: replica_record.noted(record, marked_by=marked_by)
                    for uuid, record in records.items()}, A))

    def test_one_that_is_listed_later_is_new(self) -> None:
        world = scripted_world.world(self)
        records = observing.observe(view(world, {}))
        world.vendor.give(world.volume)
        later = observing.observe(view(world, records))
        self.assertFalse(later[C].joined)
        self.assertEqual(world.kernel.now, later[C].seen_at)

    def test_the_clock_runs_between_two_looks(self) -> None:
        """And the view it was asked with stays what it was."""
        world = scripted_world.world(self)
        world.kernel.write(world.raid, 0)
        records = observing.observe(view(world, {}))
        world.kernel.lose(world.targets[0])
        world.kernel.advance(5.0)
        lost = observing.observe(view(world, records))
        self.assertEqual(0.0, lost[A].down)
        world.kernel.advance(7.0)
        second = view(world, lost)
        later = observing.observe(second)
        self.assertEqual((7.0, 0.0), (later[A].down, later[B].down))
        self.assertEqual(0.0, second.records[A].down)
        self.assertEqual(later, observing.observe(second))

    def test_a_view_is_frozen(self) -> None:
        world = scripted_world.world(self)
        self.assertRaises(dataclasses.FrozenInstanceError, setattr,
                          view(world, {}), 'records', {})
