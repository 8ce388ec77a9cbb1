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
may be compared, and a ``Portal`` has one for its address.

Every noun looks at its fields when it is made, so that one which exists can
be relied on: what a driver got wrong is found where the driver made it, and
not as an accident in the middle of a pass.  TypeError and ValueError name the
field, and the value where that is a plain one.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import re
import sys
from typing import Any
import uuid as uuid_lib

#: Characters that a name may have at most; md's own limit is lower.
_LONGEST = 255
_SHOWN = 80
_HOST_NAME = re.compile(r'[0-9A-Za-z_]([0-9A-Za-z._-]*[0-9A-Za-z_.])?\Z')
# an interface's name or number; the kernel's address attribute has commas
_ZONE = re.compile(r'[^\s/%,:]{1,15}\Z')


def _shown(value: object) -> str:
    """Return a plain value on one line, of anything else its type only."""
    if value is not None and not isinstance(value, (str, int, float,
                                                    enum.Enum)):
        return 'a %s' % type(value).__name__
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + '...'


def _is_text(owner: object, field: str) -> str:
    """Return a field that has to be a text on one line."""
    value = getattr(owner, field)
    name = '%s.%s' % (type(owner).__name__, field)
    if not isinstance(value, str):
        raise TypeError('%s must be a text, not %s' % (name, _shown(value)))
    if not value or len(value) > _LONGEST or not value.isprintable():
        raise ValueError('%s must be 1 to %d printable characters, not %s' % (
            name, _LONGEST, _shown(value)))
    return value


def _is_number(owner: object, field: str, low: float | None,
               whole: bool = False) -> None:
    """Check a field that may also be None."""
    value = getattr(owner, field)
    if value is None:
        return
    name = '%s.%s' % (type(owner).__name__, field)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError('%s must be a %snumber, not %s' % (
            name, 'whole ' if whole else '', _shown(value)))
    # a whole number may be larger than any float
    if (not -sys.float_info.max <= value <= sys.float_info.max
            or low is not None and value < low):
        raise ValueError('%s must be a number%s, not %s' % (
            name, '' if low is None else ' from %d' % low, _shown(value)))


def _is_kind(owner: object, field: str, kind: type) -> None:
    value = getattr(owner, field)
    if not isinstance(value, kind):
        raise TypeError('%s.%s must be a %s, not %s' % (
            type(owner).__name__, field, kind.__name__, _shown(value)))


def _make_tuple(owner: object, field: str, kind: type) -> None:
    """Check a field that holds several; a list is as good as a tuple."""
    value: Any = getattr(owner, field)
    name = '%s.%s' % (type(owner).__name__, field)
    if not isinstance(value, (tuple, list)):
        raise TypeError('%s must be a tuple, not %s' % (name, _shown(value)))
    for item in value:
        if not isinstance(item, kind):
            raise TypeError('%s must hold %ss, not %s' % (
                name, kind.__name__, _shown(item)))
    object.__setattr__(owner, field, tuple(value))


def normalise_uuid(text: str) -> str:
    """Return a UUID in lower case with hyphens.

    :raises TypeError: when it is no text.
    :raises ValueError: when the text is no UUID.
    """
    if not isinstance(text, str):
        raise TypeError('a UUID must be a text, not %s' % _shown(text))
    try:
        return str(uuid_lib.UUID(text.strip()))
    except ValueError:
        raise ValueError('%s is no UUID' % _shown(text)) from None


def _normalise_uuid(owner: object) -> None:
    try:
        uuid = normalise_uuid(getattr(owner, 'uuid'))
    except (TypeError, ValueError) as error:
        raise type(error)('%s.uuid: %s' % (type(owner).__name__,
                                           error)) from None
    object.__setattr__(owner, 'uuid', uuid)


def normalise_address(text: str) -> str:
    """Return an address in the one spelling in which two may be compared.

    IPv6 is written as RFC 5952 has it; an IPv4 address that is mapped into
    IPv6 is the IPv4 address, for the packets are.  The zone
    (``fe80::1%eth0``) belongs to a link-local address and is dropped from any
    other, as the kernel drops it (net/core/utils.c, inet6_pton).  A host name
    is left as it is.

    :raises ValueError: it is neither an address nor a host name.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.match(text):
            raise ValueError('%s is no address and no host name' % _shown(
                text)) from None
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    plain = str(address).partition('%')[0]
    zone = address.scope_id
    if zone is None or not address.is_link_local:
        return plain
    if not _ZONE.match(zone):
        raise ValueError('%s: the zone is no network interface' % _shown(
            text))
    return '%s%%%s' % (plain, zone)


class ReplicaState(enum.Enum):
    """A replica's state as the provisioner has it, or is told of it."""

    AVAILABLE = 'AVAILABLE'
    SYNCHRONIZING = 'SYNCHRONIZING'
    MISSING = 'MISSING'
    TERMINATING = 'TERMINATING'
    UNKNOWN = 'UNKNOWN'


@dataclasses.dataclass(frozen=True, order=True)
class Portal:
    """Where a target listens.

    :ivar address: as ``normalise_address`` has it.
    """

    address: str
    port: int
    transport: str = 'tcp'

    def __post_init__(self) -> None:
        try:
            address = normalise_address(_is_text(self, 'address'))
        except ValueError as error:
            raise ValueError('Portal.address: %s' % error) from None
        object.__setattr__(self, 'address', address)
        if self.transport not in ('tcp', 'rdma'):
            raise ValueError('transport must be tcp or rdma, not %s'
                             % _shown(self.transport))
        _is_number(self, 'port', None, whole=True)
        _is_kind(self, 'port', int)
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

    def __post_init__(self) -> None:
        _is_text(self, 'nqn')
        _make_tuple(self, 'portals', Portal)


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
        _normalise_uuid(self)
        # not its word: what cannot be undone may follow from it
        _is_kind(self, 'state', ReplicaState)
        _is_number(self, 'state_since', None)
        if self.target is not None:
            _is_kind(self, 'target', Target)


@dataclasses.dataclass(frozen=True)
class Volume:
    """A replicated volume as its provisioner describes it.

    :ivar alias: the md name (``/dev/md/<alias>``).
    :ivar replica_count: how many replicas the volume is meant to have; None
        where the provisioner does not say (then: all that it lists).
    :ivar max_replica_down_time: seconds a replica may stay bad before a
        replacement is asked for; 0 means never, None the agent's default.
    :ivar observe: why this host is to leave the healing to another one that
        has the volume, too; '' where it is not.
    """

    uuid: str
    alias: str
    size: int | None = None
    replicas: tuple[Replica, ...] = ()
    replica_count: int | None = None
    max_replica_down_time: float | None = None
    observe: str = ''

    def __post_init__(self) -> None:
        _normalise_uuid(self)
        alias = _is_text(self, 'alias')
        if '/' in alias or alias in ('.', '..'):
            raise ValueError('Volume.alias must be the name of an md array, '
                             'not %s' % _shown(alias))
        _is_number(self, 'size', 1, whole=True)
        _is_number(self, 'replica_count', 1, whole=True)
        _is_number(self, 'max_replica_down_time', 0)
        _is_kind(self, 'observe', str)
        _make_tuple(self, 'replicas', Replica)
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
class Resync:
    """The copy of a whole volume to one of its replicas.

    :ivar planned: the array is whole without it, and it may wait for as long
        as it takes.
    """

    volume: Volume
    replica: Replica
    planned: bool = False


@dataclasses.dataclass(frozen=True)
class Host:
    """This host, as Cinder gave it to the provisioner."""

    nqn: str
    uuid: str | None
    name: str
    version: str = ''
