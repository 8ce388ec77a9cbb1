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
"""One volume in one pass: what its replicas are, and are meant to be; pure.

A replica is *doomed* when the provisioner marked it TERMINATING, or when the
replacement that was requested for it has been assigned; the others are
*members* and belong into the array.  A replica that is merely no longer
listed is neither: unknown is not gone (S8).
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import snapshots

State = model.ReplicaState
#: Seconds that a newly assigned replica is given to be connected and added,
#: also where the grace period is shorter.
ARRIVAL = 60.0


class VolumeView:
    """The arguments of one decision, and the questions to them."""

    def __init__(self, volume: model.Volume, array: model.Array,
                 snapshot: snapshots.HostSnapshot,
                 records: replica_record.ReplicaRecords, now: float,
                 policy: replica_record.HealingPolicy) -> None:
        self.volume = volume
        self.array = array
        self.snapshot = snapshot
        self.records = dict(records)
        self.now = now
        self.policy = policy
        self._remember(first=not records)

    def _remember(self, first: bool) -> None:
        waiting: list[model.Replica] = []
        for replica in self.volume.replicas:
            record = self.records.get(
                replica.uuid,
                replica_record.ReplicaRecord(joined=first, seen_at=self.now))
            if record.confirmed and replica.state is not State.TERMINATING:
                # let go, wiped for all we know, and assigned once more
                record = replica_record.ReplicaRecord(seen_at=self.now)
            record = dataclasses.replace(
                record, terminating=replica.state is State.TERMINATING)
            self.records[replica.uuid] = record
            leg = self.array.leg_of(replica.uuid)
            if (not record.joined and leg is None and not record.failed
                    and self.reachable(replica)):
                waiting.append(replica)
                continue
            self.records[replica.uuid] = replica_record.seen(
                record, self.local(replica), leg.device if leg else None,
                self.now, self.healthy)
        for replica in self.volume.replicas:
            self.records[replica.uuid] = self._succeed(
                replica, self.records[replica.uuid])
        for replica in waiting:
            # for a place, or for us: that is not bad, unless it is for good
            record = replica_record.seen(
                self.records[replica.uuid], State.MISSING, None, self.now,
                self.healthy and self.surplus(replica))
            self.records[replica.uuid] = dataclasses.replace(
                record, down=record.down if record.counted_at else 0.0)

    def _succeed(self, replica: model.Replica,
                 record: replica_record.ReplicaRecord
                 ) -> replica_record.ReplicaRecord:
        if record.requested_at is None:
            return record
        if record.successor is None:
            taken = {other.successor for other in self.records.values()}
            for other in self.volume.replicas:
                if (other.uuid not in record.known
                        and other.uuid not in taken
                        and other.state is not State.TERMINATING
                        and self.records[other.uuid].seen_at
                        >= record.requested_at):
                    return dataclasses.replace(record, successor=other.uuid)
            return record
        if self._chain_listed(replica):
            return dataclasses.replace(record, retry_at=float('inf'))
        if record.retry_at == float('inf'):
            # gone, or not listed for once: ask anew, but not soon
            return dataclasses.replace(record, retry_at=self.now + max(
                self.policy.grace, self.policy.repeat))
        return record

    # what is

    def leg(self, replica: model.Replica) -> model.Leg | None:
        """The replica's leg, also one whose device has vanished."""
        leg = self.array.leg_of(replica.uuid)
        device = self.records[replica.uuid].device
        if leg is None and device:
            leg = self.array.leg(device)
            if leg is not None and leg.replica_uuid is not None:
                return None
        return leg

    def local(self, replica: model.Replica) -> State:
        """The replica's state as this host sees it."""
        leg = self.array.leg_of(replica.uuid)
        namespace = self.snapshot.behind(leg) if leg else None
        if (leg is None or leg.faulty or namespace is None
                or not self.snapshot.reachable(namespace)):
            return State.MISSING
        return State.AVAILABLE if leg.in_sync else State.SYNCHRONIZING

    @property
    def healthy(self) -> bool:
        return any(self.snapshot.good(leg) for leg in self.array.legs)

    def reachable(self, replica: model.Replica) -> bool:
        namespace = self.snapshot.namespace_of(replica.uuid)
        return namespace is not None and self.snapshot.reachable(namespace)

    # what is meant to be

    def _chain_listed(self, replica: model.Replica) -> bool:
        return any(self.volume.replica(uuid) is not None for uuid in
                   replica_record.chain(self.records, replica.uuid))

    def doomed(self, replica: model.Replica) -> bool:
        return (replica.state is State.TERMINATING
                or self._chain_listed(replica))

    @property
    def members(self) -> list[model.Replica]:
        return [replica for replica in self.volume.replicas
                if not self.doomed(replica)]

    @property
    def leaving(self) -> list[model.Replica]:
        return [replica for replica in self.volume.replicas
                if self.doomed(replica)]

    @property
    def unlisted(self) -> list[str]:
        """Replicas that are no longer listed, and were not let go (S8)."""
        return [uuid for uuid, record in self.records.items()
                if self.volume.replica(uuid) is None and record.joined
                and not record.terminating and not record.retired
                and record.successor is None]

    @property
    def departed(self) -> list[str]:
        """Replicas that were let go for good; udev may bring back a leg."""
        return [uuid for uuid, record in self.records.items()
                if record.confirmed and self.volume.replica(uuid) is None]

    @property
    def goal(self) -> int:
        """How many legs the array is meant to have."""
        return (self.volume.replica_count
                or len(self.members) + len(self.unlisted))

    def due_in(self, replica: model.Replica) -> float | None:
        """Seconds until it is due; None while nothing counts them."""
        grace = self._grace_of(replica)
        record = self.records[replica.uuid]
        if (grace is None or record.counted_at is None
                or record.down >= grace):
            return None
        return grace - record.down

    def _grace_of(self, replica: model.Replica) -> float | None:
        """One that was just assigned is not bad for not being here yet."""
        grace = self.grace()
        if grace is None or self.records[replica.uuid].joined:
            return grace
        return max(grace, ARRIVAL)

    def due(self, replica: model.Replica) -> bool:
        """It has been bad for longer than the grace period."""
        grace = self._grace_of(replica)
        record = self.records[replica.uuid]
        return (grace is not None and record.down >= grace
                and self.local(replica) is State.MISSING)

    def grace(self) -> float | None:
        """Seconds a replica may be bad; None: no replacement, ever."""
        down_time = self.volume.max_replica_down_time
        if down_time is None:
            return self.policy.grace
        return down_time or None

    def surplus(self, replica: model.Replica) -> bool:
        """All places are taken by other replicas, and this one is bad."""
        others = [other for other in self.members
                  if self.local(other) is State.AVAILABLE]
        return (self.local(replica) is State.MISSING
                and self.volume.replica_count is not None
                and len(others) >= self.volume.replica_count)

    def superseded(self, replica: model.Replica) -> bool:
        """What was assigned in its place is listed and in sync."""
        return any(other is not None and self.local(other) is State.AVAILABLE
                   for other in map(self.volume.replica, replica_record.chain(
                       self.records, replica.uuid)))

    def succeeded(self, replica: model.Replica) -> bool:
        """What was assigned in its place is in sync, as far as listed."""
        listed = [self.volume.replica(uuid) for uuid in
                  replica_record.chain(self.records, replica.uuid)]
        present = [other for other in listed if other is not None]
        return not present or any(
            self.local(other) is State.AVAILABLE for other in present)
