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
"""Running a program and writing an attribute, each with a time limit.

What hangs in the kernel cannot be killed; it is left behind, so that the
others are served.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import re
import subprocess
import threading
import time

COMMAND_TIMEOUT = 60.0
WRITE_TIMEOUT = 3.0
#: What is said of a write that goes on after its time.
HANGS = 'it hangs'
#: What the C library (in LC_ALL=C), mdadm and nvme-cli say of this host and
#: not of a device or a target.  A namespace that is write-protected, or a
#: target that takes no credentials, is refused with EACCES or EPERM as well:
#: such words are not here, or one device would hold up all the others.
_OF_THIS_HOST = (
    'must be super-user', 'Cannot allocate memory', 'Too many open files',
    'failed to open nvme-fabrics device', '/dev/nvme-fabrics: No such file')
#: Characters of what was written that are said.
_SHOWN = 60
PROGRAMS = '/usr/sbin:/usr/bin:/sbin:/bin'


class CommandFailed(Exception):
    """A program failed; the text says which, on what, and its own words."""


class CannotRun(CommandFailed):
    """This host has no such program, or does not let it do its work."""


class NotMeant(CommandFailed):
    """The device of that name is not, or no longer, the one that is meant."""


class TimedOut(CommandFailed):
    """A program did not end in time."""


class BadArgument(Exception):
    """An argument does not look like what it is meant to be."""


def match(pattern: re.Pattern[str], text: str, noun: str) -> str:
    """Return the text.

    :raises BadArgument: where it does not match.
    """
    if not isinstance(text, str) or not pattern.match(text):
        raise BadArgument('%r is no %s' % (text, noun))
    return text


def number(value: int, low: int, high: int, noun: str) -> int:
    """Return the number.

    :raises BadArgument: where it is none, or out of its range.
    """
    # True is an int
    if type(value) is not int or not low <= value <= high:
        raise BadArgument('%r is no %s' % (value, noun))
    return value


def run(*command: str) -> str:
    """Run a program and return what it printed.

    :raises CommandFailed: it did not end within COMMAND_TIMEOUT, or not
        well.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace',
            umask=0o022, env={'PATH': PROGRAMS, 'LC_ALL': 'C'})
    except OSError as error:
        raise CannotRun('%s cannot be run: %s' % (
            ' '.join(command), error.strerror)) from None
    try:
        output, _none = process.communicate(timeout=COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise TimedOut('%s did not end within %g s' % (
            ' '.join(command), COMMAND_TIMEOUT)) from None
    if process.returncode:
        kind = CannotRun if any(words in output for words in _OF_THIS_HOST
                                ) else CommandFailed
        raise kind('%s failed (%d): %s' % (
            ' '.join(command), process.returncode,
            ' '.join(output.split()) or 'it said nothing'))
    return output


def run_detached(*command: str) -> None:
    """Start a program whose words do not matter, and do not wait for it.

    :raises CommandFailed: it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={'PATH': PROGRAMS, 'LC_ALL': 'C'})
    except OSError as error:
        raise CommandFailed('%s cannot be started: %s' % (
            command[0], error.strerror)) from None
    # somebody has to bury it
    threading.Thread(target=process.wait, daemon=True).start()


def write(text: str, *parts: str, limit: float | None = None) -> None:
    """Write an attribute; md's hang while a command on the array does.

    :param parts: of its path.
    :param limit: seconds; WRITE_TIMEOUT where it is not given.
    :raises CommandFailed: it could not be written in time, or at all.
    """
    begin_write(text, *parts).wait(WRITE_TIMEOUT if limit is None else limit)


def write_all(text: str, places: Sequence[Sequence[str]],
              limit: float) -> list[str]:
    """Write the same to several attributes at once.

    :param places: of each the parts of its path.
    :param limit: seconds, for all of them together.
    :returns: for each of them why it failed, '' where it did not.
    """
    end = time.monotonic() + limit
    begun = [begin_write(text, *parts) for parts in places]
    errors = []
    for one in begun:
        try:
            one.wait(end - time.monotonic())
            errors.append('')
        except CommandFailed as error:
            errors.append(str(error))
    return errors


def begin_write(text: str, *parts: str) -> Write:
    """Write an attribute in a thread of its own.

    What still hangs from an earlier call is not begun again, so that no
    retry leaves another thread behind.
    """
    path = os.path.join(*parts)
    with _lock:
        one = _hanging.get((path, text))
        if one is None:
            one = _hanging[path, text] = Write(text, path)
            one.start()
        return one


def hangs(*parts: str) -> bool:
    """Whether a write to an attribute is under way, of whatever text."""
    path = os.path.join(*parts)
    with _lock:
        return any(path == place for place, _text in _hanging)


class Write:
    """One write of an attribute, which may never end."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._error: str | None = None
        self._thread = threading.Thread(
            target=self._run, name='writing ' + path, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """:raises CommandFailed: it did not end well, or not by then."""
        self._thread.join(max(0.0, seconds))
        error = HANGS if self._thread.is_alive() else self._error
        if error is not None:
            text = self._text if len(self._text) < _SHOWN else (
                self._text[:_SHOWN] + '...')
            raise CommandFailed('writing %s to %s failed: %s' % (
                text, self._path, error)) from None

    def _run(self) -> None:
        try:
            with open(self._path, 'w', encoding='ascii') as attribute:
                attribute.write(self._text)
        except OSError as error:
            self._error = error.strerror or str(error)
        finally:
            with _lock:
                _hanging.pop((self._path, self._text), None)


_lock = threading.Lock()
_hanging: dict[tuple[str, str], Write] = {}
