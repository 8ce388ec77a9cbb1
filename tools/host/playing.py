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
"""The story of the role: what the page does, done by Ansible, and once."""

from __future__ import annotations

import re

import installing
import node as node_lib

FOLDER = '/root/contrib-ansible'
LIMIT = 6000.0
#: The play recap of the one host.
RECAP = re.compile(r'localhost\s+: ok=(\d+)\s+changed=(\d+)\s+'
                   r'unreachable=(\d+)\s+failed=(\d+)')
#: pip finds wheels in the place of an index, the role nothing to ask apt for.
GIVEN = '''
nvme_agent_packages: []
nvme_agent_pip_arguments: [--no-index, --find-links, /mnt/wheels]
nvme_agent_inventory: {volumes: []}
'''


def applied_twice(node: node_lib.Node) -> None:
    """The role installs the agent; applied again it changes nothing."""
    installing.ensure_up(node)
    present, _output = node.machine.status('id nvme-agent')
    if not present:
        installing.remove_by_the_page(node)
    node.run('rm -rf %s; cp -r /mnt/checkout/contrib/ansible %s; cd %s && '
             'printf "[compute]\\nlocalhost ansible_connection=local\\n" '
             '>inventory && cat >given.yml <<"EOF"\n%sEOF\n' % (
                 FOLDER, FOLDER, FOLDER, GIVEN))
    ok, changed = play(node)
    node.expect(changed > 8, 'it changed %d things' % changed)
    node.wait_for('starts on host')
    node.say(['the first time: %d of %d tasks changed something' % (
        changed, ok)])
    pid = node.show('MainPID')
    ok, changed = play(node)
    node.expect(not changed, 'the second time changed %d things' % changed)
    node.expect(node.show('MainPID') == pid, 'it was started again')
    node.say(['the second time: %d tasks, none changed anything' % ok])
    _ok, changed = play(node, '-e \'{"nvme_agent_options": {"DEFAULT": '
                              '{"poll_interval": 7}}}\'')
    node.expect(changed == 2, 'an option changed %d things' % changed)
    node.expect(node.show('MainPID') != pid, 'it was not started again')
    node.expect(node.show('ActiveState') == 'active', 'it is not active')
    node.say(['an option more: written, and the agent started again'])
    installing.hardened(node)
    installing.kept_in_memory(node)


def play(node: node_lib.Node, more: str = '') -> tuple[int, int]:
    """Return how many tasks there were, and how many changed something."""
    output = node.run(
        'cd %s && ANSIBLE_NOCOLOR=1 ansible-playbook -i inventory '
        'nvme-agent.yml -e @given.yml -e nvme_agent_wheel="$(ls /mnt/wheels/'
        'os_brick_nvme_agent-*.whl)" %s' % (FOLDER, more), LIMIT)
    recap = RECAP.search(output)
    node.expect(recap, 'no recap:\n' + output)
    assert recap is not None
    return int(recap[1]), int(recap[2])
