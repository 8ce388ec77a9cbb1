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
"""May this action be done to this host now: one rule for each kind of it.

The rules hold what the ``laws`` forbid an action: S1 to S4, S9 to S11, S15.
The deciding parts obey them by construction; ``refusal`` is asked again with
a fresh snapshot immediately before every action, because the world moves
between deciding and doing.

An action of a kind that has no rule is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import connections
from os_brick.agent.safety import copies
from os_brick.agent.safety import farewell
from os_brick.agent.safety import first_write
from os_brick.agent.safety import laws
from os_brick.agent.safety import origin
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reading
from os_brick.agent.safety import superfluous

Law = laws.Law
_NOTHING_READ: Mapping[str, superblock.Content] = {}


def refusal(action: act.Action, volume: model.Volume,
            snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
            contents: Mapping[str, superblock.Content] = _NOTHING_READ,
            answered: Collection[str] = frozenset(),
            past: origin.Background = origin.Background()) -> str | None:
    """Return why an action must not be done, None where it may.

    :param contents: namespace -> what was read from it just now; see
        ``reading.to_be_read``.
    :param answered: the namespaces that answered a read just now; see
        ``farewell.to_answer``.
    :param past: see ``copies.judge``.
    """
    if not isinstance(action, act.AnyAction):
        return 'no rule allows an action of this kind'
    owned = owned.and_of(volume)
    match action:
        case act.Connect():
            return _connect(action, volume, snapshot, owned)
        case act.Disconnect():
            why = connections.disconnect(frozenset([action.controller]),
                                         snapshot, owned)
            if why is not None:
                return why
            found = reading.judged(action, volume, snapshot, owned, contents,
                                   past)
            return farewell.disconnect(
                action, volume, snapshot, owned, answered,
                reading.never_copies(action, found)) or (
                    superfluous.objections(found))
        case act.ResetConnection():
            return connections.give_up(action, snapshot, owned)
        case act.SetFastIoFail():
            return connections.fast_fail(action, snapshot, owned)
        case act.SetKeepAlive() | act.SetReconnectDelay():
            return connections.tune(action, snapshot, owned)
        case act.SetIoPolicy():
            return connections.spread(action, snapshot, owned)
        case (act.SetFailfast() | act.SetSyncSpeedMax()
              | act.SetBitmapDelay() | act.FailLeg() | act.KeepMarked()
              | act.RemoveLeg() | act.AddLeg() | act.ReplaceLeg()
              | act.Resize()):
            why = _array_refusal(action, volume, snapshot, owned, contents,
                                 past)
            return why or farewell.unheard(action, volume, snapshot, owned,
                                           answered)
        case _:
            act.never(action)


def _array_refusal(action: act.ArrayAction, volume: model.Volume,
                   snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
                   contents: Mapping[str, superblock.Content],
                   past: origin.Background) -> str | None:
    array = snapshot.array(action.array)
    if array is None:
        return _ARRAY_GONE
    # the name is enough for one that is owned: the list may be truncated
    if array.name not in owned.arrays or not (
            model.belongs(array, volume) or array.alias == volume.alias):
        return Law.S4.refuses('the array is not this volume\'s')
    why = first_write.waits(action, array)
    if why is not None:
        return why
    match action:
        case act.SetFailfast():
            return _failfast(action, array, snapshot)
        case act.SetSyncSpeedMax():
            return _speed(action, array)
        case act.SetBitmapDelay():
            return None
        case act.FailLeg():
            return _fail(action, array, volume, snapshot)
        case act.KeepMarked():
            return _keep(action, array, volume, snapshot)
        case act.RemoveLeg():
            return _remove(action, array)
        case act.AddLeg():
            return _add(action, array, volume, snapshot, contents, past)
        case act.ReplaceLeg():
            return _replace(action, array, volume, snapshot)
        case act.Resize():
            return _resize(action, array, snapshot)
        case _:
            act.never(action)


def _connect(action: act.Connect, volume: model.Volume,
             snapshot: snapshots.HostSnapshot,
             owned: ownership.Owned) -> str | None:
    replica = volume.replica(action.replica_uuid)
    if replica is None:
        return Law.S4.refuses('it is no replica of the volume')
    if not action.more:
        return None
    return connections.one_more(action, replica, snapshot, [
        array for array in snapshot.arrays if array.name in owned.arrays
        and (model.belongs(array, volume) or array.alias == volume.alias)])


def _failfast(action: act.SetFailfast, array: model.Array,
              snapshot: snapshots.HostSnapshot) -> str | None:
    hangs = _md_would_wait(array, snapshot)
    if hangs is not None:
        return hangs
    if array.leg(action.device) is None:
        return _LEG_GONE
    if action.on and not any(
            snapshot.good(leg) and not leg.failfast
            and leg.device != action.device for leg in array.legs):
        return Law.S9.refuses('no good leg of %s would be left without it',
                              array.name)
    return None


def _speed(action: act.SetSyncSpeedMax, array: model.Array) -> str | None:
    if array.sync_speed_max != action.before:
        return 'its limit has been changed by somebody else meanwhile'
    return None


def _fail(action: act.FailLeg, array: model.Array, volume: model.Volume,
          snapshot: snapshots.HostSnapshot) -> str | None:
    leg = array.leg(action.device)
    if leg is None:
        return _LEG_GONE
    why = _needed(array, leg, snapshot)
    if why is not None:
        return why
    if connections.waits(leg, snapshot) and not any(
            snapshot.good(other) and connections.waits(other, snapshot)
            for other in array.legs if other.device != leg.device):
        return Law.S9.refuses('no good leg of the array would be left to wait')
    if not snapshot.good(leg):
        return None
    replica = volume.replica(leg.replica_uuid)
    if replica and replica.state is model.ReplicaState.TERMINATING:
        return farewell.fail_working(array, volume, snapshot)
    return Law.S3.refuses(
        'the leg is in sync, live, and not marked TERMINATING')


def _keep(action: act.KeepMarked, array: model.Array, volume: model.Volume,
          snapshot: snapshots.HostSnapshot) -> str | None:
    if volume.observe:
        return 'another host heals it'
    hangs = _md_would_wait(array, snapshot)
    if hangs is not None:
        return hangs
    leg = array.leg(action.device)
    if leg is None:
        return _LEG_GONE
    if not snapshot.good(leg):
        return 'the leg is not in sync and live'
    return array.read_only or array.broken or None


def _remove(action: act.RemoveLeg, array: model.Array) -> str | None:
    leg = array.leg(action.device)
    if leg is None:
        return _LEG_GONE
    if leg.in_sync or (not leg.faulty and leg.slot is not None):
        return Law.S3.refuses('the leg is in use by the array')
    return None


def _add(action: act.AddLeg, array: model.Array, volume: model.Volume,
         snapshot: snapshots.HostSnapshot,
         contents: Mapping[str, superblock.Content],
         past: origin.Background) -> str | None:
    hangs = _md_would_wait(array, snapshot)
    if hangs is not None:
        return hangs
    namespace = snapshot.namespace(action.device)
    if namespace is None:
        return 'the namespace is gone'
    if (namespace.uuid != action.replica_uuid
            or volume.replica(namespace.uuid) is None):
        return Law.S2.refuses(
            '%s has the UUID %s, which is no replica of volume %s',
            namespace.device, namespace.uuid, volume.alias)
    if not any(snapshot.good(leg) for leg in array.legs):
        return 'no leg of the array is in sync and live'
    if array.array_state == 'readonly':
        return 'the array is read-only'
    why = unusable(namespace, array)
    if why is not None:
        return why
    if action.returning and action.instance != array.instance:
        return Law.S10.refuses(
            '%s was put together anew since it was looked at: its bitmap need '
            'not mark what %s lacks', array.name, action.device)
    found = copies.judge_among(action.device, array, contents, past,
                               action.left, action.replica_uuid)
    if found.standing is copies.Standing.BEHIND and not action.erase and (
            copies.holds(action.device, array.lacks, contents)):
        return Law.S10.refuses(
            'all legs of %s that are in sync lack blocks (%s) which %s may '
            'hold, and would lose', array.name,
            bad_blocks.words(array.lacks), action.device)
    if found.usable or (action.erase and found.standing
                        is copies.Standing.DIVERGENT):
        return None
    return Law.S10.refuses('%s', found.why)


def _replace(action: act.ReplaceLeg, array: model.Array,
             volume: model.Volume,
             snapshot: snapshots.HostSnapshot) -> str | None:
    hangs = _md_would_wait(array, snapshot)
    if hangs is not None:
        return hangs
    leg = array.leg(action.device)
    if leg is None:
        return _LEG_GONE
    why = _needed(array, leg, snapshot)
    if why is not None:
        return why
    spare = array.leg(action.spare)
    if (spare is None or spare.faulty or spare.in_sync
            or spare.slot is not None):
        return 'the spare is not there'
    if volume.replica(spare.replica_uuid) is None:
        return Law.S2.refuses('the spare is no replica of the volume')
    if spare.replica_uuid != action.replica_uuid:
        return Law.S2.refuses('the spare %s is %s, not %s', spare.device,
                              spare.replica_uuid, action.replica_uuid)
    namespace = snapshot.behind(spare)
    if namespace is None or not snapshot.reachable(namespace):
        return Law.S11.refuses('the target of the spare %s is lost',
                               spare.device)
    return None


def _resize(action: act.Resize, array: model.Array,
            snapshot: snapshots.HostSnapshot) -> str | None:
    hangs = _md_would_wait(array, snapshot)
    if hangs is not None:
        return hangs
    if action.raid_disks < array.raid_disks:
        if len(array.in_sync) > action.raid_disks:
            return Law.S3.refuses(
                'more legs are in sync than would be left')
        if len(array.in_sync) < action.raid_disks or not action.raid_disks:
            return Law.S1.refuses(
                'fewer legs are in sync than would be left')
    return None


_ARRAY_GONE = 'the array is gone'
_LEG_GONE = 'the leg is gone'
#: Why something is refused where it has come about already.
ENDED = frozenset((_ARRAY_GONE, _LEG_GONE, connections.GONE,
                   connections.THERE))


def _needed(array: model.Array, leg: model.Leg,
            snapshot: snapshots.HostSnapshot) -> str | None:
    """Why the array cannot do without a leg."""
    if not other_good(array, leg, snapshot):
        return Law.S1.refuses('no other leg of the array is in sync and live')
    if not spared(array, leg, snapshot):
        return Law.S1.refuses('the other legs of the array that are in sync '
                              'and live lack blocks that this one holds')
    return None


def other_good(array: model.Array, leg: model.Leg,
               snapshot: snapshots.HostSnapshot) -> bool:
    """Another leg, in sync and on another device, answers."""
    return any(snapshot.good(other) for other in array.legs
               if other.device != leg.device)


def spared(array: model.Array, leg: model.Leg,
           snapshot: snapshots.HostSnapshot) -> bool:
    """Other legs that answer hold all that this one does."""
    return model.held_by(leg, [
        other for other in array.legs if other.device != leg.device
        and snapshot.good(other)])


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


def _md_would_wait(array: model.Array,
                   snapshot: snapshots.HostSnapshot) -> str | None:
    hangs = lost_legs(array, snapshot)
    if hangs:
        return 'md would wait for %s, whose target is lost' % ', '.join(hangs)
    return None


def room_needed(array: model.Array) -> int:
    """Bytes a namespace must offer to become a leg of the array."""
    return array.component_size + array.data_offset


def unusable(namespace: model.Namespace, array: model.Array) -> str | None:
    """Return why a namespace cannot become a leg of the array (S2)."""
    if namespace.holders:
        return Law.S2.refuses(
            '%s is in use by %s%s', namespace.device,
            ', '.join(namespace.holders),
            ' (%s)' % namespace.in_use if namespace.in_use else '')
    if namespace.in_use:
        return Law.S2.refuses('%s is in use: %s', namespace.device,
                              namespace.in_use)
    if namespace.size < room_needed(array):
        return Law.S2.refuses(
            '%s is too small: %d bytes, the array needs %d',
            namespace.device, namespace.size, room_needed(array))
    return None
