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
"""Stories of healing: the whole agent in a simulated world."""

from __future__ import annotations

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
A, B, C, D = (scripted_world.uuid_of(number) for number in range(4))


def kinds(actions: list[act.Action]) -> list[str]:
    return [type(action).__name__ for action in actions
            if not isinstance(
                action, (act.SetFastIoFail, act.SetFailfast))]


class StoryCase(base.BaseTestCase):
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
