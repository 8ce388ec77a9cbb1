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

PAGES = pathlib.Path(__file__).parents[2] / 'doc/source/install'
PAGE = PAGES / 'index.rst'
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


def image(text: str) -> list[Block]:
    """Return what an image of a container is made by: package and user."""
    return [block for block in blocks(text)
            if block.section[:1] in ('1', '2')
            and 'udevadm' not in block.text]


def engine(text: str) -> Block:
    """Return what runs the container, of the page about containers."""
    return _only(text, 'podman run --name')


def ledger(text: str) -> Block:
    """Return what gives the container the ledger of the host's agent."""
    return _only(text, 'podman volume create')


def made_at_boot(text: str) -> str:
    """Return the line for systemd-tmpfiles of the page about containers."""
    line, = re.findall(r'^ +(d /run/nvme-agent .*)$', text, re.MULTILINE)
    return str(line)


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


def _only(text: str, words: str) -> Block:
    block, = [one for one in blocks(text) if one.text.startswith(words)]
    return block


def _indented(lines: list[str], margin: int) -> str:
    body = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= margin:
            break
        body.append(line)
    return textwrap.dedent('\n'.join(body)).strip() + '\n'


def main() -> None:
    *wanted, path = sys.argv[1:]
    text = pathlib.Path(path).read_text()
    if wanted == ['--image']:
        print('\n'.join(block.text for block in image(text)))
    else:
        print(','.join(packages(text)))


if __name__ == '__main__':
    main()
