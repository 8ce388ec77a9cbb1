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

from os_brick.agent import clock as clocks
from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import pauses
from os_brick.agent.store import database
from os_brick.agent.store import encoding
from os_brick.agent.store import faults

LedgerError = faults.LedgerError
LaterRelease = faults.LaterRelease
NotKept = faults.NotKept
#: Seconds; a step of the wall clock that is smaller is none.
STEP = 1.0
#: Its name in the state directory.
FILE = 'agent.sqlite'
LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Pending:
    """A report on its way to the provisioner."""

    seq: int
    volume: str
    replica: str
    state: model.ReplicaState


class Ledger:
    """What the agent knows of its volumes across restarts.

    :param path: the sqlite file, made when missing, mode 0600.
    :param visiting: by another process than the agent; see ``Database``.
    :raises LedgerError: it is not this agent's to use.
    """

    #: What it is kept in; a simulated disk is another one.
    DATABASE = database.Database

    def __init__(self, path: str, clock: clocks.Clock = clocks.HOST,
                 visiting: bool = False) -> None:
        self._clock = clock
        self._kept: dict[str, model.Volume] = {}
        self._written: dict[str, str] = {}
        self._decoded = encoding.Decoded()
        self._db = self.DATABASE(path, clock, _check, visiting)
        # the reports that are in the file; and replicas of which one that was
        # delivered still is
        self._filed: set[int] = set()
        self._left_behind: set[tuple[str, str]] = set()
        self._note_filed()
        rows = self._db.read('SELECT wall FROM set_back')
        self._set_back: float | None = float(rows[0][0]) if rows else None

    def close(self) -> None:
        self._db.close()

    def rebooted(self) -> bool:
        """Say whether the host has booted since ``now`` was asked last."""
        boots = [boot for (boot,) in self._db.read('SELECT boot FROM clock')]
        return bool(boots) and boots[0] != self._clock.boot()

    @property
    def trouble(self) -> bool:
        """Whether a restart would find less than what is known now."""
        return self._db.trouble

    def _change(self, statements: Iterable[database.Statement],
                durable: bool = False,
                inbox: Iterable[database.Statement] = ()) -> None:
        self._db.change(statements, durable, inbox)
        self._note_filed()

    def _note_filed(self) -> None:
        if not self._db.trouble:
            # the file holds what memory does
            self._filed = {seq for (seq,) in self._db.read(
                'SELECT seq FROM outbox')}
            self._left_behind.clear()

    def now(self) -> float:
        """Agent time: seconds that go on across restarts, never back.

        Within one boot it follows CLOCK_BOOTTIME, so that a step of the wall
        clock neither shortens nor lengthens a grace period; across boots the
        wall clock is the only witness.
        """
        boot = self._clock.boot()
        boottime = self._clock.boottime()
        wall = self._clock.wall()
        rows = self._db.read('SELECT boot, boottime, wall, agent FROM clock')
        agent, statements = 0.0, list[database.Statement]()
        if rows:
            boot_before, boottime_before, wall_before, agent = rows[0]
            elapsed = (boottime - boottime_before if boot_before == boot
                       else max(0.0, wall - wall_before))
            agent += max(0.0, elapsed)
            expected = wall_before + max(0.0, elapsed)
            if wall < expected - STEP and expected > (self._set_back or 0.0):
                self._set_back = expected
                statements.append(('INSERT OR REPLACE INTO set_back VALUES '
                                   '(1, ?)', (expected,)))
        self._change([('INSERT OR REPLACE INTO clock VALUES '
                       '(1, ?, ?, ?, ?)', (boot, boottime, wall, agent)),
                      *statements])
        return float(agent)

    def set_back(self) -> float | None:
        """Return the latest time that the wall clock was set back from.

        None: it never was, as far as the agent has seen.
        """
        return self._set_back

    def records(self, volume: str) -> dict[str, decision.ReplicaRecord]:
        return self._decoded.read(volume, self._db.read(
            'SELECT replica, content FROM memory WHERE volume = ?',
            (volume,)))

    def legs(self) -> dict[str, frozenset[str]]:
        """Volume -> replicas that have been legs of its array."""
        found: dict[str, set[str]] = {}
        for volume, replica, content in self._db.read(
                'SELECT volume, replica, content FROM memory'):
            if encoding.load_record(content).was_leg:
                found.setdefault(volume, set()).add(replica)
        return {volume: frozenset(legs) for volume, legs in found.items()}

    def volumes(self) -> dict[str, model.Volume]:
        """The provisioner's last word, unless it is of before a reboot.

        A reboot takes all arrays away, and what is attached afterwards the
        provisioner has given out anew.
        """
        found = {}
        for uuid, content in self._db.read(
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
        self._change([('DELETE FROM volume', ()), *(
            ('INSERT INTO volume VALUES (?, ?, ?)', (uuid, boot, text))
            for uuid, text in content.items())])
        self._written = content

    def save(self, volume: str, records: decision.ReplicaRecords,
             reports: Iterable[decision.Report] = (),
             durable: bool = False) -> None:
        """Keep the records and queue the reports, both or neither.

        :param durable: only where a restart would find it.
        :raises NotKept: with ``durable``: it would not.
        """
        # what sqlite counted may have been damaged: nothing checks it
        ((last,),) = self._db.read(
            "SELECT MAX(seq) FROM (SELECT seq FROM sqlite_sequence "
            "WHERE name = 'outbox' UNION ALL SELECT seq FROM outbox) "
            "WHERE TYPEOF(seq) = 'integer'")
        self._change([*_records(volume, records), *(
            ('INSERT INTO outbox VALUES (?, ?, ?, ?)',
             (seq, volume, report.replica_uuid, report.state.value))
            for seq, report in enumerate(reports, (last or 0) + 1))], durable)
        self._decoded.changed(volume, records)

    def forget(self, volumes: Iterable[str]) -> None:
        """Remember nothing more of these volumes, their reports included."""
        self._change([('DELETE FROM %s WHERE volume = ?' % table, (volume,))
                      for volume in volumes
                      for table in ('memory', 'outbox')])

    def choose(self, volume: str, replica: str) -> None:
        """Keep the operator's word which copy of a volume is the one.

        :raises NotKept: it could not be written.
        """
        self._change([], True, [(
            'INSERT OR REPLACE INTO choice VALUES (?, ?)',
            (volume, replica))])

    def choices(self) -> dict[str, str]:
        """Volume -> the replica that the operator chose, not taken in yet."""
        return dict(self._db.inbox(
            'SELECT volume, replica FROM choice',
            lambda *words: _all(str, *words)) or ())

    def take_in(self, volume: str, records: decision.ReplicaRecords) -> None:
        """Keep the records that follow from a choice, and drop the choice.

        :raises NotKept: the choice stays where it is.
        """
        self._change(_records(volume, records), True, [(
            'DELETE FROM choice WHERE volume = ?', (volume,))])

    def pause(self, volume: str, pause: pauses.Pause) -> None:
        """Keep the operator's word; an earlier one for the volume ends.

        :raises NotKept: it could not be written.
        """
        self._change([], True, self._paused(
            volume, pause.until, pause.why,
            pause.until - self._clock.wall()))

    def resume(self, volume: str) -> bool:
        """End a pause; False: there was none.

        :raises NotKept: it goes on.
        """
        there = volume in (self.pauses() or {})
        self._change([], True, [
            ('DELETE FROM %s WHERE volume = ?' % table, (volume,))
            for table in ('pause', 'pause_clock')])
        return there

    def pauses(self) -> dict[str, pauses.Pause] | None:
        """Volume, or ``pauses.ALL``, -> its pause, while that lasts.

        None: the disk cannot be read, and nobody knows.

        It lasts as long as was said, by the boot's clock; a step of the wall
        clock changes when that is.  After another boot only the wall clock
        tells, and never that more is left than was said.
        """
        rows = self._db.inbox(
            'SELECT volume, pause.until, why, boot, pause_clock.until, length '
            'FROM pause LEFT JOIN pause_clock USING (volume)', _is_pause)
        if rows is None:
            return None
        found, moved = {}, list[database.Statement]()
        wall, boot = self._clock.wall(), self._clock.boot()
        for volume, until, why, given, end, length in rows:
            left = until - wall
            if given == boot:
                left = end - self._clock.boottime()
            elif length is not None:
                left = min(left, length)
            if left <= 0:
                continue
            stepped = abs(until - wall - left) > STEP
            until = wall + left if stepped else until
            found[volume] = pauses.Pause(until, why)
            if stepped or given != boot:
                moved += self._paused(volume, until, why, left)
        if moved:
            self._change([], inbox=moved)
        return found

    def _paused(self, volume: str, until: float, why: str, seconds: float
                ) -> list[database.Statement]:
        """Return what keeps a pause of that many seconds from now on."""
        return [('INSERT OR REPLACE INTO pause VALUES (?, ?, ?)',
                 (volume, until, why)),
                ('INSERT OR REPLACE INTO pause_clock VALUES (?, ?, ?, ?)',
                 (volume, self._clock.boot(),
                  self._clock.boottime() + seconds, seconds))]

    def pending(self, volume: str | None = None) -> list[Pending]:
        """The reports that are still to be sent, oldest first."""
        return [Pending(seq, owner, replica, model.ReplicaState(state))
                for seq, owner, replica, state in self._db.read(
                    'SELECT seq, volume, replica, state FROM outbox '
                    'WHERE ?1 IS NULL OR volume = ?1 ORDER BY seq',
                    (volume,))]

    def owing(self) -> frozenset[str]:
        """The volumes of which there are reports to be sent."""
        return frozenset(volume for (volume,) in self._db.read(
            'SELECT DISTINCT volume FROM outbox'))

    def drop_reports(self, volume: str) -> int:
        """Drop the reports of a volume that are to be sent; say how many."""
        number = len(self.pending(volume))
        self._change([('DELETE FROM outbox WHERE volume = ?', (volume,))])
        return number

    def delivered(self, report: Pending) -> None:
        """It was taken, and is not sent again."""
        self._change([('DELETE FROM outbox WHERE seq = ?', (report.seq,))])
        if report.seq in self._filed and self._db.trouble:
            self._left_behind.add((report.volume, report.replica))

    def overtakes(self, report: Pending) -> bool:
        """Whether a restart would send an older one of the replica after it.

        That one was delivered, and the file could not be told (S6).
        """
        return (report.volume, report.replica) in self._left_behind


def _all(kind: type, *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _is_pause(volume: object, until: object, why: object, boot: object,
              end: object, length: object) -> bool:
    """An earlier release kept the first three alone."""
    return _all(str, volume, why) and _all(float, until) and (
        boot is end is length is None
        or _all(str, boot) and _all(float, end, length))


def _check(found: database.Database) -> None:
    """:raises Exception: something that no release has written."""
    for boot, *times in found.read('SELECT boot, boottime, wall, agent '
                                   'FROM clock'):
        if not isinstance(boot, str):
            raise TypeError('boot %r' % boot)
        sum(times)
    for (wall,) in found.read('SELECT wall FROM set_back'):
        float(wall)
    for volume, replica, content in found.read(
            'SELECT volume, replica, content FROM memory '
            "UNION ALL SELECT uuid, boot, '{}' FROM volume"):
        if not isinstance(volume, str) or not isinstance(replica, str):
            raise TypeError('volume %r, replica %r' % (volume, replica))
        encoding.load_record(content)
    for owner, replica, state in found.read('SELECT volume, replica, state '
                                            'FROM outbox'):
        if not isinstance(owner, str) or not isinstance(replica, str):
            raise TypeError('volume %r, replica %r' % (owner, replica))
        model.ReplicaState(state)


def _records(volume: str, records: decision.ReplicaRecords
             ) -> list[database.Statement]:
    return [('INSERT OR REPLACE INTO memory VALUES (?, ?, ?)',
             (volume, replica, encoding.dump_record(record)))
            for replica, record in records.items()]
