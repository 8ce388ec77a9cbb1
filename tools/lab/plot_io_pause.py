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
"""A table and a plot of what bench_io_pause.py has measured.

Standard library only: an SVG of write latency over time, one row for each
fault, logarithmic, no agent in red and the agent in blue.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import sys
from typing import Any

COLUMNS = ('fault', 'agent', 'longest pause', 'ratio', 'write errors',
           'reported', 'whole again', 'read back')
WIDTH, ROW, LEFT, TOP = 900, 130, 60, 60
BEFORE, AFTER = -3.0, 42.0
LOW, HIGH = 1e-4, 100.0
COLOURS = {False: '#c0392b', True: '#2471a3'}


def table(results: list[dict[str, Any]]) -> str:
    """Return the figures, with the ratio of the two longest pauses."""
    rows = [COLUMNS]
    bare: dict[str, dict[str, Any]] = {}
    for result in results:
        if not result['agent']:
            # a fault may be tried more than once
            bare[result['fault']] = result
        other = bare.get(result['fault'])
        ratio = ''
        if result['agent'] and other:
            ratio = '%s%.1f' % ('> ' if other['endless'] else '',
                                other['pause'] / result['pause'])
        rows.append((
            result['fault'], 'yes' if result['agent'] else 'no',
            '%s%.2f s' % ('for ever, > ' if result['endless'] else '',
                          result['pause']), ratio, str(result['errors']),
            _seconds(result['reported']), _seconds(result['whole']),
            'ok' if result['checksum'] else 'WRONG'))
    widths = [max(len(row[column]) for row in rows)
              for column in range(len(COLUMNS))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width
                               in zip(row, widths)).rstrip()
                     for row in rows)


def _seconds(value: float | None) -> str:
    return '-' if value is None else '%.1f s' % value


def plot(results: list[dict[str, Any]]) -> str:
    """Return the SVG's text."""
    faults = list(dict.fromkeys(result['fault'] for result in results))
    height = TOP + ROW * len(faults) + 30
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
        'font-family="sans-serif" font-size="11">' % (WIDTH, height),
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="%d" y="20" font-size="14">Latency of each 4 KiB write '
        'around a fault at 0 s</text>' % LEFT]
    for column, (agent, name) in enumerate(((False, 'no agent'),
                                            (True, 'with nvme-agent'))):
        parts.append('<rect x="%d" y="30" width="10" height="10" fill="%s"/>'
                     '<text x="%d" y="39">%s</text>' % (
                         LEFT + 150 * column, COLOURS[agent],
                         LEFT + 150 * column + 15, name))
    for number, fault in enumerate(faults):
        tries = [result for result in results if result['fault'] == fault]
        parts += _row(TOP + ROW * number, tries[0]['title'], tries)
    parts.append('</svg>')
    return '\n'.join(parts) + '\n'


def _x(moment: float) -> float:
    part = (min(max(moment, BEFORE), AFTER) - BEFORE) / (AFTER - BEFORE)
    return LEFT + part * (WIDTH - LEFT - 20)


def _y(top: int, latency: float) -> float:
    part = (math.log10(min(max(latency, LOW), HIGH)) - math.log10(LOW)) / (
        math.log10(HIGH) - math.log10(LOW))
    return top + ROW - 25 - part * (ROW - 45)


def _row(top: int, title: str, results: list[dict[str, Any]]) -> list[str]:
    parts = ['<text x="%d" y="%d" font-weight="bold">%s</text>' % (
        LEFT, top + 14, title)]
    for latency, label in ((1e-3, '1 ms'), (0.1, '0.1 s'), (1.0, '1 s'),
                           (10.0, '10 s')):
        y = _y(top, latency)
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" '
                     'stroke="#dddddd"/><text x="%d" y="%.1f" '
                     'text-anchor="end">%s</text>' % (
                         LEFT, WIDTH - 20, y, y, LEFT - 5, y + 4, label))
    for moment in range(0, int(AFTER) + 1, 5):
        parts.append('<text x="%.1f" y="%d" text-anchor="middle" '
                     'fill="#888888">%d</text>' % (
                         _x(moment), top + ROW - 10, moment))
    for result in results:
        colour = COLOURS[result['agent']]
        for start, latency in _thinned(result['writes']):
            # from its beginning to its end
            parts.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" '
                         'stroke="%s" stroke-width="2"/>' % (
                             _x(start), max(_x(start + latency),
                                            _x(start) + 1.5),
                             _y(top, latency), _y(top, latency), colour))
    return parts


def _thinned(writes: list[list[float]]) -> list[list[float]]:
    """The longest write of each tenth of a second."""
    longest: dict[int, list[float]] = {}
    for write in writes:
        if BEFORE <= write[0] <= AFTER:
            slot = int(write[0] * 10)
            if slot not in longest or write[1] > longest[slot][1]:
                longest[slot] = write
    return list(longest.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('measured', type=pathlib.Path)
    parser.add_argument('--svg', type=pathlib.Path)
    options = parser.parse_args()
    results = [json.loads(line) for line
               in options.measured.read_text().splitlines()]
    print(table(results))
    if options.svg:
        options.svg.write_text(plot(results))
        print('plot: %s' % options.svg)
    return 0


if __name__ == '__main__':
    sys.exit(main())
