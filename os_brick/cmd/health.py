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
"""nvme-agent health: list what is not as it should be, and what to read.

The exit status is that of nvme-agent status.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from os_brick.agent import clock as clocks
from os_brick.agent.reporting import health
from os_brick.agent.reporting import screen
from os_brick.agent.reporting import verdict
from os_brick.cmd import commands
from os_brick.cmd import viewing

SUMMARY = 'list what is not as it should be'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    viewing.add_arguments(parser)
    parser.add_argument('--codes', action='store_true',
                        help='list all that could be found, with severity')


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    if arguments.codes:
        for code, one in health.CODES.items():
            print('%-24s %-9s %s' % (code, one.severity, one.meaning))
        return verdict.OK
    try:
        content = viewing.load(viewing.state_file(arguments, read))
    except viewing.Unknown as error:
        return commands.say(error, verdict.UNKNOWN)
    judged = viewing.judge(content)
    if arguments.json:
        print(json.dumps([
            {**dataclasses.asdict(one), 'page': '%s#%s' % (
                health.PAGE, one.code.lower().replace('_', '-'))}
            for one in judged.findings], indent=2))
        return judged.status
    lines = screen.findings(judged.findings, clocks.HOST.wall(),
                            viewing.paint(sys.stdout), details=True)
    print('\n'.join(lines) if lines else 'all is well')
    return judged.status
