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
"""The places of this host's copies in etcd, below ``resyncs``.

- Each is under the lease of the host's key: a host that dies, or is cut off,
  frees its places when that ends, 45 seconds later at least.
- A place is taken in a transaction that rests on ``schema``, which has the
  limits, and on ``resync-turn``, which each such transaction changes: of two
  hosts that count at the same time one counts again.
- What md copies already has its place without being counted: a limit delays
  what begins, and stops nothing.
- In peace, and while the same copies go on, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import uuid as uuid_lib

from os_brick.agent.vendors.fleet import limits as limits_room
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

Place = limits_room.Place
#: Turns that taking a place may take while others take theirs.
TURNS = 8
#: Keys that one transaction writes; etcd allows 128 (--max-txn-ops).
_AT_ONCE = 100
_LATER = 'limit of the fleet: other hosts begin copies at the same moment'


class Places:
    """Takes and gives back the places that limit resyncs.

    :param believed: raises where etcd, as it was read, is not.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 believed: Callable[[store.View], schema.Fleet],
                 host: str) -> None:
        self._store = etcd
        self._keys = keys
        self._believed = believed
        self._host = host
        # what stands in etcd for sure, under which lease; None: not known
        self._there: tuple[frozenset[str], int] | None = None

    def settle(self, lease: int, under_way: Mapping[str, Place],
               wanted: Mapping[str, Place]) -> dict[str, str]:
        """Bring etcd in line; return which wanted copies wait, and why.

        :param lease: what the places live by.
        :raises base.ProvisionerError: nobody knows what stands there.
        """
        if not wanted and self._there == (frozenset(under_way), lease):
            return {}
        self._there = None
        for turn in range(TURNS):
            view = self._store.read(
                [self._keys.schema, self._keys.turn], [self._keys.resyncs])
            bounds = self._believed(view).limits
            taken, others = self._sorted(view)
            held = {uuid: taken.get(uuid, place) for uuid, place
                    in {**wanted, **under_way}.items()
                    if uuid in under_way or uuid in taken}
            self._keep(lease, taken, held)
            waits: dict[str, str] = {}
            fresh: dict[str, Place] = {}
            for uuid, place in sorted(wanted.items(), key=lambda pair:
                                      (pair[1].planned, pair[0])):
                if uuid in held:
                    continue
                why = limits_room.delays(bounds, place, [
                    *others, *held.values(), *fresh.values()])
                if not why and (len(fresh) >= _AT_ONCE
                                or turn == TURNS - 1):
                    why = _LATER
                if why:
                    waits[uuid] = why
                else:
                    fresh[uuid] = place
            if not fresh or self._take(view, lease, fresh):
                self._there = (frozenset(held) | frozenset(fresh), lease)
                return waits
        raise AssertionError('the last turn takes no place')

    def forget(self) -> None:
        """Free all places: nothing is limited any more.

        :raises base.ProvisionerError: they may still stand there.
        """
        if self._there is not None:
            self._put(dict.fromkeys(self._there[0]), 0)
        self._there = None

    def _sorted(self, view: store.View
                ) -> tuple[dict[str, Place], list[Place]]:
        """Return this host's places, and those of the others."""
        ours: dict[str, Place] = {}
        others = []
        mine = schema.quote(self._host)
        for name, value in view.below(self._keys.resyncs).items():
            host, _, replica = name.partition('/')
            place = limits_room.load_place(value.text)
            if host == mine:
                ours[replica] = place
            else:
                others.append(place)
        return ours, others

    def _keep(self, lease: int, taken: Mapping[str, Place],
              held: Mapping[str, Place]) -> None:
        """Write what goes on, under the lease of now; free what does not."""
        puts: dict[str, Place | None] = {
            uuid: dataclasses.replace(place, lease=str(lease))
            for uuid, place in held.items()
            if uuid not in taken or taken[uuid].lease != str(lease)}
        puts.update(dict.fromkeys(set(taken) - set(held)))
        if puts:
            self._put(puts, lease)

    def _put(self, puts: Mapping[str, Place | None], lease: int) -> None:
        texts = {self._keys.resync(self._host, uuid): None if place is None
                 else limits_room.dump_place(place)
                 for uuid, place in puts.items()}
        keys = sorted(texts)
        for first in range(0, len(keys), _AT_ONCE):
            self._store.write(store.Write(
                {key: texts[key] for key in keys[first:first + _AT_ONCE]},
                lease=lease))

    def _take(self, view: store.View, lease: int,
              fresh: Mapping[str, Place]) -> bool:
        keys = self._keys
        puts: dict[str, str | None] = {
            keys.resync(self._host, uuid): limits_room.dump_place(
                place) for uuid, place in fresh.items()}
        puts[keys.turn] = str(uuid_lib.uuid4())
        return self._store.write(store.Write(
            puts, {key: view.get(key) for key in (keys.schema, keys.turn)},
            lease=lease, lasting=frozenset([keys.turn]))) is not None
