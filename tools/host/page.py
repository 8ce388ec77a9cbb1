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
"""The commands of the installation page, as a stranger would type them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys
import textwrap

PAGE = (pathlib.Path(__file__).parents[2] / 'doc/source/install/index.rst')
_DIRECTIVE = re.compile(r'( *)\.\. code-block:: console\s*$')
#: The section that installs Debian's packages, and how its numbered ones
#: begin, which are followed one after the other.
NEEDS, UPGRADING, REMOVING = 'What it needs', 'Upgrading', 'Removing'


@dataclasses.dataclass(frozen=True)
class Block:
    """The commands of one console block.

    :ivar line: where it begins in the page, from 1.
    """

    section: str
    line: int
    text: str

    def __str__(self) -> str:
        return '%s (line %d)' % (self.section, self.line)


def blocks(text: str) -> list[Block]:
    """Return every console block of a page, in order."""
    found = []
    section = ''
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if number and re.fullmatch('={3,}', line):
            section = lines[number - 1].strip() or section
        match = _DIRECTIVE.match(line)
        if match:
            found.append(Block(section, number + 1, _indented(
                lines[number + 1:], len(match[1]))))
    return found


def installing(text: str) -> list[Block]:
    """Return what installs, starts and so on: the numbered sections."""
    return [block for block in blocks(text)
            if block.section == NEEDS or block.section[:1].isdigit()]


def upgrading(text: str) -> list[Block]:
    """Return what installs another release."""
    return [block for block in blocks(text) if block.section == UPGRADING]


def removing(text: str) -> list[Block]:
    """Return what takes everything away again."""
    return [block for block in blocks(text) if block.section == REMOVING]


def packages(text: str) -> list[str]:
    """Return the Debian packages that the page asks for."""
    words = []
    for block in blocks(text):
        if block.section == NEEDS and 'apt-get install' in block.text:
            command = block.text.replace('\\\n', ' ').partition(
                'apt-get install')[2].splitlines()[0]
            words += [word for word in command.split()
                      if not word.startswith('-')]
    return words


def _indented(lines: list[str], margin: int) -> str:
    body = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= margin:
            break
        body.append(line)
    return textwrap.dedent('\n'.join(body)).strip() + '\n'


if __name__ == '__main__':
    print(','.join(packages(pathlib.Path(sys.argv[1]).read_text())))
