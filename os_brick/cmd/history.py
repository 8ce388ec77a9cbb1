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
"""nvme-agent history: tell what has happened, in sentences with times.

It reads history.sqlite in state_dir, as root or as the agent's user.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json

from os_brick.agent import clock as clocks
from os_brick.agent.store import history
from os_brick.cmd import commands
from os_brick.cmd import mute
from os_brick.cmd import operator_word

SUMMARY = 'tell what has happened'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('volume', metavar='VOLUME', nargs='?', default='',
                        help='alias of the only volume that is asked for')
    parser.add_argument('--since', type=since, default=0.0, metavar='TIME',
                        help='30m, 4h, 2d; or a time of this host such as '
                             '"2030-01-31 02:00"')
    parser.add_argument('--json', action='store_true',
                        help='one object a line, for programs')


def since(text: str, clock: clocks.Clock = clocks.HOST) -> float:
    """Return a time as seconds since the epoch.

    :raises argparse.ArgumentTypeError: it is none.
    """
    try:
        return clock.wall() - mute.duration(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            '"%s" is no time such as 4h or "2030-01-31 02:00"' % text
        ) from None


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    path = operator_word.kept(read(), history.FILE)
    try:
        happened = history.History(path).read(arguments.since,
                                              arguments.volume)
    except history.HistoryError as error:
        raise commands.CommandError(str(error)) from error
    if arguments.volume and not happened:
        raise commands.CommandError(
            'no sentence of that time names "%s"; the names of volumes are '
            'in: nvme-agent status' % arguments.volume)
    for one in happened:
        print(json.dumps(dataclasses.asdict(one)) if arguments.json
              else line(one))
    return 0


def line(one: history.Happened) -> str:
    """Return it as one line, its time as this host has it."""
    when = datetime.datetime.fromtimestamp(one.wall).astimezone()
    return '%s %-8s %s' % (
        when.strftime('%Y-%m-%d %H:%M:%S'), one.level, ''.join(
            char if char.isprintable() else '?' for char in one.sentence))
