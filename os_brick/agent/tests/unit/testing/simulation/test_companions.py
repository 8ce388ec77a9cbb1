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
"""Histories with another volume on the same targets."""

from __future__ import annotations

import re
from unittest import mock

from oslotest import base

from os_brick.agent.guard import vouching
from os_brick.agent.safety import connections
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib

KINDS = ('leg_dies', 'medium_fails', 'all_targets_return', 'time_passes',
         'a_long_time_passes', 'agent_is_killed')


class CompanionsTest(base.BaseTestCase):

    def play(self) -> tuple[set[str], str]:
        """Return what is broken, and all that is told."""
        played = [history.play(seed, steps=15, kinds=KINDS)
                  for seed in range(kinds_lib.COMPANIONS_FROM,
                                    kinds_lib.COMPANIONS_FROM + 4)]
        return ({outcome.broken for outcome in played},
                '\n'.join(line for outcome in played
                          for line in outcome.story))

    def test_both_are_served(self) -> None:
        broken, told = self.play()
        self.assertEqual({''}, broken)
        for array in ('md1', 'md2'):
            self.assertTrue(re.search(
                'the agent: (re_)?add nvme[0-9]+n1 to ' + array, told))

    def test_s1_what_the_other_one_loses_is_seen(self) -> None:
        """What decides and the last look each hold it."""
        with mock.patch.object(connections, '_give_up',
                               lambda *words: None), mock.patch.object(
                vouching.Vouching, '_unheard', lambda *words: []):
            broken, _told = self.play()
        self.assertIn('is the last path of', str(broken))
