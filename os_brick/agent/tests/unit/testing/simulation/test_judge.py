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
"""The judge of the simulation sees what histories seldom show it."""

from __future__ import annotations

import random
import tempfile

from oslotest import base

from os_brick.agent.testing.simulation import agent
from os_brick.agent.testing.simulation import judge
from os_brick.agent.testing.simulation import world as worlds


class TruncatedListTest(base.BaseTestCase):
    """One of three replicas is lost, one is to go, one stays."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = next(filter(
            lambda world: len(world.volume.replicas) == 3,
            (worlds.World(random.Random(seed), agent.configuration(),
                          folder.name) for seed in range(100))))
        self.world.volume.count = None
        self.world.vendor.shown |= self.world.volume.ever
        self.raid = self.world.raid
        self.leaving, self.lost = self.raid.members[:2]
        self.world.judge.after()
        self.raid.fault(self.lost)
        self.raid.remove(self.lost)
        self.world.vendor.terminate(self.world.volume,
                                    self.leaving.medium.uuid)

    def broken(self) -> str:
        for act in (lambda: self.world.judge.resize(self.raid, 2),
                    lambda: self.world.judge.fail(self.raid, self.leaving)):
            try:
                act()
            except judge.Violation as error:
                return str(error)
        return ''

    def test_what_follows_from_a_whole_list_is_right(self) -> None:
        self.assertEqual('', self.broken())

    def test_s8_nothing_follows_from_a_truncated_one(self) -> None:
        self.world.vendor.hides = {self.lost.medium.uuid}
        self.assertIn('S8: resized', self.broken())
        self.raid.raid_disks = 2
        self.assertIn('S8: nvme', self.broken())

    def test_one_that_seems_to_be_replaced_may_be_gone(self) -> None:
        vendor, volume = self.world.vendor, self.world.volume
        vendor.hides = {self.lost.medium.uuid}
        vendor.others[self.lost.medium.uuid] = frozenset(volume.ever)
        self.assertIn('S8: ', self.broken())
        vendor.give(volume)
        self.assertEqual('', self.broken())
