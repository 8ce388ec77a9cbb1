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
"""The nouns: what the agent knows about volumes and about this host.

Everything here is a frozen value without behaviour that touches the world:
no I/O, no clock, no configuration.  Sizes are bytes, times are seconds.  A
replica is named by its NVMe namespace UUID everywhere; ``normalise_uuid``
gives the one spelling in which two UUIDs may be compared.
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


@dataclasses.dataclass(frozen=True)
class Controller:
    """One NVMe-oF connection as the kernel shows it.

    :ivar state: the kernel's word: live, connecting, resetting, deleting...
    :ivar fast_io_fail_tmo: seconds, None where it is off or not known.
    :ivar has_fast_io_fail: False on kernels without the attribute.
    """

    name: str
    nqn: str
    portal: Portal | None
    host_nqn: str | None
    state: str
    fast_io_fail_tmo: float | None = None
    has_fast_io_fail: bool = True

    @property
    def live(self) -> bool:
        return self.state == 'live'


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A block device of an NVMe-oF namespace (nvme3n1).

    :ivar controllers: names of the controllers it is reached through.
    :ivar holders: block devices stacked on it or on its partitions.
    :ivar in_use: why nobody else may write to it, other than ``holders``:
        a mount, a partition table; '' where nothing speaks against it.
    """

    device: str
    uuid: str | None
    size: int
    controllers: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    in_use: str = ''


@dataclasses.dataclass(frozen=True)
class Leg:
    """A member of an array.

    :ivar device: its kernel name, also after the device itself is gone.
    :ivar slot: its place in the array, None for a spare.
    :ivar flags: md's own state words: in_sync, faulty, spare, blocked,
        write_error, want_replacement, replacement, failfast...
    :ivar replica_uuid: NVMe UUID of its namespace, None when that is gone.
    """

    device: str
    slot: int | None
    flags: frozenset[str]
    replica_uuid: str | None = None

    @property
    def faulty(self) -> bool:
        return 'faulty' in self.flags

    @property
    def in_sync(self) -> bool:
        return 'in_sync' in self.flags and not self.faulty

    @property
    def replacement(self) -> bool:
        return 'replacement' in self.flags

    @property
    def failfast(self) -> bool:
        return 'failfast' in self.flags


@dataclasses.dataclass(frozen=True)
class Array:
    """An MD RAID1 array whose legs are NVMe-oF namespaces, or were.

    :ivar alias: the md name where known (udev's link), else None.
    :ivar sync_action: md's word: idle, recover, resync, reshape, check...
    :ivar sync_done: and ``sync_total``: bytes, None when nothing runs.
    :ivar component_size: bytes every leg has to offer.
    """

    name: str
    alias: str | None
    uuid: str | None
    raid_disks: int
    degraded: int
    array_state: str
    sync_action: str
    component_size: int
    legs: tuple[Leg, ...] = ()
    sync_done: int | None = None
    sync_total: int | None = None
    data_offset: int = 0

    @property
    def in_sync(self) -> tuple[Leg, ...]:
        """The legs that hold all of the data, as md sees it."""
        return tuple(leg for leg in self.legs if leg.in_sync)

    @property
    def whole(self) -> bool:
        """Every slot is filled by a leg that is in sync."""
        filled = {leg.slot for leg in self.in_sync
                  if leg.slot is not None and not leg.replacement}
        return len(filled) >= self.raid_disks

    @property
    def syncing(self) -> bool:
        return self.sync_action in ('recover', 'resync', 'reshape')

    def leg_of(self, replica_uuid: str) -> Leg | None:
        """The leg of that replica; a working one before a faulty one."""
        found = [leg for leg in self.legs
                 if leg.replica_uuid == replica_uuid]
        return min(found, key=lambda leg: leg.faulty, default=None)

    def leg(self, device: str) -> Leg | None:
        for leg in self.legs:
            if leg.device == device:
                return leg
        return None


@dataclasses.dataclass(frozen=True)
class Event:
    """One change that the agent saw, worded for an operator.

    :ivar kind: a stable word, see ``os_brick.agent.events``.
    :ivar level: 'INFO', 'WARN' or 'FATAL'.
    :ivar message: the sentence that the agent logs.
    :ivar names: every object the event is about, as (noun, name) pairs:
        ('volume', alias), ('replica', uuid), ('controller', 'nvme3'), ...
    """

    kind: str
    level: str
    message: str
    names: tuple[tuple[str, str], ...] = ()
