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
"""nvme-agent going-down: no lost target holds up a host that goes down.

A write that waits for targets which are all lost waits for ever, and so does
what has it under way: no signal ends that, and systemd waits for it.  The
kernel gives a connection up by itself once it has been lost for
``ctrl_loss_tmo``; os-brick connects with none.  What is live stays so.
"""

from __future__ import annotations

import argparse

from os_brick.agent.host import commands as host_commands
from os_brick.agent.host import privileged
from os_brick.agent.host import sysfs
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership
from os_brick.cmd import commands
from os_brick.cmd import plan

SUMMARY = 'let lost targets not hold up a host that goes down'
#: Seconds: two attempts of the kernel to reconnect, at os-brick's delay.
PATIENCE = 15
LONGEST = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--seconds', type=seconds, default=PATIENCE, metavar='SECONDS',
        help='for which a connection may be lost before the kernel ends it '
        'and what waits for it; default %d' % PATIENCE)


def seconds(text: str) -> int:
    """Read how long a loss may last: -1 would be for ever, as it was.

    :raises argparse.ArgumentTypeError: it is no such number.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= LONGEST):
        raise argparse.ArgumentTypeError(
            '"%s" is no whole number of seconds from 1 to %d' % (
                text, LONGEST))
    return int(text)


def run(given: argparse.Namespace, read: commands.Read) -> int:
    """Bound the loss of every connection that serves these volumes alone.

    :raises commands.CommandError: what could not be set.
    """
    conf = read()
    snapshot = sysfs.Scanner().scan()
    with plan.copied(conf) as store:
        known = ownership.KnownVolumes(store.volumes(), store.legs())
        owned = known.owned(known.match(snapshot, {}).arrays)
    failed = []
    for path in snapshot.controllers:
        if connections.foreign_use(path.name, snapshot, owned, dead=True):
            continue
        try:
            host_commands.write(str(given.seconds), privileged.CONTROLLERS,
                                path.name, 'ctrl_loss_tmo', limit=5.0)
            print('%s (%s) is given up once it was lost for %d s' % (
                path.name, path.state, given.seconds))
        except host_commands.CommandFailed as error:
            failed.append(str(error))
    if failed:
        raise commands.CommandError('; '.join(failed))
    return 0
