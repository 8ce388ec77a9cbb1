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
"""The agent's way into the simulated kernel: what the helper would refuse."""

from __future__ import annotations

import random
import tempfile

from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.testing.simulation import agent
from os_brick.agent.testing.simulation import world as worlds


class HandsTest(base.BaseTestCase):
    """In a world of the first seed."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = worlds.World(random.Random(1), agent.configuration(),
                                  folder.name)
        self.raid = self.world.raid

    def refused(self, device: str, uuid: str, why: str) -> None:
        hands, raid = self.world.hands, self.raid
        for call in ((hands.add, raid.name, device, uuid),
                     (hands.re_add, raid.name, device, uuid),
                     (hands.erase_superblock, device, uuid),
                     (hands.replace, raid.name, raid.members[0].device,
                      device, uuid)):
            before = raid.array()
            error = self.assertRaises(commands.NotMeant, *call)
            self.assertEqual(why, str(error))
            self.assertEqual(before, raid.array())

    def test_a_name_that_was_given_to_another_namespace(self) -> None:
        one, other = self.raid.members[0], self.raid.members[1]
        self.refused(other.device, one.medium.uuid, '%s is %s, not %s' % (
            other.device, other.medium.uuid, one.medium.uuid))
        self.assertIsNotNone(other.medium.written)

    def test_a_name_that_is_nobodys(self) -> None:
        uuid = self.raid.members[1].medium.uuid
        self.refused('nvme999n1', uuid, 'nvme999n1 is gone')
