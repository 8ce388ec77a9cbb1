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
"""What was lost comes back: before or after its replacement."""

from __future__ import annotations

from os_brick.agent.healing import decision
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.healing import story_case
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

A, B, C = story_case.A, story_case.B, story_case.C
kinds = story_case.kinds


class ComingBackTest(story_case.StoryCase):

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


class OutageTest(story_case.StoryCase):
    """No leg is good, and all may come back."""

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
