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
"""Machines that share the lab's tests run each of them once."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

from oslotest import base

TOOLS = pathlib.Path(__file__).parents[5] / 'tools/lab'
TESTS = '''
import os, time, unittest

class T(unittest.TestCase):
    def note(self):
        path = os.path.join(os.environ['SEEN'], self.id())
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        time.sleep(0.01)

%s

    def test_wrong(self):
        self.note()
        print('this is no packet')
        self.fail('as it should')
'''
NAMES = ['some_tests.T.test_%02d' % number for number in range(40)]


class RunnerTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.seen = self.folder / 'seen'
        self.seen.mkdir()
        (self.folder / 'some_tests.py').write_text(TESTS % '\n'.join(
            '    %s = note' % name.rpartition('.')[2] for name in NAMES))

    def machine(self, number: int) -> subprocess.Popen[bytes]:
        """Start the runner as a machine would, with a stream of its own."""
        place = self.folder / ('machine-%d' % number)
        place.mkdir()
        with (place / 'subunit').open('wb') as stream:
            process = subprocess.Popen(
                [sys.executable, str(TOOLS / 'runner.py'), 'run',
                 str(self.folder), str(place / 'places.csv')],
                stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.DEVNULL,
                env=dict(os.environ, SEEN=str(self.seen),
                         PYTHONPATH=str(self.folder)))
        self.addCleanup(process.kill)
        return process

    def share(self, names: list[str]) -> list[int]:
        """Let two machines run them; return what they ended with."""
        (self.folder / 'tests').write_text(''.join(
            name + '\n' for name in names))
        both = [self.machine(1), self.machine(2)]
        return [one.wait(120) for one in both]

    def results(self) -> str:
        said = subprocess.run(
            [sys.executable, str(TOOLS / 'results.py'), str(self.folder)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return said.stdout.splitlines()[-1]

    def test_each_is_run_once(self) -> None:
        self.assertEqual([0, 0], self.share(NAMES))
        self.assertEqual(set(NAMES), {path.name for path
                                      in self.seen.iterdir()})
        self.assertEqual('lab: 40 passed, 0 failed, 0 skipped',
                         self.results())

    def test_one_fails_and_the_others_are_run(self) -> None:
        ended = self.share([*NAMES, 'some_tests.T.test_wrong'])
        self.assertEqual([0, 1], sorted(ended))
        self.assertEqual('lab: 40 passed, 1 failed, 0 skipped',
                         self.results())

    def test_one_that_cannot_be_loaded_fails(self) -> None:
        self.assertIn(1, self.share([NAMES[0], 'some_tests.T.test_gone']))
        # once by its name on the list, once as what took its place
        self.assertEqual('lab: 1 passed, 2 failed, 0 skipped',
                         self.results())

    def test_the_list_has_the_lab_s_tests_that_match(self) -> None:
        said = subprocess.run(
            [sys.executable, '-c', 'import sys, sysconfig; '
             'sysconfig.get_paths = lambda: {"purelib": %r}; '
             'sys.path[:0] = [%r]; import runner, pathlib; '
             'runner.write_list(pathlib.Path(%r), "LabTest.test_attach")' % (
                 str(TOOLS.parents[1]), str(TOOLS), str(self.folder))],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual('1\n', said.stdout, said.stderr)
        self.assertEqual(
            'os_brick.agent.tests.functional.test_lab.LabTest.'
            'test_attach_and_detach\n', (self.folder / 'tests').read_text())
