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
"""nvme-agent completion bash|zsh: print what completes this command line.

For bash it goes into /usr/share/bash-completion/completions/nvme-agent, for
zsh into a file _nvme-agent in a directory of $fpath.
"""

from __future__ import annotations

import argparse
import re
import shlex

from os_brick.cmd import commands
from os_brick.cmd import described

SUMMARY = 'print what completes this command line in bash or zsh'
_FILES = ('PATH', 'FILE', 'DIR', 'DIRECTORY', 'LOG_DIR')
#: An array has the name of its volume.  A name that a shell would read as
#: more than a word is not offered.
_VOLUMES = """\
_nvme_agent_volumes() {
    local one
    for one in /dev/md/*; do
        [ -e "$one" ] || continue
        case ${one##*/} in
            *[!A-Za-z0-9._-]*) ;;
            *) printf '%s\\n' "${one##*/}" ;;
        esac
    done
}
"""
_BASH = """\
# bash completion of nvme-agent, by "nvme-agent completion bash"
%s
_nvme_agent() {
    local cur=${COMP_WORDS[COMP_CWORD]} command='' words=''
    COMPREPLY=()
    [ "$COMP_CWORD" -gt 1 ] && command=${COMP_WORDS[1]}
    case $command in -*) command='' ;; esac
    case $command:${COMP_WORDS[COMP_CWORD-1]} in
%s
    esac
    case $command in
%s
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _nvme_agent nvme-agent
"""
_ZSH = """\
#compdef nvme-agent
# zsh completion of nvme-agent, by "nvme-agent completion zsh"
%s
_nvme_agent() {
    local -a commands volumes
    volumes=(${(f)"$(_nvme_agent_volumes)"})
    commands=(
%s
    )
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe -t commands 'sub-command' commands
        return
    fi
    case $words[2] in
%s
    esac
}
_nvme_agent "$@"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('shell', metavar='SHELL', choices=('bash', 'zsh'),
                        help='bash or zsh')


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    print({'bash': bash, 'zsh': zsh}[arguments.shell](), end='')
    return 0


def bash() -> str:
    """Return the function for bash."""
    values, words = [], []
    for one in described.all_of_them():
        given: list[str] = []
        for argument in one.arguments:
            if argument.flags:
                given += argument.flags
                if argument.value:
                    values.append('        %s) %s ;;' % (
                        '|'.join(shlex.quote('%s:%s' % (one.name, flag))
                                 for flag in argument.flags),
                        _bash_value(argument)))
            else:
                given += argument.choices
        if not one.name:
            given = [*sorted(commands.COMMANDS), *given]
        takes_volume = any(argument.value == 'VOLUME'
                           for argument in one.arguments)
        words.append('        %s) words=%s%s ;;' % (
            shlex.quote(one.name), shlex.quote(' '.join(given)),
            '" $(_nvme_agent_volumes)"' if takes_volume else ''))
    return _BASH % (_VOLUMES, '\n'.join(values), '\n'.join(words))


def _bash_value(argument: described.Argument) -> str:
    if argument.choices:
        return 'COMPREPLY=($(compgen -W %s -- "$cur")); return' % shlex.quote(
            ' '.join(argument.choices))
    if argument.value in _FILES:
        return 'COMPREPLY=($(compgen -f -- "$cur")); return'
    return 'return'


def zsh() -> str:
    """Return the function for zsh."""
    found = described.all_of_them()
    listed = ['        %s' % shlex.quote('%s:%s' % (one.name, one.summary))
              for one in found if one.name]
    cases = []
    for one in found:
        specs = ' '.join(shlex.quote(spec) for argument in one.arguments
                         for spec in _zsh_specs(argument))
        cases.append('        %s)\n%s            _arguments -s %s ;;' % (
            one.name or '-*', '            shift words; (( CURRENT-- ))\n'
            if one.name else '', specs))
    return _ZSH % (_VOLUMES, '\n'.join(listed), '\n'.join(cases))


def _zsh_specs(argument: described.Argument) -> list[str]:
    value = ''
    if argument.value:
        value = ':%s:%s' % (argument.value, _zsh_value(argument))
    if not argument.flags:
        return [(':' if argument.optional else '') + value]
    words = re.sub(r'([\[\]:\\])', r'\\\1', argument.help.split('. ')[0])
    return ['*%s[%s]%s' % (flag, words, value) for flag in argument.flags]


def _zsh_value(argument: described.Argument) -> str:
    if argument.choices:
        return '(%s)' % ' '.join(argument.choices)
    if argument.value == 'VOLUME':
        return '($volumes)'
    return '_files' if argument.value in _FILES else ' '
