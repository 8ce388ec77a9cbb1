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
"""What on this host is the provisioner's: whose array is this; pure.

An array is a volume's by the NVMe UUIDs of its legs, and by its name only
where no leg's UUID is known.  Where it is not certain, it is left alone (S4).

The passes learn the volumes and publish them; the guard, in its own thread,
works with the last value that was published and never waits for a
provisioner.  What it implies is found out once, for it is asked for again and
again.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools

from os_brick.agent import model
from os_brick.agent.model import snapshots


@dataclasses.dataclass(frozen=True)
class Owned:
    """What on this host is the provisioner's.

    :ivar arrays: names of the arrays that are its volumes.
    :ivar replicas: UUIDs of all replicas of the volumes of these arrays.
    :ivar unused: those that keep nobody waiting on a dead connection: of
        volumes that have several, and no array here (os-brick is attaching
        one, say), and what was let go while its target was lost.
    """

    arrays: frozenset[str] = frozenset()
    replicas: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()

    def and_of(self, volume: model.Volume) -> Owned:
        """Return the same, with the replicas of one more volume."""
        return dataclasses.replace(self, replicas=self.replicas | {
            replica.uuid for replica in volume.replicas})


def owners(array: model.Array, volumes: Mapping[str, model.Volume],
           remembered: Mapping[str, Collection[str]]) -> list[str]:
    """Return the UUIDs of the volumes that claim an array; one, or trouble.

    :param remembered: volume UUID -> replicas that were its legs.  They count
        only where no list claims the array: a truncated list must not make
        the agent abandon an array that it guards (S8, S9).
    """
    found = [uuid for uuid, volume in volumes.items()
             if model.belongs(array, volume)]
    if not found:
        known = {leg.replica_uuid for leg in array.legs if leg.replica_uuid}
        for uuid, volume in volumes.items():
            legs = {*remembered.get(uuid, ()),
                    *(replica.uuid for replica in volume.replicas)}
            if known & legs and (known <= legs
                                 or array.alias == volume.alias):
                found.append(uuid)
    return found


@dataclasses.dataclass(frozen=True)
class Matches:
    """Which array is which volume's.

    :ivar arrays: array name -> uuid of its volume.
    :ivar doubts: what it is about -> why it is left alone.
    """

    arrays: Mapping[str, str]
    doubts: Mapping[str, str]


def match(snapshot: snapshots.HostSnapshot,
          volumes: Mapping[str, model.Volume], before: Mapping[str, str],
          remembered: Mapping[str, Collection[str]],
          index: Index | None = None) -> Matches:
    """Find the one volume of each array, and the one array of each volume.

    :param before: what was matched in the last pass.
    :param remembered: volume UUID -> replicas that were its legs.
    :param index: of these volumes, where the caller has it already.
    """
    arrays: dict[str, str] = {}
    doubts: dict[str, str] = {}
    index = index or Index(volumes, remembered)
    for array in snapshot.arrays:
        claiming = owners(array, index.candidates(array), remembered)
        if len(claiming) == 1:
            arrays[array.name] = claiming[0]
        elif claiming:
            doubts['array %s (%s)' % (array.alias, array.name)] = (
                'it is left alone: volumes %s all claim it' %
                ', '.join(sorted(claiming)))
        elif before.get(array.name) in volumes and not any(
                leg.replica_uuid for leg in array.legs):
            # all legs have vanished; it was this volume's a moment ago
            arrays[array.name] = before[array.name]
    found: dict[str, list[str]] = {}
    for name, uuid in sorted(arrays.items()):
        found.setdefault(uuid, []).append(name)
    for uuid, names in sorted(found.items()):
        if len(names) == 1:
            continue
        # a stale leg may have been assembled apart
        live = [array.name for array in snapshot.arrays
                if array.name in names and array.in_sync]
        for name in names:
            if [name] != live:
                del arrays[name]
        doubts['volume %s' % volumes[uuid].alias] = (
            '%s all look like its array; %s' % (
                ', '.join(names), 'served is %s' % live[0]
                if len(live) == 1 else 'none of them is served'))
    return Matches(arrays, doubts)


class Index:
    """Which volumes may claim an array at all, without asking each of them.

    ``owners`` decides; a volume that shares no leg with an array, and
    no alias, it never calls the owner.
    """

    def __init__(self, volumes: Mapping[str, model.Volume],
                 remembered: Mapping[str, Collection[str]]) -> None:
        self._volumes = volumes
        self._by: dict[str, set[str]] = {}
        for uuid, volume in volumes.items():
            legs = {*remembered.get(uuid, ()),
                    *(replica.uuid for replica in volume.replicas)}
            for name in (*legs, _alias(volume.alias)):
                self._by.setdefault(name, set()).add(uuid)

    def candidates(self, array: model.Array) -> dict[str, model.Volume]:
        names = {leg.replica_uuid for leg in array.legs if leg.replica_uuid}
        if array.alias is not None:
            names.add(_alias(array.alias))
        return {uuid: self._volumes[uuid] for name in names
                for uuid in self._by.get(name, ())}


def _alias(alias: str) -> str:
    """Return a name that is no UUID."""
    return '/dev/md/' + alias


def _has_array(volume: model.Volume) -> bool:
    """Whether os-brick makes an array of it wherever it is attached."""
    return (volume.replica_count or len(volume.replicas)) > 1


@dataclasses.dataclass(frozen=True)
class KnownVolumes:
    """The provisioner's volumes, as far as it has told of them.

    :ivar volumes: volume UUID -> volume.
    :ivar legs: volume UUID -> replicas that were legs of its array.
    :ivar let_go: former legs that no list has any more, and that were out of
        reach when one, or md, still had them, and ever since.
    """

    volumes: Mapping[str, model.Volume] = dataclasses.field(
        default_factory=dict)
    legs: Mapping[str, frozenset[str]] = dataclasses.field(
        default_factory=dict)
    let_go: frozenset[str] = frozenset()

    @functools.cached_property
    def leaving(self) -> frozenset[str]:
        """The replicas that are to be let go."""
        return self._replicas - self.staying

    @functools.cached_property
    def _replicas(self) -> frozenset[str]:
        return frozenset(
            replica.uuid for volume in self.volumes.values()
            for replica in volume.replicas)

    @functools.cached_property
    def staying(self) -> frozenset[str]:
        """The replicas of all volumes that are not to be let go."""
        return frozenset(
            replica.uuid for volume in self.volumes.values()
            for replica in volume.replicas
            if replica.state is not model.ReplicaState.TERMINATING)

    @functools.cached_property
    def _index(self) -> Index:
        return Index(self.volumes, self.legs)

    def owned(self, arrays: Mapping[str, str]) -> Owned:
        """Return what is the provisioner's.

        A replica of a volume that has no array here is not: a virtual machine
        may have its namespace open as it is, without a trace.  Of a volume of
        several replicas none has: os-brick makes an array of them.  One that
        is meant to have a single one may be on its way to another namespace.
        Nobody can have opened what was let go while it was out of reach.

        :param arrays: name of an array -> the volume it was matched with.
        """
        built = {*arrays.values()}
        return Owned(frozenset(arrays), frozenset(
            replica.uuid for uuid in built if uuid in self.volumes
            for replica in self.volumes[uuid].replicas), frozenset(
            replica.uuid for uuid, volume in self.volumes.items()
            if uuid not in built and _has_array(volume)
            for replica in volume.replicas) | (self.let_go - self._replicas))

    def match(self, snapshot: snapshots.HostSnapshot,
              before: Mapping[str, str]) -> Matches:
        """Find which array is which volume's.

        :param before: what was matched the last time.
        """
        return match(snapshot, self.volumes, before, self.legs,
                     self._index)


class Matcher:
    """Matches, and not a second time while nothing has changed."""

    def __init__(self) -> None:
        self._basis: tuple[KnownVolumes, snapshots.HostSnapshot] | None = None
        self._before: Mapping[str, str] = {}
        self._found = Matches({}, {})

    def match(self, known: KnownVolumes, snapshot: snapshots.HostSnapshot,
              before: Mapping[str, str]) -> Matches:
        """Return what ``known.match`` does."""
        if (self._basis is None or self._basis[0] is not known
                or self._basis[1] is not snapshot
                or self._before != before):
            self._basis, self._before = (known, snapshot), dict(before)
            self._found = known.match(snapshot, before)
        return self._found
