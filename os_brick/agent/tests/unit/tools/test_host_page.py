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
"""The installation page holds commands that can be followed as they stand.

tools/host.sh runs them in a machine; what is cheap to see is seen here.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import Any

from os_brick.agent.tests.unit.packaging import wheelhouse


class InstallationPageTest(wheelhouse.TreeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.page = self.load()
        self.text = self.page.PAGE.read_text(encoding='utf-8')

    def load(self) -> Any:
        spec = importlib.util.spec_from_file_location(
            'host_page', self.tree / 'tools/host/page.py')
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules['host_page'] = module     # dataclasses look it up
        self.addCleanup(sys.modules.pop, 'host_page')
        spec.loader.exec_module(module)
        return module

    def commands(self) -> str:
        return '\n'.join(block.text
                         for block in self.page.installing(self.text))

    def test_every_block_is_run_by_the_stories(self) -> None:
        run = [*self.page.installing(self.text),
               *self.page.upgrading(self.text),
               *self.page.removing(self.text)]
        self.assertEqual(self.page.blocks(self.text), run)
        self.assertEqual(self.text.count('code-block:: console'), len(run))

    def test_bash_can_read_each_block(self) -> None:
        for block in self.page.blocks(self.text):
            subprocess.run(['bash', '-n'], input=block.text, text=True,
                           check=True)

    def test_each_file_that_is_installed_is_in_the_tree(self) -> None:
        named = re.findall(r'(?<!\S)etc/\S+', self.commands())
        self.assertGreater(len(named), 3)
        for pattern in named:
            self.assertTrue(list(self.tree.glob(pattern)), pattern)

    def test_the_paths_of_the_environment_agree(self) -> None:
        place = re.search(r'-m venv (\S+)', self.commands())
        assert place is not None
        for start in ('ExecStart=%s/bin/nvme-agent ',
                      'helper_command = sudo %s/bin/privsep-helper '):
            self.assertIn(start % place[1], self.commands())
        sudoers = (self.tree / 'etc/sudoers.d/nvme-agent').read_text()
        self.assertIn('    %s/bin/privsep-helper --config-file' % place[1],
                      sudoers)

    def test_an_image_gets_the_package_and_the_user(self) -> None:
        commands = '\n'.join(block.text
                             for block in self.page.image(self.text))
        for words in ('bin/pip install .', 'useradd ', '/etc/sudoers.d/'):
            self.assertIn(words, commands)
        for words in ('udevadm', 'systemctl', 'apt-get'):
            self.assertNotIn(words, commands)

    def test_the_container_has_what_the_page_speaks_of(self) -> None:
        text = (self.page.PAGES / 'containers.rst').read_text()
        command = self.page.engine(text).text
        for one in (command, self.page.ledger(text).text):
            subprocess.run(['bash', '-n'], input=one, text=True, check=True)
            self.assertIn(' IMAGE ', one)
        self.assertIn('\n  IMAGE nvme-agent --config-file', command)
        path = self.page.made_at_boot(text).split()[1]
        self.assertIn('--volume %s:%s ' % (path, path), command)

    def test_what_is_installed_is_removed(self) -> None:
        removing = '\n'.join(
            block.text for block in self.page.removing(self.text))
        made = re.findall(
            r'(?:/etc/\S*nvme-agent[^\s/]*|-m venv \S+|StateDirectory=\S+)',
            self.commands())
        self.assertGreater(len(made), 4)
        for path in made:
            self.assertIn(path.removeprefix('-m venv '), removing)

    def test_a_block_ends_where_its_indentation_does(self) -> None:
        text = ('Head\n====\n\n1. First\n========\n\n.. code-block:: console\n'
                '\n  one\n\n  two \\\n      more\n\nWords.\n\n'
                '.. code-block:: ini\n\n  [no]\n')
        block, = self.page.installing(text)
        self.assertEqual(('1. First', 'one\n\ntwo \\\n    more\n'),
                         (block.section, block.text))
