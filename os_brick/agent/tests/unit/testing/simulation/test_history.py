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
"""New histories in each run: the real agent, S1 to S11, healed at the end.

What fails is played again, and told, by
``tools/simulate.sh --seed N --histories 1 --story``.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from unittest import mock

from oslotest import base

from os_brick.agent.healing import volume_view
from os_brick.agent.host import effects
from os_brick.agent import model
from os_brick.agent.safety import copies
from os_brick.agent.safety import late_writes
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import hands
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib
from os_brick.agent.tests import unit

#: The rest is the command's, which plays as many as are asked for.
HISTORIES = int(os.environ.get('HISTORIES', '100'))


def simulate(*words: str) -> 'subprocess.CompletedProcess[str]':
    """Play histories as the command does: in a process of their own.

    With the same seed for hashes, a seed is the same history everywhere.
    """
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-m',
         'os_brick.agent.testing.simulation', *words],
        env={**os.environ, 'PYTHONHASHSEED': '0'}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class HistoryTest(base.BaseTestCase):

    def test_no_law_is_broken_in_new_histories(self) -> None:
        # the harder ones take several times as long
        seed = random.Random('histories %d' % unit.SEED).randrange(
            kinds_lib.HARDER_FROM - HISTORIES)
        played = simulate('--seed', str(seed), '--histories',
                          str(HISTORIES))
        self.assertEqual(0, played.returncode,
                         'seed %d:\n%s' % (seed, played.stdout))

    def test_without_a_seed_each_kind_has_its_turn(self) -> None:
        dice = random.Random('kinds %d' % unit.SEED)
        kinds = list(itertools.pairwise(kinds_lib.KINDS_FROM))
        seeds = kinds_lib.of_all_kinds(2 * len(kinds) + 1, dice)
        self.assertEqual(2 * len(kinds) + 1, len(set(seeds)))
        for seed, (begin, end) in zip(seeds, kinds):
            self.assertIn(seed, range(begin, end))
        # the same ones go on, one by one
        self.assertEqual([seed + 1 for seed in seeds[:len(kinds) + 1]],
                         seeds[len(kinds):])

    def test_a_seed_is_one_history(self) -> None:
        """Twice the same, to the last sentence."""
        told = [simulate('--seed', '5', '--histories', '1', '--story')
                for _time in range(2)]
        stories = [played.stdout[played.stdout.index('points:'):]
                   for played in told]
        self.assertIn('everything is healed', stories[0])
        self.assertEqual(*stories)

    def test_every_way_out_is_simulated(self) -> None:
        """No call may reach this host."""
        for name in vars(effects.Effects):
            if not name.startswith('_'):
                self.assertIn(name, vars(hands.Hands))

    def test_s13_a_write_that_comes_late_is_seen(self) -> None:
        """Nobody waits for it: legs differ.  As it is, they do not."""
        def broken() -> set[str]:
            return {history.play(seed, kinds=kinds).broken
                    for seed in range(4000000000, 4000000003)}

        kinds = ('leg_is_cut_in_a_write', 'time_passes', 'leg_dies',
                 'all_targets_return')
        self.assertEqual({''}, broken())
        with mock.patch.object(late_writes, 'HOLD', 0.0):
            self.assertIn('differ in block', str(broken()))

    def test_s10_a_copy_that_is_ahead_is_seen(self) -> None:
        """A host that booted on an old copy, with the judgement left out."""
        def broken() -> set[str]:
            return {history.play(seed, steps=30, kinds=kinds).broken
                    for seed in range(4000000002, 4000000008)}

        kinds = ('host_boots', 'leg_dies', 'target_returns', 'time_passes',
                 'medium_fails')
        behind = copies.Judgement(copies.Standing.BEHIND)
        self.assertEqual({''}, broken())
        with mock.patch.object(copies, 'judge', lambda *words: behind):
            self.assertIn('S10: ', str(broken()))

    def test_what_another_host_wrote_is_seen(self) -> None:
        """With its own bitmap, the destination lacks it."""
        def broken() -> str:
            return history.play(5000000060, steps=20, kinds=(
                'volume_is_migrated', 'leg_dies', 'target_returns',
                'time_passes', 'all_targets_return',
                'connection_breaks')).broken

        self.assertEqual('', broken())
        with mock.patch.object(volume_view.VolumeView, 'marked',
                               lambda *words: True):
            self.assertIn('differ in block', broken())

    def test_what_two_hosts_wrote_while_a_copy_was_out_is_seen(self) -> None:
        """It went to another host and came home."""
        def broken() -> set[str]:
            return {history.play(seed, steps=1, kinds=(
                'degraded_volume_comes_home',)).broken for seed in (
                    4500000000017, 4500000000129, 4500000000152)}

        self.assertEqual({''}, broken())
        with mock.patch.object(volume_view.VolumeView, 'marked',
                               lambda *words: True):
            self.assertIn('differ in block', str(broken()))

    def test_s15_what_a_destination_puts_in_before_it_writes_is_seen(
            self) -> None:
        """The source has the virtual machine, and writes on."""
        def broken() -> str:
            return history.play(4500000000034, steps=6, kinds=(
                'degraded_volume_comes_home', 'replica_is_moved',
                'leg_dies')).broken

        self.assertEqual('', broken())
        with mock.patch.object(model.Array, 'unwritten', ''):
            self.assertIn('S15: ', broken())

    def test_who_comes_home_unheard_of_is_not_guarded_yet(self) -> None:
        """The list is empty all the while: the agent forgot the volume."""
        self.assertEqual('', history.play(4398046600231).broken)

    def test_low_seeds_have_none_of_the_harder_faults(self) -> None:
        for seed, harder_ones in ((5, False), (4000000000, True)):
            played = history.play(seed)
            self.assertEqual(harder_ones, not harder.FAULTS.keys().isdisjoint(
                played.faults))
            self.assertNotIn('volume_moves', played.faults)
        moving = history.play(2000000000001).faults
        self.assertIn('volume_moves', moving)
        self.assertNotIn('volume_is_migrated', moving)
        self.assertIn('volume_is_migrated',
                      history.play(2500000000001).faults)

    def test_no_fault_is_misspelt(self) -> None:
        played = simulate('--faults', 'leg_dies,nonsense')
        self.assertEqual(2, played.returncode)
        self.assertIn('there is no fault nonsense', played.stdout)
        self.assertIn('leg_dies', faults.FAULTS)
