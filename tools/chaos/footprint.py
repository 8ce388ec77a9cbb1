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
"""What the agent and its helper take up, and whether that stays so.

It is taken between two faults, while all volumes are whole.  What grows with
the number of faults is a leak, be it a slow one: the median of the last
quarter is held against that of the second one, for the first is still warming
up.  An agent that was killed begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import statistics

#: With fewer, a quarter tells nothing.
ENOUGH = 24
#: By how much the last quarter may be above the second one: a part of it, and
#: what is allowed whatever the part.
GROWTH = 0.1
SLACK = {'memory': 4096, 'helper_memory': 4096, 'descriptors': 3,
         'helper_descriptors': 3, 'threads': 2, 'helper_threads': 2,
         'ledger': 65536}
#: The log grows with each fault, and so does the history, up to some thousand
#: sentences: they are told of, and not judged.
NAMES = (*SLACK, 'history', 'log')
HISTORY = 'history.sqlite'
_UNITS = {'memory': 'KiB', 'helper_memory': 'KiB', 'ledger': 'bytes',
          'history': 'bytes', 'log': 'bytes'}


@dataclasses.dataclass(frozen=True)
class Footprint:
    """What two processes and their files take up at one moment.

    :ivar began: seconds since the beginning of the series.
    :ivar pid: of the agent: another one has another past.
    :ivar memory: KiB that are resident, and of no other process.
    :ivar ledger: bytes of the state directory, without ``history``: what has
        happened; ``log``: bytes of the log.
    """

    began: float
    pid: int
    memory: int
    helper_memory: int
    descriptors: int
    helper_descriptors: int
    threads: int
    helper_threads: int
    ledger: int
    history: int
    log: int


def take(began: float, pid: int, helper: int, state: pathlib.Path,
         log: pathlib.Path) -> Footprint:
    """Measure it now.

    :raises OSError: a process, or what was a file, has ended.
    """
    ours, theirs = (pathlib.Path('/proc', str(one)) for one in (pid, helper))
    sizes = {path.name: path.stat().st_size for path in state.iterdir()}
    history = sum(size for name, size in sizes.items()
                  if name.startswith(HISTORY))
    return Footprint(
        began, pid, _private(ours), _private(theirs),
        _entries(ours / 'fd'), _entries(theirs / 'fd'),
        _entries(ours / 'task'), _entries(theirs / 'task'),
        sum(sizes.values()) - history, history,
        log.stat().st_size)


def _entries(folder: pathlib.Path) -> int:
    return sum(1 for _entry in folder.iterdir())


def _private(process: pathlib.Path) -> int:
    return sum(int(line.split()[1]) for line in (
        process / 'smaps_rollup').read_text().splitlines()
        if line.startswith('Private_'))


def longest(taken: Sequence[Footprint]) -> list[Footprint]:
    """Return those of the agent that has lived longest."""
    lives: dict[int, list[Footprint]] = {}
    for one in taken:
        lives.setdefault(one.pid, []).append(one)
    return max(lives.values(), key=len, default=[])


def leaks(taken: Sequence[Footprint]) -> list[str]:
    """Return what has grown, a sentence each; too few of them: nothing."""
    life = longest(taken)
    if len(life) < ENOUGH:
        return []
    quarter = len(life) // 4
    found = []
    for name, slack in SLACK.items():
        before, after = (statistics.median(getattr(one, name) for one in part)
                         for part in (life[quarter:2 * quarter],
                                      life[-quarter:]))
        if after > before * (1 + GROWTH) + slack:
            found.append('%s of the agent grows: %d, and %d after %d more '
                         'faults' % (name.replace('_', ' '), before, after,
                                     2 * quarter))
    return found


def keep(taken: Sequence[Footprint], file: pathlib.Path) -> None:
    """Write a line of JSON for each."""
    file.write_text(''.join(json.dumps(dataclasses.asdict(one)) + '\n'
                            for one in taken), encoding='utf-8')


def table(taken: Sequence[Footprint]) -> str:
    """Return a line for each, of the agent that has lived longest."""
    life = longest(taken)
    if not life:
        return 'nothing was measured'
    lines: list[tuple[str, ...]] = [
        ('', 'first', 'median', 'last', 'largest')]
    for name in NAMES:
        values = [getattr(one, name) for one in life]
        lines.append(('%s%s' % (name.replace('_', ' '), (
            ', ' + _UNITS[name]) if name in _UNITS else ''), *(
                '%d' % value for value in (
                    values[0], statistics.median(values), values[-1],
                    max(values)))))
    widths = [max(map(len, column)) for column in zip(*lines)]
    hours = (life[-1].began - life[0].began) / 3600
    return '%d times in %.1f hours\n' % (len(life), hours) + '\n'.join(
        '  '.join((line[0].ljust(widths[0]), *(
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))))
        for line in lines)
