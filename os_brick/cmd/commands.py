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
"""The sub-commands: where they are found, and how their words are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import os
import socket
from typing import Protocol

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.store import ledger
from os_brick.cmd import starting


class CannotDo(Exception):
    """Why a command was not carried out, for the operator."""


class Command(Protocol):
    """A module of this folder that is a sub-command.

    ``SUMMARY`` is one line for the help.
    """

    SUMMARY: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say which words it takes."""

    def run(self, conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
        """Do it; return the exit status."""


#: Reads the options of the command line and of the files.
Reader = Callable[[list[str]], cfg.ConfigOpts]


def parser(name: str, command: Command) -> argparse.ArgumentParser:
    """Return what reads the words after ``nvme-agent NAME``."""
    found = argparse.ArgumentParser(
        prog='nvme-agent %s' % name, description=command.SUMMARY,
        epilog='--config-file, --config-dir and the other options of '
        'nvme-agent are taken, too.', allow_abbrev=False)
    command.arguments(found)
    return found


def run(name: str, command: Command, words: Sequence[str],
        read: Reader) -> int:
    """Read the words, then the configuration, and do it.

    :raises starting.CannotStart: one of them is wrong.
    """
    with starting.one_line():
        given, rest = parser(name, command).parse_known_args(list(words))
    return command.run(read(rest), given)


def summaries(found: dict[str, Command]) -> str:
    """Return a line for the help that names every sub-command."""
    return 'Sub-commands: %s. "nvme-agent NAME --help" tells more.' % (
        '; '.join('%s: %s' % (name, command.SUMMARY.rstrip('.'))
                  for name, command in sorted(found.items())))


def open_ledger(conf: cfg.ConfigOpts) -> ledger.Ledger:
    """Return the running agent's, which has to be there.

    :raises CannotDo: there is none.
    :raises ledger.LedgerError: it cannot be used.
    """
    path = os.path.join(conf.state_dir, 'agent.sqlite')
    if not os.path.exists(path):
        raise CannotDo('there is no %s (option state_dir): the agent has not '
                       'run here, or you may not look there' % path)
    return ledger.Ledger(path)


def volume(known: Sequence[model.Volume], name: str) -> model.Volume:
    """Return the one of that name, or of that UUID.

    :raises CannotDo: there is none, or more than one.
    """
    found = [one for one in known if name in (one.alias, one.uuid)]
    if len(found) != 1:
        raise CannotDo('there %s volume "%s"; the agent knows: %s' % (
            'is no' if not found else 'is more than one', name,
            ', '.join(sorted(one.alias for one in known)) or 'none'))
    return found[0]


def nudge(conf: cfg.ConfigOpts) -> bool:
    """Start a pass of the running agent; False where none listens."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM
                           | socket.SOCK_NONBLOCK) as agent:
            agent.sendto(b'look', os.path.join(conf.run_dir, 'nudge.sock'))
    except OSError:
        return False
    return True
