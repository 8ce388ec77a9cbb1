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
"""What is remembered of a replica, and how a pass changes it; pure.

The clock of the grace period runs while a replica is bad *and* another leg
of the array is good: when the host's own network fails, everything is bad
and nothing is to be replaced.  It stands still while the replica is being
resynchronised and goes on from there if that fails, so that a replica which
comes and goes is replaced in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any

from os_brick.agent import model

State = model.ReplicaState
#: What stands for the instance of an array where the kernel gives none.
UNNUMBERED = 'unnumbered'
#: Seconds for which a replacement has to be AVAILABLE to have been of use.
PROVEN = 3600.0
#: Seconds until it is requested once more, at first and at most: it doubles.
AGAIN, LONGEST = 30.0, 3600.0


class RequestKind(enum.Enum):
    """What the provisioner is asked to do."""

    REPLACE = 'replace'
    RETIRE = 'retire'
    CONFIRM = 'confirm'


@dataclasses.dataclass(frozen=True)
class HealingPolicy:
    """How patient healing is, in seconds, and how wary.

    See the options of these names.

    :ivar grace: ``replacement_grace_period``.
    :ivar repeat: ``report_repeat_interval``.
    :ivar whole: ``returning_copies`` is whole.
    """

    grace: float = 600.0
    repeat: float = 600.0
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class ReplicaRecord:
    """What is remembered of a replica across passes and restarts.

    :ivar joined: it has been a leg of the array.
    :ivar joined_at: agent time at which it was first a leg; 0: before that was
        noted.
    :ivar in_at: agent time since which it is in sync, None while it is not;
        0: before that was noted.
    :ivar out_at: agent time since which it is no leg, or a faulty one, None
        while it is one; unlike ``left_at`` it stays what it is when the array
        comes up.
    :ivar device: the device it last was a leg on; md goes on listing that
        name when the device has vanished and with it the UUID.
    :ivar reported: the state last put into the queue to the provisioner.
    :ivar seen_at: agent time at which it was first listed.
    :ivar bad_since: agent time since which it has not been a good leg.
    :ivar down: seconds of the grace period that are used up.
    :ivar counted_at: agent time up to which ``down`` is counted, None while
        it stands still.
    :ivar requested_at: agent time of the first request for a replacement.
    :ivar known: the replicas that were listed when it was first requested.
    :ivar retry_at: agent time before which it is not requested again.
    :ivar successor: the replica that was assigned in its place.
    :ivar terminating: it was marked so when it was last listed.
    :ivar failed: why its target or namespace cannot be used, '' if it can.
    :ivar current: it held every acknowledged write when it was last seen.
    :ivar stale: the array came up on it while another one was current.
    :ivar divergent: why it may hold acknowledged writes that the array lacks,
        '' where nothing says so.
    :ivar given_up: the operator said that another copy is the one.
    :ivar left_at: agent time since which md does not list it any more; None
        while it does, and where it never did.
    :ivar fruitless: how many replacements in a row, it being the last one,
        were of no use; 0 where it is none, and once it has proved itself.
    :ivar instance: which instance of the array it was when ``current`` was
        noted, see ``Array.instance``; '' where not known.
    :ivar good_since: agent time since which it is AVAILABLE; only with
        ``fruitless``.
    :ivar detached_at: agent time at which the volume was found detached; None
        while it is attached.
    :ivar farewell_at: agent time at which it was last ``retired`` or
        ``confirmed``.
    :ivar target: where it was reached as a leg in this attachment, by all
        portals that it had; None where it never was.
    :ivar keep_alive: seconds, the longest of its connections when it was last
        a leg; 0: not known, or none.
    :ivar marked_by: the instance of the array, see ``Array.instance``, whose
        write-intent bitmap marks all that it lacks: it was in sync there when
        the volume was already written to there, and no other host had it that
        is known of; '' where there is none.
    :ivar observed: another host healed when it was last looked at.
    """

    joined: bool = False
    joined_at: float = 0.0
    in_at: float | None = 0.0
    out_at: float | None = None
    device: str = ''
    reported: State | None = None
    reported_at: float = 0.0
    seen_at: float = 0.0
    bad_since: float | None = None
    down: float = 0.0
    counted_at: float | None = None
    requested_at: float | None = None
    known: tuple[str, ...] = ()
    retry_at: float = 0.0
    attempts: int = 0
    successor: str | None = None
    retired: bool = False
    terminating: bool = False
    confirmed: bool = False
    failed: str = ''
    current: bool = False
    stale: bool = False
    divergent: str = ''
    given_up: bool = False
    left_at: float | None = None
    detached_at: float | None = None
    fruitless: int = 0
    good_since: float | None = None
    instance: str = ''
    farewell_at: float = 0.0
    target: model.Target | None = None
    keep_alive: float = 0.0
    marked_by: str = ''
    observed: bool = False

    @property
    def was_leg(self) -> bool:
        """It has been a leg, be it of an array whose list lacked it."""
        return self.joined or bool(self.device)


ReplicaRecords = Mapping[str, ReplicaRecord]


def noted(record: ReplicaRecord, **fields: Any) -> ReplicaRecord:
    """Return the record with these fields; itself where it has them.

    Most of what is seen in a pass was so in the pass before.
    """
    for name, value in fields.items():
        if getattr(record, name) != value:
            return dataclasses.replace(record, **fields)
    return record


def seen(record: ReplicaRecord, state: State, device: str | None, now: float,
         counting: bool, bad: bool | None = None, lacking: bool = False
         ) -> ReplicaRecord:
    """Return the record after a look at the replica.

    :param state: as this host sees it.
    :param device: where it is a leg now, None where it is none.
    :param counting: whether the grace period may run: a leg is good.
    :param bad: whether it is to be replaced if that stays so; None: it is if
        it is MISSING.
    :param lacking: it is in sync, and lacks blocks, be it that no leg has
        them.
    """
    if device is not None:
        record = noted(_joined(record, now), device=device)
    if bad or (bad is None and state is State.MISSING):
        if record.good_since is not None:
            record = _judged(record, now)
        down = record.down
        if counting and record.counted_at is not None:
            down += now - record.counted_at
        return noted(
            record, down=down, counted_at=now if counting else None,
            bad_since=now if record.bad_since is None else record.bad_since)
    record = noted(record, counted_at=None, failed='')
    if lacking and record.bad_since is None:
        record = dataclasses.replace(record, bad_since=now)
    if state is State.AVAILABLE:
        record = noted(record, bad_since=None, down=0.0, retired=False)
        if record.fruitless and record.good_since is None:
            record = dataclasses.replace(record, good_since=now)
        if record.successor is None:
            # it came back before anything was assigned in its place
            record = _unasked(record)
    return record


def _judged(record: ReplicaRecord, now: float) -> ReplicaRecord:
    """Take in how long a replacement was of use that is bad again."""
    assert record.good_since is not None
    proven = now - record.good_since >= PROVEN
    return dataclasses.replace(
        record, good_since=None, fruitless=0 if proven else record.fruitless)


def anew(records: ReplicaRecords) -> ReplicaRecords:
    """Return the records with no replacement held against the next one."""
    return {uuid: dataclasses.replace(record, fruitless=0, good_since=None)
            for uuid, record in records.items()}


def asked(record: ReplicaRecord, ask: RequestKind, volume: model.Volume,
          now: float) -> ReplicaRecord:
    """Return the record to save *before* the provisioner is asked (S7)."""
    if ask is not RequestKind.REPLACE:
        return record
    if record.requested_at is None or record.successor is not None:
        record = dataclasses.replace(
            record, requested_at=now, successor=None, attempts=0,
            fruitless=record.fruitless + (record.successor is not None),
            known=tuple(replica.uuid for replica in volume.replicas))
    return dataclasses.replace(
        record, attempts=record.attempts + 1,
        retry_at=now + min(AGAIN * 2 ** min(record.attempts, 10), LONGEST))


def answered(record: ReplicaRecord, ask: RequestKind,
             now: float) -> ReplicaRecord:
    """Return the record to save after the provisioner has accepted."""
    if ask is RequestKind.RETIRE:
        return dataclasses.replace(record, retired=True, farewell_at=now)
    if ask is RequestKind.CONFIRM:
        return dataclasses.replace(record, confirmed=True, farewell_at=now)
    # accepted: never again for this fault, however long it takes
    return dataclasses.replace(record, retry_at=float('inf'))


def unusable(record: ReplicaRecord, why: str) -> ReplicaRecord:
    """Return the record to save after its target could not be connected."""
    return dataclasses.replace(record, failed=why)


def _joined(record: ReplicaRecord, now: float) -> ReplicaRecord:
    if record.joined:
        return record
    return dataclasses.replace(record, joined=True, joined_at=now)


def put_in(record: ReplicaRecord, now: float) -> ReplicaRecord:
    """Return the record to save *before* it is added to the array (S13).

    Whoever is killed, or meets a leg that was dropped again before the next
    look, knows that it has been one.
    """
    return dataclasses.replace(_joined(record, now), left_at=None)


def with_failures(records: ReplicaRecords,
                  failures: Mapping[str, str]) -> ReplicaRecords:
    """Return the records once it was seen which namespaces can be used.

    :param failures: replica -> why it cannot be used, '' if it can.
    """
    return {uuid: record if failures.get(uuid, record.failed) == record.failed
            else dataclasses.replace(record, failed=failures[uuid])
            for uuid, record in records.items()}


def chain(records: ReplicaRecords, replica_uuid: str) -> list[str]:
    """The replicas assigned in its place, each in the place of the last."""
    found: list[str] = []
    record = records.get(replica_uuid)
    while record and record.successor and record.successor not in found:
        found.append(record.successor)
        record = records.get(record.successor)
    return found


def diverged(record: ReplicaRecord, why: str) -> ReplicaRecord:
    """Return the record to save after its superblock was read (S10)."""
    return dataclasses.replace(record, divergent=why)


def unmarked(records: ReplicaRecords) -> ReplicaRecords:
    """Return the records where another host may write to the volume."""
    return {uuid: noted(record, marked_by='')
            for uuid, record in records.items()}


def detached(records: ReplicaRecords, now: float) -> ReplicaRecords:
    """Return the records after the volume was detached.

    How long a replica was bad, what was reported of it and a request that was
    not answered with another replica are of the attachment that has ended: the
    next one may be a week later, after another host had the volume.  Who held
    every acknowledged write, what may hold more, what was assigned in whose
    place and what was let go stays true.
    """
    records = anew(records)
    return {uuid: dataclasses.replace(
        _unasked(record), device='', reported=None, reported_at=0.0,
        bad_since=None, down=0.0, counted_at=None, failed='', target=None,
        marked_by='', detached_at=now) for uuid, record in records.items()}


def closed(records: ReplicaRecords) -> bool:
    """Whether a host that had never known the volume would know as much.

    All copies that were not let go of held every acknowledged write: none of
    them may be taken for a better one than it is (S10).  What has never been a
    leg, as the half of an exchange, is no copy.
    """
    return all(record.confirmed or record.current or not (
        record.was_leg or record.stale or record.divergent or record.given_up)
        for record in records.values())


def _unasked(record: ReplicaRecord) -> ReplicaRecord:
    return record if record.successor is not None else unasked(record)


def unasked(record: ReplicaRecord) -> ReplicaRecord:
    """Return the record of one whose replacement is not wanted any more."""
    return noted(record, requested_at=None, known=(), attempts=0,
                 retry_at=0.0, successor=None)


def standing_still(records: ReplicaRecords,
                   before: ReplicaRecords) -> ReplicaRecords:
    """Return the records with the grace periods where they were before.

    Nothing can be done for a replica while its volume's copies are in doubt.
    """
    nothing = ReplicaRecord()
    return {uuid: dataclasses.replace(record, counted_at=None, down=min(
        record.down, before.get(uuid, nothing).down))
        for uuid, record in records.items()}


def chosen(records: ReplicaRecords, replica_uuid: str) -> ReplicaRecords:
    """Return the records after the operator said which copy is the one.

    What the others hold beyond it may be overwritten.  Their grace periods
    begin anew: until now nothing could be done for them.
    """
    records = anew(records)
    return {uuid: dataclasses.replace(
        record, current=uuid == replica_uuid, stale=uuid != replica_uuid,
        given_up=uuid != replica_uuid, divergent='', down=0.0,
        counted_at=None)
        for uuid, record in records.items()}
