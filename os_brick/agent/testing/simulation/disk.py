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
"""The disk under the ledger: a real sqlite file, and what may befall it.

A crash here ends a process and no disk: what was committed is in the file, be
it flushed or not, and what was not is rolled back when it is closed.
"""

from __future__ import annotations

import errno
import os
import sqlite3

from os_brick.agent.store import database


class Disk(database.Database):
    """The ledger's file, on a disk that may fail.

    :cvar trouble_is: what the disk says to each access, '' where it works.

    One of a history; ``reset`` begins the next.
    """

    trouble_is = ''

    def _open(self) -> None:
        if Disk.trouble_is == FULL and not os.path.exists(self.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if Disk.trouble_is == READ_ONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if Disk.trouble_is == BROKEN:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super()._open()
        assert self._disk is not None
        # what is flushed, and when, no history sees
        for pragma in ('synchronous=OFF', 'journal_mode=MEMORY',
                       'locking_mode=EXCLUSIVE'):
            self._disk.execute('PRAGMA ' + pragma)

    def _write(self, statements: list[database.Statement]) -> None:
        if Disk.trouble_is:
            raise sqlite3.OperationalError(Disk.trouble_is)
        super()._write(statements)


FULL = 'database or disk is full'
READ_ONLY = 'attempt to write a readonly database'
BROKEN = 'disk I/O error'
TROUBLES = (FULL, READ_ONLY, BROKEN)


def works() -> None:
    Disk.trouble_is = ''


def memory() -> str | None:
    """Return a directory that is not on a disk, where there is one."""
    return '/dev/shm' if os.path.isdir('/dev/shm') else None
