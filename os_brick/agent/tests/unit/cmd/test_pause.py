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
"""nvme-agent pause and resume, as far as they are words in the ledger."""

from __future__ import annotations

import contextlib
import io

from os_brick.agent.model import pauses
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import commands
from os_brick.cmd import starting

ONE = small_world.uuid(1, 'f')


class PauseTest(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        folder = self.path.rpartition('/')[0]
        self.conf.set_override('state_dir', folder)
        self.conf.set_override('run_dir', folder)
        self.turn()

    def do(self, *words: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.assertEqual(0, commands.run(words, lambda rest: self.conf))
        return said.getvalue()

    def paused(self) -> dict[str, str]:
        # the wall clock of the world is of its own
        self.clock.time = 0.0
        return {volume: one.why for volume, one in
                (self.book.pauses() or {}).items()}

    def test_a_volume(self) -> None:
        said = self.do('pause', 'volume1', '--for', '90m', '--reason',
                       'a new\ncable')
        self.assertIn('volume volume1: paused until', said)
        self.assertIn('no agent runs here now', said)
        self.assertEqual({ONE: 'a new cable'}, self.paused())
        self.assertIn('no longer paused', self.do('resume', ONE))
        self.assertEqual({}, self.paused())

    def test_all(self) -> None:
        self.assertIn('all volumes', self.do('pause', '--all'))
        self.assertEqual({pauses.ALL: ''}, self.paused())
        error = self.assertRaises(commands.CommandError, self.do, 'resume',
                                  'volume1')
        self.assertIn('resume --all', str(error))
        self.do('resume', '--all')
        self.assertEqual({}, self.paused())
        self.assertRaises(commands.CommandError, self.do, 'resume', '--all')

    def test_what_cannot_be_meant(self) -> None:
        for words in ((), ('volume1', '--all'), ('volume1', '--for', '2'),
                      ('volume1', '--for', '0h'),
                      ('volume1', '--for', '31d')):
            self.assertRaises(starting.CannotStart, self.do, 'pause', *words)
        error = self.assertRaises(commands.CommandError, self.do, 'pause',
                                  'volume9')
        self.assertIn('the agent knows: volume1', str(error))
        self.assertEqual({}, self.paused())
