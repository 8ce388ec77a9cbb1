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
"""Show tests as they run: a subunit stream in, one line a test out.

A person who waits sees which test is under way and how long each one took;
of a failed one only the traceback, for its logs are in its evidence folder.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import subunit
import testtools

WORDS = {'success': 'ok', 'fail': 'FAIL', 'skip': 'skip', 'xfail': 'ok',
         'uxsuccess': 'FAIL', 'inprogress': 'FAIL (did not end)',
         'unknown': 'FAIL (unknown)'}


class Begins(testtools.StreamResult):
    """Name a test when it begins."""

    def __init__(self, machine: str) -> None:
        super().__init__()
        self._machine = machine

    def status(self, *_args: Any, **packet: Any) -> None:
        """Take one packet of the stream."""
        test_id = packet.get('test_id')
        if test_id and packet.get('test_status') == 'inprogress':
            _print(self._machine, '%s ...' % _short(test_id))


def _short(test_id: str) -> str:
    return '.'.join(test_id.split('.')[-3:])


def _print(machine: str, text: str) -> None:
    """Print whole lines at once, for another machine prints between them."""
    sys.stdout.write(''.join('%s  %s\n' % (machine, line)
                             for line in text.splitlines()))
    sys.stdout.flush()


def ended(machine: str, test: Any) -> None:
    """Print how a test ended."""
    begin, end = test['timestamps']
    seconds = (end - begin).total_seconds() if begin and end else 0.0
    if test['status'] == 'exists':
        return
    lines = ['%s %s  %.1f s' % (_short(test['id']), WORDS[test['status']],
                                seconds)]
    for name, detail in sorted(test['details'].items()):
        if (name.startswith('traceback') or name == 'reason'
                or (WORDS[test['status']] != 'ok' and name == 'stdout')):
            lines += ['    ' + line for line
                      in detail.as_text().rstrip().splitlines()]
    _print(machine, '\n'.join(lines))


def main() -> int:
    """Read standard input to its end; exit 0 if nothing failed.

    Argument: the machine's number, for the lines of several mingle.
    """
    machine = sys.argv[1]
    summary = testtools.StreamSummary()
    result = testtools.CopyStreamResult(
        [Begins(machine), testtools.StreamToDict(
            functools.partial(ended, machine)), summary])
    case = subunit.ByteStreamToStreamResult(
        sys.stdin.buffer, non_subunit_name='stdout')
    result.startTestRun()
    try:
        case.run(result)
    finally:
        result.stopTestRun()
    return 0 if summary.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main())
