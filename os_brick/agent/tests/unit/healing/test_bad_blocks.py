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
"""A leg that lacks blocks is replaced, whatever md calls it."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import volume_view
from os_brick.agent.testing.simulation import md
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

A, B, C, D, E = (scripted_world.uuid_of(number) for number in range(5))


class BadBlocksTest(base.BaseTestCase):

    def refuse(self, world: scripted_world.World, leg: md.Member) -> None:
        leg.medium.refuses[0] = True
        world.kernel.write(world.raid, 0)
        world.kernel.touched()
        self.assertTrue(leg.bad)

    def test_it_is_replaced_where_there_is_a_spare(self) -> None:
        world = scripted_world.world(self)
        world.let_wait(True)
        world.passes(2)
        self.refuse(world, world.raid.members[1])
        world.passes(60)
        self.assertEqual({A, C}, set(world.volume.replicas))
        self.assertFalse(world.raid.incomplete)
        self.assertIn(('report SYNCHRONIZING', B), world.vendor.log)

    def test_who_alone_holds_a_block_is_not_exchanged(self) -> None:
        """A is to leave, B lacks a block, and C's pool is full, too."""
        for refuses in (True, False):
            world = scripted_world.world(self)
            world.let_wait(True)
            world.passes(2)
            self.refuse(world, world.raid.members[1])
            world.vendor.terminate(world.volume, A)
            world.vendor.give(world.volume)
            for _pass in range(60):
                if refuses:
                    for uuid in (C, D, E):
                        if uuid in world.kernel.media:
                            world.kernel.media[uuid].refuses[0] = True
                # the judge looks whether the block can be read
                world.passes(1)
            self.assertEqual(refuses, A in world.volume.replicas)
            self.assertEqual(refuses, world.raid.incomplete)

    def test_what_comes_for_it_is_not_surplus(self) -> None:
        """The volume has all its copies, and this one beside them."""
        world = scripted_world.world(self, replicas=3, count=2)
        world.let_wait(True)
        world.passes(2)
        self.refuse(world, world.raid.members[2])
        world.passes(60)
        self.assertIn(('replace', C), world.vendor.log)
        self.assertNotIn(C, world.volume.replicas)
        self.assertFalse(world.raid.incomplete)

    def test_what_has_come_for_it_may_have_taken_another_place(self) -> None:
        """B came for C, which is still a leg: C is asked to be let go of."""
        world = scripted_world.world(self, replicas=3, count=2)
        world.let_wait(True)
        world.passes(2)
        for member in world.raid.members:
            self.assertEqual([], self.asked(world))
            if member.medium.uuid == C:
                self.refuse(world, member)
        self.assertEqual([('retire', C)], self.asked(world))
        world.vendor.terminate(world.volume, C)
        self.assertEqual([], self.asked(world))

    def test_one_that_leaves_keeps_nobody(self) -> None:
        """D was replaced by B before it came, and C, to leave, lacks blocks.

        C may go only when D has.
        """
        world = scripted_world.world(self, replicas=3, count=None)
        world.let_wait(True)
        world.passes(2)
        self.refuse(world, world.raid.members[2])
        world.vendor.terminate(world.volume, C)
        world.vendor.give(world.volume)
        view = test_observing.view(world, {
            **dict.fromkeys((A, B, C), decision.ReplicaRecord(
                joined=True, current=True)),
            D: decision.ReplicaRecord(successor=B, requested_at=1.0,
                                      retry_at=1e9)})
        self.assertEqual([('retire', D)], self.requests(view))

    def asked(self, world: scripted_world.World) -> list[tuple[str, str]]:
        record = decision.ReplicaRecord(joined=True, current=True)
        view = test_observing.view(world, {
            A: record, B: record, C: dataclasses.replace(
                record, successor=B, requested_at=1.0, retry_at=1e9,
                bad_since=0.0, down=1e6, counted_at=world.kernel.now)})
        return self.requests(view)

    def requests(self, view: volume_view.VolumeView
                 ) -> list[tuple[str, str]]:
        return [(request.ask.value, request.replica_uuid)
                for request in decision.decide(
                    view.volume, view.array, view.snapshot, view.records,
                    view.now, view.policy, frozenset()).requests]
