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
"""What the provisioner lists changes, or is not all that there is."""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import decision
from os_brick.agent.tests.unit.healing import story_case
from os_brick.agent.tests.unit import scripted_world

A, B, C = story_case.A, story_case.B, story_case.C
State = story_case.State
kinds = story_case.kinds


class ListedTest(story_case.StoryCase):

    def test_terminating_replica_is_exchanged_whole(self) -> None:
        world = scripted_world.world(self)
        world.passes(2)
        world.vendor.give(world.volume)
        world.vendor.terminate(world.volume, A)
        done = []
        for _pass in range(40):
            done += world.passes(1)
            self.assertGreaterEqual(len(world.judge.good(world.raid)), 2,
                                    'redundancy was given up')
        self.assertEqual(['Connect', 'AddLeg', 'ReplaceLeg', 'RemoveLeg',
                          'Disconnect'], kinds(done))
        self.assert_whole(world, B, C)
        self.assertEqual([('report SYNCHRONIZING', C),
                          ('report AVAILABLE', C), ('confirm', A)],
                         world.vendor.log)

    def test_terminating_replica_waits_for_its_successor(self) -> None:
        """S3: with a place for two, one is not let go of."""
        world = scripted_world.world(self)
        world.passes(2)
        world.vendor.terminate(world.volume, A)
        self.assertEqual([], kinds(world.passes(40)))

    def test_the_only_leg_is_exchanged(self) -> None:
        world = scripted_world.world(self, replicas=1)
        world.vendor.give(world.volume)
        world.vendor.terminate(world.volume, A)
        world.passes(40)
        self.assert_whole(world, B)

    def test_grow(self) -> None:
        for count in (2, None):
            world = scripted_world.world(self, count=count)
            world.passes(1)
            world.vendor.give(world.volume)
            if world.volume.count:
                world.volume.count = 3
            self.assertEqual(['Connect', 'AddLeg', 'Resize'],
                             kinds(world.passes(30)))
            self.assert_whole(world, A, B, C)

    def test_shrink(self) -> None:
        for count in (3, None):
            world = scripted_world.world(self, replicas=3, count=count)
            world.passes(1)
            world.vendor.terminate(world.volume, A)
            if world.volume.count:
                world.volume.count = 2
            self.assertEqual(
                ['Disconnect', 'FailLeg', 'RemoveLeg', 'Resize'],
                sorted(kinds(world.passes(30))))
            self.assert_whole(world, B, C)

    def test_shrink_when_a_leg_that_was_replaced_is_back(self) -> None:
        """Its successor has taken the place of another one that left."""
        world = scripted_world.world(self, replicas=3, count=None)
        world.passes(2)
        del world.volume.replicas[C]
        record = world.records
        world.agent.kill()
        world.raid.fault(world.raid.members[2])
        world.raid.remove(world.raid.members[2])
        world.remember({
            A: dataclasses.replace(record[A], requested_at=1.0, successor=B),
            B: record[B]})
        world.passes(5)
        self.assertEqual(2, world.raid.raid_disks)
        self.assert_whole(world, A, B)

    def test_S8_a_truncated_list_shrinks_nothing(self) -> None:
        world = scripted_world.world(self, replicas=3, count=None)
        world.passes(1)
        world.kernel.lose(world.targets[2])
        world.passes(3)
        world.vendor.hides = {B, C}
        world.passes(40)
        self.assertEqual(3, world.raid.raid_disks)
        world.vendor.hides = {A, B, C}
        world.passes(40)
        self.assertEqual([A, B], sorted(
            member.medium.uuid for member in world.raid.members))
        self.assertEqual(3, world.raid.raid_disks)

    def test_S8_no_leg_is_let_go_while_a_replica_is_unlisted(self) -> None:
        world = scripted_world.world(self, replicas=3, count=None)
        world.passes(1)
        world.vendor.hides = {C}
        world.vendor.terminate(world.volume, A)
        self.assertEqual([], kinds(world.passes(10)))

    def test_S8_a_replica_listed_again_is_no_successor(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.vendor.slow = True
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(5)
        world.vendor.hides = {C}
        world.passes(20)
        world.vendor.hides = set()
        world.passes(5)
        record = world.records[A]
        self.assertIsNone(record.successor)
        self.assertEqual(float('inf'), record.retry_at)

    def test_S5_a_vanished_leg_is_not_confirmed_while_listed(self) -> None:
        world = scripted_world.world(self, guarded=False)
        world.passes(1)
        world.vendor.terminate(world.volume, A)
        world.kernel.remove_namespace(A)
        world.kernel.advance(5.0)
        snapshot = world.kernel.scan()
        volume, policy = world.listed(), decision.HealingPolicy(60.0, 60.0)
        array = snapshot.array('md1')
        assert array is not None
        unknown = decision.decide(volume, array, snapshot, {}, 10.0, policy,
                                  frozenset())
        self.assertEqual((), unknown.requests)
        decided = decision.decide(
            volume, array, snapshot,
            world.records, 10.0, policy, frozenset())
        self.assertEqual((), decided.requests)
        self.assertEqual(['FailLeg'], kinds(list(decided.actions)))

    def test_S6_a_state_that_did_not_stick_is_told_again(self) -> None:
        world, told = scripted_world.world(self), 0.0
        world.passes(1)
        for times in range(1, 4):
            world.volume.replicas[A] = State.MISSING
            while len(world.vendor.log) < times:
                world.passes(1)
            self.assertEqual([('report AVAILABLE', A)] * times,
                             world.vendor.log)
            self.assertIn(world.baton.now - told, (60.0, 65.0, 70.0))
            told = world.baton.now
