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

from __future__ import annotations

import pathlib
import re

from oslotest import base

from os_brick.agent.safety import laws
from os_brick.agent import tests

_TESTS = pathlib.Path(list(tests.__path__)[0])


def _named() -> set[str]:
    """The laws that tests name: ``test_S1_...``, or S1 in a docstring."""
    found: set[str] = set()
    for path in _TESTS.rglob('test_*.py'):
        if path != pathlib.Path(__file__):
            found |= {number.upper() for number in re.findall(
                r'(?:\b|_)([Ss]\d{1,2})(?=\b|_)',
                path.read_text(encoding='utf-8'))}
    return found


class TestLaws(base.BaseTestCase):

    def test_they_are_numbered_without_a_gap(self) -> None:
        self.assertEqual(['S%d' % (number + 1) for number
                          in range(len(laws.Law))],
                         [law.name for law in laws.Law])

    def test_each_is_one_sentence(self) -> None:
        for law in laws.Law:
            self.assertRegex(law.value, r'^[A-Z][^.]*\.$')

    def test_each_that_is_held_is_named_by_a_test(self) -> None:
        held = {law.name for law in laws.Law if law not in laws.NOT_YET_HELD}
        self.assertEqual(set(), held - _named())

    def test_none_that_a_test_names_is_called_not_yet_held(self) -> None:
        open_laws = {law.name for law in laws.NOT_YET_HELD}
        self.assertEqual(set(), open_laws & _named())

    def test_no_test_names_a_law_that_does_not_exist(self) -> None:
        self.assertEqual(set(), _named() - {law.name for law in laws.Law})

    def test_nothing_new_is_not_yet_held(self) -> None:
        """The list shrinks; it started with these."""
        self.assertLessEqual(laws.NOT_YET_HELD, {
            laws.Law.S10, laws.Law.S11, laws.Law.S12, laws.Law.S13,
            laws.Law.S14})

    def test_a_refusal_says_the_number(self) -> None:
        self.assertEqual('S2: it is too small',
                         laws.Law.S2.refuses('%s is too small', 'it'))
