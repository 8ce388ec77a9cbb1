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
"""The sub-commands of nvme-agent, and how one is parsed and run.

Each is a module of this package that has

``SUMMARY``
    one line, for the list of the sub-commands;
``add_arguments(parser)``
    which says what it takes;
``run(arguments, read)``
    which does it and returns the exit status.  ``read()`` gives the agent's
    configuration; what needs none does not call it.

Only the module that is asked for is imported, but for ``--help``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import difflib
import importlib
import io
import logging
import os
import sys
from typing import Any

from oslo_config import cfg

from os_brick.cmd import journal
from os_brick.cmd import starting

#: Name of the sub-command -> its module.
COMMANDS = {
    'check': 'os_brick.cmd.check',
    'completion': 'os_brick.cmd.completion',
    'going-down': 'os_brick.cmd.going_down',
    'health': 'os_brick.cmd.health',
    'history': 'os_brick.cmd.history',
    'mute': 'os_brick.cmd.mute',
    'pause': 'os_brick.cmd.pause',
    'plan': 'os_brick.cmd.plan',
    'resume': 'os_brick.cmd.resume',
    'status': 'os_brick.cmd.status',
    'unmute': 'os_brick.cmd.unmute',
    'use': 'os_brick.cmd.use',
}
#: What is said where something is not there for an ordinary user.
_DENIED = ('Permission denied', 'unable to open database file',
           'you may not look there')
Read = Callable[[], cfg.ConfigOpts]


class CommandError(Exception):
    """Why a sub-command was not done, for the operator."""


def say(why: object, status: int) -> int:
    """Say in one line why something was not done; return the status."""
    text = ' '.join(str(why).split())
    if os.geteuid() and any(words in text for words in _DENIED):
        text += '; run it as root, or as the agent\'s user'
    journal.say('nvme-agent: %s' % text, logging.ERROR, sys.stderr)
    return status


def named(argv: Sequence[str]) -> bool:
    """Return whether the command line names a sub-command."""
    return bool(argv) and argv[0] in COMMANDS


def look(argv: Sequence[str]) -> None:
    """Find out that the command line is the daemon's.

    :raises starting.CannotStart: it names what is no sub-command.
    """
    if not argv or argv[0].startswith('-'):
        return
    near = difflib.get_close_matches(argv[0], sorted(COMMANDS), 1, 0.6)
    raise starting.CannotStart('there is no sub-command "%s"%s; see --help' % (
        argv[0], '; is %s meant?' % near[0] if near else ''), starting.USAGE)


def misplaced(argv: Sequence[str]) -> str:
    """Return what to say of a sub-command behind options, '' if none is."""
    return next((
        '; a sub-command comes first: nvme-agent %s ...' % word
        for word in argv[1:] if word in COMMANDS), '')


def run(argv: Sequence[str],
        read: Callable[[list[str]], cfg.ConfigOpts]) -> int:
    """Run what the command line names; return its exit status.

    :param read: reads the configuration, given --config-file and the like.
    :raises CommandError: it was not done.
    :raises starting.CannotStart: the command line is wrong.
    :raises SystemExit: it asks for help.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that has no such letter is no reason to show nothing
        sys.stdout.reconfigure(errors='replace')
    with starting.one_line():
        arguments = parser(argv[0]).parse_args(argv[1:])
    files = [word for option in ('config_file', 'config_dir')
             for path in getattr(arguments, option)
             for word in ('--' + option.replace('_', '-'), path)]
    return int(module(argv[0]).run(arguments, lambda: read(files)))


def parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a sub-command."""
    found = module(name)
    made = argparse.ArgumentParser(
        prog='nvme-agent %s' % name, description=found.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ('--config-file', '--config-dir'):
        made.add_argument(
            option, action='append', default=[], metavar='PATH',
            help='as for the agent itself')
    found.add_arguments(made)
    return made


def overview() -> str:
    """Return the list of the sub-commands, for ``nvme-agent --help``."""
    return '\n'.join((
        'sub-commands, in the place of the agent:', *(
            '  %-11s %s' % (name, module(name).SUMMARY)
            for name in sorted(COMMANDS)),
        '', '"nvme-agent SUB-COMMAND --help" says what one takes.'))


def module(name: str) -> Any:
    """Return what the sub-command is made of."""
    return importlib.import_module(COMMANDS[name])
