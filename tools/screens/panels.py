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
"""One panel of a dashboard as a part of an SVG; standard library only.

What Grafana does with a panel is followed as far as the dashboard uses it:
stat, table, timeseries and state-timeline; thresholds; the units short, bytes
and s; and the transformation "organize".
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import html
import math
import re
from typing import Any

PAGE, PANEL, EDGE = '#111217', '#181b1f', '#2c3235'
TEXT, FAINT, GRID = '#d8d9da', '#8e8e8e', '#2c3235'
SERIES = ('#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9',
          '#8ab8ff', '#ffa6b0', '#96d98d', '#ca95e5')
NAMED = {'green': '#37872d', 'orange': '#c4621d', 'red': '#ad0317'}
#: Pixels of the axis, the legend's rows and the title.
AXIS, ROW, TITLE = 62, 15, 26
Series = Sequence[Mapping[str, Any]]
#: What the legend calls it, and its runs of points (seconds, value).
Line = tuple[str, Sequence[Sequence[Sequence[float]]]]


@dataclasses.dataclass(frozen=True)
class Box:
    """Where something is drawn, in pixels."""

    x: float
    y: float
    width: float
    height: float


def draw(panel: Mapping[str, Any], answers: Sequence[Series], box: Box,
         seconds: float) -> list[str]:
    """Return the panel.

    :param answers: what Prometheus has found, for each of its queries.
    :param seconds: of the range.
    """
    if panel['type'] == 'stat':
        return _stat(panel, answers, box)
    parts = [_rect(box, PANEL, EDGE),
             _text(box.x + 8, box.y + 17, panel['title'], TEXT, 12.5)]
    inner = Box(box.x + 8, box.y + TITLE, box.width - 16,
                box.height - TITLE - 6)
    if not any(answers):
        return [*parts, _text(box.x + box.width / 2, box.y + box.height / 2,
                              'No data', FAINT, 13, 'middle')]
    if panel['type'] == 'table':
        return parts + _table(panel, answers, inner)
    lines = [(legend(target.get('legendFormat', ''), one['metric']),
              one['runs'])
             for target, found in zip(panel['targets'], answers)
             for one in found]
    if panel['type'] == 'state-timeline':
        return parts + _states(lines, inner, seconds)
    return parts + _lines(panel, lines, inner, seconds)


def legend(form: str, labels: Mapping[str, str]) -> str:
    """Return what the legend calls a series."""
    return re.sub(r'\{\{(\w+)\}\}', lambda found: labels.get(
        found[1], ''), form)


def amount(value: float, unit: str) -> str:
    """Return a value as its unit has it."""
    if unit == 'bytes':
        names = ('B', 'KiB', 'MiB', 'GiB', 'TiB')
        power = min(4, int(math.log2(value) // 10)) if value >= 1 else 0
        return '%.4g %s' % (value / 1024 ** power, names[power])
    if unit == 's':
        for length, name in ((86400, 'd'), (3600, 'h'), (60, 'min')):
            if abs(value) >= length:
                return '%.3g %s' % (value / length, name)
        return '%.3g s' % value
    return '%.4g' % value


def _stat(panel: Mapping[str, Any], answers: Sequence[Series], box: Box
          ) -> list[str]:
    value = float(answers[0][0]['value'][1])
    return [_rect(box, threshold(panel, value), EDGE),
            _text(box.x + 8, box.y + 17, panel['title'], '#ffffff', 12.5),
            _text(box.x + box.width / 2, box.y + box.height / 2 + 24,
                  '%g' % value, '#ffffff', 40, 'middle')]


def threshold(panel: Mapping[str, Any], value: float) -> str:
    """Return the colour of the last step that the value has reached."""
    steps = panel['fieldConfig']['defaults']['thresholds']['steps']
    return [NAMED[step['color']] for step in steps
            if step['value'] is None or value >= step['value']][-1]


def _table(panel: Mapping[str, Any], answers: Sequence[Series], box: Box
           ) -> list[str]:
    organize: dict[str, Any] = {}
    for step in panel.get('transformations', ()):
        if step['id'] == 'organize':
            organize = step['options']
    table: dict[str, dict[str, str]] = {}
    several = len(answers) > 1
    for letter, found in zip('ABCDEFGH', answers):
        for number, one in enumerate(found):
            # of several queries: joined by their instance
            row = table.setdefault(one['metric']['instance'] if several
                                   else str(number), {})
            row.update(one['metric'])
            row['Value #' + letter if several else 'Value'] = amount(
                float(one['value'][1]),
                panel['fieldConfig']['defaults'].get('unit', 'short'))
    order = organize.get('indexByName', {})
    hidden = {name for name, out in organize.get(
        'excludeByName', {}).items() if out} | {'__name__'}
    columns = sorted({name for row in table.values() for name in row}
                     - hidden, key=lambda name: (order.get(name, 99), name))
    room = box.width / max(1, len(columns))
    parts = []
    for place, name in enumerate(columns):
        x = box.x + room * place
        parts.append(_text(x, box.y + 12, organize.get(
            'renameByName', {}).get(name, name), '#6e9fff', 11))
        parts += [_text(x, box.y + 12 + (number + 1) * 20,
                        row.get(name, ''), TEXT, 11)
                  for number, row in enumerate(table.values())]
    return parts


def _states(lines: Sequence[Line], box: Box, seconds: float) -> list[str]:
    """A bar for as long as a series is there."""
    left = 0.46 * box.width
    room = min(34.0, (box.height - ROW) / max(1, len(lines)))
    parts = _clock(Box(box.x + left, box.y, box.width - left, box.height),
                   seconds)
    for number, (name, runs) in enumerate(lines):
        y = box.y + room * number
        parts.append(_text(box.x, y + room / 2 + 4, name, TEXT, 10.5))
        for run in runs:
            x = box.x + left + (box.width - left) * run[0][0] / seconds
            end = box.x + left + (box.width - left) * run[-1][0] / seconds
            parts.append(_rect(Box(x, y + 3, max(1.5, end - x), room - 6),
                               SERIES[number % len(SERIES)], ''))
    return parts


def _lines(panel: Mapping[str, Any], lines: Sequence[Line], box: Box,
           seconds: float) -> list[str]:
    defaults = panel['fieldConfig']['defaults']
    unit = defaults.get('unit', 'short')
    found = [value for _name, runs in lines for run in runs
             for _at, value in run]
    low = min(0.0, defaults.get('min', 0.0), *found)
    high = max(found)
    high = high if high > low else low + 1
    # the legend takes what it needs, and leaves half
    shown = min(len(lines), int(box.height / 2 / ROW))
    field = Box(box.x + AXIS, box.y, box.width - AXIS,
                box.height - ROW * (shown + 1))

    def place(at: float, value: float) -> str:
        return '%.1f,%.1f' % (
            field.x + field.width * at / seconds,
            field.y + field.height * (1 - (value - low) / (high - low)))

    parts = _clock(Box(field.x, field.y, field.width, field.height + ROW),
                   seconds)
    for step in range(5):
        value = low + (high - low) * step / 4
        x, y = place(0, value).split(',')
        parts += ['<line x1="%s" x2="%.1f" y1="%s" y2="%s" stroke="%s"/>' % (
            x, field.x + field.width, y, y, GRID),
            _text(field.x - 6, float(y) + 4, amount(value, unit), FAINT, 10,
                  'end')]
    for number, (name, runs) in enumerate(lines):
        colour = SERIES[number % len(SERIES)]
        for run in runs:
            points = [place(*point) for point in run]
            # one alone would be nothing
            parts.append('<polyline points="%s" fill="none" stroke="%s" '
                         'stroke-width="1.6" stroke-linecap="round"/>' % (
                             ' '.join(points * (2 if len(run) < 2 else 1)),
                             colour))
        if number < shown:
            base = field.y + field.height + ROW * (number + 2) - 2
            parts += [_rect(Box(box.x, base - 6, 12, 3), colour, ''),
                      _text(box.x + 18, base, name, TEXT, 10.5)]
    if len(lines) > shown:
        parts.append(_text(box.x + box.width, box.y + box.height - 1,
                           '… %d more' % (len(lines) - shown), FAINT, 10.5,
                           'end'))
    return parts


def _clock(box: Box, seconds: float) -> list[str]:
    """The axis of time: minutes since the beginning."""
    step = next(step for step in (15, 30, 60, 120, 300, 600, 1800, 1e9)
                if seconds / step <= max(2, box.width / 70))
    parts = []
    for number in range(int(seconds // step) + 1):
        x = box.x + box.width * number * step / seconds
        parts += ['<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" '
                  'stroke="%s"/>' % (x, x, box.y, box.y + box.height - ROW,
                                     GRID),
                  _text(x, box.y + box.height - 3, '%d:%02d' % divmod(
                      number * step, 60), FAINT, 10, 'middle')]
    return parts


def _rect(box: Box, colour: str, edge: str) -> str:
    return ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" '
            'fill="%s"%s/>' % (
                box.x, box.y, box.width, box.height, colour,
                ' stroke="%s" rx="2"' % edge if edge else ''))


def _text(x: float, y: float, text: str, colour: str, size: float,
          anchor: str = '') -> str:
    return '<text x="%.1f" y="%.1f" fill="%s" font-size="%g"%s>%s</text>' % (
        x, y, colour, size, ' text-anchor="%s"' % anchor if anchor else '',
        html.escape(text))
