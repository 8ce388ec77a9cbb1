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
"""The sub-commands, as they are found and parsed."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from unittest import mock

from oslo_config import cfg
from oslotest import base

from os_brick.cmd import commands
from os_brick.cmd import starting


class CommandsTest(base.BaseTestCase):

    def run_it(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                status = commands.run(words, self.read)
            except SystemExit as ended:
                status = int(ended.code or 0)
        return status, out.getvalue()

    def read(self, files: list[str]) -> cfg.ConfigOpts:
        raise commands.CommandError('read with %s' % files)

    def test_each_one_has_what_it_needs(self) -> None:
        for name, path in commands.COMMANDS.items():
            module = importlib.import_module(path)
            self.assertNotIn('\n', module.SUMMARY)
            status, said = self.run_it(name, '--help')
            self.assertEqual(0, status)
            self.assertIn('nvme-agent %s' % name, said)
            # a line each, on the narrowest of terminals that is usual
            self.assertIn(
                '  %-11s %s' % (name, module.SUMMARY),
                [line for line in commands.overview().splitlines()
                 if len(line) <= 80])

    def test_what_is_none(self) -> None:
        for words in ([], ['--config-file', 'use'], ['used']):
            self.assertFalse(commands.named(words))
        self.assertTrue(commands.named(['use', 'x']))

    def test_the_daemon_takes_no_words(self) -> None:
        for words in ([], ['--debug'], ['--config-file', 'x']):
            commands.look(words)
        for word, hint in (('statsu', 'is status meant?'),
                           ('', 'no sub-command ""; see'),
                           ('banana', 'no sub-command "banana"; see')):
            error = self.assertRaises(starting.CannotStart, commands.look,
                                      [word])
            self.assertEqual(starting.USAGE, error.status)
            self.assertIn(hint, str(error))

    def test_one_behind_options(self) -> None:
        self.assertEqual('', commands.misplaced(['--banana', 'x']))
        self.assertIn('nvme-agent pause ...', commands.misplaced(
            ['--debug', 'pause', '--all']))

    def test_the_configuration_files_are_handed_on(self) -> None:
        error = self.assertRaises(
            commands.CommandError, self.run_it, 'use', 'a', 'b',
            '--config-dir', '/d', '--config-file', '/f')
        self.assertEqual(
            "read with ['--config-file', '/f', '--config-dir', '/d']",
            str(error))

    def test_a_terminal_that_lacks_a_letter(self) -> None:
        """The reason of a pause is whatever somebody has typed."""
        out = io.TextIOWrapper(io.BytesIO(), encoding='latin-1')
        module = commands.module('health')
        with contextlib.redirect_stdout(out), mock.patch.object(
                module, 'run', lambda given, read: print(
                    'f\xfcr \u2702') or 0):
            self.assertEqual(0, commands.run(['health'], self.read))
        out.flush()
        raw = out.detach()
        assert isinstance(raw, io.BytesIO)
        self.assertEqual(b'f\xfcr ?\n', raw.getvalue())

    def test_who_is_to_run_it(self) -> None:
        for user, why, hint in (
                (1000, '/x/agent.sqlite: Permission denied', True),
                (1000, 'unable to open database file', True),
                (1000, 'no /x (option state_dir): the agent has not run here, '
                 'or you may not look there', True),
                (1000, 'disk full', False),
                (0, '/x/agent.sqlite: Permission denied', False)):
            out = io.StringIO()
            with mock.patch.object(os, 'geteuid', lambda: user), \
                    contextlib.redirect_stderr(out):
                self.assertEqual(73, commands.say(why, 73))
            self.assertEqual('nvme-agent: %s%s\n' % (
                why, "; run it as root, or as the agent's user"
                if hint else ''), out.getvalue())

    def test_a_wrong_command_line(self) -> None:
        error = self.assertRaises(starting.CannotStart, self.run_it, 'use',
                                  'volume1')
        self.assertEqual(starting.USAGE, error.status)
        self.assertIn('REPLICA', str(error))
