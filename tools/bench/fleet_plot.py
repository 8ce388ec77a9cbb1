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
"""The figures of tools/bench-fleet.sh as a picture; standard library only.

One panel for requests, one for latency: a group of bars for each number of
agents, a bar for each phase.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import csv
import math
import pathlib
import sys

TREE = pathlib.Path(__file__).parents[2]
FIGURES = TREE / 'doc/source/contributor/fleet-load.csv'
PICTURE = TREE / 'doc/source/contributor/_images/fleet-load.svg'
COLOURS = {'begin': '#7f8c8d', 'peace': '#2471a3', 'shelf': '#c0392b',
           'outage': '#b7950b', 'return': '#1e8449'}
WIDTH, PANEL, LEFT, TOP = 900, 220, 70, 60
BAR = 22
#: title, unit, columns of the bar and of the line above it, from, to
PANELS = (
    ('Requests per second: the average, and the fullest second', '/s',
     'req/s', 'most', 10.0, 1000.0),
    ('Latency of a request: the median, and the 99th percentile', ' ms',
     'p50', 'p99', 1.0, 10000.0))


def plot(rows: list[dict[str, str]]) -> str:
    """Return the SVG's text."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
        'font-family="sans-serif" font-size="11">' % (
            WIDTH, TOP + len(PANELS) * (PANEL + 50)),
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="%d" y="20" font-size="14">Agents on one etcd of three '
        'members, by phase</text>' % LEFT]
    for column, (phase, colour) in enumerate(COLOURS.items()):
        x = LEFT + 90 * column
        parts.append('<rect x="%d" y="30" width="10" height="10" '
                     'fill="%s"/><text x="%d" y="39">%s</text>' % (
                         x, colour, x + 15, phase))
    for number, panel in enumerate(PANELS):
        parts += _panel(TOP + number * (PANEL + 50), rows, *panel)
    parts.append('</svg>')
    return '\n'.join(parts) + '\n'


def _panel(top: int, rows: list[dict[str, str]], title: str, unit: str,
           low: str, high: str, least: float, most: float) -> list[str]:
    def y(value: float) -> float:
        part = math.log10(max(value, least) / least) / math.log10(
            most / least)
        return top + PANEL - part * (PANEL - 30)

    parts = ['<text x="%d" y="%d" font-weight="bold">%s</text>' % (
        LEFT, top + 14, title)]
    line = least
    while line <= most:
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" '
                     'stroke="#dddddd"/><text x="%d" y="%.1f" '
                     'text-anchor="end">%.0f%s</text>' % (
                         LEFT, WIDTH - 20, y(line), y(line), LEFT - 5,
                         y(line) + 4, line, unit))
        line *= 10
    agents = list(dict.fromkeys(row['agents'] for row in rows))
    room = (WIDTH - LEFT - 20) / len(agents)
    for group, number in enumerate(agents):
        mine = [row for row in rows if row['agents'] == number]
        left = LEFT + room * group + (room - len(mine) * (BAR + 8)) / 2
        for place, row in enumerate(mine):
            parts += _bar(left + place * (BAR + 8), y, least, row, low, high)
        parts.append('<text x="%.1f" y="%d" text-anchor="middle">%s '
                     'agents</text>' % (LEFT + room * (group + 0.5),
                                        top + PANEL + 18,
                                        '{:,}'.format(int(number))))
    return parts


def _bar(x: float, y: Callable[[float], float], least: float,
         row: dict[str, str], low: str, high: str) -> list[str]:
    """A bar, and a line up to the higher figure; nothing without one."""
    if not row[low]:
        return []
    colour, bottom = COLOURS[row['phase']], y(least)
    foot, head = y(float(row[low])), y(float(row[high]))
    return ['<rect x="%.1f" y="%.1f" width="%d" height="%.1f" fill="%s">'
            '<title>%s, %s: %s, %s</title></rect>' % (
                x, foot, BAR, bottom - foot, colour, row['agents'],
                row['phase'], row[low], row[high]),
            '<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" '
            'stroke-width="2"/>' % (x + BAR / 2, x + BAR / 2, foot, head,
                                    colour),
            '<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" '
            'stroke-width="2"/>' % (x + 4, x + BAR - 4, head, head, colour)]


def read(path: pathlib.Path) -> list[dict[str, str]]:
    with open(path, encoding='utf-8', newline='') as stream:
        return list(csv.DictReader(stream))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('figures', type=pathlib.Path, nargs='?',
                        default=FIGURES)
    parser.add_argument('--svg', type=pathlib.Path, default=PICTURE)
    options = parser.parse_args()
    options.svg.write_text(plot(read(options.figures)), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
