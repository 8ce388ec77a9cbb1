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
the last one that was published and never waits for a provisioner.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent import matching
from os_brick.agent import model


@dataclasses.dataclass(frozen=True)
class Claims:
    """:ivar volumes: volume UUID -> volume.

    :ivar legs: volume UUID -> replicas that were legs of its array.
    """

    volumes: Mapping[str, model.Volume] = dataclasses.field(
        default_factory=dict)
    legs: Mapping[str, frozenset[str]] = dataclasses.field(
        default_factory=dict)

    @property
    def leaving(self) -> frozenset[str]:
        """The replicas that are to go."""
        return self.replicas() - self.replicas(going=False)

    def replicas(self, going: bool = True) -> frozenset[str]:
        """The replicas of all volumes, with those that are to go or not."""
        return frozenset(
            replica.uuid for volume in self.volumes.values()
            for replica in volume.replicas if going
            or replica.state is not model.ReplicaState.TERMINATING)

    def match(self, snapshot: model.HostSnapshot,
              before: Mapping[str, str]) -> matching.Matches:
        """Find which array is which volume's.

        :param before: what was matched the last time.
        """
        return matching.match(snapshot, self.volumes, before, self.legs)
