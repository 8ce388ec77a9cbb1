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
"""What keeps a copy away and is no fault of the copy's.

A replica that is bad for too long is replaced.  That is of use only where the
replica is to blame: a host that has no mdadm, no network or no lock to work
with would fail with the next copy as well, and use up one spare after the
other.  So while a fault is this host's, the grace periods that depend on it
stand still and nothing is requested.

What is known of such faults is what trying has shown: a pass tries what is
wanted, and the next one decides with what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import snapshots


@dataclasses.dataclass(frozen=True)
class HostFaults:
    """Faults of this host.

    :ivar everywhere: why no copy can be taken in on this host, '' where one
        can.
    :ivar replicas: replica -> why it is this host that does not reach it.
    """

    everywhere: str = ''
    replicas: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def of(self, replica_uuid: str) -> str:
        """Return why a replica is not to blame, '' where it may be."""
        return self.everywhere or self.replicas.get(replica_uuid, '')

    def along_with(self, replicas: Mapping[str, str]) -> HostFaults:
        """Return these faults, and some more of single replicas."""
        if not replicas:
            return self
        return dataclasses.replace(self, replicas={**self.replicas,
                                                   **replicas})


#: Nothing is known to be wrong.
NONE = HostFaults()


def lost_portals(volume: model.Volume, snapshot: snapshots.HostSnapshot
                 ) -> dict[str, frozenset[model.Portal]]:
    """Return the portals of the replicas that no live path leads to."""
    found: dict[str, frozenset[model.Portal]] = {}
    for replica in volume.replicas:
        namespace = snapshot.namespace_of(replica.uuid)
        if namespace is not None and snapshot.reachable(namespace):
            continue
        portals = {path.portal for path in snapshot.paths(namespace)
                   if path.portal is not None} if namespace else set()
        if replica.target is not None:
            portals.update(replica.target.portals)
        if portals:
            found[replica.uuid] = frozenset(portals)
    return found
