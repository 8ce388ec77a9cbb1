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
"""Who waits where legs have bad blocks (S9)."""

from __future__ import annotations

from oslotest import base

from os_brick.agent.testing.simulation import md
from os_brick.agent.tests.unit import scripted_world


class BadBlocksTest(base.BaseTestCase):
    """The anchor does not take a block that two others hold."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self, replicas=3)
        self.world.passes(1)
        self.anchor, *self.others = self.world.raid.members
        self.refuse(self.anchor, 0)

    def refuse(self, leg: md.Member, block: int) -> None:
        leg.medium.refuses[block] = True
        self.world.kernel.write(self.world.raid, block)
        self.world.kernel.touched()
        self.assertIn(block, leg.bad)
        self.world.passes(3)

    def waiting(self) -> list[md.Member]:
        """With neither md's flag nor a limit of its connection."""
        kernel = self.world.kernel
        return [leg for leg in self.world.raid.members
                if 'failfast' not in leg.flags and all(
                    path.tmo is None
                    for path in kernel.through(leg.medium.uuid))]

    def test_s9_one_of_two_that_hold_a_block_waits(self) -> None:
        """Each of them could be lost beside the other one: not both."""
        waiting = self.waiting()
        self.assertIn(self.anchor, waiting)
        self.assertEqual(2, len(waiting))

    def test_s9_no_more_than_it_takes(self) -> None:
        first = next(leg for leg in self.others if leg in self.waiting())
        second = next(leg for leg in self.others if leg is not first)
        self.refuse(first, 1)
        # the second one holds what the first one waits for, too
        waiting = self.waiting()
        self.assertIn(second, waiting)
        self.assertEqual(set(range(md.BLOCKS)), set().union(*(
            self.world.raid.held(leg) for leg in waiting)))
