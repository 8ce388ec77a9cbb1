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
"""What the local driver decided and was told, in a sqlite file of its own.

The operator's file is never written to.  Callers wrap what belongs together
in ``transaction``: killed at any instant, all of it is there or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import logging
import os
import sqlite3

from os_brick.agent import model
from os_brick.agent import sqlite_faults
from os_brick.agent.vendors import base
from os_brick.agent.vendors.inventory import inventory_file

VERSION = 1
#: PRAGMA application_id is this and the version.
APPLICATION = 0x6c6f0000
LOG = logging.getLogger(__name__)
_DAMAGED = ('Restore it from a backup, or see "A damaged ledger" in the '
            'documentation of the local driver before you move it away')
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replica (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    volume TEXT NOT NULL, uuid TEXT NOT NULL, state TEXT,
    state_since REAL NOT NULL, stands_for TEXT, successor TEXT,
    backing TEXT NOT NULL, UNIQUE (volume, uuid));
CREATE TABLE IF NOT EXISTS used (
    uuid TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS inventory (
    path TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What is known of a replica of a volume.

    :ivar state: None once its removal was confirmed.
    :ivar state_since: seconds since the epoch.
    :ivar stands_for: the inventory's replica in whose place it was assigned
        from the pool; None for a replica that the inventory gave.
    :ivar successor: the spare that was assigned in its place.
    """

    volume: str
    backing: inventory_file.Backing
    state: model.ReplicaState | None
    state_since: float
    stands_for: str | None = None
    successor: str | None = None

    @property
    def uuid(self) -> str:
        return self.backing.uuid

    @property
    def live(self) -> bool:
        """It is still listed to the agent."""
        return self.state is not None

    @property
    def member(self) -> bool:
        """It counts as one of the replicas that the volume should have."""
        return (self.successor is None and self.live
                and self.state is not model.ReplicaState.TERMINATING)


class Assignments:
    """Which spare has taken whose place, and what was reported.

    :param path: the sqlite file, made when missing, mode 0600.
    """

    def __init__(self, path: str) -> None:
        """Open it, or say why it cannot be; then it is tried again and again.

        :raises base.ConfigurationError: it is not this agent's to use.
        """
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._read: (tuple[tuple[int, int], tuple[Assignment, ...]]
                     | None) = None
        try:
            self._connection = self._connect()
        except base.Unavailable as error:
            LOG.error('%s. Until then the local driver lists no volume, and '
                      'the agent goes on with those it knows', error)

    @property
    def _db(self) -> sqlite3.Connection:
        """:raises base.Unavailable: it cannot be used now."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        """:raises base.Unavailable: it cannot be used now.

        :raises base.ConfigurationError: it is not this agent's to use.
        """
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            if error.errno not in sqlite_faults.PASSING:
                raise base.ConfigurationError(
                    'option state_dir: the ledger %s cannot be opened: %s' % (
                        self._path, error.strerror)) from error
            if not os.path.exists(self._path):
                raise base.Unavailable('the ledger %s cannot be made: %s' % (
                    self._path, error.strerror)) from error
            # what cannot be written can be read
        connection = None
        try:
            connection = sqlite3.connect(self._path, timeout=5.0,
                                         isolation_level=None,
                                         check_same_thread=False)
            self._prepare(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if not isinstance(error, sqlite_faults.RAISED):
                raise
            raise base.Unavailable('the ledger %s cannot be used: %s. %s' % (
                self._path, sqlite_faults.words(error),
                _DAMAGED if sqlite_faults.damaged(error)
                else 'It has to be readable and writable')) from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute('PRAGMA synchronous=FULL')
        found = sqlite_faults.version(connection, VERSION, APPLICATION)
        if found > VERSION:
            raise base.ConfigurationError(
                'option state_dir: the ledger %s is of version %d, written '
                'by a later release; this one knows %d' % (
                    self._path, found, VERSION))
        if found < VERSION:
            connection.executescript(
                'BEGIN IMMEDIATE; %s PRAGMA user_version=%d; '
                'PRAGMA application_id=%d; COMMIT;' % (
                    _SCHEMA, VERSION, APPLICATION + VERSION))
        (checked,) = connection.execute('PRAGMA quick_check(1)').fetchone()
        if checked != 'ok':
            raise sqlite3.DatabaseError(checked)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within comes to pass, or none of it.

        :raises base.Unavailable: sqlite failed, for want of space say.
        """
        try:
            self._db.execute('BEGIN IMMEDIATE')
            try:
                yield
                self._db.execute('COMMIT')
            except BaseException:
                # what was read meanwhile has not come to pass
                self._read = None
                # sqlite itself may have rolled back, on a full disk say
                if self._db.in_transaction:
                    self._db.execute('ROLLBACK')
                raise
        except sqlite_faults.RAISED as error:
            raise self._failed('failed', error) from error

    def _failed(self, what: str, error: Exception) -> base.Unavailable:
        """Open the file anew with the next call: it may be another one."""
        self.close()
        self._connection = self._read = None
        return base.Unavailable('the ledger %s %s: %s' % (
            self._path, what, sqlite_faults.words(error)))

    def entries(self) -> tuple[Assignment, ...]:
        """Return all entries, the oldest first; while none changes, the same.

        :raises base.Unavailable: sqlite failed, or holds what no agent wrote.
        """
        try:
            # data_version: by others; total_changes: by ourselves
            version = (self._db.execute('PRAGMA data_version').fetchone()[0],
                       self._db.total_changes)
            if self._read is None or self._read[0] != version:
                self._read = version, tuple(
                    _entry(row) for row in self._db.execute(
                        'SELECT volume, uuid, state, state_since, '
                        'stands_for, successor, backing FROM replica '
                        'ORDER BY seq'))
            return self._read[1]
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise self._failed('cannot be read', error) from error

    def nonsense(self, error: Exception) -> base.Unavailable:
        """Return what to raise where the entries cannot be believed."""
        return base.Unavailable('the ledger %s holds what no agent wrote: %s. '
                                '%s' % (self._path, error, _DAMAGED))

    def put(self, entry: Assignment) -> None:
        self._db.execute(
            'INSERT INTO replica (volume, uuid, state, state_since, '
            'stands_for, successor, backing) VALUES (?, ?, ?, ?, ?, ?, ?) '
            'ON CONFLICT (volume, uuid) DO UPDATE SET state=excluded.state, '
            'state_since=excluded.state_since, '
            'stands_for=excluded.stands_for, successor=excluded.successor, '
            'backing=excluded.backing',
            (entry.volume, entry.uuid, entry.state and entry.state.value,
             entry.state_since, entry.stands_for, entry.successor,
             _to_json(entry.backing)))

    def delete(self, entry: Assignment) -> None:
        self._db.execute('DELETE FROM replica WHERE volume=? AND uuid=?',
                         (entry.volume, entry.uuid))

    def used(self) -> dict[str, int]:
        """Return how many times each namespace was let go after use.

        :raises base.Unavailable: sqlite failed.
        """
        try:
            return dict(self._db.execute('SELECT uuid, times FROM used'))
        except sqlite_faults.RAISED as error:
            raise self._failed('cannot be read', error) from error

    def count_use(self, uuid: str) -> None:
        self._db.execute(
            'INSERT INTO used (uuid, times) VALUES (?, 1) '
            'ON CONFLICT (uuid) DO UPDATE SET times=times+1', (uuid,))

    def last_good(self, path: str) -> bytes | None:
        """Return the inventory last in force that came from this path.

        :raises base.Unavailable: sqlite failed.
        """
        try:
            row = self._db.execute('SELECT content FROM inventory '
                                   'WHERE path=?', (path,)).fetchone()
        except sqlite_faults.RAISED as error:
            raise self._failed('cannot be read', error) from error
        return bytes(row[0]) if row else None

    def keep_good(self, path: str, content: bytes) -> None:
        self._db.execute('DELETE FROM inventory')
        self._db.execute('INSERT INTO inventory (path, content) '
                         'VALUES (?, ?)', (path, content))


def _to_json(backing: inventory_file.Backing) -> str:
    return json.dumps({
        'nqn': backing.target.nqn,
        'portals': [[portal.address, portal.port, portal.transport]
                    for portal in backing.target.portals],
        'failure_domain': backing.failure_domain, 'size': backing.size})


def _entry(row: tuple[str, str, str | None, float, str | None, str | None,
                      str]) -> Assignment:
    volume, uuid, state, since, stands_for, successor, text = row
    said = json.loads(text)
    portals = tuple(model.Portal(*portal) for portal in said['portals'])
    backing = inventory_file.Backing(
        uuid, model.Target(said['nqn'], portals), said['failure_domain'],
        said['size'])
    return Assignment(volume, backing,
                      model.ReplicaState(state) if state else None, since,
                      stands_for, successor)
