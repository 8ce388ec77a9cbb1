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
"""A class says what it is before it lists its parameters."""

import ast
import os

from oslotest import base

import os_brick.agent

ROOT = os.path.dirname(os.path.dirname(os_brick.agent.__file__))


def sources():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name != 'tests']
        for name in names:
            if name.endswith('.py'):
                yield os.path.join(folder, name)


class TestDocstrings(base.BaseTestCase):

    def test_of_classes(self):
        seen, wrong = 0, []
        for path in sources():
            with open(path, encoding='utf-8') as file:
                tree = ast.parse(file.read())
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    seen += 1
                    text = (ast.get_docstring(node) or ':').lstrip()
                    if text.startswith(':'):
                        wrong.append('%s: %s' % (
                            os.path.relpath(path, ROOT), node.name))
        self.assertEqual([], wrong)
        self.assertGreater(seen, 100)
