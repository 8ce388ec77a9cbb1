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
"""What the kernel shows of this host: connections, namespaces and arrays.

Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from os_brick.agent.model import bad_blocks
from os_brick.agent.model import volumes


#: What the guard calls a connection that is live for the kernel alone.
SILENT = 'silent'
#: What a connection is called that lives and over which its target gives no
#: access to a namespace (ANA).
NO_ACCESS = 'without access'
#: The kernel's words (drivers/nvme/host/sysfs.c, nvme_sysfs_show_state) up to
#: Linux 6.12; there may be more one day.
STATES = frozenset((
    'new', 'live', 'resetting', 'connecting', 'deleting', 'deleting (no IO)',
    'dead', SILENT))
#: Those of a connection that begins, lives, or is let go on purpose.
_NOT_LOST = frozenset(('new', 'live', 'deleting', 'deleting (no IO)'))


def is_lost(state: str) -> bool:
    """Tell whether a connection in this state was lost.

    One in a state that is not known was.
    """
    return state not in _NOT_LOST


@dataclasses.dataclass(frozen=True)
class Controller:
    """One NVMe-oF connection as the kernel shows it.

    :ivar nqn: the subsystem's, of whatever form; '' where it is not known
        yet, for the connection is just being made.
    :ivar state: the kernel's word: live, connecting, resetting, deleting...
    :ivar fast_io_fail_tmo: seconds, None where it is off or not known.
    :ivar has_fast_io_fail: False on kernels without the attribute.
    :ivar keep_alive: seconds without an answer after which either end gives
        it up, None where it is not known; 0: never.
    :ivar reconnect_delay: seconds between two attempts to reconnect, None
        where it is not known.
    :ivar identity: tells it from another one that gets its name later; 0
        where it is not known.
    """

    name: str
    nqn: str
    portal: volumes.Portal | None
    host_nqn: str | None
    state: str
    fast_io_fail_tmo: float | None = None
    has_fast_io_fail: bool = True
    keep_alive: float | None = None
    reconnect_delay: float | None = None
    identity: int = 0

    @property
    def live(self) -> bool:
        return self.state == 'live'

    @property
    def cuttable(self) -> bool:
        """The kernel has given it up: disconnecting it ends what hangs.

        Before, that hangs itself. A state that is not known is one in which
        the kernel may hold I/O on purpose: it is lost, and waited for.
        """
        return self.state == 'connecting'


@dataclasses.dataclass(frozen=True)
class Subsystem:
    """How the kernel spreads I/O over the connections to a target.

    :ivar name: the kernel's, such as nvme-subsys0.
    :ivar policy: the kernel's word: numa, round-robin, queue-depth.
    :ivar paths: how many connections there are over a network.
    """

    name: str
    policy: str
    paths: int


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A block device of an NVMe-oF namespace (nvme3n1).

    :ivar controllers: names of the controllers it is reached through.
    :ivar holders: block devices stacked on it or on its partitions.
    :ivar in_use: why nobody else may write to it, other than ``holders``:
        a mount, a partition table; '' where nothing speaks against it.
    :ivar barred: those of ``controllers`` over which its target gives no
        access to it, and says so (ANA): I/O is not sent, and waits.
    """

    device: str
    uuid: str | None
    size: int
    controllers: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    in_use: str = ''
    barred: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Leg:
    """A member of an array.

    :ivar device: its kernel name, also after the device itself is gone.
    :ivar slot: its place in the array, None for a spare.
    :ivar flags: md's own state words: in_sync, faulty, spare, blocked,
        write_error, want_replacement, replacement, failfast...
    :ivar replica_uuid: NVMe UUID of its namespace, None when that is gone.
    :ivar bad: the sectors that it does not hold, in sync or not.
    """

    device: str
    slot: int | None
    flags: frozenset[str]
    replica_uuid: str | None = None
    bad: bad_blocks.Ranges = ()

    @property
    def faulty(self) -> bool:
        return 'faulty' in self.flags

    @property
    def in_sync(self) -> bool:
        """It holds all of the data, but for its bad blocks."""
        return 'in_sync' in self.flags and not self.faulty

    @property
    def complete(self) -> bool:
        """It holds all of the data."""
        return self.in_sync and not self.bad

    @property
    def replacement(self) -> bool:
        return 'replacement' in self.flags

    @property
    def failfast(self) -> bool:
        return 'failfast' in self.flags


def held_by(leg: Leg, others: Collection[Leg]) -> bool:
    """Return whether these others, at least one, hold all that a leg does."""
    return bool(others) and (not leg.in_sync or bad_blocks.within(
        bad_blocks.common(other.bad for other in others),
        bad_blocks.sure(leg.bad)))


@dataclasses.dataclass(frozen=True)
class Array:
    """An MD RAID1 array whose legs are NVMe-oF namespaces, or were.

    :ivar alias: the md name where known (udev's link), else None.
    :ivar sync_action: md's word: idle, recover, resync, reshape, check...
    :ivar sync_done: and ``sync_total``: bytes, None when nothing runs.
    :ivar component_size: bytes every leg has to offer.
    :ivar instance: the boot, the kernel's number of the disk (``diskseq``,
        from Linux 5.15 on, never given twice in a boot) and the array's UUID;
        as long as it stays, the array was not stopped. '' where not known.
    :ivar locked: the block device itself is set read-only (its ``ro``).
    :ivar written: whatever uses it has written to it since it was put
        together; False where that is not known.
    :ivar sync_speed_max: KiB a second that md copies at most, where that was
        set for this array; 0: the limit of all arrays counts; None: not
        known.
    :ivar bitmap_delay: seconds after which md looks what its bitmap need mark
        no longer, None where not known.
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
    locked: bool = False
    instance: str = ''
    written: bool = False
    sync_speed_max: int | None = None
    bitmap_delay: float | None = None

    @property
    def read_only(self) -> str:
        """Why nothing is written to it, '' where it can be written to.

        md neither drops nor brings up to date a leg of such an array (md.c,
        md_is_rdwr).  ``readonly`` takes none in; ``read-auto`` ends with the
        first write, and with a leg that is added to be copied whole (md.c,
        md_ioctl).
        """
        if self.array_state == 'read-auto':
            return 'it is read-only until its first write (read-auto)'
        if self.array_state == 'readonly' or self.locked:
            return 'it is set read-only (%s)' % (
                'array_state readonly' if self.array_state == 'readonly'
                else 'blockdev --setro')
        return ''

    @property
    def unwritten(self) -> str:
        """Why it may be another host that writes to it, '' where it is this.

        Two hosts have it in a live migration, and of two one writes: md here
        neither copies nor marks what the other one does.  Copies that md
        makes, superblocks and bitmaps are no writes in this sense.
        """
        return '' if self.written else (
            'nobody on this host has written to it since it was put together, '
            'and another host may')

    @property
    def in_sync(self) -> tuple[Leg, ...]:
        """The legs that are in sync, as md sees it."""
        return tuple(leg for leg in self.legs if leg.in_sync)

    @property
    def filled(self) -> bool:
        """Every slot is filled by a leg that is in sync."""
        return self._filled_by(self.in_sync)

    @property
    def whole(self) -> bool:
        """Every slot is filled by a leg that holds all of the data."""
        return self._filled_by(leg for leg in self.legs if leg.complete)

    def _filled_by(self, legs: Iterable[Leg]) -> bool:
        slots = {leg.slot for leg in legs
                 if leg.slot is not None and not leg.replacement}
        return len(slots) >= self.raid_disks

    @property
    def lacks(self) -> bad_blocks.Ranges:
        """The sectors that no leg in sync holds."""
        return bad_blocks.common(leg.bad for leg in self.in_sync)

    @property
    def broken(self) -> str:
        """Why it takes no write any more, '' where it does.

        A write to its last leg has failed (raid1.c, raid1_error); that ends
        when the array is stopped.
        """
        return '' if self.array_state != 'broken' else (
            'a write to its last leg has failed, and Linux refuses every '
            'later one until the array is stopped and assembled again')

    @property
    def at_work(self) -> bool:
        """md itself reads or writes the legs: it copies, or compares them."""
        return self.sync_action not in ('idle', 'frozen')

    @property
    def syncing(self) -> bool:
        return self.sync_action in ('recover', 'resync', 'reshape')

    def leg_of(self, replica_uuid: str) -> Leg | None:
        """The leg of that replica; a working one before a faulty one."""
        found = None
        for leg in self.legs:
            if leg.replica_uuid == replica_uuid:
                if not leg.faulty:
                    return leg
                found = found or leg
        return found

    def leg(self, device: str) -> Leg | None:
        for leg in self.legs:
            if leg.device == device:
                return leg
        return None


@dataclasses.dataclass(frozen=True)
class IoCounters:
    """An array's I/O, from /sys/block/mdX/stat and inflight.

    :ivar ended: how many reads, writes and flushes have ended so far.
    :ivar under_way: how many have not.
    :ivar reads_ended: of those, reads; ``reads_under_way``: likewise.
    """

    ended: int
    under_way: int
    reads_ended: int = 0
    reads_under_way: int = 0

    @property
    def directions(self) -> Mapping[str, tuple[int, int]]:
        """How many have ended, and are under way, by what they do."""
        return {'read': (self.reads_ended, self.reads_under_way),
                'write': (self.ended - self.reads_ended,
                          self.under_way - self.reads_under_way)}


def belongs(array: Array, volume: volumes.Volume) -> bool:
    """Is this array the volume's: by its legs first, by its alias second.

    An array of another name is the volume's only if all legs that are known
    are its replicas: the provisioner may assign what another array uses.
    """
    known = {leg.replica_uuid for leg in array.legs if leg.replica_uuid}
    listed = {replica.uuid for replica in volume.replicas}
    if not known:
        return array.alias == volume.alias
    return bool(known & listed) and (array.alias == volume.alias
                                     or known <= listed)
