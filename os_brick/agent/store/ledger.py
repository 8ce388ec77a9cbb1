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
"""What must outlive a restart, in one sqlite file.

That is: records, reports on their way, the time, and the provisioner's last
word, so that an agent which is started while the provisioner is away can
guard and heal what it knew.

Every method is one transaction: killed at any instant, the agent finds either
all of a change or nothing of it (S7).  Reports leave in the order in which
they came, and only after the provisioner has taken them (S6).
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import logging
import os
import sqlite3

from os_brick.agent import clock as clocks
from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.store import encoding

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot TEXT, boottime REAL, wall REAL, agent REAL);
CREATE TABLE IF NOT EXISTS memory (
    volume TEXT, replica TEXT, content TEXT, PRIMARY KEY (volume, replica));
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    volume TEXT, replica TEXT, state TEXT);
CREATE TABLE IF NOT EXISTS volume (
    uuid TEXT PRIMARY KEY, boot TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS choice (
    volume TEXT PRIMARY KEY, replica TEXT);
CREATE INDEX IF NOT EXISTS outbox_volume ON outbox (volume, seq);
"""
LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Pending:
    """A report on its way to the provisioner."""

    seq: int
    volume: str
    replica: str
    state: model.ReplicaState


class LedgerError(Exception):
    """The file cannot be used; the text names it."""


class Ledger:
    """:param path: the sqlite file, made when missing, mode 0600.

    :raises LedgerError: when it cannot be opened, or is something else.
    """

    def __init__(self, path: str,
                 clock: clocks.Clock = clocks.HOST) -> None:
        self._clock = clock
        self._kept: dict[str, model.Volume] = {}
        self._written: dict[str, str] = {}
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError('%s cannot be opened: %s' % (
                path, getattr(error, 'strerror', error))) from error
        try:
            self._db.execute('PRAGMA synchronous=FULL')
            with self._db:
                self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise LedgerError('%s cannot be used: %s' % (path, error)
                              ) from error

    def close(self) -> None:
        self._db.close()

    def now(self) -> float:
        """Agent time: seconds that go on across restarts, never back.

        Within one boot it follows CLOCK_BOOTTIME, so that a step of the wall
        clock neither shortens nor lengthens a grace period; across boots the
        wall clock is the only witness.
        """
        boot = self._clock.boot()
        boottime = self._clock.boottime()
        wall = self._clock.wall()
        with self._db:
            row = self._db.execute('SELECT boot, boottime, wall, agent '
                                   'FROM clock').fetchone()
            if row is None:
                agent = 0.0
            elif row[0] == boot:
                agent = row[3] + max(0.0, boottime - row[1])
            else:
                agent = row[3] + max(0.0, wall - row[2])
            self._db.execute('INSERT OR REPLACE INTO clock VALUES '
                             '(1, ?, ?, ?, ?)', (boot, boottime, wall, agent))
        return float(agent)

    def records(self, volume: str) -> dict[str, decision.ReplicaRecord]:
        rows = self._db.execute('SELECT replica, content FROM memory '
                                'WHERE volume = ?', (volume,))
        return {replica: encoding.load_record(content)
                for replica, content in rows}

    def legs(self) -> dict[str, frozenset[str]]:
        """Volume -> replicas that have been legs of its array."""
        found: dict[str, set[str]] = {}
        for volume, replica, content in self._db.execute(
                'SELECT volume, replica, content FROM memory'):
            if encoding.load_record(content).joined:
                found.setdefault(volume, set()).add(replica)
        return {volume: frozenset(legs) for volume, legs in found.items()}

    def volumes(self) -> dict[str, model.Volume]:
        """The provisioner's last word, unless it is of before a reboot.

        A reboot takes all arrays away, and what is attached afterwards the
        provisioner has given out anew.
        """
        found = {}
        for uuid, content in self._db.execute(
                'SELECT uuid, content FROM volume WHERE boot = ?',
                (self._clock.boot(),)):
            try:
                found[uuid] = encoding.load_volume(content)
            except (KeyError, TypeError, ValueError) as error:
                # kept by a release that took what this one refuses
                LOG.warning('volume %s: what was kept of it is not used: %s',
                            uuid, error)
        return found

    def keep_volumes(self, volumes: Iterable[model.Volume]) -> None:
        """Keep the provisioner's last word; costs nothing while it stays."""
        fresh = {volume.uuid: volume for volume in volumes}
        if fresh == self._kept:
            return
        content = {uuid: encoding.dump_volume(volume)
                   for uuid, volume in fresh.items()}
        self._kept = fresh
        if content == self._written:
            return
        boot = self._clock.boot()
        with self._db:
            self._db.execute('DELETE FROM volume')
            self._db.executemany('INSERT INTO volume VALUES (?, ?, ?)', [
                (uuid, boot, text) for uuid, text in content.items()])
        self._written = content

    def save(self, volume: str, records: decision.ReplicaRecords,
             reports: Iterable[decision.Report] = ()) -> None:
        """Keep the records and queue the reports, both or neither."""
        with self._db:
            self._write_records(volume, records)
            self._db.executemany(
                'INSERT INTO outbox (volume, replica, state) '
                'VALUES (?, ?, ?)',
                [(volume, report.replica_uuid, report.state.value)
                 for report in reports])

    def _write_records(self, volume: str,
                       records: decision.ReplicaRecords) -> None:
        self._db.executemany(
            'INSERT OR REPLACE INTO memory VALUES (?, ?, ?)',
            [(volume, replica, encoding.dump_record(record))
             for replica, record in records.items()])

    def choose(self, volume: str, replica: str) -> None:
        """Keep the operator's word which copy of a volume is the one."""
        with self._db:
            self._db.execute('INSERT OR REPLACE INTO choice VALUES (?, ?)',
                             (volume, replica))

    def choices(self) -> dict[str, str]:
        """Volume -> the replica that the operator chose, not taken in yet."""
        return dict(self._db.execute('SELECT volume, replica FROM choice'))

    def take_in(self, volume: str, records: decision.ReplicaRecords) -> None:
        """Keep the records that follow from a choice, and drop the choice."""
        with self._db:
            self._write_records(volume, records)
            self._db.execute('DELETE FROM choice WHERE volume = ?',
                             (volume,))

    def pending(self, volume: str | None = None) -> list[Pending]:
        """The reports that are still to be sent, oldest first."""
        return [Pending(seq, owner, replica, model.ReplicaState(state))
                for seq, owner, replica, state in self._db.execute(
                    'SELECT seq, volume, replica, state FROM outbox '
                    'WHERE ?1 IS NULL OR volume = ?1 ORDER BY seq',
                    (volume,))]

    def owing(self) -> frozenset[str]:
        """The volumes of which there are reports to be sent."""
        return frozenset(volume for (volume,) in self._db.execute(
            'SELECT DISTINCT volume FROM outbox'))

    def delivered(self, seq: int) -> None:
        with self._db:
            self._db.execute('DELETE FROM outbox WHERE seq = ?', (seq,))
