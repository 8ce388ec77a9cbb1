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
import threading

from os_brick.agent.host import evidence as host_evidence
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import origin

#: Looks after which an array that is not there is forgotten: one that cannot
#: be read for once is no other one when it is there again.
MISSED = 10


class Origins:
    """Notes of each instance of an array its count once, and its legs always.

    The passes read the count, and whoever looks notes legs; for any thread.

    :param evidence: reads superblocks.
    """

    def __init__(self, evidence: host_evidence.Evidence) -> None:
        self._evidence = evidence
        self._lock = threading.Lock()
        self._found: dict[str, origin.Origin] = {}
        self._missed: dict[str, int] = {}

    @property
    def found(self) -> Mapping[str, origin.Origin]:
        """By the instance of the array; it is never changed."""
        return self._found

    def look(self, snapshot: snapshots.HostSnapshot) -> None:
        """Note what is new of the arrays, and forget what is gone.

        Whose an array is may become known much later: all are noted.  One
        whose legs do not answer in time is noted another time.  Until this
        host writes to it, another one may, and counts on; then its count is
        read again, for copies that are missing here.

        :raises NotDone: nothing could be read; the legs are noted.
        """
        self.note_legs(snapshot)
        self._forget(snapshot)
        arrays = {name: array for array in snapshot.arrays
                  if self._to_be_read(name := origin.instance(array), array)}
        contents = self._evidence.superblocks({
            leg.device for array in arrays.values() for leg in array.in_sync
            if snapshot.good(leg)})
        for name, array in arrays.items():
            self._change(name, origin.Origin(max(_events(array, contents),
                                                 default=None)))

    def note_legs(self, snapshot: snapshots.HostSnapshot) -> None:
        """Note who is a leg; what leaves before the next look was one."""
        for array in snapshot.arrays:
            self._note(array, frozenset(
                leg.replica_uuid for leg in array.legs
                if leg.replica_uuid is not None))

    def put_in(self, array: model.Array, replica_uuid: str) -> None:
        """Note that a replica is put into an array now."""
        self._note(array, frozenset([replica_uuid]))

    def _note(self, array: model.Array, legs: frozenset[str]) -> None:
        name = origin.instance(array)
        found = self._found.get(name, origin.Origin())
        if not legs <= found.legs or array.written > found.written or (
                name not in self._found):
            self._change(name, origin.Origin(None, legs, array.written))

    def _change(self, name: str, more: origin.Origin) -> None:
        with self._lock:
            found = self._found.get(name, origin.Origin())
            self._found = {**self._found, name: origin.Origin(
                found.events if more.events is None else more.events,
                found.legs | more.legs, found.written or more.written)}

    def _forget(self, snapshot: snapshots.HostSnapshot) -> None:
        """Only a number that the kernel gave is never given again."""
        here = {origin.instance(array) for array in snapshot.arrays}
        self._missed = {
            name: self._missed.get(name, 0) + 1 for name in self._found
            if name not in here}
        gone = {name for name, looks in self._missed.items()
                if looks > MISSED or not origin.numbered(name)}
        with self._lock:
            self._found = {name: found for name, found in self._found.items()
                           if name not in gone}

    def _to_be_read(self, name: str, array: model.Array) -> bool:
        found = self._found[name]
        return found.events is None or bool(
            array.degraded and not found.written)


def _events(array: model.Array,
            contents: Mapping[str, superblock.Content]) -> list[int]:
    """The counts on its legs; of one that carries two, no word is known."""
    return [copy.events for leg in array.in_sync
            if (content := contents.get(leg.device)) is not None
            for copy in content.superblocks
            if array.uuid == copy.array_uuid
            or array.uuid is None and len(content.superblocks) == 1]
