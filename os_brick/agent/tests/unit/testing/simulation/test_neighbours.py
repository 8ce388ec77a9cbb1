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
"""Histories with somebody else's namespaces behind the targets."""

from __future__ import annotations

from unittest import mock

from oslotest import base

from os_brick.agent.safety import connections
from os_brick.agent.safety import rules
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib
from os_brick.agent.testing.simulation import neighbours

KINDS = (*neighbours.FAULTS, 'leg_dies', 'all_targets_return')


class NeighboursTest(base.BaseTestCase):

    def broken(self) -> set[str]:
        return {history.play(seed, steps=20, kinds=KINDS).broken
                for seed in range(kinds_lib.NEIGHBOURS_FROM,
                                  kinds_lib.NEIGHBOURS_FROM + 4)}

    def test_nothing_of_theirs_is_touched(self) -> None:
        self.assertEqual({''}, self.broken())

    def test_s4_what_is_done_to_them_is_seen(self) -> None:
        with mock.patch.object(connections, 'foreign_use',
                               lambda *words: None):
            self.assertIn('is not ours', str(self.broken()))

    def test_s2_a_copy_that_is_put_in_though_it_is_open_is_seen(self) -> None:
        def broken() -> set[str]:
            return {history.play(seed, kinds=(
                'copy_is_held', 'target_dies', 'all_targets_return')).broken
                for seed in range(kinds_lib.NEIGHBOURS_FROM,
                                  kinds_lib.NEIGHBOURS_FROM + 4)}

        self.assertEqual({''}, broken())
        with mock.patch.object(rules, 'unusable', lambda *words: None):
            self.assertIn('S2: somebody has opened', str(broken()))

    def test_they_move_in_and_out(self) -> None:
        told = '\n'.join(history.play(
            kinds_lib.NEIGHBOURS_FROM, steps=4, kinds=KINDS[:2]).story)
        self.assertIn("has a namespace of somebody else's, too", told)
        self.assertEqual(told.count('has a namespace of somebody'),
                         told.count('it has it no more'))
