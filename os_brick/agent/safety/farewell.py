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
"""Whether a copy may be given up: what has to answer first (S11); pure.

Giving up is what takes a copy away that could still be fallen back on: its
replica is retired or confirmed, its working leg is failed or exchanged, its
live connection is closed.  Whoever holds the data then has to have shown it
just now: the kernel calls a connection live for seconds after its target has
died, and md a leg in sync.

A lost leg that md is told to drop is such a copy, too: it may be the first to
return, and whatever was acknowledged is on it until others go on without it.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.safety import laws
from os_brick.agent.safety import ownership

State = model.ReplicaState
Law = laws.Law


@dataclasses.dataclass(frozen=True)
class Witnesses:
    """Who has to answer a read before an action; nobody, by default.

    :ivar each: all of these devices.
    :ivar one_of: one of these, where there are any.
    """

    each: frozenset[str] = frozenset()
    one_of: frozenset[str] = frozenset()

    @property
    def devices(self) -> frozenset[str]:
        """Whom to ask."""
        return self.each | self.one_of

    def heard(self, answered: Collection[str]) -> bool:
        """Who answered is enough."""
        return self.each <= set(answered) and (
            not self.one_of or not self.one_of.isdisjoint(answered))


def giving_up(replica_uuid: str, volume: model.Volume,
              array: model.Array | None, snapshot: snapshots.HostSnapshot,
              answered: Collection[str], blank: bool = False) -> str | None:
    """Return why a copy must not be retired or confirmed now.

    That is for ever.  One that is reachable could still be fallen back on,
    and goes only while the array is whole without it.

    :param answered: devices that have answered a read within seconds; see
        ``have_to_answer``.
    :param blank: it was never a leg, and nothing of md's is on it: it is no
        copy.
    """
    if array is None:
        return Law.S11.refuses('the array is gone')
    legs = have_to_answer(replica_uuid, array)
    if not legs:
        return Law.S11.refuses('no other leg of %s is in sync', array.name)
    lacking = bad_blocks.common(leg.bad for leg in array.in_sync
                                if leg.replica_uuid != replica_uuid)
    own = array.leg_of(replica_uuid)
    if lacking and not blank and not (
            own is not None and own.in_sync and bad_blocks.within(
                lacking, bad_blocks.sure(own.bad))):
        return Law.S11.refuses(
            'all other legs of %s lack blocks that it may hold', array.name)
    namespace = snapshot.namespace_of(replica_uuid)
    return silent(legs, answered, array) or (
        _not_whole(array) if namespace is not None and not blank
        and snapshot.reachable(namespace)
        and not whole_but_for(replica_uuid, array, volume) else None)


def whole_but_for(replica_uuid: str, array: model.Array,
                  volume: model.Volume) -> bool:
    """Bad blocks of its own leg keep no replica.

    Nor do those of another one that is to leave: that may have to wait for
    this one to be let go of first.
    """
    leaving = {replica_uuid, *(
        replica.uuid for replica in volume.replicas
        if replica.state is State.TERMINATING)}
    return array.whole or array.filled and all(
        leg.complete or leg.replica_uuid in leaving for leg in array.in_sync)


def have_to_answer(replica_uuid: str, array: model.Array) -> frozenset[str]:
    """Return the legs that hold the data once a copy was given up."""
    return frozenset(leg.device for leg in array.in_sync
                     if leg.replica_uuid != replica_uuid)


def silent(devices: Collection[str], answered: Collection[str],
           array: model.Array) -> str | None:
    """Return why nothing may rest on these devices of an array now."""
    missing = sorted(set(devices).difference(answered))
    if not missing:
        return None
    return Law.S11.refuses('%s of %s did not answer a read just now',
                           ', '.join(missing), array.name)


def _not_whole(array: model.Array) -> str:
    return Law.S11.refuses('%s is not whole without it', array.name)


def unheard(action: act.ArrayAction, volume: model.Volume,
            snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
            answered: Collection[str]) -> str | None:
    """Return who has not answered that has to before an action."""
    array = snapshot.array(action.array)
    if array is None:
        return None
    witnesses = to_answer(action, volume, snapshot, owned)
    if witnesses.heard(answered):
        return None
    return silent(witnesses.each, answered, array) or Law.S1.refuses(
        'no other leg of %s answered a read just now', array.name)


def to_answer(action: act.Action, volume: model.Volume,
              snapshot: snapshots.HostSnapshot,
              owned: ownership.Owned) -> Witnesses:
    """Return the devices that have to answer a read before an action."""
    array = (array_of(volume, snapshot, owned)
             if isinstance(action, act.Disconnect)
             else snapshot.array(getattr(action, 'array', '')))
    if array is None:
        return Witnesses()
    legs = frozenset(leg.device for leg in array.in_sync)
    match action:
        case act.FailLeg():
            return _before_failing(action.device, array, snapshot)
        case act.ReplaceLeg():
            return Witnesses(legs - {action.device} | {action.spare})
        case act.Resize() if action.raid_disks < array.raid_disks:
            return Witnesses(legs)
        case act.Disconnect() if released(action.controller, volume,
                                          snapshot):
            return Witnesses(legs)
        case _:
            return Witnesses()


def _before_failing(device: str, array: model.Array,
                    snapshot: snapshots.HostSnapshot) -> Witnesses:
    """A working leg goes only where all stay, a lost one where one does."""
    leg = array.leg(device)
    if leg is None or not leg.in_sync or leg.faulty:
        return Witnesses()
    others = [other for other in array.in_sync if other.device != device]
    if snapshot.good(leg):
        return Witnesses(frozenset(other.device for other in others))
    good = [other for other in others if snapshot.good(other)]
    alike = [other for other in good if model.held_by(leg, [other])]
    if good and not alike:
        # none holds all that it holds, but perhaps all of them together
        return Witnesses(frozenset(other.device for other in good))
    return Witnesses(one_of=frozenset(other.device for other in alike))


def fail_working(array: model.Array, volume: model.Volume,
                 snapshot: snapshots.HostSnapshot) -> str | None:
    """Return why a working leg must not go, though it is TERMINATING.

    Nothing takes its place: all that are to stay have to be there.
    """
    staying = [replica for replica in volume.replicas
               if replica.state is not State.TERMINATING]
    if not staying:
        return Law.S11.refuses('no replica of the volume is to stay')
    good = [replica for replica in staying
            if (leg := array.leg_of(replica.uuid)) is not None
            and leg.complete and snapshot.good(leg)]
    if len(good) < max(len(staying), volume.replica_count or 1):
        return _not_whole(array)
    return None


def disconnect(action: act.Disconnect, volume: model.Volume,
               snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
               answered: Collection[str],
               blank: Collection[str] = ()) -> str | None:
    """Return why the live connection of a released replica is to stay.

    :param blank: the replicas that are no copies, as in ``giving_up``.
    """
    leads_to = released(action.controller, volume, snapshot)
    if not leads_to:
        return None
    array = array_of(volume, snapshot, owned)
    if array is None:
        return Law.S11.refuses('the array is gone')
    if not array.whole and not leads_to.issubset(blank):
        return _not_whole(array)
    return silent([leg.device for leg in array.in_sync], answered, array)


def released(controller: str, volume: model.Volume,
             snapshot: snapshots.HostSnapshot) -> frozenset[str]:
    """Return the volume's replicas that a live connection leads to.

    Those which are legs are no business of this rule.
    """
    path = snapshot.controller(controller)
    if path is None or not path.live:
        return frozenset()
    return frozenset(
        namespace.uuid for namespace in snapshot.namespaces
        if controller in namespace.controllers and not namespace.holders
        and namespace.uuid is not None
        and volume.replica(namespace.uuid) is not None)


def array_of(volume: model.Volume, snapshot: snapshots.HostSnapshot,
             owned: ownership.Owned) -> model.Array | None:
    """Return the array that is the volume's, None where none is seen."""
    return next((array for array in snapshot.arrays
                 if array.name in owned.arrays
                 and (model.belongs(array, volume)
                      or array.alias == volume.alias)), None)
