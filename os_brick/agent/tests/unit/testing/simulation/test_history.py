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

import logging
import os
import random
import subprocess
import sys

from oslotest import base

from os_brick.agent.host import effects
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import hands

#: The rest is the command's, which plays as many as are asked for.
HISTORIES = int(os.environ.get('HISTORIES', '15'))


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
        seed = random.SystemRandom().randrange(1 << 40)
        logging.getLogger(__name__).warning('seed %d', seed)
        played = simulate('--seed', str(seed), '--histories',
                          str(HISTORIES))
        self.assertEqual(0, played.returncode,
                         'seed %d:\n%s' % (seed, played.stdout))

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

    def test_no_fault_is_misspelt(self) -> None:
        played = simulate('--faults', 'leg_dies,nonsense')
        self.assertEqual(2, played.returncode)
        self.assertIn('there is no fault nonsense', played.stdout)
        self.assertIn('leg_dies', faults.FAULTS)
