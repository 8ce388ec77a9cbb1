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
"""What the lab's terminal has shown, as text and as pictures.

Standard library only: an SVG of the characters with their colours.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import html
import pathlib
import re
import shutil
import sys

#: Screen -> the words after ``nvme-agent`` that show it.
SCREENS = {
    'degraded': 'status', 'health': 'health', 'returned': 'history volume1',
    'paused': 'status', 'plan': 'plan volume1', 'resync': 'status'}
#: Of a picture; longer lines are broken.
COLUMNS = 100
CHARACTER, LINE, LEFT, TOP = 7.8, 17, 14, 44
BACKGROUND, PLAIN = '#1b1f24', '#d8dee4'
#: What ``reporting.screen`` colours with (SGR) -> the colour.
COLOURS = {'31;1': '#ff6b61', '33;1': '#f0c24b', '36': '#56c8d8',
           '32': '#62c462', '0': PLAIN}
_CODE = re.compile(r'\033\[([0-9;]*)m')


def plain(shown: str) -> str:
    """Return it as a file would have it."""
    return '\n'.join(line.rstrip() for line
                     in _CODE.sub('', shown).splitlines()) + '\n'


def runs(line: str) -> Iterator[tuple[str, str]]:
    """Yield what has one colour, and that colour.

    :raises KeyError: the program colours with what is not in ``COLOURS``.
    """
    colour = PLAIN
    for number, part in enumerate(_CODE.split(line)):
        if number % 2:
            colour = COLOURS[part]
        elif part:
            yield part, colour


def rows(shown: str) -> Iterator[list[tuple[int, str, str]]]:
    """Yield the rows of the picture: column, text, colour."""
    for line in shown.splitlines():
        row: list[tuple[int, str, str]] = []
        column = 0
        for text, colour in runs(line):
            while text:
                if column == COLUMNS:
                    yield row
                    row, column = [], 4
                part, text = text[:COLUMNS - column], text[COLUMNS - column:]
                row.append((column, part, colour))
                column += len(part)
        yield row


def picture(shown: str, command: str) -> str:
    """Return the SVG's text."""
    drawn = list(rows(shown))
    width = LEFT * 2 + CHARACTER * COLUMNS
    height = TOP + LINE * len(drawn) + 10
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
        'viewBox="0 0 %d %d" font-family="DejaVu Sans Mono, Menlo, Consolas, '
        'monospace" font-size="13">' % (width, height, width, height),
        '<rect width="100%%" height="100%%" rx="6" fill="%s"/>' % BACKGROUND,
        '<text x="%d" y="24" fill="#8b949e">$ nvme-agent %s</text>' % (
            LEFT, html.escape(command))]
    for number, row in enumerate(drawn):
        for column, text, colour in row:
            # blanks at the ends would be dropped
            left = len(text) - len(text.lstrip())
            text = text.strip()
            if text:
                parts.append(
                    '<text xml:space="preserve" x="%.1f" y="%d" fill="%s" '
                    'textLength="%.1f">%s</text>' % (
                        LEFT + CHARACTER * (column + left),
                        TOP + LINE * number + 13, colour,
                        CHARACTER * len(text), html.escape(text)))
    return '\n'.join([*parts, '</svg>']) + '\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('story', type=pathlib.Path)
    parser.add_argument('screens', type=pathlib.Path)
    options = parser.parse_args()
    options.screens.mkdir(parents=True, exist_ok=True)
    for name, command in SCREENS.items():
        shown = (options.story / (name + '.ansi')).read_text()
        for ending, text in (('.txt', plain(shown)),
                             ('.svg', picture(shown, command))):
            (options.screens / (name + ending)).write_text(text)
        state = options.story / (name + '.json')
        if state.exists():
            # so that it can be seen whether the same is shown today
            shutil.copy(state, options.screens)
    return 0


if __name__ == '__main__':
    sys.exit(main())
