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
"""What the provisioner is known to claim of this host; a value.

The passes learn it and publish it; the guard, in its own thread, works with
the last one that was published and never waits for a provisioner.  What it
implies is found out once, for it is asked for again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools

from os_brick.agent import matching
from os_brick.agent import model
from os_brick.agent import snapshots


@dataclasses.dataclass(frozen=True)
class Claims:
    """:ivar volumes: volume UUID -> volume.

    :ivar legs: volume UUID -> replicas that were legs of its array.
    """

    volumes: Mapping[str, model.Volume] = dataclasses.field(
        default_factory=dict)
    legs: Mapping[str, frozenset[str]] = dataclasses.field(
        default_factory=dict)

    @functools.cached_property
    def leaving(self) -> frozenset[str]:
        """The replicas that are to go."""
        return self.replicas() - self.replicas(going=False)

    @functools.cached_property
    def _replicas(self) -> frozenset[str]:
        return frozenset(
            replica.uuid for volume in self.volumes.values()
            for replica in volume.replicas)

    @functools.cached_property
    def _staying(self) -> frozenset[str]:
        return frozenset(
            replica.uuid for volume in self.volumes.values()
            for replica in volume.replicas
            if replica.state is not model.ReplicaState.TERMINATING)

    @functools.cached_property
    def _index(self) -> matching.Index:
        return matching.Index(self.volumes, self.legs)

    def replicas(self, going: bool = True) -> frozenset[str]:
        """The replicas of all volumes, with those that are to go or not."""
        return self._replicas if going else self._staying

    def match(self, snapshot: snapshots.HostSnapshot,
              before: Mapping[str, str]) -> matching.Matches:
        """Find which array is which volume's.

        :param before: what was matched the last time.
        """
        return matching.match(snapshot, self.volumes, before, self.legs,
                              self._index)


class Matcher:
    """Matches, and not a second time while nothing has changed."""

    def __init__(self) -> None:
        self._basis: tuple[Claims, snapshots.HostSnapshot] | None = None
        self._before: Mapping[str, str] = {}
        self._found = matching.Matches({}, {})

    def match(self, claims: Claims, snapshot: snapshots.HostSnapshot,
              before: Mapping[str, str]) -> matching.Matches:
        """Return what ``claims.match`` does."""
        if (self._basis is None or self._basis[0] is not claims
                or self._basis[1] is not snapshot
                or self._before != before):
            self._basis, self._before = (claims, snapshot), dict(before)
            self._found = claims.match(snapshot, before)
        return self._found
