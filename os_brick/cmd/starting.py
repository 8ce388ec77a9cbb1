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
"""Wrong starts: what stops the agent from starting, and its exit status.

The statuses are those of sysexits.h, which systemd names in what it shows
(``status=78/CONFIG``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import fcntl
import io
import logging as std_logging
import os
import re
import stat
import sys
import threading
import time
from typing import TextIO

from oslo_config import cfg
from oslo_log import log as logging

from os_brick.agent import sqlite_faults
from os_brick.cmd import journal

LOG = std_logging.getLogger(__name__)

#: The command line is wrong.
USAGE = os.EX_USAGE
#: A configuration file holds what is no text, or the ledger what only a later
#: release can read.
NO_TEXT = os.EX_DATAERR
#: A configuration file is missing or cannot be read.
NO_FILE = os.EX_NOINPUT
#: The driver says that it cannot work now.
DRIVER = os.EX_UNAVAILABLE
#: A defect, of the driver or of the agent.
DEFECT = os.EX_SOFTWARE
#: What runs as root could not be started.
HELPER = os.EX_OSERR
#: A directory or file of the agent's own cannot be made or written.
NO_ROOM = os.EX_CANTCREAT
#: Another agent runs.
SECOND = os.EX_TEMPFAIL
#: An option has a value that cannot work.
CONFIG = os.EX_CONFIG

#: Starting again would not help: the unit does not (a test compares them).
_VALUE = re.compile(r'Value for option (?P<name>\S+)(?: from (?P<where>.*?))?'
                    r' is not valid: (?P<why>.*)')
_DETAIL = re.compile(r"detail='([^']*)'")
_UNPARSED = re.compile(r'Failed to parse (?P<path>.*): at (?P=path):'
                       r'(?P<line>[0-9]+), (?P<why>.*)')
#: What Python, or a regular expression, says of a value, and what that means.
_WORDS = (
    (re.compile(r"invalid literal for int\(\) with base 10: (.*)"),
     r'\1 is no whole number'),
    (re.compile(r"could not convert string to float: (.*)"),
     r'\1 is no number'),
    (re.compile(r"Value ('.*') doesn't match regex .*"),
     r'\1 is not written as it has to be; see agent.conf.sample'))
LASTING = (USAGE, NO_TEXT, NO_FILE, CONFIG)
#: Directories that must not depend on where the agent is started.
PATHS = (('state_dir', None), ('run_dir', None),
         ('lock_path', 'oslo_concurrency'), ('lock_path', 'os_brick'))


class CannotStart(Exception):
    """Why the agent does not start, for the operator.

    :ivar status: the exit status that goes with it.
    """

    def __init__(self, why: str, status: int = CONFIG) -> None:
        super().__init__(why)
        self.status = status


def look_at_files(argv: list[str], default: str) -> None:
    """Find out that the configuration files are text that can be read.

    :param default: the file that is read where none is named.
    :raises CannotStart: naming the file.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument('--config-file', action='append', default=[])
    parser.add_argument('--config-dir', action='append', default=[])
    try:
        named = parser.parse_known_args(argv)[0]
    except argparse.ArgumentError as error:
        raise CannotStart('%s; see nvme-agent --help' % error,
                          USAGE) from None
    for path in map(os.path.expanduser, named.config_file):
        look_at_file(path)
    for path in map(os.path.expanduser, named.config_dir):
        _look_into(path)
    if not named.config_file and not named.config_dir:
        if not os.path.exists(default):
            raise CannotStart('there is no %s, and no --config-file was '
                              'given; see %s' % (default, sample()), NO_FILE)
        look_at_file(default)


def sample() -> str:
    """Return where the sample of a configuration is."""
    path = os.path.join(sys.prefix, 'etc', 'nvme-agent', 'agent.conf.sample')
    return path if os.path.exists(path) else 'agent.conf.sample'


def look_at_file(path: str) -> None:
    """:raises CannotStart: it is no text file that can be read."""
    try:
        # a FIFO that nobody writes to must not hold up the start
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 'rb') as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CannotStart('the configuration file %s is no regular '
                                  'file' % path, NO_FILE)
            file.read().decode()
    except OSError as error:
        raise CannotStart('the configuration file %s cannot be read: %s' % (
            path, error.strerror), NO_FILE) from None
    except UnicodeDecodeError as error:
        raise CannotStart('the configuration file %s is no text: byte %d is '
                          'no UTF-8' % (path, error.start), NO_TEXT) from None


def _look_into(path: str) -> None:
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise CannotStart('--config-dir %s cannot be read: %s' % (
            path, error.strerror), NO_FILE) from None
    files = [os.path.join(path, name) for name in names
             if name.endswith('.conf')]
    if not files:
        raise CannotStart('there is no *.conf in --config-dir %s' % path,
                          NO_FILE)
    for file in files:
        look_at_file(file)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Make of argparse's usage and error what others can catch.

    :raises CannotStart: in the place of argparse's exit with 2.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if not end.code:
            raise
        last = (said.getvalue().strip() or 'wrong').splitlines()[-1]
        raise CannotStart('%s; see --help' % last.partition(
            ': error: ')[2], USAGE) from None


def wrong_value(error: Exception) -> str:
    """Return what is wrong with a configuration, in an operator's words.

    oslo.config says it in its own, with the name of its Python object for the
    place.
    """
    text = ' '.join(str(error).split())
    found = _VALUE.match(text)
    if found is not None:
        where, why = found['where'], found['why']
        for pattern, words in _WORDS:
            why = pattern.sub(words, why)
        path = _DETAIL.search(where)
        return 'option %s%s: %s' % (
            found['name'], ' in ' + path[1] if path else '', why)
    found = _UNPARSED.match(text)
    return text if found is None else (
        'the configuration file %s, line %s: %s' % (
            found['path'], found['line'], found['why']))


def look_at_values(conf: cfg.ConfigOpts) -> None:
    """:raises CannotStart: a path is missing, or relative."""
    for name, group in PATHS:
        value = (conf[group] if group else conf)[name]
        where = 'option %s%s' % (name, ' of [%s]' % group if group else '')
        if value and not os.path.isabs(value):
            raise CannotStart('%s: "%s" is relative; it has to begin with a '
                              '"/"' % (where, value))
        if not value and not group:
            raise CannotStart('%s: it is empty' % where)
    if not conf.os_brick.lock_path:
        raise CannotStart(
            'option lock_path of [oslo_concurrency] (or of [os_brick]) is '
            'not set; it must be the one that nova-compute uses')


def start_log(conf: cfg.ConfigOpts, version: str) -> None:
    """:raises CannotStart: naming the option, where the log cannot be had."""
    if conf.log_dir and not os.path.isdir(conf.log_dir):
        raise CannotStart('option log_dir: there is no directory %s'
                          % conf.log_dir, NO_ROOM)
    try:
        logging.setup(conf, 'nvme-agent', version)
    except OSError as error:
        raise CannotStart('the log (options log_file, log_dir, use_syslog): '
                          '%s' % _words(error), NO_ROOM) from None
    except Exception as error:
        if conf.use_journal and 'ystemd' in str(error):
            raise CannotStart(
                'option use_journal: its library is not installed: the '
                'Python module systemd (python3-systemd, systemd-python). '
                'What goes to stderr reaches the journal, too') from None
        raise CannotStart('the log: %s' % error) from None
    journal.mark_log()


def make_directories(conf: cfg.ConfigOpts) -> None:
    """:raises CannotStart: state_dir or run_dir cannot be had."""
    for option in ('state_dir', 'run_dir'):
        try:
            os.makedirs(conf[option], mode=0o755, exist_ok=True)
        except OSError as error:
            raise CannotStart('option %s: %s' % (option, _words(error)),
                              NO_ROOM) from None


def _words(error: OSError) -> str:
    return '%s: %s' % (error.filename, error.strerror) if (
        error.filename) else str(error)


@contextlib.contextmanager
def only_one(conf: cfg.ConfigOpts) -> Iterator[None]:
    """Keep a second agent away while this one runs.

    :raises CannotStart: one runs that has one of the directories.
    """
    with contextlib.ExitStack() as held:
        for option in ('run_dir', 'state_dir'):
            held.enter_context(_held(os.path.join(conf[option], 'agent.pid'),
                                     option))
        yield


def _held(path: str, option: str) -> TextIO:
    """Hold the pid file's lock; it is released when the process ends.

    A disk that cannot be written holds the lock all the same (S14): then the
    pid is not in the file.
    """
    try:
        pid_file = _pid_file(path)
    except OSError as error:
        raise CannotStart('option %s: %s' % (option, _words(error)),
                          NO_ROOM) from None
    try:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid_file.seek(0)
        pid = pid_file.read().strip() or 'unknown'
        pid_file.close()
        raise CannotStart(
            'another agent runs on this host already, with pid %s and the '
            'same %s %s' % (pid, option, os.path.dirname(path)),
            SECOND) from None
    try:
        os.ftruncate(pid_file.fileno(), 0)
        os.write(pid_file.fileno(), b'%d\n' % os.getpid())
    except OSError as error:
        # EBADF, EINVAL: it is open for reading alone
        LOG.debug('%s: the pid is not written: %s', path, error.strerror)
    return pid_file


def _pid_file(path: str) -> TextIO:
    """:raises OSError: there is none, and none can be made."""
    try:
        return open(path, 'a+', encoding='ascii')
    except OSError as error:
        if (error.errno not in sqlite_faults.PASSING
                or not os.path.exists(path)):
            raise
    return open(path, encoding='ascii')


class HelperWords(std_logging.Filter):
    """Keeps what oslo.privsep says while the helper starts.

    Of a failure it becomes part of the one line that is printed; where all
    goes well nobody has to read it.
    """

    NOT_STARTED = 'the privileged helper could not be started: '
    #: Seconds for what a thread of oslo.privsep's still reads, once the
    #: helper has ended.
    FIRST_WORD, LAST_WORD = 1.0, 0.1

    def __init__(self) -> None:
        super().__init__()
        self._said: list[str] = []
        self._heard = threading.Event()
        self.starting = True

    def filter(self, record: std_logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith('privsep log:'):
            if _about_eventlet(text):
                return False
            text = text.removeprefix('privsep log:').strip()
        elif record.levelno < std_logging.WARNING:
            return not self.starting
        if self.starting and text:
            self._said.append(text)
            self._heard.set()
        return not self.starting

    def words(self, error: BaseException) -> str:
        """Return what the helper said, and what became of it."""
        if self._heard.wait(self.FIRST_WORD):
            time.sleep(self.LAST_WORD)
        end = str(error).removeprefix(self.NOT_STARTED)
        said = [text for text in self._said if text not in end]
        return self.NOT_STARTED + '; '.join([*said[-3:], end])


def _about_eventlet(text: str) -> bool:
    """It is a print-out about a library that is not used here."""
    return text.rstrip() == 'privsep log:' or any(
        words in text for words in (
            'ventlet', 'maintained in bugfix mode',
            'against using it for new projects',
            'framework.  For more detail'))
