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
"""The Ansible role and the installation page say the same.

tools/host.sh applies the role in a machine; what is cheap to see is seen here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from os_brick.agent.tests.unit.packaging import wheelhouse


class RoleTest(wheelhouse.TreeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.role = self.tree / 'contrib/ansible/roles/nvme_agent'
        self.page = (self.tree / 'doc/source/install/index.rst').read_text(
            encoding='utf-8')

    def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in ('package', 'host', 'service'):
            found += yaml.safe_load((self.role / 'tasks' / (name + '.yml'))
                                    .read_text(encoding='utf-8'))
        return found

    def defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(
            (self.role / 'defaults/main.yml').read_text(encoding='utf-8'))
        return found

    def test_the_same_packages(self) -> None:
        line = re.search(r'apt-get install (.+)', self.page)
        assert line is not None
        # git is for the checkout, which the role does without
        self.assertEqual(set(line[1].split()) - {'git'},
                         set(self.defaults()['nvme_agent_packages']))

    def test_the_same_entries_of_the_lock_directory(self) -> None:
        wanted = re.search(r'setfacl -m (\S+)', self.page)
        assert wanted is not None
        found = [task['ansible.builtin.command']['argv'][2]
                 for task in self.tasks()
                 if task.get('ansible.builtin.command', {}).get(
                     'argv', [''])[0] == 'setfacl']
        self.assertEqual([wanted[1]], [one.replace(
            '{{ nvme_agent_nova_user }}',
            self.defaults()['nvme_agent_nova_user']) for one in found])

    def test_the_same_places(self) -> None:
        made = [place for task in self.tasks() for module in (
            'copy', 'template') for place in [
                task.get('ansible.builtin.' + module, {}).get('dest', '')]
            if place.startswith('/')]
        self.assertGreater(len(made), 6)
        for place in made:
            if place.endswith(('.service', 'nvme-agent.service')):
                # the page installs both by a pattern
                self.assertTrue(list((self.tree / 'etc/systemd').glob(
                    place.rpartition('/')[2])), place)
            else:
                self.assertIn(place, self.page)
        self.assertIn('-m venv %s\n' % self.defaults()[
            'nvme_agent_environment'], self.page)

    def test_what_it_reads_the_package_brings(self) -> None:
        read = set(re.findall(
            r'share/os-brick-nvme-agent/([\w./-]+)', (
                self.role / 'tasks/service.yml').read_text()
            + (self.role / 'tasks/host.yml').read_text()))
        read |= {item for task in self.tasks() for item in task.get(
            'loop', []) if task.get('ansible.builtin.slurp')}
        self.assertGreater(len(read), 3)
        for path in read:
            self.assertIn('etc/' + path, (self.tree / 'setup.cfg').read_text())

    def test_no_difference_of_a_secret_is_shown(self) -> None:
        task, = [task for task in self.tasks() if task.get(
            'ansible.builtin.template', {}).get('dest')
            == '/etc/nvme-agent/agent.conf']
        self.assertIs(False, task['diff'])
        self.assertEqual('0640', task['ansible.builtin.template']['mode'])

    def test_what_is_a_command_says_whether_it_changed_anything(self) -> None:
        """Without, it would have changed something each time."""
        commands = [task for task in self.tasks()
                    if 'ansible.builtin.command' in task]
        self.assertGreater(len(commands), 4)
        for task in commands:
            self.assertTrue('changed_when' in task or 'creates' in task[
                'ansible.builtin.command'], task['name'])
            if task.get('changed_when') is True:
                self.assertIn('when', task, task['name'])
