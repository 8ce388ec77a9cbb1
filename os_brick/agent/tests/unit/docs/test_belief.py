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
"""Hold doc/source/contributor/belief.rst to the tests that there are."""

from __future__ import annotations

import ast
import collections
import os
import re

from oslotest import base

from os_brick.agent.safety import laws
from os_brick.agent.tests.unit.cmd import command_case

_TESTS = os.path.join(command_case.TREE, 'os_brick', 'agent', 'tests')
_ROW = re.compile(r'^   \* - (.+?)^     - (.+?)^     - (.+?)'
                  r'(?=^   \* - |^\S|\Z)', re.M | re.S)
_NAMED = re.compile(r'``(\w+\.test_\w+)``( \(lab\))?')


def _tests() -> dict[str, list[str]]:
    """Class and method of each test -> the folders that have it."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for kind in ('unit', 'functional'):
        for folder, _folders, names in os.walk(os.path.join(_TESTS, kind)):
            for name in names:
                if re.fullmatch(r'test_\w+\.py', name):
                    with open(os.path.join(folder, name),
                              encoding='utf-8') as source:
                        for test in _in_source(source.read()):
                            found[test].append(kind)
    return found


def _in_source(text: str) -> list[str]:
    return ['%s.%s' % (suite.name, test.name)
            for suite in ast.parse(text).body
            if isinstance(suite, ast.ClassDef)
            for test in suite.body if isinstance(test, ast.FunctionDef)
            and test.name.startswith('test_')]


class BeliefTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        path = os.path.join(command_case.TREE, 'doc', 'source',
                            'contributor', 'belief.rst')
        if not os.path.exists(path):
            self.skipTest('not run from a source tree')
        with open(path, encoding='utf-8') as stream:
            self.page = stream.read()
        self.rows = [row for row in _ROW.findall(self.page)
                     if row[1].strip() != 'Law']

    def test_each_test_is_there_and_is_one(self) -> None:
        tests = _tests()
        wanted = {name: ['functional' if lab else 'unit']
                  for name, lab in _NAMED.findall(self.page)}
        self.assertEqual(wanted, {name: tests[name] for name in wanted})

    def test_each_case_is_shown_by_one(self) -> None:
        self.assertEqual(self.page.count('\n   * - ')
                         - self.page.count('* - What was believed'),
                         len(self.rows))
        for case, _law, shown in self.rows:
            self.assertTrue(_NAMED.findall(shown), case)
        self.assertEqual(
            len(_NAMED.findall(self.page)),
            sum(len(_NAMED.findall(shown)) for _, _, shown in self.rows))

    def test_each_law_is_one(self) -> None:
        named = {law for _, words, _ in self.rows
                 for law in words.strip().split(', ')} - {'–'}
        self.assertEqual(set(), named - {law.name for law in laws.Law})
