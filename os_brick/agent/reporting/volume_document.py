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
"""One volume of the state document; pure."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

from os_brick.agent.healing import blame
from os_brick.agent.healing import copy_speed
from os_brick.agent.healing import custody
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots

State = model.ReplicaState


@dataclasses.dataclass(frozen=True)
class Known:
    """A volume, and what a pass has found out of it.

    :ivar array: its array here, None where there is none.
    :ivar records: what is remembered of its replicas.
    :ivar now: agent time of the records.
    :ivar anchor: the leg that waits for a lost path, '' where the guard has
        not chosen one.
    :ivar faults: what of this host keeps its copies away.
    :ivar rate: bytes a second of the resync under way, None: not known.
    :ivar refused: replica -> why a rule keeps its copy out, or from being let
        go, and agent time since when.
    :ivar put_off: which limits delay what is decided.
    """

    volume: model.Volume
    array: model.Array | None
    records: replica_record.ReplicaRecords
    now: float
    policy: replica_record.HealingPolicy = replica_record.HealingPolicy()
    anchor: str = ''
    rate: float | None = None
    faults: blame.HostFaults = blame.NONE
    refused: Mapping[str, tuple[str, float]] = dataclasses.field(
        default_factory=dict)
    put_off: tuple[str, ...] = ()


def build(known: Known, snapshot: snapshots.HostSnapshot,
          wall_of: Callable[[float], float], waiting: int) -> dict[str, Any]:
    """Return the volume as plain values.

    :param wall_of: says when a moment of agent time is, since the epoch.
    :param waiting: how many of its reports wait to be sent.
    """
    volume, array = known.volume, known.array
    found: dict[str, Any] = {
        'uuid': volume.uuid, 'alias': volume.alias, 'size': volume.size,
        'array': None, 'good': 0, 'wanted': 0, 'doubt': '', 'alarm': '',
        'ended': '', 'put_off': [],
        'reports_waiting': waiting,
        'replicas': [], 'other_legs': []}
    if array is None:
        found['replicas'] = [{'uuid': replica.uuid,
                              'listed': replica.state.value}
                             for replica in volume.replicas]
        return found
    records: Mapping[str, replica_record.ReplicaRecord] = {
        **{replica.uuid: replica_record.ReplicaRecord()
           for replica in volume.replicas}, **known.records}
    view = volume_view.VolumeView(volume, array, snapshot, records,
                                  known.now, known.policy,
                                  faults=known.faults)
    good = [leg for leg in array.legs if snapshot.good(leg)]
    legs = {leg.device for replica in volume.replicas
            if (leg := view.leg(replica)) is not None}
    return {
        **found, 'array': {**_array(array, known.rate),
                           **_lost_blocks(array, good)},
        'good': sum(leg.complete for leg in good), 'reached': len(good),
        'wanted': max(view.goal, array.raid_disks),
        'alarm': custody.alarm(view), 'doubt': view.nonsense,
        'ended': view.ended, 'put_off': list(known.put_off),
        'replicas': [{**_replica(view, replica, known.anchor, wall_of),
                      **_refused(known.refused.get(replica.uuid), wall_of)}
                     for replica in volume.replicas],
        'other_legs': [{'replica': leg.replica_uuid, **_leg(
            leg, known.anchor, snapshot)} for leg in array.legs
            if leg.device not in legs]}


def _refused(found: tuple[str, float] | None,
             wall_of: Callable[[float], float]) -> dict[str, Any]:
    why, since = found or ('', None)
    return {'refused': why,
            'refused_at': None if since is None else wall_of(since)}


def _array(array: model.Array, rate: float | None) -> dict[str, Any]:
    left = None
    if rate and array.sync_total and array.sync_done is not None:
        left = (array.sync_total - array.sync_done) / rate
    return {
        'name': array.name, 'state': array.array_state,
        'read_only': array.read_only, 'unwritten': array.unwritten,
        'broken': array.broken,
        'raid_disks': array.raid_disks, 'in_sync': len(array.in_sync),
        'speed_limit': (array.sync_speed_max or 0) * 1024 or None,
        'speed_limit_ours': copy_speed.ours(array),
        'sync': {'action': array.sync_action, 'done': array.sync_done,
                 'total': array.sync_total, 'rate': rate, 'left': left}
        if array.syncing else None}


def _lost_blocks(array: model.Array,
                 good: list[model.Leg]) -> dict[str, int]:
    """Return how many bytes no leg in sync holds, and none that answers."""
    return {'lost': bad_blocks.size(array.lacks),
            'lost_here': bad_blocks.size(bad_blocks.common(
                leg.bad for leg in good))}


def _replica(view: volume_view.VolumeView, replica: model.Replica,
             anchor: str, wall_of: Callable[[float], float]
             ) -> dict[str, Any]:
    record = view.records[replica.uuid]
    leg = view.leg(replica)
    namespace = view.snapshot.namespace_of(replica.uuid)
    waits, until = _waits_for(view, replica)
    return {
        'uuid': replica.uuid, 'listed': replica.state.value,
        'here': view.local(replica).value,
        'since_at': None if record.bad_since is None
        else wall_of(record.bad_since),
        'why': _why(view, replica, leg, namespace),
        'device': leg.device if leg else record.device or None,
        'leg': None if leg is None else _leg(leg, anchor, view.snapshot),
        'was_leg': record.joined,
        'paths': [] if namespace is None else [
            {'controller': path.name, 'nqn': path.nqn,
             'portal': str(path.portal) if path.portal else None,
             'state': path.state if path.name not in namespace.barred
             or not path.live else devices.NO_ACCESS}
            for path in view.snapshot.paths(namespace)],
        'excused': _excused(view, replica),
        'waits_for': waits,
        'until_at': None if until is None else wall_of(view.now + until),
        'requested_at': None if record.requested_at is None
        else wall_of(record.requested_at),
        'accepted': record.retry_at == float('inf'),
        'successor': record.successor}


def _leg(leg: model.Leg, anchor: str,
         snapshot: snapshots.HostSnapshot) -> dict[str, Any]:
    return {'device': leg.device, 'flags': sorted(leg.flags),
            'bad': bad_blocks.size(leg.bad),
            'role': _role(leg, anchor, snapshot)}


def _role(leg: model.Leg, anchor: str,
          snapshot: snapshots.HostSnapshot) -> str:
    """Return what the leg does when its path is lost, as it is set."""
    if leg.device == anchor:
        return 'anchor'
    namespace = snapshot.behind(leg)
    paths = snapshot.paths(namespace) if namespace else ()
    if not paths:
        return ''
    return 'fails fast' if all(path.fast_io_fail_tmo is not None
                               for path in paths) else 'waits'


def _why(view: volume_view.VolumeView, replica: model.Replica,
         leg: model.Leg | None, namespace: model.Namespace | None) -> str:
    """Return why the replica is not AVAILABLE here, '' if it is."""
    state = view.local(replica)
    if state is State.AVAILABLE:
        return ''
    if state is State.SYNCHRONIZING:
        return 'it is being synchronized' if leg is None or not (
            leg.in_sync) else (
            'it lacks %s, though md calls it in sync: that could not be '
            'written to it (bad blocks)' % bad_blocks.words(leg.bad))
    failed = view.records[replica.uuid].failed
    if failed:
        return failed
    if namespace is None:
        return 'its namespace is not here'
    if not view.snapshot.reachable(namespace):
        return ('its target gives no access to it'
                if view.snapshot.linked(namespace)
                else 'its target does not answer')
    if leg is None:
        return 'it is here, and is no member of the array' + (
            view.array.unwritten and ' yet: ' + view.array.unwritten)
    return 'md has given it up (faulty)' if leg.faulty else (
        'another namespace has its name')


def _excused(view: volume_view.VolumeView, replica: model.Replica) -> str:
    """Return why it is bad and not to blame, '' where that is not so."""
    return (view.excused(replica) if view.bad(replica)
            and not view.doomed(replica) else '')


def _waits_for(view: volume_view.VolumeView, replica: model.Replica
               ) -> tuple[str, float | None]:
    """Return what is waited for, and in how many seconds that ends."""
    record = view.records[replica.uuid]
    if view.local(replica) is State.AVAILABLE and not view.doomed(replica):
        return '', None
    if custody.alarm(view):
        return 'the operator to say which copy is the one', None
    if replica.state is State.TERMINATING:
        return 'its farewell: the provisioner marked it TERMINATING', None
    if record.successor is not None:
        return 'its successor, replica %s' % record.successor, None
    leg = view.leg(replica)
    if view.local(replica) is State.SYNCHRONIZING and not (
            leg is not None and leg.in_sync):
        return 'the end of the resync', None
    if view.local(replica) is State.SYNCHRONIZING and not (
            view.incomplete(replica)):
        return ('the blocks that no leg holds to be written again, or the '
                'operator', None)
    if view.array.unwritten:
        return ('the first write to the volume on this host: until then '
                'nothing is put in, and the grace period stands still', None)
    held = view.held(replica)
    if held:
        return 'its return: it will be put back', held
    if record.requested_at is not None:
        if record.retry_at == float('inf'):
            return 'the replacement that was requested', None
        return ('another request for a replacement: the last one was not '
                'accepted', max(0.0, record.retry_at - view.now))
    if view.grace() is None:
        return 'its return: the volume wants no replacements', None
    if _excused(view, replica):
        return ('this host to be mended: until then the grace period stands '
                'still', None)
    if view.due(replica) and view.patience(replica) is None:
        return 'the operator: too many replacements were of no use', None
    if record.counted_at is None:
        return ('a good copy: until then the grace period stands still',
                None)
    return 'the grace period: then a replacement is requested', max(
        0.0, view.due_in(replica) or 0.0)
