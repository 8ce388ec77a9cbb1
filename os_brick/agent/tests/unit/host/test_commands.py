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
"""How programs are run: as whom they write, how they end, what they say."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
from typing import Any
from unittest import mock

from oslotest import base

from os_brick.agent.host import commands

PATIENCE = 30.0


class TestPrograms(base.BaseTestCase):

    def test_one_that_does_not_end_is_killed(self) -> None:
        begun: list[subprocess.Popen[str]] = []
        popen = subprocess.Popen

        def begin(*words: Any, **options: Any) -> subprocess.Popen[str]:
            begun.append(popen(*words, **options))
            return begun[-1]

        with mock.patch.object(subprocess, 'Popen', begin), \
                mock.patch.object(commands, 'COMMAND_TIMEOUT', 0.05):
            self.assertRaises(commands.TimedOut, commands.run,
                              'sleep', '3600')
        process, = begun
        with process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            ended = process.returncode
            process.kill()
        self.assertEqual(-signal.SIGKILL, ended)

    def test_what_one_makes_others_can_read_and_not_write(self) -> None:
        """Whatever the mask of the process is that starts it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.umask, os.umask(0o022))
        for mask in (0o077, 0):
            path = pathlib.Path(folder.name, 'made-with-%o' % mask)
            os.umask(mask)
            commands.run('sh', '-c', ': > "$0"', str(path))
            self.assertEqual(0o644, path.stat().st_mode & 0o777)

    def test_words_that_are_no_text_are_words_all_the_same(self) -> None:
        """A device gives its own name, say, in any bytes."""
        said = r"printf 'md \377 array'"
        self.assertEqual('md \ufffd array', commands.run('sh', '-c', said))
        error = self.assertRaises(commands.CommandFailed, commands.run,
                                  'sh', '-c', said + '; exit 1')
        self.assertIn('md \ufffd array', str(error))
