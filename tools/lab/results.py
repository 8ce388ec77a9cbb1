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
"""Count the tests of one lab run; say what failed and where to look.

Each machine left a stream; each is read as far as it goes.  A test that began
and did not end is one that failed, and so is one that is on the list and never
began; no test at all is a failure too.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import subunit
import testtools

OK = frozenset(['success', 'xfail'])
NEVER = 'never'
#: Status -> what to say where there is no traceback.
UNFINISHED = {'inprogress': ' (did not end)', NEVER: ' (did not begin)'}


def read(stream: pathlib.Path) -> dict[str, str]:
    """Map each test that began to its last known status."""
    found: dict[str, str] = {}

    class Statuses(testtools.StreamResult):
        def status(self, *_args: Any, **packet: Any) -> None:
            status = packet.get('test_status')
            if packet.get('test_id') and status not in (None, 'exists'):
                found[packet['test_id']] = status

    with stream.open('rb') as source:
        case = subunit.ByteStreamToStreamResult(
            source, non_subunit_name='stdout')
        case.run(Statuses())
    return found


def once_more(first: dict[str, str],
              again: dict[str, str]) -> dict[str, str]:
    """Return what counts after the failed tests were run again."""
    return {name: again.get(name, status) if status not in OK else status
            for name, status in first.items()}


def failures(statuses: dict[str, str]) -> list[str]:
    """Return the names of the tests that failed."""
    return [name for name, status in statuses.items()
            if status not in OK and status != 'skip']


def of_all(results: pathlib.Path) -> dict[str, str]:
    """Map each test of the list to what became of it on some machine."""
    found = dict.fromkeys(
        (results / 'tests').read_text(encoding='utf-8').split(), NEVER)
    for stream in sorted(results.glob('machine-*/subunit')):
        found.update(read(stream))
    return found


def main() -> int:
    """Print the summary; exit 0 only if tests ran and none failed.

    Arguments: the folder of the results, and that of the failed tests' second
    run, where there was one.  The names of those that failed are left in
    ``failed`` in the first.
    """
    results = pathlib.Path(sys.argv[1])
    statuses = first = of_all(results)
    if len(sys.argv) > 2:
        statuses = once_more(first, of_all(pathlib.Path(sys.argv[2])))
    passed = [name for name, status in statuses.items() if status in OK]
    skipped = [name for name, status in statuses.items() if status == 'skip']
    failed = failures(statuses)
    for name in failed:
        print('lab: FAILED%s %s' % (
            UNFINISHED.get(statuses[name], ''), name))
        _point_to_evidence(results, name)
    for name in failures(first):
        if name not in failed:
            print('lab: unsteady, failed once and passed alone: %s' % name)
            _point_to_evidence(results, name)
    if not passed and not failed:
        print('lab: FAILED: no test was run')
    print('lab: %d passed, %d failed, %d skipped'
          % (len(passed), len(failed), len(skipped)))
    (results / 'failed').write_text(''.join(
        name + '\n' for name in failed), encoding='utf-8')
    return 0 if passed and not failed else 1


def _point_to_evidence(results: pathlib.Path, name: str) -> None:
    folder = results / 'evidence' / '.'.join(name.split('.')[-2:])
    if folder.is_dir():
        print('lab:   evidence in %s' % folder)


if __name__ == '__main__':
    sys.exit(main())
