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
"""Taking in what is seen now of a volume's replicas; pure.

``observe`` turns what was remembered into what is remembered from now on: who
is a leg, for how long it has been bad, and what was assigned in its place.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import assigning
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import targets
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.safety import late_writes

State = model.ReplicaState
ReplicaRecord = replica_record.ReplicaRecord
ReplicaRecords = replica_record.ReplicaRecords


def observe(view: volume_view.VolumeView) -> ReplicaRecords:
    """Return the records of the view, brought up to its moment.

    There is one for each replica that is listed, and for each leg.
    """
    first = not view.records
    view = view.with_records(_looked_at(view))
    view = view.with_records({**view.records, **_unlisted_legs(view, first)})
    return _waited(view.with_records(assigning.assign(view)))


def _unlisted_legs(view: volume_view.VolumeView,
                   first: bool) -> ReplicaRecords:
    """Take in the legs of which no list has told that they are legs.

    The ledger could not be written, say, and the agent was started anew; or
    another host has put in what was listed here before.  A list that does not
    have them may be truncated (S8).  Those that the very first look finds are
    not missed later: another host may have let go of them, and this one has
    never known them listed.  Nor are those that were let go.

    :param first: it is the very first look at the volume.
    """
    return {leg.replica_uuid: ReplicaRecord(
        seen_at=view.now, device=leg.device) if first
        else replica_record.seen(
            view.records.get(leg.replica_uuid,
                             ReplicaRecord(seen_at=view.now)),
            State.AVAILABLE, leg.device, view.now, False)
        for leg in view.array.in_sync
        if leg.replica_uuid is not None
        and (leg.replica_uuid not in view.records
             or _may_be_missed(view.records[leg.replica_uuid]))
        and view.volume.replica(leg.replica_uuid) is None}


def _may_be_missed(record: ReplicaRecord) -> bool:
    return not (record.was_leg or record.retired or record.terminating
                or record.confirmed)


def _looked_at(view: volume_view.VolumeView) -> ReplicaRecords:
    """Take in each replica for itself."""
    view = view.with_records({
        uuid: replica_record.noted(record, detached_at=None)
        for uuid, record in view.records.items()})
    records = {uuid: record if record.left_at is None
               or view.array.leg_of(uuid) is None
               else dataclasses.replace(record, left_at=None)
               for uuid, record in view.records.items()}
    for replica in view.volume.replicas:
        records[replica.uuid] = _listed(view, replica)
        record = _left(view.with_records(records), replica)
        if not _waits(view, replica, record):
            leg = view.array.leg_of(replica.uuid)
            record = replica_record.seen(
                record, view.local(replica), leg.device if leg else None,
                view.now, view.healthy and not view.excused(replica),
                view.bad(replica), leg is not None and leg.in_sync
                and bool(leg.bad))
        record = replica_record.noted(
            record, marked_by=_marked_by(view, replica, record),
            observed=record.observed or bool(view.volume.observe),
            target=targets.so_far(record.target, view.array, replica.uuid,
                                  view.snapshot),
            keep_alive=_keep_alive(view, replica, record))
        records[replica.uuid] = record
        if record.counted_at is not None and view.with_records(records).held(
                replica):
            # it is not to blame for being kept out
            records[replica.uuid] = dataclasses.replace(record,
                                                        counted_at=None)
    # and those that are not listed just now
    return {uuid: _in_or_out(view, uuid, record)
            for uuid, record in records.items()}


def _in_or_out(view: volume_view.VolumeView, uuid: str,
               record: ReplicaRecord) -> ReplicaRecord:
    """Take in since when md writes to it, or does not."""
    leg = view.array.leg_of(uuid)
    since = view.now if record.in_at is None else record.in_at
    record = replica_record.noted(
        record, in_at=since if leg is not None and leg.in_sync else None)
    if leg is not None and not leg.faulty:
        return replica_record.noted(record, out_at=None)
    if record.joined and record.out_at is None:
        return dataclasses.replace(record, out_at=view.now)
    return record


def _left(view: volume_view.VolumeView,
          replica: model.Replica) -> ReplicaRecord:
    """Take in since when md does not list it (S13)."""
    record = view.records[replica.uuid]
    leg = view.leg(replica)
    if leg is None and not (record.joined or view.volume.observe):
        return record
    return replica_record.noted(record, left_at=late_writes.left_at(
        record.left_at, leg is not None,
        view.attached or bool(view.volume.observe), view.now))


def _keep_alive(view: volume_view.VolumeView, replica: model.Replica,
                record: ReplicaRecord) -> float:
    """Return the longest keep-alive time of its paths as a leg (S13)."""
    paths = view.snapshot.paths_to(view.array.leg_of(replica.uuid))
    return max((path.keep_alive for path in paths
                if path.keep_alive is not None), default=record.keep_alive)


def _marked_by(view: volume_view.VolumeView, replica: model.Replica,
               record: ReplicaRecord) -> str:
    """Return whose bitmap marks what it lacks, '' where none is known to.

    md's bitmap is in the memory of its host, and each host writes its own
    over what is on the legs.  Two hosts have the array in a live migration,
    and the one to which the virtual machine moves does not mark what the
    other one goes on writing.  Once it writes here, nobody else does: whoever
    is in sync then, and leaves later, lacks what is marked here and no more.
    No count of events tells as much: each host counts for itself.
    """
    if view.volume.observe or view.elsewhere:
        return ''
    leg = view.array.leg_of(replica.uuid)
    if leg is not None and leg.in_sync and view.array.written:
        return view.instance
    if record.marked_by == replica_record.UNNUMBERED and view.attached:
        return ''    # perhaps it was put together anew since
    return record.marked_by


def _listed(view: volume_view.VolumeView,
            replica: model.Replica) -> ReplicaRecord:
    """Take in what the provisioner says of it."""
    terminating = replica.state is State.TERMINATING
    record = view.records.get(replica.uuid)
    if record is None:
        # all that the very first look finds were there before the agent
        record = ReplicaRecord(
            joined=not view.records and not _elsewhere(view, replica),
            in_at=None if view.records else 0.0, seen_at=view.now)
    if record.confirmed and view.array.leg_of(replica.uuid) is not None:
        # a leg once more: the operator chose it, or udev put it back
        record = dataclasses.replace(record, confirmed=False)
    if view.nonsense:
        # what is not acted on is not to be believed later on, either (S8)
        return record
    if record.confirmed and not terminating:
        # let go, wiped for all we know, and assigned once more
        record = ReplicaRecord(seen_at=view.now, left_at=record.left_at,
                               in_at=None, out_at=record.out_at)
    return replica_record.noted(record, terminating=terminating)


def _elsewhere(view: volume_view.VolumeView, replica: model.Replica) -> bool:
    """It is here, and something else than the array has it."""
    namespace = view.snapshot.namespace_of(replica.uuid)
    return (view.array.leg_of(replica.uuid) is None
            and namespace is not None and bool(namespace.holders))


def _waits(view: volume_view.VolumeView, replica: model.Replica,
           record: ReplicaRecord) -> bool:
    """It is new, here, and no leg yet: it waits for a place, or for us."""
    return (not record.joined and not record.failed
            and view.array.leg_of(replica.uuid) is None
            and view.reachable(replica))


def _waited(view: volume_view.VolumeView) -> ReplicaRecords:
    """Count no time against those that wait, unless it is for good."""
    records = dict(view.records)
    for replica in view.volume.replicas:
        record = records[replica.uuid]
        if _waits(view, replica, record):
            record = replica_record.seen(
                record, State.MISSING, None, view.now,
                view.healthy and view.surplus(replica)
                and not view.excused(replica))
            records[replica.uuid] = replica_record.noted(
                record, down=record.down if record.counted_at else 0.0)
    return records
