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
"""What a provisioner knows: volumes, their replicas, and where those are.

Sizes are bytes, times are seconds.  A replica is named by its NVMe namespace
UUID everywhere; ``normalise_uuid`` gives the one spelling in which two UUIDs
may be compared.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid as uuid_lib


def normalise_uuid(text: str) -> str:
    """Return a UUID in lower case with hyphens.

    :raises ValueError: when the text is no UUID.
    """
    return str(uuid_lib.UUID(text.strip()))


class ReplicaState(enum.Enum):
    """A replica's state as the provisioner has it, or is told of it."""

    AVAILABLE = 'AVAILABLE'
    SYNCHRONIZING = 'SYNCHRONIZING'
    MISSING = 'MISSING'
    TERMINATING = 'TERMINATING'
    UNKNOWN = 'UNKNOWN'


@dataclasses.dataclass(frozen=True, order=True)
class Portal:
    """Where a target listens."""

    address: str
    port: int
    transport: str = 'tcp'

    def __post_init__(self) -> None:
        if self.transport not in ('tcp', 'rdma'):
            raise ValueError('transport must be tcp or rdma, not %r'
                             % self.transport)
        if not 0 < self.port < 65536:
            raise ValueError('port %r is not in 1-65535' % self.port)

    def __str__(self) -> str:
        host = '[%s]' % self.address if ':' in self.address else self.address
        return '%s://%s:%d' % (self.transport, host, self.port)


@dataclasses.dataclass(frozen=True)
class Target:
    """An NVMe-oF subsystem and the portals it is reached through."""

    nqn: str
    portals: tuple[Portal, ...]


@dataclasses.dataclass(frozen=True)
class Replica:
    """One copy of a volume, on one target.

    :ivar uuid: the NVMe UUID of its namespace.
    :ivar state_since: seconds since the epoch at which the provisioner put
        it into ``state``; None where it does not say.
    :ivar target: None where the provisioner was not asked, or does not know.
    """

    uuid: str
    state: ReplicaState = ReplicaState.UNKNOWN
    state_since: float | None = None
    target: Target | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'uuid', normalise_uuid(self.uuid))


@dataclasses.dataclass(frozen=True)
class Volume:
    """A replicated volume as its provisioner describes it.

    :ivar alias: the md name (``/dev/md/<alias>``).
    :ivar replica_count: how many replicas the volume is meant to have; None
        where the provisioner does not say (then: all that it lists).
    :ivar max_replica_down_time: seconds a replica may stay bad before a
        replacement is asked for; 0 means never, None the agent's default.
    """

    uuid: str
    alias: str
    size: int | None = None
    replicas: tuple[Replica, ...] = ()
    replica_count: int | None = None
    max_replica_down_time: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'uuid', normalise_uuid(self.uuid))
        seen = [replica.uuid for replica in self.replicas]
        if len(set(seen)) != len(seen):
            raise ValueError('volume %s lists a replica twice' % self.uuid)

    def replica(self, uuid: str | None) -> Replica | None:
        """Return the replica of that UUID, or None."""
        for replica in self.replicas:
            if replica.uuid == uuid:
                return replica
        return None


@dataclasses.dataclass(frozen=True)
class Host:
    """This host, as Cinder gave it to the provisioner."""

    nqn: str
    uuid: str | None
    name: str
    version: str = ''
