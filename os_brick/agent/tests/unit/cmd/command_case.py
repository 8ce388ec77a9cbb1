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
"""The command, as an operator runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from oslotest import base

import os_brick.agent

TREE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(os_brick.agent.__file__))))
PATIENCE = 120


class CommandCase(base.BaseTestCase):
    """A configuration that is right, and what is said of a wrong one."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.values = {
            'host_nqn': 'nqn.2014-08.org.nvmexpress:uuid:host',
            'state_dir': os.path.join(self.folder, 'state'),
            'run_dir': os.path.join(self.folder, 'run'),
            'local_inventory_file': os.path.join(self.folder, 'volumes')}
        self.locks = self.folder
        # no sudo is found: it might ask whoever runs the tests a password
        self.environment = {**os.environ, 'PYTHONPATH': self.folder,
                            'PATH': '/nowhere'}
        with open(self.values['local_inventory_file'], 'w',
                  encoding='ascii') as inventory:
            inventory.write('volumes: []\n')

    def run_agent(self, *words: str) -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'os_brick.cmd.agent',
             *words], cwd=TREE, text=True, stdin=subprocess.DEVNULL,
            env=self.environment, capture_output=True, timeout=PATIENCE)

    def configured(self, **values: str) -> list[str]:
        path = os.path.join(self.folder, 'agent.conf')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\n')
            for name, value in {**self.values, **values}.items():
                stream.write('%s = %s\n' % (name, value))
            if self.locks:
                stream.write('[oslo_concurrency]\nlock_path = %s\n'
                             % self.locks)
        return ['--config-file', path]

    def refused(self, status: int, argv: list[str], *words: str) -> str:
        """It ends so, and with one line that has these words in it."""
        ended = self.run_agent(*argv)
        self.assertEqual(status, ended.returncode, ended.stderr)
        self.assertEqual(1, len(ended.stderr.splitlines()), ended.stderr)
        self.assertTrue(ended.stderr.startswith('nvme-agent: '),
                        ended.stderr)
        self.assertEqual('', ended.stdout)
        for word in words:
            self.assertIn(word, ended.stderr)
        return ended.stderr
