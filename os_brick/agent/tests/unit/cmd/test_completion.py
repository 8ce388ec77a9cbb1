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
"""The completions, by the shells themselves; and the reference."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile

from oslotest import base

from os_brick.agent.reporting import health
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.cmd import commands
from os_brick.cmd import completion
from os_brick.cmd import described

LONG = 60


class CompletionCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ('vol1', 'vol2', 'a b', '$(touch mark)', ';x'):
            with open(os.path.join(self.folder, name), 'w', encoding='ascii'):
                pass

    def shell(self, *command: str) -> str:
        if shutil.which(command[0]) is None:
            self.skipTest('there is no %s' % command[0])
        ended = subprocess.run(command, cwd=self.folder, text=True,
                               stdin=subprocess.DEVNULL, timeout=LONG,
                               capture_output=True)
        self.assertEqual((0, ''), (ended.returncode, ended.stderr))
        return ended.stdout

    def here(self, script: str) -> str:
        """The volumes are those of the folder."""
        return script.replace('/dev/md/*', shlex.quote(self.folder) + '/*')


class PackagedTest(base.BaseTestCase):

    def test_what_is_packaged_is_what_the_program_prints(self) -> None:
        """With etc/completion written anew after a change of an option."""
        folder = os.path.join(command_case.TREE, 'etc', 'completion')
        if not os.path.isdir(folder):
            self.skipTest('not run from a source tree')
        for name, printed in (('nvme-agent', completion.bash()),
                              ('_nvme-agent', completion.zsh())):
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                self.assertEqual(printed, file.read(),
                                 'nvme-agent completion, into ' + name)


class BashTest(CompletionCase):

    def offered(self, *words: str) -> list[str]:
        script = '%s\nCOMP_WORDS=(nvme-agent %s)\nCOMP_CWORD=%d\n' \
            '_nvme_agent\nprintf "%%s\\n" "${COMPREPLY[@]}"' % (
                self.here(completion.bash()),
                ' '.join(map(shlex.quote, words)), len(words))
        return self.shell('bash', '--norc', '-c', script).split()

    def test_commands(self) -> None:
        self.assertLessEqual({*commands.COMMANDS, '--config-file', '-h'},
                             {*self.offered('')})
        self.assertEqual(['pause', 'plan'], self.offered('p'))
        self.assertEqual(['--debug'], self.offered('--config-file', 'x',
                                                   '--de'))
        self.assertEqual([], self.offered('banana', ''))

    def test_each_option_of_each_command(self) -> None:
        for one in described.all_of_them()[1:]:
            offered = {*self.offered(one.name, '-')}
            self.assertEqual({flag for argument in one.arguments
                              for flag in argument.flags}, offered)
            self.assertIn('--config-file', offered)

    def test_values(self) -> None:
        self.assertEqual(sorted(health.CODES),
                         [one for one in sorted(self.offered('mute', ''))
                          if one.isupper()])
        self.assertEqual(['bash'], self.offered('completion', 'b'))
        self.assertIn('vol1', self.offered('status', '--config-file', ''))
        self.assertEqual([], self.offered('pause', '--reason', ''))

    def test_volumes(self) -> None:
        for command in ('status', 'pause', 'resume', 'use', 'plan', 'mute',
                        'unmute', 'history'):
            self.assertEqual(['vol1', 'vol2'], self.offered(command, 'v'))
        # a name that is more than a word is neither offered nor run
        self.assertEqual([], self.offered('status', 'a'))
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'mark')))


class ZshTest(CompletionCase):

    def test_zsh_can_read_it(self) -> None:
        path = os.path.join(self.folder, '_nvme-agent')
        with open(path, 'w', encoding='utf-8') as script:
            script.write(completion.zsh())
        self.shell('zsh', '-f', '-n', path)

    def test_each_option_of_each_command(self) -> None:
        text = completion.zsh()
        for one in described.all_of_them():
            case = re.search(r'^        %s\)\n(.*?);;' % (
                re.escape(one.name or '-*')), text, re.M | re.S)
            assert case is not None
            specs = shlex.split(case[1])
            for argument in one.arguments:
                for flag in argument.flags:
                    self.assertTrue([spec for spec in specs if spec.startswith(
                        '*%s[' % flag)], flag)
                if argument.value == 'VOLUME':
                    self.assertIn('::VOLUME:($volumes)' if argument.optional
                                  else ':VOLUME:($volumes)', specs)
        self.assertIn("'status:show the volumes", text)


class DescribedTest(base.BaseTestCase):

    def test_usage(self) -> None:
        for name, usage in (
                ('use', 'nvme-agent use [OPTION]... VOLUME REPLICA'),
                ('mute', 'nvme-agent mute [OPTION]... CODE [VOLUME]'),
                ('check', 'nvme-agent check [OPTION]...')):
            self.assertEqual(usage, described.command(name).usage)

    def test_what_is_said_is_for_people(self) -> None:
        for one in described.all_of_them():
            self.assertTrue(one.summary)
            for argument in one.arguments:
                for mark in ('%(default)', '%(prog)', '%%'):
                    self.assertNotIn(mark, argument.help)

    def test_the_agent_itself(self) -> None:
        agent = described.all_of_them()[0]
        flags = {flag for one in agent.arguments for flag in one.flags}
        self.assertLessEqual({'--config-file', '--debug', '--version'}, flags)

    def test_the_reference_has_each_command(self) -> None:
        page = os.path.join(command_case.TREE, 'doc', 'source', 'admin',
                            'cli.rst')
        if not os.path.exists(page):
            self.skipTest('not run from a source tree')
        with open(page, encoding='utf-8') as stream:
            named = re.findall(r'^\.\. nvme-agent-command:: *(\S*)$',
                               stream.read(), re.M)
        self.assertEqual([one.name for one in described.all_of_them()],
                         named)


class CommandTest(command_case.CommandCase):

    def test_it_needs_no_configuration(self) -> None:
        for shell in ('bash', 'zsh'):
            ended = self.run_agent('completion', shell)
            self.assertEqual((0, ''), (ended.returncode, ended.stderr))
            self.assertIn('_nvme_agent', ended.stdout)
        self.refused(64, ['completion', 'fish'], 'fish')
