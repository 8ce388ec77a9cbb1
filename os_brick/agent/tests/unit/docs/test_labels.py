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
"""A label of the documentation stands directly above the section it names.

One that a new section has come in between leads to that one: Sphinx takes the
next title, whichever it is, and says nothing.
"""

from __future__ import annotations

import os
import re

from oslotest import base

from os_brick.agent.tests.unit.cmd import command_case

#: Label -> the title of the section to which it leads.
TITLES = {
    'bad-blocks': 'A target that refuses writes',
    'copied': 'How much was copied',
    'copied-whole': 'Which replica is copied whole',
    'copies-in-doubt': 'Copies in doubt',
    'first-write': 'Nothing is put in before the first write',
    'io-guard': 'The I/O guard',
    'lacking-paths': 'It is back through one of its paths',
    'late-writes': 'A replica that is back within 12 seconds waits',
    'not-done': '``not done``: an action was refused or failed',
    'safety-rules': 'What never happens',
    'the-host': 'A host with systemd',
    'volatile-caches': 'A target that forgets what it has acknowledged',
    'which-releases': 'Which releases go together',
    'who-heals': 'Who heals'}
_LABEL = re.compile(r'^\.\. _([^:\n]+):[ ]*\n', re.M)
# an overline may stand above a title; an underline always stands below
_TITLE = re.compile(r'\n+(?:([=\-~^"*])\1+\n)?(\S.*)\n([=\-~^"*])\3{2,}\n')
_REFERENCE = re.compile(r':ref:`(?:[^`<]*<)?([^`>]+)>?`')


class LabelsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.pages: list[str] = []
        top = os.path.join(command_case.TREE, 'doc', 'source')
        for folder, _folders, names in os.walk(top):
            for name in names:
                if name.endswith('.rst'):
                    with open(os.path.join(folder, name),
                              encoding='utf-8') as stream:
                        self.pages.append(stream.read())
        if not self.pages:
            self.skipTest('not run from a source tree')

    def test_a_label_stands_above_its_section(self) -> None:
        found: dict[str, str] = {}
        for page in self.pages:
            for label in _LABEL.finditer(page):
                title = _TITLE.match(page, label.end())
                found[label[1]] = title[2] if title else ''
        self.assertEqual(TITLES, found)

    def test_a_reference_has_a_label(self) -> None:
        used = {label for page in self.pages
                for label in _REFERENCE.findall(page)}
        self.assertIn('copies-in-doubt', used)
        self.assertEqual(set(), used - TITLES.keys())
