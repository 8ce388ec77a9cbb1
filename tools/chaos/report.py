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
"""What a series of faults came to, in words; pure.

A fault is answered for from its beginning to that of the next one.  Its pause
is the longest time that a write took in that window, from the fault on if it
had begun before.  One that is late when the next fault comes counts until it
ends; one that had just begun is that fault's.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import statistics

#: Upper bounds, in seconds, of the histogram's bars.
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
WIDTH = 50
#: Seconds after which a write is late.
LATE = 0.5


@dataclasses.dataclass(frozen=True)
class Row:
    """One fault; times in seconds.

    :ivar began: since the beginning of the series.
    :ivar settled: whether all volumes were whole before it.
    :ivar down: for how long no target at all could be reached.
    :ivar pauses: volume -> the writer's longest pause.
    """

    number: int
    kind: str
    words: str
    began: float
    settled: bool
    down: float
    pauses: dict[str, float]

    @property
    def pause(self) -> float:
        """The longest of all volumes."""
        return max(self.pauses.values(), default=0.0)

    @property
    def beyond(self) -> float:
        """What of it was not the outage itself."""
        return max(0.0, self.pause - self.down)

    def __str__(self) -> str:
        return '%s%s: %s' % (
            self.words, '' if self.settled else ' (before the last one is '
            'healed)', ', '.join('%s %.2f s' % one
                                 for one in self.pauses.items()))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was looked at in the end; None: it could not be.

    :ivar errors: of writers, fio and the file system.
    :ivar lost: blocks that do not hold what was acknowledged.
    :ivar differing: sectors that md found different on two legs.
    :ivar problems: what else went wrong, a sentence each.
    """

    errors: int
    lost: int | None
    differing: int | None
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return (not self.errors and self.lost == 0 and self.differing == 0
                and not self.problems)


def pause(writes: Iterable[tuple[float, float]], begin: float,
          end: float) -> float:
    """Return the longest pause that a fault answers for.

    :param writes: beginning and end of each.
    :param begin: of the fault; ``end``: the beginning of the next one.
    """
    longest = 0.0
    for started, stopped in writes:
        since = max(started, begin)
        if started < end and stopped > begin:
            longest = max(longest, (stopped if end - since > LATE
                                    else min(stopped, end)) - since)
    return longest


def table(rows: Sequence[Row]) -> str:
    """Return a line for each kind, and one for all."""
    lines = [('kind', 'faults', 'median', 'longest', 'longest without the '
              'outage', 'fault')]
    kinds = sorted({row.kind for row in rows})
    for name, of_kind in [*((kind, [row for row in rows if row.kind == kind])
                            for kind in kinds), ('all', list(rows))]:
        if not of_kind:
            continue
        worst = max(of_kind, key=lambda row: row.beyond)
        lines.append((
            name, str(len(of_kind)), '%.2f s' % statistics.median(
                row.pause for row in of_kind),
            '%.2f s' % max(row.pause for row in of_kind),
            '%.2f s' % worst.beyond, 'no. %d' % worst.number))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join('  '.join(
        cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines)


def histogram(rows: Sequence[Row]) -> str:
    """Return a bar for each range of pauses, what an outage took left out."""
    counts = [0] * (len(BOUNDS) + 1)
    for row in rows:
        counts[sum(row.beyond > bound for bound in BOUNDS)] += 1
    most = max(counts, default=0)
    labels = ['up to %5.2f s' % bound for bound in BOUNDS] + [
        'more than that']
    return '\n'.join(('%-14s %4d  %s' % (
        label, count, '#' * -(-count * WIDTH // most) if most else '')
    ).rstrip() for label, count in zip(labels, counts))


def verdict(seed: int, planned: int, done: int, outcome: Outcome) -> str:
    """Return the last line."""
    faults = '%d faults' % done if done == planned else (
        '%d of %d faults' % (done, planned))
    lost = ('blocks not read back' if outcome.lost is None
            else '%d blocks lost' % outcome.lost)
    legs = ('legs not compared' if outcome.differing is None
            else 'legs equal' if not outcome.differing
            else 'legs differ in %d sectors' % outcome.differing)
    line = 'chaos: seed %d, %s, %d errors, %s, %s' % (
        seed, faults, outcome.errors, lost, legs)
    if outcome.problems:
        line += ', %d other problems' % len(outcome.problems)
    return line if outcome.good and done == planned else line + ': FAILED'
