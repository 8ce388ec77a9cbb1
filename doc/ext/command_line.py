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
"""The directive nvme-agent-command: a command's options, by its own parser."""

from docutils import nodes
from docutils.parsers import rst
from docutils import statemachine

from os_brick.cmd import described


class CommandDirective(rst.Directive):
    """Its argument is a sub-command; without one, the agent itself."""

    optional_arguments = 1

    def run(self):
        name = self.arguments[0] if self.arguments else ''
        command, = [one for one in described.all_of_them()
                    if one.name == name]
        lines = ['.. code-block:: console', '', '   ' + command.usage, '']
        for one in command.arguments:
            words = one.help.replace('\\', '\\\\').replace('`', "'").replace(
                '*', '\\*').replace('_', '\\_').replace('--', '-\\-')
            lines += [', '.join('``%s``' % ' '.join(filter(None, (
                flag, one.value))) for flag in one.flags)
                or '``%s``' % one.value, '   ' + (words or '…'), '']
        node = nodes.container()
        self.state.nested_parse(statemachine.StringList(
            lines, 'the parser of nvme-agent ' + name), self.content_offset,
            node)
        return node.children


def setup(app):
    app.add_directive('nvme-agent-command', CommandDirective)
    return {'parallel_read_safe': True}
