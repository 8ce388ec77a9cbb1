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

import fcntl
import os
import subprocess
import sys
import tempfile

from oslotest import base

import os_brick.agent

TREE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(os_brick.agent.__file__))))
PATIENCE = 120


class TestCommand(base.BaseTestCase):

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
        with open(self.values['local_inventory_file'], 'w',
                  encoding='ascii') as inventory:
            inventory.write('volumes: []\n')

    def run_agent(self, *words: str) -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'os_brick.cmd.agent',
             *words], cwd=TREE, text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=PATIENCE)

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

    def refused(self, argv: list[str], *words: str) -> None:
        """It ends with 1 and one line that has these words in it."""
        ended = self.run_agent(*argv)
        self.assertEqual(1, ended.returncode, ended.stderr)
        last = ended.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith('nvme-agent: '), ended.stderr)
        self.assertNotIn('Traceback', ended.stderr)
        for word in words:
            self.assertIn(word, last)

    def test_help(self):
        ended = self.run_agent('--help')
        self.assertEqual(0, ended.returncode, ended.stderr)
        for word in ('nvme-agent', '--config-file', '--version', 'heals'):
            self.assertIn(word, ended.stdout)

    def test_version(self):
        ended = self.run_agent('--version')
        self.assertEqual(0, ended.returncode, ended.stderr)
        self.assertEqual(1, len((ended.stdout
                                 or ended.stderr).splitlines()))

    def test_no_configuration_at_all(self):
        if os.path.exists('/etc/nvme-agent/agent.conf'):
            self.skipTest('this host has a configuration')
        self.refused([], '/etc/nvme-agent/agent.conf', '--config-file')

    def test_a_configuration_file_that_is_not_there(self):
        self.refused(['--config-file', '/nowhere/agent.conf'],
                     '/nowhere/agent.conf')

    def test_an_unknown_driver(self):
        self.refused(self.configured(provisioner_driver='acme'),
                     'provisioner_driver', 'acme', 'local')

    def test_a_wrong_value(self):
        self.refused(self.configured(poll_interval='banana'),
                     'poll_interval', 'banana')

    def test_a_value_out_of_range(self):
        self.refused(self.configured(io_fail_timeout='0'),
                     'io_fail_timeout')

    def test_no_lock_path(self):
        self.locks = ''
        self.refused(self.configured(), 'lock_path')

    def test_a_directory_that_cannot_be_made(self):
        with open(os.path.join(self.folder, 'file'), 'w',
                  encoding='ascii'):
            pass
        self.refused(self.configured(
            state_dir=os.path.join(self.folder, 'file/state')), 'state_dir',
            'file/state')

    def test_a_second_agent_names_the_first(self):
        os.mkdir(self.values['run_dir'])
        with open(os.path.join(self.values['run_dir'], 'agent.pid'), 'w',
                  encoding='ascii') as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            first.write('4711\n')
            first.flush()
            self.refused(self.configured(), 'another agent', 'pid 4711')

    def test_a_helper_that_does_not_start(self):
        argv = self.configured()
        with open(argv[1], 'a', encoding='utf-8') as stream:
            stream.write('[privsep_nvme_agent]\n'
                         'helper_command = /bin/false\n')
        self.refused(argv, 'privileged helper', 'helper_command',
                     'privsep_nvme_agent')
