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
"""While another host has the volume, too, this one's bitmap lacks its writes.

What it lets go of, this one need not keep either.
"""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import late_writes
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

A, B, C = (scripted_world.uuid_of(number) for number in range(3))


class SharedTest(base.BaseTestCase):
    """md has dropped A; its target answers."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self)
        self.world.kernel.write(self.world.raid, 0)
        self.member = self.world.raid.members[0]
        self.world.raid.fault(self.member)
        self.world.raid.members.remove(self.member)
        self.records: replica_record.ReplicaRecords = {
            uuid: decision.ReplicaRecord(
                joined=True, current=uuid == B,
                marked_by=replica_record.UNNUMBERED) for uuid in (A, B)}

    def decide(self, observe: str = '') -> decision.HealingDecision:
        view = test_observing.view(self.world, self.records)
        found = decision.decide(
            dataclasses.replace(view.volume, observe=observe), view.array,
            view.snapshot, view.records, view.now, view.policy,
            frozenset())
        self.records = found.records
        return found

    def added(self) -> act.AddLeg:
        self.world.kernel.advance(late_writes.HOLD + 1.0)
        return next(action for action in self.decide().actions
                    if isinstance(action, act.AddLeg))

    def test_the_bitmap_of_a_host_that_was_alone_is_whole(self) -> None:
        self.decide()
        self.assertTrue(self.added().returning)

    def test_what_was_out_while_another_host_had_it_is_copied_whole(
            self) -> None:
        self.assertEqual((), self.decide('the host b heals it').actions)
        added = self.added()
        self.assertEqual((A, False), (added.replica_uuid, added.returning))
        self.assertIn('copied whole: it was not seen in sync since',
                      added.reason)

    def test_nor_is_it_when_the_volume_was_detached_meanwhile(self) -> None:
        self.decide('the host b heals it')
        self.records = decision.detached(self.records, self.world.kernel.now)
        self.assertFalse(self.added().returning)

    def test_S10_it_may_have_come_up_on_an_old_copy_meanwhile(self) -> None:
        """The other host has reported that B is, and A holds more."""
        self.world.volume.replicas[A] = model.ReplicaState.AVAILABLE
        self.world.volume.replicas[B] = model.ReplicaState.MISSING
        self.decide('the host b heals it')
        self.assertIn('came up on an old copy, replica %s' % B,
                      self.decide().alarm)

    def test_one_that_is_in_sync_again_lacks_nothing(self) -> None:
        self.decide('the host b heals it')
        self.assertEqual('', self.records[A].marked_by)
        self.world.raid.members.append(self.member)
        self.member.slot, self.member.flags = 0, {'in_sync'}
        self.world.kernel.touched()
        self.decide('the host b heals it')
        self.assertEqual('', self.records[A].marked_by)
        self.decide()
        self.assertNotEqual('', self.records[A].marked_by)

    def test_s13_a_new_one_may_have_writes_of_the_other_host_to_do(
            self) -> None:
        """C was assigned to the other host, which may have cut it."""
        self.world.vendor.give(self.world.volume)
        target = self.world.kernel.home(C)
        self.world.kernel.connect(target.nqn, target.portals[0])
        self.decide('the host b heals it')
        self.assertEqual({A, C}, set(self.decide().held))


class DroppedTest(base.BaseTestCase):

    def replaced(self, terminating: bool) -> list[str]:
        """A is a leg and no longer listed; B stays, C is a spare."""
        world = scripted_world.world(self, count=2)
        world.vendor.give(world.volume)
        target = world.kernel.home(C)
        world.kernel.connect(target.nqn, target.portals[0])
        view = test_observing.view(world, {})
        device = next(one.device for one in view.snapshot.namespaces
                      if one.uuid == C)
        world.raid.join(device, world.kernel.media[C], False)
        del world.volume.replicas[A]
        view = test_observing.view(world, {
            A: decision.ReplicaRecord(joined=True, current=True,
                                      terminating=terminating),
            B: decision.ReplicaRecord(joined=True, current=True),
            C: decision.ReplicaRecord(joined=True)})
        return [action.device for action in decision.decide(
            view.volume, view.array, view.snapshot, view.records, view.now,
            view.policy, frozenset()).actions
            if isinstance(action, act.ReplaceLeg)]

    def test_another_one_takes_the_place_of_one_that_was_to_leave(
            self) -> None:
        self.assertEqual(1, len(self.replaced(True)))

    def test_s8_one_that_is_merely_not_listed_keeps_its_place(self) -> None:
        self.assertEqual([], self.replaced(False))
