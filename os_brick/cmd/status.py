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
"""nvme-agent status: show the volumes of this host and how they are.

It reads the file that the agent replaces with each pass, and needs neither
root nor the agent.  The exit status is that of a monitoring plug-in: 0 all is
well, 1 a warning, 2 critical, 3 it cannot be said (no agent, one that is dead
or stuck, or one of another release).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

from os_brick.agent import clock as clocks
from os_brick.agent.reporting import screen
from os_brick.agent.reporting import verdict
from os_brick.cmd import commands
from os_brick.cmd import viewing

SUMMARY = 'show the volumes of this host and how they are'
_CLEAR = '\033[H\033[2J'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    viewing.add_arguments(parser)
    parser.add_argument('volume', metavar='VOLUME', nargs='?', default='',
                        help='alias or UUID of the one to be shown')
    parser.add_argument('--watch', action='store_true',
                        help='show it again every two seconds')


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    path = viewing.state_file(arguments, read)
    try:
        while True:
            status, text = look(path, arguments)
            if not arguments.watch:
                sys.stdout.write(text)
                return status
            sys.stdout.write((_CLEAR if sys.stdout.isatty() else '') + text)
            sys.stdout.flush()
            time.sleep(2)
    except KeyboardInterrupt:
        return 0
    except viewing.Unknown as error:
        return commands.say(error, verdict.UNKNOWN)


def look(path: str, arguments: argparse.Namespace,
         clock: clocks.Clock = clocks.HOST) -> tuple[int, str]:
    """Return the exit status and what is to be shown.

    :raises viewing.Unknown: there is nothing that could be shown.
    """
    content = viewing.load(path)
    judged = viewing.judge(content, clock)
    if arguments.json:
        content = {**content, 'age': judged.age,
                   'unreliable': judged.unreliable,
                   'findings': [dataclasses.asdict(one)
                                for one in judged.findings]}
        if arguments.volume:
            content['volumes'] = [
                volume for volume in content['volumes'] if arguments.volume
                in (volume['alias'], volume['uuid'])]
        return judged.status, json.dumps(content, indent=2) + '\n'
    try:
        return judged.status, screen.status(
            content, judged, clock.wall(), viewing.paint(sys.stdout),
            arguments.volume)
    except KeyError:
        raise viewing.Unknown(viewing.no_volume(
            content, arguments.volume)) from None
