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
"""nvme-agent mute: do not count a health code for a while.

It ends by itself, and when what was found gets worse.  Nothing else is
changed: the agent goes on as before.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import showing
from os_brick.agent.reporting import health
from os_brick.agent.reporting import mutes
from os_brick.agent.reporting import screen
from os_brick.agent.store import shown
from os_brick.cmd import commands
from os_brick.cmd import viewing

SUMMARY = 'do not count a health code for a while'
_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
#: Seconds that a mute lasts at most.
LONGEST = 30 * 86400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('code', metavar='CODE', choices=sorted(health.CODES),
                        help='one of: nvme-agent health --codes')
    parser.add_argument('volume', metavar='VOLUME', nargs='?', default='',
                        help='alias of the volume; without: for all')
    parser.add_argument('--for', dest='seconds', type=duration,
                        default=4 * 3600.0, metavar='TIME',
                        help='90s, 30m, 4h (as without), 2d; at most 30d')


def duration(text: str) -> float:
    """Return the seconds of "4h".

    :raises argparse.ArgumentTypeError: it is no time.
    """
    found = re.fullmatch(r'([1-9][0-9]{0,6})([smhd])', text)
    if found is None:
        raise argparse.ArgumentTypeError(
            '"%s" is no time such as 90s, 30m, 4h or 2d' % text)
    seconds = float(found.group(1)) * _UNITS[found.group(2)]
    if seconds > LONGEST:
        raise argparse.ArgumentTypeError('"%s" is longer than 30d' % text)
    return seconds


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    conf = read()
    now = clocks.HOST.wall()
    how_bad = weights(os.path.join(conf.run_dir, showing.STATE_FILE),
                      arguments.code)
    mute = mutes.Mute(arguments.code, arguments.volume,
                      now + arguments.seconds, how_bad)
    change(conf.state_dir, mute.code, mute.volume, now, (mute,))
    print('%s%s is muted for %s, from the next pass of the agent on' % (
        mute.code, mute.volume and ' of ' + mute.volume,
        screen.span(arguments.seconds)))
    return 0


def weights(path: str, code: str) -> dict[str, int]:
    """Return volume -> how bad it is now; nothing where nobody knows."""
    try:
        content = viewing.load(path)
    except viewing.Unknown:
        return {}
    return {one['volume']: int(one['weight']) for one in content['findings']
            if one['code'] == code}


def change(state_dir: str, code: str, volume: str, now: float,
           more: tuple[mutes.Mute, ...] = ()) -> bool:
    """Drop the mute of a code and volume, and those that are over; add some.

    :return: whether there was one.
    :raises commands.CommandError: the file cannot be used.
    """
    path = os.path.join(state_dir, showing.MUTES_FILE)
    try:
        kept = mutes.load(shown.read(path) or [])
        left = [mute for mute in kept if mute.until > now
                and (mute.code, mute.volume) != (code, volume)]
        shown.write(path, [dataclasses.asdict(mute)
                           for mute in (*left, *more)])
    except (OSError, ValueError, shown.Unreadable) as error:
        raise commands.CommandError('%s: %s' % (path, error)) from error
    return any((mute.code, mute.volume) == (code, volume)
               and mute.until > now for mute in kept)
