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
"""A provisioner that was restored from a backup is told again what it forgot.

And whatever is surplus leaves, though a place of the array is empty.
"""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
A, B, C = (scripted_world.uuid_of(number) for number in range(3))


class ForgottenTest(base.BaseTestCase):
    """A is replaced by C; what waits for a repetition waits for 60 s."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self)
        self.world.passes(2)
        self.world.kernel.lose(self.world.targets[0])

    def until(self, words: tuple[str, str]) -> None:
        for _pass in range(100):
            if words in self.world.vendor.log:
                return
            self.world.passes(1)
        self.fail('it was not told %s' % (words,))

    def number(self, *words: str) -> int:
        return self.world.vendor.log.count((words[0], words[1]))

    def test_a_retirement_is_told_again(self) -> None:
        self.until(('retire', A))
        self.world.volume.replicas[A] = State.MISSING
        self.world.passes(10)
        self.assertEqual(1, self.number('retire', A))
        self.world.passes(10)
        self.assertEqual(2, self.number('retire', A))
        self.until(('confirm', A))
        self.assertEqual({B, C}, set(self.world.volume.replicas))

    def test_a_confirmation_is_told_again(self) -> None:
        self.until(('confirm', A))
        self.world.volume.replicas[A] = State.TERMINATING
        self.world.passes(10)
        self.assertEqual(1, self.number('confirm', A))
        self.world.passes(10)
        self.assertEqual(2, self.number('confirm', A))
        self.assertEqual({B, C}, set(self.world.volume.replicas))

    def test_one_that_took_it_is_told_once(self) -> None:
        self.until(('confirm', A))
        self.world.passes(40)
        self.assertEqual((1, 1), (self.number('retire', A),
                                  self.number('confirm', A)))


class SurplusTest(base.BaseTestCase):

    def test_an_empty_place_goes_before_a_leg_that_works(self) -> None:
        """C may not be retired, and A may not go, before the array is whole.

        C is too small, and B was assigned in its place.
        """
        world = scripted_world.world(self, replicas=3, count=1)
        world.passes(2)
        for member in world.raid.members[2:]:
            world.raid.fault(member)
            world.raid.members.remove(member)
            member.medium.size = 1
        world.vendor.terminate(world.volume, A)
        view = test_observing.view(world, {
            A: decision.ReplicaRecord(joined=True, current=True),
            B: decision.ReplicaRecord(joined=True, current=True),
            C: decision.ReplicaRecord(successor=B, requested_at=1.0)})
        decided = decision.decide(
            view.volume, view.array, view.snapshot, view.records, view.now,
            view.policy, frozenset())
        self.assertEqual([2], [
            action.raid_disks for action in decided.actions
            if isinstance(action, act.Resize)])
        self.assertNotIn(act.FailLeg, map(type, decided.actions))

    def test_no_place_is_kept_for_one_that_is_surplus(self) -> None:
        """It is bad, and may not be retired before the array is whole."""
        world = scripted_world.world(self, replicas=3, count=2)
        world.passes(2)
        for member in world.raid.members[2:]:
            world.raid.fault(member)
            world.raid.members.remove(member)
            member.medium.size = 1
        world.passes(60)
        self.assertEqual(2, world.raid.raid_disks)
        self.assertIn(('retire', C), world.vendor.log)
        self.assertEqual({A, B}, set(world.volume.replicas))

    def test_a_replacement_that_leaves_itself_dooms_nobody(self) -> None:
        """C came in the place of A, and is to go; A is here, and wanted."""
        world = scripted_world.world(self, replicas=3, count=2)
        world.passes(2)
        world.vendor.terminate(world.volume, C)
        record = decision.ReplicaRecord(joined=True, current=True)
        view = test_observing.view(world, {
            A: decision.ReplicaRecord(joined=True, current=True, successor=C,
                                      requested_at=1.0, retry_at=1e9),
            B: record, C: record})
        decided = decision.decide(
            view.volume, view.array, view.snapshot, view.records, view.now,
            view.policy, frozenset())
        self.assertEqual(
            [view.array.leg_of(C).device],    # type: ignore[union-attr]
            [action.device for action in decided.actions
             if isinstance(action, act.FailLeg)])


class ComesBackTest(base.BaseTestCase):
    """A replica that was bad for too long is here again."""

    def decided(self, world: scripted_world.World, back: str,
                successor: str) -> decision.HealingDecision:
        world.kernel.advance(1000.0)
        record = decision.ReplicaRecord(joined=True, current=True)
        now = world.kernel.now
        view = test_observing.view(world, {
            **dict.fromkeys(world.volume.replicas, record),
            back: dataclasses.replace(
                record, current=False, successor=successor, requested_at=1.0,
                retry_at=1e9, bad_since=0.0, down=1e6, counted_at=now,
                left_at=1.0)})
        return decision.decide(
            view.volume, view.array, view.snapshot, view.records, view.now,
            view.policy, frozenset())

    def added(self, decided: decision.HealingDecision) -> set[str]:
        return {action.replica_uuid for action in decided.actions
                if isinstance(action, act.AddLeg)}

    def asked(self, decided: decision.HealingDecision) -> set[str]:
        return {request.replica_uuid for request in decided.requests}

    def test_one_that_is_surplus_is_not_put_in(self) -> None:
        """Two stay and two are to leave: it is asked to be let go of."""
        world = scripted_world.world(self, replicas=4, count=2, spares=1)
        back = scripted_world.uuid_of(4)
        for uuid in list(world.volume.replicas)[2:]:
            world.vendor.terminate(world.volume, uuid)
        world.volume.replicas[back] = State.MISSING
        world.kernel.connect(world.targets[4].nqn,
                             world.targets[4].portals[0])
        decided = self.decided(world, back, scripted_world.uuid_of(3))
        self.assertEqual(set(), self.added(decided))
        self.assertIn(back, self.asked(decided))

    def test_S5_what_is_put_in_is_not_let_go_of_at_once(self) -> None:
        """It takes an empty place, though its successor is in sync."""
        world = scripted_world.world(self, replicas=4, count=3, spares=0)
        member = world.raid.members[1]
        world.raid.fault(member)
        world.raid.members.remove(member)
        decided = self.decided(world, B, scripted_world.uuid_of(3))
        self.assertEqual({B}, self.added(decided))
        self.assertNotIn(B, self.asked(decided))
