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
"""The ledger's file: what is on the disk, and the same in memory.

All is read from memory.  A change goes to the disk first, as one transaction,
and then to memory.  A disk that is full, read-only or damaged costs the
agent its memory of a restart, not its work: the change is made in memory, one
line names the file, and all of it is written when the file can be written
again.  What must not be done without having been written first asks for that
(``durable``) and is told when it was not.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import logging
import os
import sqlite3
from typing import Any

from os_brick.agent import clock as clocks
from os_brick.agent import log_once
from os_brick.agent import sqlite_faults
from os_brick.agent.store import faults
from os_brick.agent.store import tables

#: Seconds to wait for another process that has the file.
BUSY = 5.0
LOG = logging.getLogger(__name__)
Statement = tuple[str, Sequence[object]]


class Database:
    """The ledger's file, and what it holds while the disk does not work.

    :param path: the sqlite file, made when missing, mode 0600.
    :param check: raises anything where what was read cannot be used.
    :param visiting: another process than the agent: it makes no file, puts
        none aside, and any failure is a LedgerError.
    :raises LedgerError: it is not this agent's to use: no permission, no
        such directory, or of a later release.
    """

    def __init__(self, path: str, clock: clocks.Clock = clocks.HOST,
                 check: Callable[[Database], None] = lambda found: None,
                 visiting: bool = False) -> None:
        self.path = path
        self._check = check
        self._visiting = visiting
        self._clock = clock
        self._log_once = log_once.LogOnce()
        self._memory = sqlite3.connect(':memory:', check_same_thread=False)
        self._memory.executescript(tables.OWN)
        self._disk: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        # memory holds what the disk lacks
        self._behind = False
        # what is on the disk was never read: it must not be written over
        self._unread = False
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._let_go()
        self._memory.close()

    @property
    def trouble(self) -> bool:
        """Whether the disk lacks what memory holds."""
        return self._behind or self._unread

    def read(self, sql: str,
             parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows; no disk is asked."""
        return self._memory.execute(sql, parameters).fetchall()

    def change(self, statements: Iterable[Statement], durable: bool = False,
               inbox: Iterable[Statement] = ()) -> None:
        """Make a change, all of it or nothing.

        :param durable: not at all where the disk does not take it.
        :param inbox: what is to be changed on the disk alone.
        :raises NotKept: only with ``durable``.
        """
        wanted = list(statements)
        self._keep([*wanted, *inbox], durable)
        with self._memory:
            for sql, parameters in wanted:
                self._memory.execute(sql, parameters)

    def inbox(self, sql: str, believed: Callable[..., bool]
              ) -> list[tuple[Any, ...]] | None:
        """Return rows that the operator has left, from the disk.

        None while that cannot be read.

        :param believed: whether a row is one that this program has written.
        """
        try:
            rows = self._opened().execute(sql).fetchall()
            for row in rows:
                if not believed(*row):
                    raise sqlite3.DatabaseError(
                        'nobody has written such a row: %.60r' % (row,))
            return rows
        except faults.TROUBLES as error:
            self._failed(error)
            return None

    def _keep(self, statements: list[Statement], durable: bool,
              again: bool = True) -> None:
        try:
            self._write(statements)
        except sqlite3.ProgrammingError:
            raise
        except faults.TROUBLES as error:
            if self._failed(error) and again:
                # there is room for a new file
                self._keep(statements, durable, again=False)
                return
            if durable:
                raise faults.NotKept('%s cannot be written: %s' % (
                    self.path, sqlite_faults.words(error))) from error
            self._behind = True

    def _write(self, statements: list[Statement]) -> None:
        if self._unread:
            raise faults.LedgerError('what it holds could not be read when '
                                     'the agent was started')
        disk = self._opened()
        with disk:
            if self._behind:
                tables.copy(self._memory, disk)
            for sql, parameters in statements:
                disk.execute(sql, parameters)
        self._behind = False
        self._log_once.fine(self.path)

    def _failed(self, error: Exception) -> bool:
        """Say it once, and begin anew with the next change.

        :returns: whether that makes a new file, the damaged one being gone.
        """
        self._let_go()
        if self._visiting:
            raise faults.LedgerError('%s cannot be used: %s' % (
                self.path, sqlite_faults.words(error))) from error
        if (sqlite_faults.damaged(error) and not self._unread
                and self._put_aside(error)):
            return True
        if self._log_once.troubled(self.path):
            # that it is another error of the same disk is no news
            return False
        self._log_once.trouble(self.path, (
            '%s. The agent goes on from memory: it guards, reports and puts '
            'copies back, but asks for no replacement until this file can be '
            'written%s' % (sqlite_faults.words(error),
                           ' and the agent was restarted'
                           if self._unread else '')), logging.ERROR)
        return False

    def _opened(self) -> sqlite3.Connection:
        """Return the file, opened anew where it is another one by now."""
        if self._disk is not None and self._file != faults.identity(self.path):
            self._let_go()
            self._behind = True
        if self._disk is None:
            existed = os.path.exists(self.path)
            self._open()
            if not existed:
                self._behind = True
        assert self._disk is not None
        return self._disk

    def _open(self) -> None:
        os.close(os.open(
            self.path, os.O_RDWR | os.O_CLOEXEC
            | (0 if self._visiting else os.O_CREAT), 0o600))
        self._file = faults.identity(self.path)
        self._disk = sqlite3.connect(self.path, timeout=BUSY,
                                     check_same_thread=False)
        self._disk.execute('PRAGMA synchronous=FULL')
        if (self._version(self._disk) < tables.VERSION
                or not tables.complete(self._disk)):
            with self._disk:
                self._disk.executescript(tables.ALL)

    def _version(self, disk: sqlite3.Connection) -> int:
        """:raises LaterRelease: one has written it.

        :raises sqlite3.DatabaseError: a damaged one is no version.
        """
        version = sqlite_faults.version(disk, tables.VERSION,
                                        tables.APPLICATION)
        if version > tables.VERSION:
            raise faults.LaterRelease(
                '%s was written by a later release of nvme-agent (version %d '
                'of its tables, this release knows %d). Install that release '
                'again; or move the file away, and what it remembered of '
                'faults, requests and copies in doubt is lost' % (
                    self.path, version, tables.VERSION))
        return version

    def _start(self) -> None:
        """Read what there is.

        :raises LedgerError: see the class.
        """
        try:
            try:
                self._open()
            except OSError as error:
                if error.errno not in sqlite_faults.PASSING:
                    raise faults.LedgerError('%s cannot be opened: %s' % (
                        self.path, error.strerror)) from error
                if not os.path.exists(self.path):
                    self._behind = True
                    self._failed(error)
                    return
                self._open_to_read()
            self._load()
        except faults.LedgerError:
            raise
        except faults.TROUBLES as error:
            # what a full disk has left empty holds nothing
            self._unread = (not sqlite_faults.damaged(error)
                            and faults.size(self.path) != 0)
            self._behind = True
            self._failed(error)

    def _open_to_read(self) -> None:
        self._disk = tables.open_to_read(self.path)
        self._version(self._disk)

    def _load(self) -> None:
        assert self._disk is not None
        (checked,) = self._disk.execute('PRAGMA quick_check(1)').fetchone()
        if checked != 'ok':
            raise sqlite3.DatabaseError(checked)
        with self._memory:
            tables.copy(self._disk, self._memory)
            try:
                self._check(self)
            except Exception as error:
                raise sqlite3.DatabaseError('%s: %s' % (
                    type(error).__name__, error)) from error

    def _put_aside(self, error: Exception) -> bool:
        """Give the damaged file another name; the next change makes one."""
        aside = '%s.damaged-%d' % (self.path, self._clock.wall())
        try:
            os.rename(self.path, aside)
            for suffix in ('-journal', '-wal', '-shm'):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self.path + suffix, aside + suffix)
        except OSError as problem:
            self._unread = True
            LOG.error('%s is damaged (%s) and cannot be put aside: %s',
                      self.path, sqlite_faults.words(error),
                      sqlite_faults.words(problem))
            return False
        self._behind = True
        LOG.error('%s is damaged (%s) and was put aside as %s; a new file is '
                  'made. The agent writes to it what it knows, which is '
                  'nothing when it has only been started: grace periods then '
                  'begin anew, and whether a copy is in doubt is seen only '
                  'from the copies', self.path, sqlite_faults.words(error),
                  aside)
        return True

    def _let_go(self) -> None:
        disk, self._disk = self._disk, None
        if disk is not None:
            disk.close()
