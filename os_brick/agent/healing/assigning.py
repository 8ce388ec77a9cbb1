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
"""Which replica was assigned in the place of which; pure.

A provisioner says what a volume is to have, not what it gave for what.  What
was not listed when a replacement was requested, and is now, is taken for it.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model

State = model.ReplicaState
ReplicaRecord = replica_record.ReplicaRecord
ReplicaRecords = replica_record.ReplicaRecords


def assign(view: volume_view.VolumeView) -> ReplicaRecords:
    """Find what was assigned in the place of each, one after the other.

    What one has got, the next one cannot get; those that are bad come first,
    of these whose request is known to have been accepted, then those that
    nothing is copied to, those that never got one, and then whoever has the
    smaller choice.
    """
    for replica in sorted(view.volume.replicas, key=lambda one: (
            view.local(one) is State.AVAILABLE,
            view.records[one.uuid].retry_at < float('inf'),
            view.local(one) is not State.MISSING,
            view.records[one.uuid].successor is not None,
            len(_newly_listed(view, view.records[one.uuid])))):
        before = view.records[replica.uuid]
        record = _succeeded(view, replica)
        records = {**view.records, replica.uuid: record}
        if record.successor not in (None, before.successor):
            records[record.successor] = dataclasses.replace(
                records[record.successor], fruitless=record.fruitless + 1)
        view = view.with_records(records)
    return view.records


def _succeeded(view: volume_view.VolumeView,
               replica: model.Replica) -> ReplicaRecord:
    record = view.records[replica.uuid]
    if record.requested_at is None:
        return record
    if view.local(replica) is State.AVAILABLE and _ended(view, replica):
        # what comes now is not in its place
        return replica_record.unasked(record)
    if view.heirs(replica):
        return dataclasses.replace(record, retry_at=float('inf'))
    # what was taken for it may be to go, or have gone: it was something else
    found = _newly_listed(view, record)
    stays = bool(found) and _stays(view, found[0])
    if found and (not view.chain_listed(replica) or stays
                  and view.local(replica) is not State.AVAILABLE):
        return dataclasses.replace(
            record, successor=found[0],
            retry_at=float('inf') if stays else record.retry_at)
    if record.successor is not None:
        # all that came is itself to go, and may have to wait for another
        # one; or it is gone, or not listed for once
        return _asking_anew(view, record)
    return record


def _stays(view: volume_view.VolumeView, uuid: str) -> bool:
    replica = view.volume.replica(uuid)
    return replica is not None and replica.state is not State.TERMINATING


def _asking_anew(view: volume_view.VolumeView,
                 record: ReplicaRecord) -> ReplicaRecord:
    """Another one may be requested in its place, but not soon."""
    if record.retry_at != float('inf'):
        return record
    return dataclasses.replace(record, retry_at=view.now + max(
        view.policy.grace, view.policy.repeat))


def _ended(view: volume_view.VolumeView, replica: model.Replica) -> bool:
    """Whatever was assigned in its place was let go for good."""
    chain = replica_record.chain(view.records, replica.uuid)
    return bool(chain) and set(chain) <= set(view.departed)


def _newly_listed(view: volume_view.VolumeView,
                  record: ReplicaRecord) -> list[str]:
    """Return what may have been assigned upon a request, the best first.

    After those that stay, those that are to go by now: if there is no other
    one, the provisioner owes nothing any more.
    """
    if record.requested_at is None:
        return []
    taken = {other.successor for other in view.records.values()}
    found = [other for other in view.volume.replicas
             if other.uuid not in record.known and other.uuid not in taken
             and view.records[other.uuid].seen_at >= record.requested_at]
    return [other.uuid for other in sorted(
        found, key=lambda other: other.state is State.TERMINATING)]
