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
replacement that was requested for it has been assigned, is to stay, and makes
one more than the volume is to have; the others are *members* and belong into
the array.  A replica that is merely no longer listed is neither: unknown is
not gone (S8).
"""

from __future__ import annotations

import dataclasses
import functools

from os_brick.agent.healing import blame
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.safety import late_writes

State = model.ReplicaState
#: Seconds that a newly assigned replica is given to be connected and added,
#: also where the grace period is shorter.
ARRIVAL = 60.0
#: Seconds that one which had to wait (S13) is given to be put back then.
RETURN = 10.0
#: So many replacements in a row that were of no use, and no other one is
#: requested: what they have in common is not the copies.
MOST_FRUITLESS = 4
#: Seconds to which the wait for the next one of them doubles at most.
LONGEST = 6 * 3600.0


@dataclasses.dataclass(frozen=True)
class VolumeView:
    """One volume at one moment, and the questions to it.

    :ivar volume: as the provisioner has it.
    :ivar array: its array on this host.
    :ivar records: what is remembered of its replicas; one for each that is
        listed, once they were observed.
    :ivar now: agent time, which goes on across restarts and never back.
    :ivar attached: the array has come up since the last view.
    :ivar faults: what is known to be wrong with this host.
    :ivar elsewhere: another host may have it: it is not listed for this one.
    """

    volume: model.Volume
    array: model.Array
    snapshot: snapshots.HostSnapshot
    records: replica_record.ReplicaRecords
    now: float
    policy: replica_record.HealingPolicy
    attached: bool = False
    faults: blame.HostFaults = blame.NONE
    elsewhere: bool = False

    def with_records(self, records: replica_record.ReplicaRecords
                     ) -> VolumeView:
        """Return the same moment, with other records."""
        return dataclasses.replace(self, records=records)

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
        return State.AVAILABLE if leg.complete else State.SYNCHRONIZING

    def incomplete(self, replica: model.Replica) -> bool:
        """It is in sync but for bad blocks, and others hold some of them.

        What they do not hold, no copy of them would.
        """
        leg = self.array.leg_of(replica.uuid)
        others = [other for other in self.array.in_sync if other is not leg]
        return (leg is not None and leg.in_sync and bool(leg.bad)
                and self.local(replica) is State.SYNCHRONIZING
                and bool(others) and not bad_blocks.within(
                    leg.bad, bad_blocks.common(
                        other.bad for other in others)))

    def bad(self, replica: model.Replica) -> bool:
        """It is to be replaced, if that stays so."""
        return (self.local(replica) is State.MISSING
                or self.incomplete(replica))

    @functools.cached_property
    def healthy(self) -> bool:
        """A leg of the array is good."""
        return any(self.snapshot.good(leg) for leg in self.array.legs)

    def excused(self, replica: model.Replica) -> str:
        """Why it is not to blame for being bad, '' where it may be."""
        if self.array.read_only:
            return 'the array takes nothing in: ' + self.array.read_only
        if self.array.unwritten:
            return 'nothing is put into the array: ' + self.array.unwritten
        return self.faults.of(replica.uuid)

    def reachable(self, replica: model.Replica) -> bool:
        """Its namespace is here and its target answers, leg or not."""
        namespace = self.snapshot.namespace_of(replica.uuid)
        return namespace is not None and self.snapshot.reachable(namespace)

    def held(self, replica: model.Replica) -> float:
        """Seconds for which it is here and must not be put back yet (S13)."""
        return self._held_at(replica, self.now)

    def _held_at(self, replica: model.Replica, moment: float) -> float:
        if self.leg(replica) is not None or not self.reachable(replica):
            return 0.0
        record = self.records[replica.uuid]
        return late_writes.remaining(record.left_at, moment,
                                     record.keep_alive)

    @property
    def instance(self) -> str:
        """The instance of the array; one that the kernel does not number."""
        return self.array.instance or replica_record.UNNUMBERED

    def marked(self, replica: model.Replica) -> bool:
        """Whether md's bitmap here marks all that a former leg lacks."""
        return self.records[replica.uuid].marked_by == self.instance

    # what is meant to be

    @property
    def nonsense(self) -> str:
        """Why the provisioner's word is not acted on, '' if it is (S8)."""
        if self.volume.replica_count is None and all(
                replica.state is State.TERMINATING
                for replica in self.volume.replicas):
            return ('all its replicas are marked TERMINATING, which makes no '
                    'sense for a volume that is attached: it is not acted on')
        return ''

    def chain_listed(self, replica: model.Replica) -> bool:
        """What was assigned in its place is listed."""
        return bool(self._assigned(replica))

    def _assigned(self, replica: model.Replica) -> list[model.Replica]:
        """What was assigned in its place, as far as it is listed."""
        return [one for uuid in replica_record.chain(
            self.records, replica.uuid)
            if (one := self.volume.replica(uuid)) is not None]

    def heirs(self, replica: model.Replica) -> list[model.Replica]:
        """What was assigned in its place, is listed, and is to stay."""
        return [heir for heir in self._assigned(replica)
                if heir.state is not State.TERMINATING]

    def doomed(self, replica: model.Replica) -> bool:
        """It is to leave the array."""
        return (replica.state is State.TERMINATING
                or bool(self.heirs(replica)) and not self._counted_on)

    @functools.cached_property
    def _counted_on(self) -> bool:
        """The provisioner lists no more than the volume is to have.

        Then it wants all of them, whatever came in whose place.
        """
        count = self.volume.replica_count
        return count is not None and count >= sum(
            replica.state is not State.TERMINATING
            for replica in self.volume.replicas)

    @functools.cached_property
    def members(self) -> tuple[model.Replica, ...]:
        """The replicas that belong into the array."""
        return tuple(replica for replica in self.volume.replicas
                     if not self.doomed(replica))

    @functools.cached_property
    def leaving(self) -> tuple[model.Replica, ...]:
        """The replicas that are doomed."""
        return tuple(replica for replica in self.volume.replicas
                     if self.doomed(replica))

    @property
    def last_resorts(self) -> list[model.Replica]:
        """The replicas that are to leave, and were not let go yet."""
        return [replica for replica in self.leaving
                if replica.state is not State.TERMINATING
                and not self.records[replica.uuid].retired]

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
    def dropped(self) -> list[str]:
        """Replicas that were to leave, and are no longer listed.

        Another host has let go of them, say: another one may take the place.
        """
        return [uuid for uuid, record in self.records.items()
                if record.terminating and not record.confirmed
                and self.volume.replica(uuid) is None]

    @property
    def goal(self) -> int:
        """How many legs the array is meant to have."""
        return (self.volume.replica_count
                or len(self.members) + len(self.unlisted))

    def due_in(self, replica: model.Replica) -> float | None:
        """Seconds until it is due; None while nothing counts them."""
        record = self.records[replica.uuid]
        if record.counted_at is None:
            return None
        return min((limit - record.down for limit in (
            self._grace_of(replica), self.patience(replica))
            if limit is not None and limit > record.down), default=None)

    def patience(self, replica: model.Replica) -> float | None:
        """Seconds it may be bad until another one is requested; None: never.

        Each replacement before it that was of no use doubles them.
        """
        grace = self._grace_of(replica)
        fruitless = self.records[replica.uuid].fruitless
        if grace is None or fruitless >= MOST_FRUITLESS:
            return None
        if not fruitless:
            return grace
        doubled: float = max(grace, ARRIVAL) * 2.0 ** fruitless
        return min(doubled, max(grace, LONGEST))

    @property
    def ended(self) -> str:
        """Why nothing is requested any more, '' where it would be."""
        for replica in self.members:
            record = self.records[replica.uuid]
            if (record.fruitless >= MOST_FRUITLESS and self.due(replica)
                    and record.retry_at < float('inf')
                    and not self.surplus(replica)):
                return ('%d replacements in a row were of no use, replica %s '
                        'is the last of them%s' % (
                            record.fruitless, replica.uuid, record.failed
                            and ' (%s)' % record.failed))
        return ''

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
                and self.bad(replica)
                and not self._held_at(replica, self.now - RETURN))

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
                and len(others) >= self.volume.replica_count
                and not any(map(self.incomplete, self._replaced_by(replica))))

    def _replaced_by(self, heir: model.Replica) -> list[model.Replica]:
        """Those in whose place it was assigned."""
        return [replica for replica in self.leaving
                if heir in self.heirs(replica)]

    def superseded(self, replica: model.Replica) -> bool:
        """What was assigned in its place is listed and in sync."""
        return any(self.local(heir) is State.AVAILABLE
                   for heir in self.heirs(replica))

    def succeeded(self, replica: model.Replica) -> bool:
        """What was assigned in its place is in sync, as far as listed."""
        return not self.heirs(replica) or self.superseded(replica)
