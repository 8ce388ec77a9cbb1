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

import sys
from typing import Any

import subunit
import testtools

WORDS = {'success': 'ok', 'fail': 'FAIL', 'skip': 'skip', 'xfail': 'ok',
         'uxsuccess': 'FAIL', 'inprogress': 'FAIL (did not end)',
         'unknown': 'FAIL (unknown)'}


class Begins(testtools.StreamResult):
    """Name a test when it begins."""

    def status(self, *_args: Any, **packet: Any) -> None:
        """Take one packet of the stream."""
        test_id = packet.get('test_id')
        if test_id and packet.get('test_status') == 'inprogress':
            print('%s ...' % '.'.join(test_id.split('.')[-3:]), end=' ',
                  flush=True)


def ended(test: Any) -> None:
    """Print how a test ended."""
    begin, end = test['timestamps']
    seconds = (end - begin).total_seconds() if begin and end else 0.0
    if test['status'] == 'exists':
        return
    print('%s  %.1f s' % (WORDS[test['status']], seconds), flush=True)
    for name, detail in sorted(test['details'].items()):
        if (name.startswith('traceback') or name == 'reason'
                or (WORDS[test['status']] != 'ok' and name == 'stdout')):
            print('    ' + detail.as_text().rstrip().replace('\n', '\n    '),
                  flush=True)


def main() -> int:
    """Read standard input to its end; exit 0 if nothing failed."""
    summary = testtools.StreamSummary()
    result = testtools.CopyStreamResult(
        [Begins(), testtools.StreamToDict(ended), summary])
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
