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
"""Which array on this host is which volume's; pure.

Where it is not certain, the array is left alone (S4).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent import rules
from os_brick.agent import snapshots


@dataclasses.dataclass(frozen=True)
class Matches:
    """:ivar arrays: array name -> uuid of its volume.

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
        owners = rules.owners(array, index.candidates(array), remembered)
        if len(owners) == 1:
            arrays[array.name] = owners[0]
        elif owners:
            doubts['array %s (%s)' % (array.alias, array.name)] = (
                'it is left alone: volumes %s all claim it' %
                ', '.join(sorted(owners)))
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

    ``rules.owners`` decides; a volume that shares no leg with an array, and
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
