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
"""What counts of a run in the lab, and of the failed tests' second run."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import pathlib
import sys
import tempfile
from unittest import mock

from oslotest import base
import subunit

PATH = pathlib.Path(__file__).parents[5] / 'tools/lab/results.py'


def load():
    spec = importlib.util.spec_from_file_location('lab_results', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ResultsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.results = load()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def stream(self, name: str, machine: int = 1, **tests: str) -> str:
        """Leave a stream in which these tests ended so."""
        folder = self.folder / name / ('machine-%d' % machine)
        folder.mkdir(parents=True)
        with (folder / 'subunit').open('wb') as target:
            result = subunit.StreamResultToBytes(target)
            for test, status in tests.items():
                result.status(test_id='t.' + test, test_status=status)
        self.listed(name, *tests)
        return str(folder.parent)

    def listed(self, name: str, *tests: str) -> None:
        """Put these tests on the list, too."""
        with (self.folder / name / 'tests').open('a') as listed:
            listed.writelines('t.%s\n' % test for test in tests)

    def run_main(self, *folders: str) -> tuple[int, list[str]]:
        said = io.StringIO()
        with mock.patch.object(sys, 'argv', ['results.py', *folders]), (
                contextlib.redirect_stdout(said)):
            code = self.results.main()
        return code, said.getvalue().splitlines()

    def failed(self) -> str:
        return (self.folder / 'first/failed').read_text(encoding='utf-8')

    def test_all_is_well(self) -> None:
        first = self.stream('first', a='success', b='skip', c='xfail')
        self.assertEqual((0, ['lab: 2 passed, 0 failed, 1 skipped']),
                         self.run_main(first))
        self.assertEqual('', self.failed())

    def test_one_that_failed_and_passes_alone_is_named(self) -> None:
        first = self.stream('first', a='success', b='fail', c='inprogress')
        code, said = self.run_main(first)
        self.assertEqual((1, 'lab: 1 passed, 2 failed, 0 skipped'),
                         (code, said[-1]))
        self.assertEqual('t.b\nt.c\n', self.failed())
        again = self.stream('again', b='success', c='success')
        code, said = self.run_main(first, again)
        self.assertEqual((0, [
            'lab: unsteady, failed once and passed alone: t.b',
            'lab: unsteady, failed once and passed alone: t.c',
            'lab: 3 passed, 0 failed, 0 skipped']), (code, said))

    def test_one_that_fails_again_has_failed(self) -> None:
        first = self.stream('first', a='success', b='fail', c='fail')
        for name, again in (('one', {'b': 'fail', 'c': 'success'}),
                            ('two', {'c': 'success'})):
            code, said = self.run_main(first, self.stream(name, 1, **again))
            self.assertEqual(1, code)
            self.assertIn('lab: FAILED t.b', said)
            self.assertEqual('lab: 2 passed, 1 failed, 0 skipped', said[-1])

    def test_what_passed_at_first_is_not_asked_again(self) -> None:
        first = self.stream('first', a='success', b='fail')
        code, said = self.run_main(first, self.stream(
            'again', a='fail', b='success'))
        self.assertEqual((0, 'lab: 2 passed, 0 failed, 0 skipped'),
                         (code, said[-1]))

    def test_the_machines_are_summed(self) -> None:
        first = self.stream('first', a='success', b='fail')
        self.stream('first', machine=2, c='success', d='inprogress')
        code, said = self.run_main(first)
        self.assertEqual(
            (1, ['lab: FAILED t.b', 'lab: FAILED (did not end) t.d',
                 'lab: 2 passed, 2 failed, 0 skipped']), (code, said))

    def test_one_that_no_machine_began_has_failed(self) -> None:
        first = self.stream('first', a='success')
        self.stream('first', machine=2, b='success')
        self.listed('first', 'c')
        code, said = self.run_main(first)
        self.assertEqual(
            (1, ['lab: FAILED (did not begin) t.c',
                 'lab: 2 passed, 1 failed, 0 skipped']), (code, said))
        self.assertEqual('t.c\n', self.failed())
        # nor does it count when its second run does not come to it
        again = self.stream('again')
        self.listed('again', 'c')
        self.assertEqual(1, self.run_main(first, again)[0])

    def test_no_test_is_a_failure(self) -> None:
        self.assertEqual(1, self.run_main(self.stream('first'))[0])
