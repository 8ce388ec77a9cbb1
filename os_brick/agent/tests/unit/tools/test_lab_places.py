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
"""Where the tests of the lab spend their time."""

from __future__ import annotations

from collections.abc import Callable
import csv
import pathlib
import runpy
import tempfile
import threading
from typing import Any
from unittest import mock

from oslotest import base

TOOL = pathlib.Path(__file__).parents[5] / 'tools/lab/places.py'
#: As if it was a test of the lab and what it calls.
STORY = """
def test(wait):
    return helper(wait)

def helper(wait):
    wait()
"""


class PlacesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tool = runpy.run_path(str(TOOL))
        self.story: dict[str, Any] = {}
        exec(compile(STORY, '/lab/os_brick/agent/tests/functional/test_it.py',
                     'exec'), self.story)

    def samples(self, test: str, tell: Callable[[Any], None]
                ) -> list[list[str]]:
        """Let it sample until ``tell`` returns; return what was written."""
        places = self.tool['Places']()
        places.start()
        places.test = test
        tell(places)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, 'places.csv')
            places.stop(file)
            with file.open(encoding='utf-8', newline='') as source:
                return list(csv.reader(source))

    def until_sampled(self, places: Any) -> None:
        """Stay in the helper of a test until that was seen."""
        def seen() -> None:
            while not any(len(lines) == 2
                          for _test, lines in list(places._seconds)):
                threading.Event().wait(0.01)

        self.story['test'](seen)

    def test_lines_of_the_test_and_of_what_it_calls(self) -> None:
        head, *rows = self.samples('T.test_it', self.until_sampled)
        self.assertEqual(['test', 'seconds', 'lines'], head)
        there = [row for row in rows if row[2] == 'test_it.py:3 test_it.py:6']
        self.assertEqual(['T.test_it'], [row[0] for row in there])
        self.assertGreater(float(there[0][1]), 0.0)

    def test_a_frame_between_two_lines(self) -> None:
        code = mock.Mock(co_firstlineno=7, co_filename=(
            '/lab/os_brick/agent/tests/functional/test_it.py'))
        self.assertEqual(('test_it.py:7',), self.tool['lines'](
            mock.Mock(f_code=code, f_lineno=None, f_back=None)))

    def test_between_tests_nothing_counts(self) -> None:
        class Counted(threading.Event):
            waits = 0

            def wait(self, timeout: float | None = None) -> bool:
                self.waits += 1
                return super().wait(0.001)

        def idle(places: Any) -> None:
            places._end = end = Counted()
            while end.waits < 5:
                threading.Event().wait(0.01)

        self.assertEqual([['test', 'seconds', 'lines']],
                         self.samples('', idle))
