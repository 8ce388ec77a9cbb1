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
"""What sqlite and the disk below it may say, and what it means."""

from __future__ import annotations

import errno
import sqlite3

#: What a disk may say that will let itself be written another day.
PASSING = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
# sqlite3 gives no code before Python 3.11
_OF_THE_DISK = ('locked', 'readonly', 'is full', 'disk I/O', 'unable to open',
                'out of memory')
#: What sqlite raises, of a file with any content.
RAISED = (sqlite3.Error, UnicodeError)


def version(connection: sqlite3.Connection, known: int,
            application: int) -> int:
    """Return the version of the tables, PRAGMA user_version.

    Whoever writes it writes it twice: PRAGMA application_id is it, and a
    number of the application's own.

    :param known: the latest version; this and earlier ones need no proof.
    :raises sqlite3.DatabaseError: the two differ: it is damaged.
    """
    found, twice = (int(connection.execute('PRAGMA ' + name).fetchone()[0])
                    for name in ('user_version', 'application_id'))
    if found > known and twice != application + found:
        raise sqlite3.DatabaseError('it gives two versions of its tables, '
                                    '%d and another one' % found)
    return found


def damaged(error: Exception) -> bool:
    """Whether the content is wrong, not the disk or another process."""
    if not isinstance(error, RAISED):
        return False
    return not (isinstance(error, sqlite3.OperationalError)
                and any(said in str(error) for said in _OF_THE_DISK))


def words(error: Exception) -> str:
    """Return what it says, in one line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # quick_check speaks in several lines
    return ' '.join(str(error).split())
