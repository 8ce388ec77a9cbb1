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
"""nvme-agent unmute: count a health code again."""

from __future__ import annotations

import argparse

from os_brick.agent import clock as clocks
from os_brick.agent.reporting import health
from os_brick.cmd import commands
from os_brick.cmd import mute

SUMMARY = 'count a health code again'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('code', metavar='CODE', type=mute.code,
                        choices=sorted(health.CODES),
                        help='one of: nvme-agent health --codes')
    parser.add_argument('volume', metavar='VOLUME', nargs='?', default='',
                        help='as it was given to nvme-agent mute')


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    what = arguments.code + (arguments.volume and ' of ' + arguments.volume)
    state_dir, now = read().state_dir, clocks.HOST.wall()
    if not mute.change(state_dir, arguments.code, arguments.volume, now):
        raise commands.CommandError('%s is not muted; muted are: %s' % (
            what, ', '.join(mute.kept(state_dir, now)) or 'none'))
    print('%s counts again, from the next pass of the agent on' % what)
    return 0
