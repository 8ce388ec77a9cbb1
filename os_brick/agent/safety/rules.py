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
"""The safety rules, stated once: may this action be done to this host now?

    S1  The last in-sync leg of an array is never failed, removed, replaced
        or disconnected.
    S2  A namespace is added only if it is a replica of this very volume,
        nothing else holds it, and it is large enough.
    S3  An in-sync leg whose target answers leaves an array only by exchange,
        or when its replica is TERMINATING and another leg is good.
    S4  Arrays and connections that are not the volume's are not touched.
    S9  Not all good legs of an array may fail I/O fast, be it by the
        connection's fast_io_fail_tmo or by md's failfast flag.

The deciding parts obey them by construction; ``refusal`` is asked again with
a fresh snapshot immediately before every action, because the world moves
between deciding and doing.
"""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership


def refusal(action: act.Action, volume: model.Volume,
            snapshot: snapshots.HostSnapshot,
            owned: ownership.Owned) -> str | None:
    """Return why an action must not be done, None where it may."""
    owned = owned.and_of(volume)
    if isinstance(action, act.Connect):
        if volume.replica(action.replica_uuid) is None:
            return 'S4: it is no replica of the volume'
        return None
    if isinstance(action, act.Disconnect):
        return connections.disconnect(frozenset([action.controller]),
                                      snapshot, owned)
    if isinstance(action, act.ResetConnection):
        return connections.give_up(action, snapshot, owned)
    if isinstance(action, act.SetFastIoFail):
        return connections.fast_fail(action, snapshot, owned)
    array = snapshot.array(getattr(action, 'array'))
    if array is None:
        return 'the array is gone'
    # the name is enough for one that is owned: the list may be truncated
    if array.name not in owned.arrays or not (
            model.belongs(array, volume) or array.alias == volume.alias):
        return 'S4: the array is not this volume\'s'
    hangs = lost_legs(array, snapshot)
    if hangs and isinstance(action, (act.AddLeg, act.ReplaceLeg, act.Resize,
                                     act.SetFailfast)):
        return 'md would wait for %s, whose target is lost' % ', '.join(hangs)
    if isinstance(action, act.AddLeg):
        return _add(action, array, volume, snapshot)
    if isinstance(action, act.Resize):
        return _resize(action, array)
    leg = array.leg(getattr(action, 'device'))
    if leg is None:
        return 'the leg is gone'
    if isinstance(action, act.SetFailfast):
        return _failfast(action, array, snapshot)
    if isinstance(action, act.RemoveLeg):
        if leg.in_sync or (not leg.faulty and leg.slot is not None):
            return 'S3: the leg is in use by the array'
        return None
    if not other_good(array, leg, snapshot):
        return 'S1: no other leg of the array is in sync and live'
    if isinstance(action, act.ReplaceLeg):
        spare = array.leg(action.spare)
        if (spare is None or spare.faulty or spare.in_sync
                or spare.slot is not None):
            return 'the spare is not there'
        if volume.replica(spare.replica_uuid) is None:
            return 'S2: the spare is no replica of the volume'
        return None
    if connections.waits(leg, snapshot) and not any(
            snapshot.good(other) and connections.waits(other, snapshot)
            for other in array.legs if other.device != leg.device):
        return 'S9: no good leg of the array would be left to wait'
    return _fail(array, leg, volume, snapshot)


def other_good(array: model.Array, leg: model.Leg,
               snapshot: snapshots.HostSnapshot) -> bool:
    """Another leg, in sync and on another device, answers."""
    return any(snapshot.good(other) for other in array.legs
               if other.device != leg.device)


def _fail(array: model.Array, leg: model.Leg, volume: model.Volume,
          snapshot: snapshots.HostSnapshot) -> str | None:
    if not snapshot.good(leg):
        return None
    replica = volume.replica(leg.replica_uuid)
    if replica and replica.state is model.ReplicaState.TERMINATING:
        return None
    return 'S3: the leg is in sync, live, and not marked TERMINATING'


def lost_legs(array: model.Array,
              snapshot: snapshots.HostSnapshot) -> list[str]:
    """Devices to which md writes, or is still writing, in vain.

    A change of the array is written to the superblock of every working leg,
    under the lock that failing the lost one needs too.  One that was failed
    is blocked as long as a write to it is under way.
    """
    return [leg.device for leg in array.legs
            if (not leg.faulty or 'blocked' in leg.flags)
            and (namespace := snapshot.behind(leg)) is not None
            and not snapshot.reachable(namespace)]


def room_needed(array: model.Array) -> int:
    """Bytes a namespace must offer to become a leg of the array."""
    return array.component_size + array.data_offset


def unusable(namespace: model.Namespace, array: model.Array) -> str | None:
    """Return why a namespace cannot become a leg of the array (S2)."""
    if namespace.holders:
        return 'S2: %s is in use by %s' % (
            namespace.device, ', '.join(namespace.holders))
    if namespace.in_use:
        return 'S2: %s is in use: %s' % (namespace.device, namespace.in_use)
    if namespace.size < room_needed(array):
        return 'S2: %s is too small: %d bytes, the array needs %d' % (
            namespace.device, namespace.size, room_needed(array))
    return None


def _add(action: act.AddLeg, array: model.Array, volume: model.Volume,
         snapshot: snapshots.HostSnapshot) -> str | None:
    namespace = snapshot.namespace(action.device)
    if namespace is None:
        return 'the namespace is gone'
    if (namespace.uuid != action.replica_uuid
            or volume.replica(namespace.uuid) is None):
        return 'S2: %s has the UUID %s, which is no replica of volume %s' % (
            namespace.device, namespace.uuid, volume.alias)
    if not any(snapshot.good(leg) for leg in array.legs):
        return 'no leg of the array is in sync and live'
    return unusable(namespace, array)


def _resize(action: act.Resize, array: model.Array) -> str | None:
    if action.raid_disks < array.raid_disks:
        if len(array.in_sync) > action.raid_disks:
            return 'S3: more legs are in sync than would be left'
        if len(array.in_sync) < action.raid_disks or not action.raid_disks:
            return 'S1: fewer legs are in sync than would be left'
    return None


def _failfast(action: act.SetFailfast, array: model.Array,
              snapshot: snapshots.HostSnapshot) -> str | None:
    if action.on and not any(
            snapshot.good(leg) and not leg.failfast
            and leg.device != action.device for leg in array.legs):
        return 'S9: no good leg of %s would be left without it' % array.name
    return None
