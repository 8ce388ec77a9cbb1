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
"""Which copies hold every acknowledged write, and when that is in doubt; pure.

While an array runs, md knows: its in-sync legs do.  Across a detach nobody
does but the agent.  os-brick assembles whichever legs connect, and a leg that
was dropped long ago may be the first.  Therefore the agent remembers of each
replica whether it was *current*, and whoever was current has to be among the
legs with which the array comes up again.  Where none is, the array runs on a
*stale* copy, and the writes that it lacks may be nowhere but on the copies
that the agent would otherwise replace (S10).

Whether it came up again is evidence where the kernel gives it: the number of
the disk, which a new array gets anew, is kept in the ledger.  Otherwise the
first look after a start of the agent counts as one.

A volume that moves from host to host is remembered by none of them whole.  So
the provisioner's word counts, too: that all legs in sync are MISSING and
another replica is AVAILABLE is what another host's agent told it last.
"""

from __future__ import annotations

from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import actions as act

State = model.ReplicaState


def follow(view: volume_view.VolumeView, attached: bool,
           owing: bool) -> replica_record.ReplicaRecords:
    """Return the records once it is noted who is current.

    :param attached: the array has come up since the last look.
    :param owing: the provisioner has not been told all that is to be told.
    """
    legs = in_sync(view)
    if not legs:
        return view.records
    before = {uuid for uuid, record in view.records.items()
              if record.current}
    # while another host healed, md here did not have it in hand alone
    observed = any(record.observed for record in view.records.values())
    after = _current(view, legs, before,
                     observed or came_up(view.array, view.records, attached),
                     owing)
    return {uuid: replica_record.noted(
        _noted(record, uuid in legs, uuid in after, after.isdisjoint(legs)),
        instance=view.array.instance, observed=False)
        for uuid, record in view.records.items()}


def came_up(array: model.Array, records: replica_record.ReplicaRecords,
            unknown: bool) -> bool:
    """Whether the array was put together since it was noted who is current.

    Where it is the same instance, md has had it in hand all the while, however
    often the agent was started; where it is another one, it has not, however
    quickly that went.  While it is only observed that stays so: another host
    may have had it.

    :param unknown: what is returned where the instances do not tell.
    """
    noted = {record.instance for record in records.values()
             if record.instance}
    if not noted or not array.instance:
        return unknown
    return array.instance not in noted


def in_sync(view: volume_view.VolumeView) -> frozenset[str]:
    """The replicas that are in-sync legs, as md sees it."""
    return frozenset(uuid for uuid in view.records
                     if any(leg.replica_uuid == uuid
                            for leg in view.array.in_sync))


def _current(view: volume_view.VolumeView, legs: frozenset[str],
             before: set[str], attached: bool, owing: bool
             ) -> frozenset[str]:
    if not attached:
        if before.isdisjoint(legs) and any(view.records[uuid].stale
                                           for uuid in legs):
            return frozenset(before)
        return legs    # md has had it in hand all the while
    states = {replica.uuid: replica.state for replica in view.volume.replicas}
    if before and before.isdisjoint(legs):
        kept = {uuid for uuid in before if states.get(uuid) not in (
            None, State.MISSING, State.TERMINATING)}
        here = any(states.get(uuid) is State.AVAILABLE for uuid in legs)
        # others have gone on with it, on another host; that a list lacks all
        # who were in charge is no word of that: it may be truncated (S8)
        return legs if here and not kept and not owing else frozenset(before)
    better = frozenset(uuid for uuid, state in states.items()
                       if state is State.AVAILABLE) - legs
    if better and not owing and all(states.get(uuid) is State.MISSING
                                    for uuid in legs):
        return better
    return legs


def _noted(record: replica_record.ReplicaRecord, leg: bool, current: bool,
           stale: bool) -> replica_record.ReplicaRecord:
    if leg and stale:
        return replica_record.noted(record, current=False, stale=True)
    if leg:
        return replica_record.noted(record, current=True, stale=False,
                                    divergent='', given_up=False)
    return replica_record.noted(record, current=current)


def departure(records: replica_record.ReplicaRecords,
              replica_uuid: str) -> act.Departure:
    """Return how this replica left the array, as far as it is known (S10).

    md gives numbers away again: what its superblock says of those that became
    legs later is of others.  Those that the very first look found are not
    among them, be it at the moment at which agent time begins: 0.  Nor need it
    list those that were not in sync when it left.  That they are no witnesses
    is to its advantage where it left this very instance, and only there; that
    it is the same one can be told only where the kernel numbers it.
    """
    record = records.get(replica_uuid)
    if record is None:
        return act.Departure()
    instance = ('' if record.marked_by == replica_record.UNNUMBERED
                else record.marked_by)
    return act.Departure(frozenset(
        uuid for uuid, other in records.items()
        if record.out_at is not None and uuid != replica_uuid
        and _since(other, bool(instance), record.out_at)), instance,
        record.was_leg, record.given_up)


def _since(other: replica_record.ReplicaRecord, in_sync: bool,
           out_at: float) -> bool:
    """Whether it became a leg, or in sync, after another one had left."""
    if not in_sync:
        return 0.0 < other.joined_at >= out_at
    return other.in_at is None or 0.0 < other.in_at >= out_at


def alarm(view: volume_view.VolumeView) -> str:
    """Return why nothing may be done to the volume, '' where it may.

    Until that is settled, no copy is added, replaced, retired or confirmed.
    """
    stale = sorted(uuid for uuid in in_sync(view)
                   if view.records[uuid].stale)
    if stale:
        current = sorted(uuid for uuid, record in view.records.items()
                         if record.current)
        return ('the array came up on an old copy, replica %s; replica %s '
                'held every acknowledged write when it was last seen' % (
                    ', '.join(stale), ', '.join(current) or 'none here'))
    return '; '.join(
        'replica %s may hold acknowledged writes that the array lacks: %s'
        % (replica.uuid, view.records[replica.uuid].divergent)
        for replica in view.volume.replicas
        if view.records[replica.uuid].divergent)
