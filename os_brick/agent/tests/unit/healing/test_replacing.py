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
"""A target is lost for good: when its replica is replaced, and by which."""

from __future__ import annotations

from os_brick.agent.testing.simulation import md
from os_brick.agent.tests.unit.healing import story_case
from os_brick.agent.tests.unit import scripted_world

A, B, C, D = story_case.A, story_case.B, story_case.C, story_case.D
kinds = story_case.kinds


class ReplacingTest(story_case.StoryCase):

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


class GraceTest(story_case.StoryCase):
    """When a replacement is requested, and how often."""

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
