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
"""Spans, progress and the codes of findings, in words."""

from __future__ import annotations

import os
import re

import fixtures

from os_brick.agent.model import amounts
from os_brick.agent.reporting import health
from os_brick.agent.reporting import screen
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.cmd import health as health_command

DOCUMENTATION = shown_case.DOCUMENTATION


class TestWords(shown_case.ShownCase):

    def test_spans(self) -> None:
        for seconds, words in ((0.4, '0 s'), (200, '3 min 20 s'),
                               (3600, '1 h'), (90000, '1 d 1 h'),
                               (-5, '0 s'), (86460, '1 d')):
            self.assertEqual(words, amounts.span(seconds))

    def test_progress(self) -> None:
        line = screen.progress({
            'action': 'recover', 'done': 768 << 20, 'total': 1 << 30,
            'rate': float(64 << 20), 'left': 4.0})
        self.assertEqual('recover [###############.....] 75 %  768 MiB of '
                         '1 GiB  64 MiB/s  4 s left', line)

    def test_each_code_has_a_section(self) -> None:
        with open(os.path.join(DOCUMENTATION, 'health.rst'),
                  encoding='utf-8') as page:
            lines = page.read().splitlines()
        titles = {line for line, below in zip(lines, lines[1:])
                  if below and set(below) == {'-'}
                  and len(below) >= len(line)}
        self.assertEqual({*health.CODES}, titles)

    def test_each_section_says_what_to_do(self) -> None:
        with open(os.path.join(DOCUMENTATION, 'health.rst'),
                  encoding='utf-8') as page:
            text = page.read()
        sections = re.split(r'^([A-Z_]+)\n-+\n', text, flags=re.M)[1:]
        for code, section in zip(sections[::2], sections[1::2]):
            self.assertTrue(section.strip().startswith(
                '*%s' % health.CODES[code].severity.capitalize()), code)
            for part in ('Impact', 'Diagnosis', 'mitigation'):
                self.assertRegex(section, r'(?mi)^%s\b|^Diagnosis and %s$' % (
                    part, part), code)

    def test_the_list_of_codes(self) -> None:
        out = self.useFixture(fixtures.StringStream('stdout')).stream
        with fixtures.MonkeyPatch('sys.stdout', out):
            self.assertEqual(0, health_command.run(
                self.parsed(health_command, '--codes'),
                lambda: self.conf))
