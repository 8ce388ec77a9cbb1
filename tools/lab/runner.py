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
"""List the lab's tests, and run those that no other machine has taken.

Machines that share a folder share its list, too: whoever makes the directory
of a test's name runs it.  So none idles while another has tests left.

    runner.py list FOLDER [PATTERN]     leave the names in the folder
    runner.py run FOLDER PLACES         run; standard output is the stream;
                                        where time is spent goes to PLACES
"""

from __future__ import annotations

import os
import pathlib
import re
import sys
import sysconfig
from typing import cast
import unittest

import places as places_lib
import subunit
import testtools

TESTS = 'tests'
TAKEN = 'taken'


def write_list(folder: pathlib.Path, pattern: str = '') -> int:
    """Write the names of the tests that match; print how many there are."""
    packages = sysconfig.get_paths()['purelib']
    suite = unittest.TestLoader().discover(
        os.path.join(packages, 'os_brick', 'agent', 'tests', 'functional'),
        top_level_dir=packages)
    names = sorted(test.id() for test in testtools.iterate_tests(suite)
                   if re.search(pattern, test.id()))
    (folder / TESTS).write_text(''.join(name + '\n' for name in names),
                                encoding='utf-8')
    print(len(names))
    return 0


def take(folder: pathlib.Path, name: str) -> bool:
    """Take a test, unless another machine has."""
    try:
        (folder / TAKEN / name).mkdir()
    except FileExistsError:
        return False
    return True


def run(folder: pathlib.Path, places: str) -> int:
    """Run what can be taken; return 0 if nothing of it failed."""
    (folder / TAKEN).mkdir(exist_ok=True)
    # what tests print must not get into the stream
    stream = os.fdopen(os.dup(1), 'wb', buffering=0)
    os.dup2(2, 1)
    summary = testtools.StreamSummary()
    # it has all that a TestResult has, but is none
    result = cast(unittest.TestResult, testtools.ExtendedToStreamDecorator(
        testtools.CopyStreamResult(
            [subunit.StreamResultToBytes(stream), summary])))
    loader = unittest.TestLoader()
    spent = places_lib.Places()
    spent.start()
    result.startTestRun()
    try:
        for name in (folder / TESTS).read_text(encoding='utf-8').split():
            if take(folder, name):
                spent.test = name
                loader.loadTestsFromName(name).run(result)
                spent.test = ''
    finally:
        result.stopTestRun()
        spent.stop(pathlib.Path(places))
    return 0 if summary.wasSuccessful() else 1


if __name__ == '__main__':
    verb = write_list if sys.argv[1] == 'list' else run
    sys.exit(verb(pathlib.Path(sys.argv[2]), *sys.argv[3:]))
