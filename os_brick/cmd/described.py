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
"""The command line as values, read off the parsers themselves.

The completions of the shells and the reference of the documentation are made
of it, so that they say what the program takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import dataclasses

from oslo_config import cfg
from oslo_log import log as logging

from os_brick.cmd import commands

NAME = 'nvme-agent'
_NO_VALUE = (argparse._StoreTrueAction, argparse._StoreFalseAction,
             argparse._HelpAction, argparse._VersionAction)


@dataclasses.dataclass(frozen=True)
class Argument:
    """An option, or an argument that has a place.

    :ivar flags: how it is written; () for one that has a place.
    :ivar value: what it takes, in capitals; '' for a flag.
    :ivar optional: it may be left out.
    """

    flags: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = True


@dataclasses.dataclass(frozen=True)
class Command:
    """A sub-command; ``name`` is '' for the agent itself."""

    name: str
    summary: str
    description: str
    arguments: tuple[Argument, ...]

    @property
    def usage(self) -> str:
        words = [NAME, self.name] if self.name else [NAME]
        if any(one.flags for one in self.arguments):
            words.append('[OPTION]...')
        words += ['[%s]' % one.value if one.optional else one.value
                  for one in self.arguments if not one.flags]
        return ' '.join(words)


def all_of_them() -> list[Command]:
    """Return the agent itself, and its sub-commands by name."""
    return [_agent(), *(command(name) for name in sorted(commands.COMMANDS))]


def command(name: str) -> Command:
    module = commands.module(name)
    return Command(name, module.SUMMARY, (module.__doc__ or '').strip(),
                   _arguments(commands.parser(name)._actions))


def _agent() -> Command:
    """What the agent itself takes; oslo.config has the parser."""
    conf = cfg.ConfigOpts()
    logging.register_options(conf)
    conf([], project=NAME, prog=NAME, version='', default_config_files=[],
         default_config_dirs=[])
    parser = conf._oparser
    assert parser is not None    # it has just parsed
    found = [action for action in parser._actions
             if action.dest != 'shell_completion']
    return Command('', 'watch and heal replicated NVMe-oF volumes', '',
                   _arguments(found))


def _arguments(actions: Iterable[argparse.Action]) -> tuple[Argument, ...]:
    return tuple(Argument(
        tuple(action.option_strings), '' if isinstance(action, _NO_VALUE)
        or action.nargs == 0 else str(action.metavar or action.dest.upper()),
        ' '.join(_help(action).split()),
        tuple(map(str, action.choices or ())),
        action.nargs == '?' or bool(action.option_strings))
        for action in actions)


def _help(action: argparse.Action) -> str:
    """Return the words, with what argparse puts into them."""
    default = action.default
    return (action.help or '') % {
        **vars(action), 'default': default if default else 'none'}
