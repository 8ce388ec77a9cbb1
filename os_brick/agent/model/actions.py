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
"""What the agent may do to this host, as values; ``host.execute`` does it.

Every action carries the sentence that says why: the log, and whoever reads
it at night, sees that sentence.
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn

from os_brick.agent.model import devices
from os_brick.agent.model import volumes


@dataclasses.dataclass(frozen=True)
class Action:
    """What every action carries.

    :ivar reason: why it is done, in one sentence.
    """

    reason: str


@dataclasses.dataclass(frozen=True)
class Connect(Action):
    """Connect the portals of a replica's target that are not connected.

    :ivar more: it is reached, and a leg: these are paths that it had.
    """

    replica_uuid: str
    target: volumes.Target
    portals: tuple[volumes.Portal, ...]
    more: bool = False


@dataclasses.dataclass(frozen=True)
class Departure:
    """What is remembered of how a copy left its array (S10).

    :ivar later: replicas that became legs after it had left, or, where there
        is an ``instance``, in sync.
    :ivar instance: that of the array, see ``Array.instance``, in which it was
        in sync when this host had written to the volume, and no other host
        has had it since that is known of; '' where there is none, or the
        kernel does not number it.
    :ivar was_leg: it has been a leg, be it in another instance.
    :ivar given_up: the operator said that another copy is the one.
    """

    later: frozenset[str] = frozenset()
    instance: str = ''
    was_leg: bool = False
    given_up: bool = False

    def of(self, array: devices.Array) -> bool:
        """It was in sync in this very instance of the array."""
        return bool(self.instance) and self.instance == array.instance


@dataclasses.dataclass(frozen=True)
class Disconnect(Action):
    """Disconnect a controller; I/O queued on it ends with an error.

    :ivar left: of the volume's replicas, which may be behind it: how each
        left its array.
    """

    controller: str
    left: tuple[tuple[str, Departure], ...] = ()


@dataclasses.dataclass(frozen=True)
class SetFastIoFail(Action):
    """Set after how many seconds without a path I/O fails; None: never."""

    controller: str
    seconds: float | None


@dataclasses.dataclass(frozen=True)
class SetKeepAlive(Action):
    """Set after how long a silence either end gives a connection up.

    :ivar seconds: whole ones, 1 at least: 0 would turn it off.
    """

    controller: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class SetReconnectDelay(Action):
    """Set how long the kernel waits between two attempts to reconnect.

    :ivar seconds: whole ones, 1 at least.
    """

    controller: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class SetIoPolicy(Action):
    """Set how the kernel spreads I/O over the paths to a target.

    :ivar subsystem: the kernel's name of the target, nvme-subsys0 say.
    :ivar policy: the kernel's word: numa, round-robin, queue-depth.
    """

    subsystem: str
    nqn: str
    policy: str


@dataclasses.dataclass(frozen=True)
class ResetConnection(Action):
    """Have the kernel give a connection up that does not answer.

    Its TCP connections are closed, or a keep-alive command is sent with a
    short time-out of its own.  Either makes the kernel tear the connection
    down and begin to reconnect (Linux drivers/nvme/host/tcp.c,
    nvme_tcp_state_change and nvme_tcp_timeout); the command takes a second
    longer, and does nothing where the target answers after all.

    :ivar portal: all TCP connections to it are closed; None: none is, for
        some of them must not be.
    """

    controller: str
    portal: volumes.Portal | None


@dataclasses.dataclass(frozen=True)
class SetFailfast(Action):
    """Set or clear md's failfast flag of a leg.

    What md sends with it ends with an error when the connection breaks,
    instead of waiting for another path or a return.
    """

    array: str
    device: str
    on: bool


@dataclasses.dataclass(frozen=True)
class SetSyncSpeedMax(Action):
    """Set how fast md copies within an array at most.

    :ivar kib_per_s: KiB a second; 0: what counts for all arrays.
    :ivar before: what is set and may be replaced, in the same unit.
    """

    array: str
    kib_per_s: int
    before: int = 0


@dataclasses.dataclass(frozen=True)
class SetBitmapDelay(Action):
    """Set how often md forgets what its bitmap marks and need not mark.

    :ivar seconds: whole ones; a mark goes about two to four times as long
        after its write.
    """

    array: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class FailLeg(Action):
    """Make md drop a leg."""

    array: str
    device: str


@dataclasses.dataclass(frozen=True)
class KeepMarked(Action):
    """Have md keep what its bitmap marks until a leg is put back.

    :ivar device: a leg that is in sync, from which the bitmap is read.
    """

    array: str
    device: str


@dataclasses.dataclass(frozen=True)
class RemoveLeg(Action):
    """Take a faulty leg or a spare out of the array's list."""

    array: str
    device: str


@dataclasses.dataclass(frozen=True)
class AddLeg(Action):
    """Add a namespace to an array.

    :ivar returning: it was a leg before: try the bitmap (--re-add) first.
        Otherwise all of it is copied, and a superblock that it has is erased
        before: mdadm would go by the bitmap again.
    :ivar erase: the operator gave up what it holds beyond the array: its
        superblock is erased before.
    :ivar left: how it left the array.
    :ivar instance: that of the array whose bitmap is meant.
    """

    array: str
    device: str
    replica_uuid: str
    returning: bool
    erase: bool = False
    left: Departure = Departure()
    instance: str = ''


@dataclasses.dataclass(frozen=True)
class ReplaceLeg(Action):
    """Copy an in-sync leg to a spare, then let the spare take its place.

    :ivar replica_uuid: that of the spare.
    """

    array: str
    device: str
    spare: str
    replica_uuid: str


@dataclasses.dataclass(frozen=True)
class Resize(Action):
    """Change the number of legs the array is meant to have."""

    array: str
    raid_disks: int


#: What is done to an array by its name.
ArrayAction = (SetFailfast | SetSyncSpeedMax | SetBitmapDelay | FailLeg
               | KeepMarked | RemoveLeg | AddLeg | ReplaceLeg | Resize)
#: All kinds of them.  What treats each kind in its own way ends in ``never``,
#: so that mypy finds what a new kind is missing.
AnyAction = (Connect | Disconnect | SetFastIoFail | SetKeepAlive
             | SetReconnectDelay | SetIoPolicy | ResetConnection
             | ArrayAction)


def never(action: NoReturn) -> NoReturn:
    """Say that no kind of action is left here; mypy proves it."""
    raise TypeError('unknown action %r' % (action,))


def words(action: Action) -> str:
    """Return the action as an operator reads it."""
    fields = ' '.join('%s=%s' % (field.name, getattr(
        getattr(action, field.name), 'nqn', getattr(action, field.name)))
        for field in dataclasses.fields(action)
        if field.name not in ('reason', 'portals', 'left', 'instance')
        # what is as ever is not said
        and getattr(action, field.name) != field.default)
    return '%s %s (%s)' % (type(action).__name__, fields, action.reason)
