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
"""What the documentation shows is what the program shows today.

``tools/screens.sh`` has taken the screens in the lab, and with each one of a
state file that file.
"""

from __future__ import annotations

import ast
import html
import json
import os
import pathlib
import re

from os_brick.agent.model import devices
from os_brick.agent.reporting import screen
from os_brick.agent.reporting import verdict
from os_brick.agent.tests.unit.packaging import wheelhouse

AGAIN = 'tools/screens.sh makes them anew'
#: Seconds for which a state file was looked at, at most, and a step.
AGE, STEP = 30.0, 0.125
#: What sentences have of the kernel: words for states, and units.
VALUES = [*devices.STATES, 'recover', 'retire', 'confirm', 'True', 'False',
          'GiB', 'MiB', 'KiB', 's', 'min']
_SHOWN = re.compile(r'(?:literalinclude|image|figure):: (\S*screens/\S+)')


class ScreensTest(wheelhouse.TreeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.admin = self.tree / 'doc' / 'source' / 'admin'
        self.folder = self.admin / 'screens'

    def text(self, path: pathlib.Path) -> str:
        return path.read_text(encoding='utf-8')

    def test_the_pages_show_these_screens_only(self) -> None:
        shown = {name for page in self.admin.glob('*.rst')
                 for name in _SHOWN.findall(self.text(page))}
        self.assertEqual(set(), {
            name for name in shown if not (self.admin / name).is_file()
            or not name.startswith('screens/')})
        self.assertEqual(
            {path.name for path in self.folder.glob('*.txt')},
            {name[len('screens/'):] for name in shown
             if name.endswith('.txt')})
        self.assertIn('screens/dashboard.svg', shown)

    def test_a_picture_has_the_text_beside_it(self) -> None:
        for path in self.folder.glob('*.txt'):
            rows: dict[int, str] = {}
            for row, part in re.findall(
                    r'y="(\d+)" fill="[^"]+" textLength[^>]*>([^<]*)<',
                    self.text(path.with_suffix('.svg'))):
                rows[int(row)] = rows.get(int(row), '') + html.unescape(part)
            self.assertEqual(
                ''.join(self.text(path).split()),
                ''.join(''.join(rows.values()).split()), path.name)

    def test_today_the_same_is_shown_of_that_state(self) -> None:
        states = [path for path in self.folder.glob('*.json')
                  if path.name != 'dashboard.json']
        self.assertGreaterEqual(len(states), 4)
        for path in states:
            document = verdict.checked(json.loads(self.text(path)))
            text = self.text(path.with_suffix('.txt'))
            written = document['time']
            moments = [number * STEP for number in range(int(AGE / STEP))]
            self.assertIn(text, [self.shown(
                document, text, verdict.judge(document, verdict.Reader(
                    written['boot'], written['boottime'] + age, True)),
                written['wall'] + age) for age in moments],
                '%s: %s' % (path.name, AGAIN))

    def shown(self, document: dict[str, object], text: str,
              judged: verdict.Verdict, wall: float) -> str:
        """The screen, of the kind that the text is."""
        if text.startswith('nvme-agent '):
            return screen.status(document, judged, wall)
        return '\n'.join(screen.findings(judged.findings, wall,
                                         details=True)) + '\n'

    def test_the_program_says_what_the_history_has(self) -> None:
        sentences = said(self.tree / 'os_brick' / 'agent')
        for line in self.text(self.folder / 'returned.txt').splitlines():
            found = re.match(
                r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:INFO|WARNING) +'
                r'(.*)\Z', line)
            assert found is not None, line
            self.assertTrue(covered(found[1], sentences),
                            '%s: %s' % (found[1], AGAIN))


def said(top: pathlib.Path) -> list[str]:
    """Return the parts of the sources' sentences, long ones first."""
    found: set[str] = set()
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != 'tests']
        for name in names:
            if name.endswith('.py'):
                path = pathlib.Path(folder, name)
                for node in ast.walk(ast.parse(path.read_text('utf-8'))):
                    if isinstance(node, ast.ClassDef):
                        found.add(node.name)    # an action
                    elif isinstance(node, ast.Constant) and isinstance(
                            node.value, str) and (
                                ' ' in node.value or node.value.isupper()):
                        found.update(plain(part).strip(' ,:;()')
                                     for part in re.split(
                                         r'%[-.\d]*[a-z]|%%', node.value))
    return sorted(found - {''}, key=len, reverse=True)


def plain(text: str) -> str:
    """Leave names and numbers out."""
    return ' '.join(re.sub(r'\S*[\d/=.]\S*', ' ', text).split())


def covered(sentence: str, parts: list[str]) -> bool:
    """All of it but names and numbers is in sentences of the program."""
    # what mdadm, nvme and the kernel say is theirs
    left = plain(re.split(r'(?:mdadm|nvme) --|\[Errno', sentence)[0])
    for part in [*parts, *VALUES]:
        if part in left:
            left = re.sub(r'(?<!\w)%s(?!\w)' % re.escape(part), '\n', left)
    return not re.search(r'\w', left)
