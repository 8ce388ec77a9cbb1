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
"""The flow of healing, told as stories: the agent in a simulated world."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.testing.simulation import md
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
A, B, C, D = (scripted_world.uuid_of(number) for number in range(4))


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions
            if not isinstance(
                action, (act.SetFastIoFail, act.SetFailfast))]


class StoryTest(base.BaseTestCase):
    """The grace period is 60 s, a pass every 5 s, a resync takes 40 s."""

    def assert_whole(self, world: scripted_world.World,
                     *uuids: str) -> None:
        self.assertEqual(
            set(uuids), {member.medium.uuid
                         for member in world.judge.good(world.raid)})
        self.assertEqual(len(uuids), world.raid.raid_disks)
        self.assertEqual({uuid: State.AVAILABLE for uuid in uuids},
                         world.volume.replicas)
        self.assertEqual([], world.raid.errors)

    def replaced(self, guarded: bool) -> scripted_world.World:
        world = scripted_world.world(self, guarded=guarded)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.passes(60)
        self.assert_whole(world, B, C)
        self.assertEqual(
            [('report MISSING', A), ('replace', A),
             ('report SYNCHRONIZING', C), ('report AVAILABLE', C),
             ('retire', A), ('confirm', A)], world.vendor.log)
        self.assertNotIn(world.targets[0].nqn, {
            path.nqn for path in world.kernel.paths.values()})
        return world

    def test_a_dead_target_is_replaced(self) -> None:
        self.replaced(guarded=True)

    def test_a_dead_target_is_replaced_without_the_guard(self) -> None:
        self.replaced(guarded=False)

    def test_a_dead_leg_of_an_idle_array_is_replaced(self) -> None:
        """md does not notice: nothing is written any more."""
        world = scripted_world.world(self, guarded=False)
        world.kernel.write(world.raid, 0)
        world.kernel.lose(world.targets[0])
        world.passes(60, writing=False)
        self.assert_whole(world, B, C)

    def test_S15_nothing_is_put_in_before_the_first_write(self) -> None:
        """The virtual machine may still be on another host, and write."""
        for returns in (True, False):
            world = scripted_world.world(self, guarded=False)
            world.kernel.lose(world.targets[0])
            done = world.passes(2, writing=False)
            member = world.raid.members[0]
            world.raid.fault(member)
            if returns:
                world.kernel.restore(world.targets[0])
            done += world.passes(60, writing=False)
            self.assertNotIn('AddLeg', kinds(done))
            self.assertNotIn(('replace', A), world.vendor.log)
            self.assertIn('AddLeg', kinds(world.passes(60)))
            self.assert_whole(world, *((A, B) if returns else (B, C)))

    def test_the_steps_are_in_order(self) -> None:
        world = scripted_world.world(self)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        self.assertEqual(
            ['FailLeg', 'Disconnect', 'KeepMarked', 'RemoveLeg', 'Connect',
             'AddLeg'], kinds(world.passes(60)))

    def test_without_a_grace_period_one_replacement_is_requested(self) -> None:
        """The one that was assigned is given the time to arrive."""
        world = scripted_world.world(self)
        world.conf.set_override('replacement_grace_period', 0.0)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.passes(60)
        self.assertEqual([('replace', A)], [
            call for call in world.vendor.log if call[0] == 'replace'])
        self.assert_whole(world, B, C)

    def test_nothing_is_requested_before_the_grace_period_ends(self) -> None:
        world = scripted_world.world(self, down_time=100.0)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(20)
        self.assertEqual([('report MISSING', A)], world.vendor.log)
        world.passes(2)
        self.assertIn(('replace', A), world.vendor.log)

    def test_a_down_time_of_0_never_replaces(self) -> None:
        world = scripted_world.world(self, down_time=0.0)
        world.kernel.lose(world.targets[0])
        world.passes(60)
        self.assertEqual([('report MISSING', A)],
                         world.vendor.log[:1])
        self.assertNotIn(('replace', A), world.vendor.log)

    def test_a_leg_back_within_the_grace_is_added_again(self) -> None:
        world = scripted_world.world(self)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.passes(5)
        world.kernel.restore(world.targets[0])
        done = world.passes(12)
        self.assertEqual(['Connect', 'AddLeg'], kinds(done))
        self.assertTrue(all(action.returning for action in done
                            if isinstance(action, act.AddLeg)))
        self.assertEqual([('report MISSING', A), ('report SYNCHRONIZING', A),
                          ('report AVAILABLE', A)], world.vendor.log)
        self.assert_whole(world, A, B)

    def test_grace_survives_a_restart(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(8)
        world.restart()
        world.passes(3)
        self.assertNotIn(('replace', A), world.vendor.log)
        world.passes(2)
        self.assertIn(('replace', A), world.vendor.log)

    def test_down_time_adds_up_while_a_replica_comes_and_goes(self) -> None:
        """A medium that fails every write is replaced in the end.

        Neither what it is kept out for counts, nor what is copied to it.
        """
        world = scripted_world.world(self, down_time=5.0)
        world.passes(1)
        while ('replace', A) not in world.vendor.log:
            self.assertLess(world.baton.now, 1500.0)
            for member in world.raid.members:
                if member.medium.uuid == A and not member.faulty:
                    world.raid.fault(member)
            world.passes(1)
        world.passes(40)
        self.assert_whole(world, B, C)

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

    def test_two_of_three_are_lost_and_there_is_room_for_one(self) -> None:
        """The provisioner lists no more than four replicas at once."""
        world = scripted_world.world(self, replicas=3)
        world.vendor.most = 4
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.kernel.lose(world.targets[1])
        world.until(lambda: world.whole, 1000.0)
        self.assert_whole(world, C, D, scripted_world.uuid_of(4))

    def test_two_of_three_are_lost(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.kernel.lose(world.targets[1])
        world.passes(60)
        self.assert_whole(world, C, D, scripted_world.uuid_of(4))
        self.assertEqual(2, [what for what, _uuid in world.vendor.log
                             ].count('replace'))

    def test_S9_both_are_lost_and_nothing_is_done(self) -> None:
        world = scripted_world.world(self)
        world.passes(2)
        world.kernel.cut()
        # md itself drops the leg that fails fast; nothing can be removed
        # while the other one waits
        self.assertEqual([], kinds(world.passes(60)))
        self.assertEqual([True], [member.faulty for member
                                  in world.raid.members[1:]])
        self.assertNotIn('replace', world.asked)
        world.kernel.mend()
        world.passes(30)
        self.assertNotIn('replace', world.asked)
        self.assert_whole(world, A, B)

    def test_no_target_is_asked_for_while_no_leg_is_live(self) -> None:
        """Access may have been withdrawn from this host."""
        world = scripted_world.world(self)
        world.passes(2)
        for lost in ((0,), (0, 1)):
            for number in lost:
                world.kernel.lose(world.targets[number])
            view = test_observing.view(world, {})
            decided = decision.decide(
                view.volume, view.array, view.snapshot, {}, 0.0, view.policy,
                frozenset())
            self.assertEqual({A} if len(lost) == 1 else set(),
                             decided.targets_wanted)

    def test_grace_stands_still_while_no_leg_is_good(self) -> None:
        """One target comes back a little before the other."""
        world = scripted_world.world(self)
        world.passes(1)
        for target in world.targets[:2]:
            world.kernel.lose(target)
        world.passes(50)
        world.kernel.restore(world.targets[1])
        world.passes(4)
        world.kernel.restore(world.targets[0])
        world.passes(20)
        self.assertNotIn('replace', world.asked)
        self.assert_whole(world, A, B)

    def test_spare_too_small_is_said_and_replaced(self) -> None:
        world = scripted_world.world(self, first_is_small=True)
        world.volume.spares = world.volume.spares[:1]
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(40)
        record = world.records[C]
        self.assertIn('too small', record.failed)
        self.assertIn(('report MISSING', C), world.vendor.log)
        self.assertIn(('replace', C), world.vendor.log)
        self.assertEqual([B], [member.medium.uuid
                               for member in world.raid.members])
        large = md.Medium(scripted_world.uuid_of(77))
        world.targets.append(world.kernel.target(77, large))
        world.volume.spares = [large.uuid]
        world.until(lambda: world.whole, 4500.0)
        self.assert_whole(world, B, large.uuid)

    def test_spare_held_by_another_array_is_not_touched(self) -> None:
        world = scripted_world.world(self)
        world.volume.spares = [scripted_world.uuid_of(500)]
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(30)
        record = world.records[
            scripted_world.uuid_of(500)]
        self.assertIn('in use by md9', record.failed)

    def test_replica_back_after_its_replacement_was_assigned(self) -> None:
        """It is not added in the place that its successor has taken."""
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(16)
        self.assertIn(C, [member.medium.uuid
                          for member in world.raid.members])
        world.kernel.restore(world.targets[0])
        world.kernel.incremental(world.raid)
        world.passes(40)
        self.assert_whole(world, B, C)

    def test_replica_back_before_its_successor_can_be_reached(self) -> None:
        """A copy that came back is worth more than one still to come."""
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[2])
        world.kernel.lose(world.targets[0])
        world.passes(16)
        self.assertIn(C, world.volume.replicas)
        # it was cut off, and disconnected with that
        self.assertNotIn(world.targets[0].nqn, {
            path.nqn for path in world.kernel.paths.values()})
        world.kernel.restore(world.targets[0])
        world.until(lambda: {A, B} == {
            member.medium.uuid for member in world.judge.good(world.raid)})
        world.kernel.restore(world.targets[2])
        world.passes(40)
        self.assert_whole(world, B, C)

    def test_back_before_the_successor_is_listed(self) -> None:
        world = scripted_world.world(self)
        world.vendor.slow = True
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(20)
        world.kernel.restore(world.targets[0])
        world.passes(20)
        world.vendor.assign(world.volume)
        world.passes(40)
        self.assert_whole(world, A, B)
        self.assertIn(('retire', C), world.vendor.log)

    def test_S7_a_slow_assignment_is_requested_once(self) -> None:
        world = scripted_world.world(self)
        world.vendor.slow = True
        world.passes(1)
        world.kernel.lose(world.targets[0])
        for _restart in range(5):
            world.passes(20)
            world.restart()
        self.assertEqual(1, world.vendor.log.count(('replace', A)))

    def test_S7_an_unanswered_request_is_repeated_later(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.passes(3)
        world.vendor.slow, world.vendor.lost = True, {'replace'}
        world.passes(11)
        self.assertEqual(1, world.vendor.log.count(('replace', A)))
        world.passes(6)
        self.assertEqual(2, world.vendor.log.count(('replace', A)))

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

    def test_uuid_that_is_assigned_once_more_is_new(self) -> None:
        world = self.replaced(guarded=True)
        world.kernel.restore(world.targets[0])
        world.volume.spares = [A]
        world.kernel.media[A].written = None
        world.kernel.lose(world.targets[1])
        world.passes(60)
        self.assert_whole(world, A, C)

    def test_S10_unless_it_carries_what_nobody_can_vouch_for(self) -> None:
        """It was not wiped, and whoever it knew has gone."""
        world = self.replaced(guarded=True)
        world.kernel.restore(world.targets[0])
        world.volume.spares = [A]
        world.kernel.lose(world.targets[1])
        world.passes(60)
        self.assertIn('without any of the legs', world.records[A].divergent)
        self.assertEqual([C], [member.medium.uuid for member
                               in world.raid.members])

    def test_a_leg_that_was_out_before_the_agent_began_is_put_back(
            self) -> None:
        world = scripted_world.world(self)
        leg = world.raid.members[0]
        world.raid.fault(leg)
        world.raid.remove(leg)
        world.passes(20)
        self.assert_whole(world, A, B)

    def test_failing_connect_does_not_keep_others_waiting(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(2)
        world.kernel.lose(world.targets[0])
        world.kernel.lose(world.targets[1])
        world.passes(3)
        world.kernel.restore(world.targets[1])
        world.passes(12)
        self.assertEqual({B, C}, {member.medium.uuid for member
                                  in world.judge.good(world.raid)})
