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
import difflib
import os
import re

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import showing
from os_brick.agent.model import amounts
from os_brick.agent.reporting import health
from os_brick.agent.reporting import mutes
from os_brick.agent.store import shown
from os_brick.cmd import commands
from os_brick.cmd import viewing

SUMMARY = 'do not count a health code for a while'
_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
#: Seconds that a mute lasts at most.
LONGEST = 30 * 86400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('code', metavar='CODE', type=code,
                        choices=sorted(health.CODES),
                        help='one of: nvme-agent health --codes')
    parser.add_argument('volume', metavar='VOLUME', nargs='?', default='',
                        help='name of the array, or UUID of the volume; '
                        'without: for all')
    parser.add_argument('--for', dest='seconds', type=duration,
                        default=4 * 3600.0, metavar='TIME',
                        help='90s, 30m, 4h (as without), 2d; at most 30d')


def code(text: str) -> str:
    """Return the health code.

    :raises argparse.ArgumentTypeError: it is none.
    """
    known = sorted(health.CODES)
    if text.upper() in known:
        return text.upper()
    near = difflib.get_close_matches(text.upper(), known, 1, 0.6)
    raise argparse.ArgumentTypeError(
        'there is no health code "%s"%s; see nvme-agent health --codes' % (
            text, '; is %s meant?' % near[0] if near else ''))


def named(path: str, volume: str) -> str:
    """Return the alias of a volume that is given so or by its UUID.

    Where there is no state file, nobody knows better than the operator.

    :raises commands.CommandError: the agent does not list it.
    """
    try:
        content = viewing.load(path)
    except viewing.Unknown:
        return volume
    for one in content['volumes']:
        if volume in (one['alias'], one['uuid']):
            return str(one['alias'])
    raise commands.CommandError(viewing.no_volume(content, volume))


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
    state = os.path.join(conf.run_dir, showing.STATE_FILE)
    volume = arguments.volume and named(state, arguments.volume)
    mute = mutes.Mute(arguments.code, volume, now + arguments.seconds,
                      weights(state, arguments.code))
    change(conf.state_dir, mute.code, mute.volume, now, (mute,))
    print('%s%s is muted for %s, from the next pass of the agent on' % (
        mute.code, mute.volume and ' of ' + mute.volume,
        amounts.span(arguments.seconds)))
    return 0


def weights(path: str, code: str) -> dict[str, int]:
    """Return volume -> how bad it is now; nothing where nobody knows."""
    try:
        content = viewing.load(path)
    except viewing.Unknown:
        return {}
    return {one['volume']: int(one['weight']) for one in content['findings']
            if one['code'] == code}


def kept(state_dir: str, now: float) -> list[str]:
    """Return what is muted, in words."""
    found = mutes.load(shown.read(os.path.join(
        state_dir, showing.MUTES_FILE)) or [])
    return [one.code + (one.volume and ' of ' + one.volume)
            for one in found if one.until > now]


def change(state_dir: str, code: str, volume: str, now: float,
           more: tuple[mutes.Mute, ...] = ()) -> bool:
    """Drop the mute of a code and volume, and those that are over; add some.

    :return: whether there was one.
    :raises commands.CommandError: the file cannot be used.
    """
    path = os.path.join(state_dir, showing.MUTES_FILE)
    if not os.path.isdir(state_dir):
        raise commands.CommandError(
            'there is no directory %s (option state_dir): the agent has not '
            'run here, or you may not look there' % state_dir)
    try:
        kept = mutes.load(shown.read(path) or [])
        left = [mute for mute in kept if mute.until > now
                and (mute.code, mute.volume) != (code, volume)]
        shown.write(path, [dataclasses.asdict(mute)
                           for mute in (*left, *more)])
    except OSError as error:
        raise commands.CommandError('%s (option state_dir) cannot be '
                                    'written: %s' % (path, error.strerror)
                                    ) from error
    except shown.Unreadable as error:
        raise commands.CommandError(str(error)) from error
    except ValueError as error:
        raise commands.CommandError('%s: %s' % (path, error)) from error
    return any((mute.code, mute.volume) == (code, volume)
               and mute.until > now for mute in kept)
