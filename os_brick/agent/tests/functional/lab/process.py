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
"""Run a command with a time limit that holds even if the command hangs.

A process that waits for lost storage cannot be killed.  ``subprocess.run``
would wait for it for ever; here it is left behind and named.
"""

from __future__ import annotations

import logging
import subprocess

LOG = logging.getLogger(__name__)

#: Seconds; a command takes some tenths of one on an emulated processor.
LIMIT = 60.0


class CommandFailed(Exception):
    """A command ended with an error, or did not end at all."""


def run(*argv: str, limit: float = LIMIT, check: bool = True,
        input_text: str | None = None) -> str:
    """Run a command and return what it wrote to its standard output.

    :param limit: seconds after which the command is killed, or left behind
        where it cannot be killed.
    :param check: whether an exit code other than 0 is an error.
    :raises CommandFailed: with the command, its exit code and its stderr.
    """
    LOG.debug('running: %s', ' '.join(argv))
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE if input_text is not None
        else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = child.communicate(input_text, timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        try:
            child.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            LOG.error('left behind, cannot be killed: %s', ' '.join(argv))
        raise CommandFailed('%s did not end within %s s'
                            % (' '.join(argv), limit)) from None
    if check and child.returncode:
        raise CommandFailed('%s ended with %d: %s' % (
            ' '.join(argv), child.returncode, (err or out).strip()))
    return out


def succeeds(*argv: str, limit: float = LIMIT) -> bool:
    """Run a command whose failure is an answer; log why it failed."""
    return attempt(run, *argv, limit=limit)


def attempt(step: object, *args: object, **kwargs: object) -> bool:
    """Do one step of a clean-up: its failure is logged, never raised.

    The steps after it still have to be done, and what is left over in the
    end is looked for, and reported, by itself.
    """
    assert callable(step)
    try:
        step(*args, **kwargs)
    except (OSError, ValueError, CommandFailed) as problem:
        LOG.warning('%s: %s', getattr(step, '__name__', step), problem)
        return False
    return True
