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
"""Targets that live and give no access are simulated, and seen (ANA)."""

from __future__ import annotations

from unittest import mock

from oslotest import base

from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.testing.simulation import access
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib

KINDS = (*access.FAULTS, 'time_passes', 'a_long_time_passes')
#: Such as have two portals, and such as have another volume.
SEEDS = range(kinds_lib.ACCESS_FROM, kinds_lib.ACCESS_FROM + 8)


class AccessTest(base.BaseTestCase):

    def broken(self) -> set[str]:
        return {history.play(seed, steps=12, kinds=KINDS).broken
                for seed in SEEDS}

    def test_nothing_stands_still_and_all_is_healed(self) -> None:
        self.assertEqual({''}, self.broken())

    def test_what_hangs_is_seen(self) -> None:
        with mock.patch.object(snapshots, 'cuttable',
                               lambda path, namespace: path.cuttable):
            self.assertIn('stall: ', str(self.broken()))

    def test_s3_what_works_behind_the_connection_is_kept(self) -> None:
        """The rule of the last look, which is all that keeps it."""
        with mock.patch.object(connections, '_give_up',
                               lambda *words: None):
            self.assertIn('S3: ', str(self.broken()))

    def test_it_is_withdrawn_and_given(self) -> None:
        told = ''.join('\n'.join(history.play(
            seed, steps=6, kinds=KINDS[:3]).story) for seed in SEEDS[:4])
        for words in ('gives no access to', 'gives access to', 'alone'):
            self.assertIn(words, told)
