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
"""A word of the provisioner that makes no sense is not acted on (S8)."""

from __future__ import annotations

from oslotest import base

from os_brick.agent import model
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
A, B, C = (scripted_world.uuid_of(number) for number in range(3))


class NonsenseTest(base.BaseTestCase):

    def test_S8_all_replicas_are_terminating(self) -> None:
        """And how many there are to be nobody says."""
        for spare in (False, True):
            world = scripted_world.world(self, count=None)
            world.passes(2)
            if spare:
                # connected, and no leg: it is not let go of either
                home = world.kernel.home(C)
                world.kernel.connect(home.nqn, home.portals[0])
                world.vendor.give(world.volume)
            for uuid in list(world.volume.replicas):
                world.vendor.terminate(world.volume, uuid)
            told = len(world.vendor.log)
            self.assertEqual([], world.passes(40))
            self.assertEqual([], world.vendor.log[told:])
            self.assertEqual([A, B], sorted(
                member.medium.uuid for member in world.raid.members))

    def test_S8_it_is_not_remembered_either(self) -> None:
        """A replica that is not listed afterwards is not gone."""
        world = scripted_world.world(self, count=None)
        world.passes(2)
        for uuid in list(world.volume.replicas):
            world.vendor.terminate(world.volume, uuid)
        world.passes(2)
        del world.volume.replicas[A]
        world.volume.replicas[B] = State.AVAILABLE
        world.kernel.lose(world.targets[0])
        world.passes(40)
        self.assertEqual(2, world.raid.raid_disks)

    def test_it_is_acted_on_again_when_it_makes_sense(self) -> None:
        world = scripted_world.world(self, replicas=3, count=None)
        world.passes(2)
        for uuid in list(world.volume.replicas):
            world.vendor.terminate(world.volume, uuid)
        world.passes(10)
        world.volume.replicas[A] = State.AVAILABLE
        world.volume.replicas[B] = State.AVAILABLE
        world.volume.doomed -= {A, B}
        world.passes(40)
        self.assertEqual([A, B], sorted(
            member.medium.uuid for member in world.raid.members))
