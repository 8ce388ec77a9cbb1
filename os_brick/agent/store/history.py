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
"""What has happened, as sentences with times; bounded, and no loss if lost.

A file of its own beside the ledger: what it costs to write it down is not
what must be remembered, and a full disk costs the history alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
import os
import sqlite3

from os_brick.agent.store import tables

#: How many sentences are kept; one is some 200 bytes.
MOST = 20000
FILE = 'history.sqlite'
_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    wall REAL, level TEXT, volumes TEXT, sentence TEXT, fields TEXT);
"""
_READ = """
SELECT wall, level, volumes, sentence, %s FROM history WHERE wall >= ?
AND (? = '' OR INSTR(' ' || volumes || ' ', ' ' || ? || ' ')) ORDER BY seq
"""


@dataclasses.dataclass(frozen=True)
class Happened:
    """One sentence of the history.

    :ivar wall: seconds since the epoch.
    :ivar level: as in the log.
    :ivar volumes: aliases of those that it is about.
    :ivar fields: what it is about, as ``log_fields`` has it.
    """

    wall: float
    level: str
    volumes: tuple[str, ...]
    sentence: str
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)


class HistoryError(Exception):
    """Why the history cannot be read or written; the text names the file."""


class History:
    """The last sentences, in a file; the oldest make room.

    :param path: the sqlite file.
    """

    def __init__(self, path: str, most: int = MOST) -> None:
        self._path = path
        self._most = most

    def add(self, happened: Iterable[Happened]) -> None:
        """Write it down, and drop what is too old.

        It is not waited for the disk.

        :raises HistoryError: it is not written down.
        """
        rows = [(one.wall, one.level, ' '.join(one.volumes), one.sentence,
                 json.dumps(one.fields, default=str)) for one in happened]
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            db = sqlite3.connect(self._path, timeout=1.0)
            try:
                db.execute('PRAGMA synchronous=OFF')
                with db:
                    db.executescript(_SCHEMA)
                    if not _has_fields(db):
                        db.execute('ALTER TABLE history ADD COLUMN fields '
                                   'TEXT')
                    db.executemany(
                        'INSERT INTO history (wall, level, volumes, '
                        'sentence, fields) VALUES (?, ?, ?, ?, ?)', rows)
                    db.execute(
                        'DELETE FROM history WHERE seq <= (SELECT MAX(seq) '
                        'FROM history) - ?', (self._most,))
            finally:
                db.close()
        except (OSError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def read(self, since: float = 0.0, volume: str = '') -> list[Happened]:
        """Return what has happened, the oldest first.

        :param volume: alias of the only one that is asked for, '' for all.
        :raises HistoryError: it cannot be read.
        """
        try:
            os.close(os.open(self._path, os.O_RDONLY))
            db = tables.open_to_read(self._path)
            try:
                return [Happened(wall, level, tuple(volumes.split()),
                                 sentence, json.loads(fields or '{}'))
                        for wall, level, volumes, sentence, fields
                        in db.execute(_READ % (
                            'fields' if _has_fields(db) else "''"),
                            (since, volume, volume))]
            finally:
                db.close()
        except (OSError, ValueError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> HistoryError:
        return HistoryError('%s: %s' % (
            self._path, getattr(error, 'strerror', None) or error))


def _has_fields(db: sqlite3.Connection) -> bool:
    """A file that an earlier release made has none, until it is written."""
    return 'fields' in {column[1] for column in db.execute(
        'PRAGMA table_info(history)')}
