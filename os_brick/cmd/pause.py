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
"""nvme-agent pause VOLUME: an operator's work on an array is not fought."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import time

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.model import pauses
from os_brick.agent.reporting import health
from os_brick.cmd import commands
from os_brick.cmd import mute
from os_brick.cmd import operator_word

SUMMARY = 'leave a volume alone for a while'
DEFAULT = '4h'


def which(parser: argparse.ArgumentParser) -> None:
    """Take a volume, or all of them."""
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument('volume', nargs='?', metavar='VOLUME',
                     help='name of the array, or UUID of the volume')
    one.add_argument('--all', action='store_true', help='all volumes')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which(parser)
    parser.add_argument('--for', dest='length', type=mute.duration,
                        metavar='TIME', default=DEFAULT,
                        help='how long, such as 90s, 30m, 2h or 1d; %s where '
                        'it is not said' % DEFAULT)
    parser.add_argument('--reason', default='', help='what is being done, '
                        'for those who read the log')


def run(given: argparse.Namespace, read: commands.Read) -> int:
    """Leave the operator's word for the daemon.

    :raises commands.CommandError: the agent knows no such volume.
    """
    conf = read()
    store = operator_word.open_ledger(conf)
    try:
        uuid, name = named(store.volumes().values(), given)
        until = time.time() + given.length
        store.pause(uuid, pauses.Pause(until, ' '.join(given.reason.split())))
    finally:
        store.close()
    print('%s: paused until %s; %s' % (name, health.when(until), when(conf)))
    return 0


def named(known: Iterable[model.Volume],
          given: argparse.Namespace) -> tuple[str, str]:
    """Return the ledger's name of what was meant, and the operator's."""
    if given.all:
        return pauses.ALL, 'all volumes'
    volume = operator_word.volume(list(known), given.volume)
    return volume.uuid, 'volume %s' % volume.alias


def when(conf: cfg.ConfigOpts) -> str:
    """Say from when on it holds."""
    return ('the agent begins a pass with it now; an action under way ends '
            'first' if operator_word.nudge(conf) else
            'no agent runs here now: it holds as soon as one does')
