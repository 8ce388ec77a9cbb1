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
"""What the sub-commands that show something have in common."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import showing
from os_brick.agent.host import attributes
from os_brick.agent.reporting import document
from os_brick.agent.reporting import screen
from os_brick.agent.reporting import verdict
from os_brick.agent.store import shown
from os_brick.cmd import commands

RUN_DIR = '/run/nvme-agent'


class Unknown(commands.CommandError):
    """There is nothing to be shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where the state file may be."""
    parser.add_argument(
        '--run-dir', metavar='DIRECTORY', help='where the agent puts its '
        'state file, if not where the configuration says; then no '
        'configuration is read')
    parser.add_argument('--json', action='store_true',
                        help='for programs; the schema is documented')


def state_file(arguments: argparse.Namespace, read: commands.Read) -> str:
    """Return the path of the state file.

    Whoever may not read the configuration (it may hold a token) is shown the
    agent of the usual directory.
    """
    folder = arguments.run_dir
    if folder is None:
        try:
            folder = read().run_dir
        except Exception:
            if arguments.config_file or arguments.config_dir:
                raise
            folder = RUN_DIR
    return os.path.join(folder, showing.STATE_FILE)


def no_volume(content: document.Document, name: str) -> str:
    """Return the words for a name that the document does not have."""
    return 'there is no volume "%s"; the agent knows: %s' % (
        name, ', '.join(sorted(one['alias'] for one in content['volumes']))
        or 'none')


def load(path: str) -> document.Document:
    """Return the document.

    :raises Unknown: there is none that could be read.
    """
    try:
        content = shown.read(path)
        if content is None:
            raise Unknown('there is no %s: the agent has not run since the '
                          'host was booted, or uses another run_dir' % path)
        return verdict.checked(content)
    except (shown.Unreadable, verdict.Foreign) as error:
        raise Unknown(str(error) if isinstance(error, shown.Unreadable)
                      else '%s: %s' % (path, error)) from error


def judge(content: document.Document,
          clock: clocks.Clock = clocks.HOST) -> verdict.Verdict:
    """Say what of the document may be relied on, now."""
    agent = content['agent']
    return verdict.judge(content, verdict.Reader(
        clock.boot(), clock.boottime(),
        _runs(int(agent['pid']), int(agent['started']))))


def _runs(pid: int, started: int, proc: str = '/proc') -> bool:
    """Whether the process that wrote a document runs.

    :param pid: its number as it knows it itself: one that is in a container
        has another one here.
    :param started: see ``showing.started``; the same in and outside.
    """
    return _is_here(pid, started, proc) or bool(started) and any(
        showing.started(number, proc) == started
        and _own_number(number, proc) == pid
        for number in map(int, filter(str.isdecimal, attributes.names(proc))))


def _own_number(pid: int, proc: str) -> int | None:
    """Return a process's number in its own namespace (proc_pid_status(5))."""
    for line in attributes.lines('%s/%d/status' % (proc, pid)):
        name, _colon, numbers = line.partition(':')
        if name == 'NSpid':
            return int(numbers.split()[-1])
    return None


def _is_here(pid: int, started: int, proc: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass    # somebody else's: it is there
    now = showing.started(pid, proc)
    return not (now and started) or now == started


def paint(stream: TextIO = sys.stdout) -> screen.Paint:
    """Return what colours, where that is wanted (https://no-color.org)."""
    return screen.Paint(stream.isatty() and not os.environ.get('NO_COLOR')
                        and os.environ.get('TERM') != 'dumb')
