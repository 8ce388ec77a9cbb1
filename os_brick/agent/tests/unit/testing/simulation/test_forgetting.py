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
"""A target that loses what it acknowledged, in the simulated world."""

from __future__ import annotations

from unittest import mock

from oslotest import base

from os_brick.agent.guard import keeping
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import running
from os_brick.agent.tests.unit import scripted_world

BLOCK = 3


class ForgettingTest(base.BaseTestCase):
    """md by itself, without an agent."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self)
        self.kernel, self.raid = self.world.kernel, self.world.raid
        self.lost, self.stays = self.raid.members
        self.kernel.write(self.raid, BLOCK)
        self.kernel.advance(20.0)
        self.kernel.write(self.raid, BLOCK)

    def put_back(self) -> md.Member:
        back = self.raid.join(self.lost.device, self.lost.medium, True, False)
        self.kernel.advance(60.0)
        self.assertTrue(back.in_sync)
        return back

    def drop(self) -> None:
        self.raid.fail(self.lost)
        self.raid.remove(self.lost)

    def test_a_mark_goes_some_seconds_after_its_write(self) -> None:
        self.assertEqual({BLOCK}, self.raid.marked)
        self.kernel.advance(running.LOOKS * 5.0 - 0.1)
        self.assertEqual({BLOCK}, self.raid.marked)
        self.kernel.advance(0.2)
        self.assertEqual(set(), self.raid.marked)

    def test_md_by_itself_does_not_copy_what_was_forgotten(self) -> None:
        self.assertEqual({BLOCK: 2}, self.lost.medium.forget(
            self.kernel.now - 1.0))
        self.assertEqual(1, self.lost.medium.blocks[BLOCK])
        self.drop()
        self.kernel.write(self.raid, 0)
        self.assertEqual(1, self.put_back().medium.blocks[BLOCK])

    def test_what_is_kept_is_copied(self) -> None:
        self.lost.medium.forget(self.kernel.now - 1.0)
        self.drop()
        self.assertEqual(1, self.raid.keep_marked(self.stays))
        self.kernel.advance(60.0)
        self.assertEqual({BLOCK}, self.raid.marked)
        self.assertEqual(2, self.put_back().medium.blocks[BLOCK])
        self.assertEqual(set(), self.raid.marked)

    def test_what_a_superblock_has_flushed_is_not_forgotten(self) -> None:
        self.raid.write_superblocks()
        self.assertEqual({}, self.lost.medium.forget(0.0))
        self.assertFalse(self.lost.medium.forgetful)

    def test_what_was_written_earlier_is_not_forgotten(self) -> None:
        self.kernel.write(self.raid, 1)
        self.kernel.advance(2.0)
        self.kernel.write(self.raid, 1)
        self.assertEqual({1: 4}, self.lost.medium.forget(
            self.kernel.now - 1.0))
        self.assertEqual(3, self.lost.medium.blocks[1])


class HistoryTest(base.BaseTestCase):

    def test_that_legs_differ_is_seen(self) -> None:
        """As it is, they do not."""
        def broken() -> set[str]:
            return {history.play(seed, steps=12, kinds=kinds).broken
                    for seed in range(kinds_lib.FORGETTING_FROM,
                                      kinds_lib.FORGETTING_FROM + 4)}

        kinds = ('target_forgets', 'a_long_time_passes')
        self.assertEqual({''}, broken())
        with mock.patch.object(keeping, 'decide', lambda *words: []):
            self.assertIn('differ in block', str(broken()))
