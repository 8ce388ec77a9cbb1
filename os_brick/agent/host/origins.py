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
"""With which count of events each array came up on this host (S10).

Not kept over a restart: what came and went while no agent looked is not to be
taken for a copy that was in charge elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from os_brick.agent.host import evidence as host_evidence
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import origin


class Origins:
    """Notes each instance of an array once, and its legs with each look.

    :param evidence: reads superblocks.
    """

    def __init__(self, evidence: host_evidence.Evidence) -> None:
        self._evidence = evidence
        self._found: dict[str, origin.Origin] = {}

    @property
    def found(self) -> Mapping[str, origin.Origin]:
        """By the instance of the array; it is never changed."""
        return self._found

    def look(self, snapshot: snapshots.HostSnapshot) -> None:
        """Note what is new of the arrays, and forget what is gone.

        Whose an array is may become known much later: all are noted.  One
        whose legs do not answer in time is noted another time.

        :raises NotDone: nothing could be read; the legs are noted.
        """
        arrays = {origin.instance(array): array for array in snapshot.arrays
                  if array.written}
        self._found = {name: self._with_legs(name, array)
                       for name, array in arrays.items()
                       if name in self._found}
        new = {name: array for name, array in arrays.items()
               if name not in self._found}
        contents = self._evidence.superblocks({
            leg.device for array in new.values() for leg in array.in_sync
            if snapshot.good(leg)})
        self._found = {**self._found, **{
            name: origin.Origin(max(events), _replicas(array))
            for name, array in new.items()
            if (events := _events(array, contents))}}

    def put_in(self, array: model.Array, replica_uuid: str) -> None:
        """Note that a replica is put into an array now."""
        name = origin.instance(array)
        found = self._found.get(name)
        if found is not None:
            self._found = {**self._found, name: origin.Origin(
                found.events, found.legs | {replica_uuid})}

    def _with_legs(self, name: str, array: model.Array) -> origin.Origin:
        found = self._found[name]
        return origin.Origin(found.events, found.legs | _replicas(array))


def _replicas(array: model.Array) -> frozenset[str]:
    return frozenset(leg.replica_uuid for leg in array.legs
                     if leg.replica_uuid is not None)


def _events(array: model.Array,
            contents: Mapping[str, superblock.Content]) -> list[int]:
    return [copy.events for leg in array.in_sync
            if (content := contents.get(leg.device)) is not None
            for copy in content.superblocks
            if array.uuid in (None, copy.array_uuid)]
