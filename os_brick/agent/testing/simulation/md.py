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
"""MD RAID1 with data, as Linux 6.1 and mdadm 4.2 behave.

Every block of every copy has the version that it holds; a write is
acknowledged when md would.  md notices a dead leg only when something is
written; the last leg is never failed; a faulty leg on which I/O hangs is
blocked and cannot be removed; a spare fills an empty slot by itself; a former
leg comes back by the write-intent bitmap.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import itertools
import uuid as uuid_lib

from os_brick.agent import model
from os_brick.agent.model import superblock

MIB = 1024 * 1024
OFFSET = 1 * MIB
#: How many blocks a copy has.
BLOCKS = 8


class KernelError(Exception):
    """mdadm or nvme would have failed."""


@dataclasses.dataclass(eq=False)
class Medium:
    """What a namespace is stored on.

    :ivar blocks: the version that each block holds.
    :ivar written: md's superblock on it.
    :ivar whole: by that, it was in sync.
    :ivar bitmap: the blocks that were marked, and as of which event, when
        that was written.
    """

    uuid: str
    size: int = 64 * MIB
    blocks: list[int] = dataclasses.field(
        default_factory=lambda: [0] * BLOCKS)
    written: superblock.Superblock | None = None
    whole: bool = False
    bitmap: tuple[frozenset[int], int] = (frozenset(), 0)


@dataclasses.dataclass(eq=False)
class Member:
    """A leg.

    :ivar number: md's own, in the superblock.
    :ivar todo: the blocks that are still to be copied to it.
    :ivar left: seconds until the next of them is.
    """

    device: str
    medium: Medium
    slot: int | None
    flags: set[str]
    number: int
    todo: set[int] = dataclasses.field(default_factory=set)
    left: float = 0.0
    vanished: bool = False

    @property
    def faulty(self) -> bool:
        return 'faulty' in self.flags

    @property
    def in_sync(self) -> bool:
        return 'in_sync' in self.flags and 'faulty' not in self.flags


@dataclasses.dataclass(eq=False)
class Raid:
    """An array.

    :ivar answer: what I/O to a device does: ok, wait or error.
    :ivar changed: called when something has that the kernel announces.
    :ivar clock: the wall clock, for superblocks.
    :ivar acknowledged: of each block, the last write that the application
        was told is done.
    :ivar dirty: the blocks that the write-intent bitmap marks.
    :ivar pending: the block that is being written, None where none is.
    :ivar width: to how many legs it was sent; only where there were several
        does md send it so that it fails fast.
    :ivar ended: how many writes have ended.
    :ivar errors: when writes failed.
    :ivar torn: the blocks of which the last write has failed.
    :ivar busy: md's lock is held by somebody who waits.
    :ivar queued: legs that are to be failed once it is free.
    :ivar now: a clock that never steps.
    :ivar lost: which legs were dropped, and when by that clock.
    :ivar cut: told of a leg that was dropped while a block was being written
        to it, with the block and the version.
    :ivar all_media: whatever there is, here and elsewhere.
    :ivar failfast: its legs have md's flag when it is assembled.
    :ivar beyond: the copies that held every acknowledged write when the array
        was assembled without them, on one that did not.
    :ivar moved: the last ``run`` or ``write`` has changed something beside
        the block that was written.
    """

    name: str
    alias: str
    raid_disks: int
    members: list[Member]
    answer: Callable[[str], str]
    changed: Callable[[], None]
    clock: Callable[[], float]
    uuid: str = ''
    component_size: int = 32 * MIB
    sync_time: float = 40.0
    acknowledged: list[int] = dataclasses.field(
        default_factory=lambda: [0] * BLOCKS)
    dirty: set[int] = dataclasses.field(default_factory=set)
    events: int = 10
    cleared: int = 10
    version: int = 0
    pending: int | None = None
    width: int = 0
    ended: int = 0
    errors: list[float] = dataclasses.field(default_factory=list)
    torn: set[int] = dataclasses.field(default_factory=set)
    busy: bool = False
    queued: set[str] = dataclasses.field(default_factory=set)
    now: Callable[[], float] = float
    lost: list[tuple[float, Member]] = dataclasses.field(
        default_factory=list)
    cut: Callable[[Member, int, int], None] = (
        lambda member, block, version: None)
    all_media: Callable[[], Iterable[Medium]] = tuple
    failfast: bool = True
    beyond: set[str] = dataclasses.field(default_factory=set)
    moved: bool = False
    _roles: tuple[tuple[int, int], ...] = ()
    _unwritten: bool = False

    def run(self, seconds: float) -> None:
        self.moved = bool(self.queued)
        if not self.busy:
            for device in list(self.queued):
                self.queued.discard(device)
                member = self.find(device)
                if member is not None and not self._last(member):
                    self.fail(member)
        if self._unwritten:
            self._write_unwritten()
        if self.settled:
            return
        waiting = self.pending
        self._finish_write()
        self._recover(seconds)
        self._finish_write()
        if self.pending != waiting:
            self.moved = True

    @property
    def settled(self) -> bool:
        """Nothing is under way: no write, no recovery, no blocked leg."""
        if self.pending is not None:
            return False
        for member in self.members:
            flags = member.flags
            if 'spare' in flags or 'blocked' in flags:
                return False
        return True

    def write(self, block: int) -> None:
        """The application writes a block."""
        self.moved = False
        if self.pending is not None:
            return
        self.pending = block
        self.version += 1
        self.dirty.add(block)
        self.width = sum(member.in_sync for member in self.members)
        self._finish_write()

    def broke(self, device: str) -> None:
        """The last connection to a device broke under a write.

        What was sent with failfast ends with an error; one on the last leg
        leaves the array broken.
        """
        for member in self.members:
            if (self.pending is not None and self.width > 1
                    and member.device == device and not member.faulty
                    and 'failfast' in member.flags):
                if not self._last(member):
                    self.fault(member)
                elif member.in_sync:
                    self._error()

    def _error(self) -> None:
        self.moved = True
        self.errors.append(self.clock())
        if self.pending is not None:
            self.torn.add(self.pending)
        self.pending = None

    def _last(self, member: Member) -> bool:
        return member.in_sync and not any(
            other.in_sync for other in self.members if other is not member)

    def io(self, member: Member) -> str:
        return 'error' if member.vanished else self.answer(member.device)

    def hangs(self) -> bool:
        """A change of the array would wait for a leg."""
        return any(self.io(member) == 'wait' for member in self.members
                   if not member.faulty or 'blocked' in member.flags)

    def current(self, member: Member) -> bool:
        """The copy holds every acknowledged write; the truth."""
        for held, told in zip(member.medium.blocks, self.acknowledged):
            if held < told:
                return False
        return True

    def copies(self) -> list[Member]:
        """The legs that hold all data and that md would use."""
        return [member for member in self.members if member.in_sync
                and not member.vanished and self.current(member)]

    def fault(self, member: Member) -> None:
        self.moved = True
        if member in self.copies():
            self.lost.append((self.now(), member))
        if (self.pending is not None and member.in_sync
                and self.io(member) != 'ok'):
            self.cut(member, self.pending, self.version)
        if member.in_sync:
            member.medium.bitmap = frozenset(self.dirty), self.cleared
        member.flags |= {'faulty'}
        member.flags -= {'in_sync', 'replacement', 'spare',
                         'want_replacement'}
        member.slot = None
        self.write_superblocks()
        self.changed()

    def write_superblocks(self) -> None:
        self.events += 1
        roles = tuple((member.number, member.slot)
                      for member in self.members
                      if member.slot is not None and not member.faulty)
        self._roles = roles
        self._unwritten = True
        self._write_unwritten()

    def _write_unwritten(self) -> None:
        """Write the superblocks of those legs that are there (again)."""
        self._unwritten = False
        for member in self.members:
            if member.faulty or member.vanished or (
                    member.medium.written is not None
                    and member.medium.written.events == self.events
                    and member.medium.written.roles == self._roles
                    and member.medium.written.array_uuid == self.uuid):
                continue
            if self.io(member) == 'ok':
                self.write_superblock(member, self._roles)
            else:
                self._unwritten = True

    def write_superblock(self, member: Member,
                         roles: tuple[tuple[int, int], ...]) -> None:
        member.medium.written = superblock.Superblock(
            self.uuid, member.medium.uuid, self.events,
            float(int(self.clock())), member.number, self.raid_disks, roles)
        member.medium.whole = member.in_sync
        member.medium.bitmap = frozenset(self.dirty), self.cleared

    def _finish_write(self) -> None:
        for member in self.members:
            if 'blocked' in member.flags and self.io(member) != 'wait':
                member.flags -= {'blocked'}
                self.moved = True
        if self.pending is None:
            return
        for member in list(self.members):
            if member.vanished and member.slot is None and not member.faulty:
                # the superblock is written to spares, too
                self.fault(member)
        active = [member for member in self.members
                  if member.slot is not None and not member.faulty]
        waits = False
        for member in active:
            answer = self.io(member)
            waits = waits or answer == 'wait'
            if answer == 'ok' and self.pending not in member.todo:
                member.medium.blocks[self.pending] = self.version
            if answer != 'error' or member.faulty:
                continue
            if not member.in_sync or any(
                    other.in_sync and other is not member
                    and self.io(other) != 'error' for other in active):
                self.fault(member)
            elif all(self.io(other) == 'error' for other in active
                     if other.in_sync):
                self._error()
                return
        # one that is blocked still waits, or it would not be
        if waits or any('blocked' in member.flags
                        for member in self.members):
            return
        self.acknowledged[self.pending] = self.version
        self.torn.discard(self.pending)
        if self.whole:
            self.dirty.discard(self.pending)
            self.cleared = self.events
        self.pending = None
        self.ended += 1

    @property
    def whole(self) -> bool:
        return len({member.slot for member in self.members
                    if member.in_sync}) >= self.raid_disks

    def _recover(self, seconds: float) -> None:
        if not any('spare' in member.flags for member in self.members):
            return
        taken = {member.slot for member in self.members if not member.faulty}
        for member in self.members:
            free = [slot for slot in range(self.raid_disks)
                    if slot not in taken]
            if 'spare' in member.flags and member.slot is None and free:
                # what was written meanwhile did not reach it
                member.slot, member.todo = free[0], set(range(BLOCKS))
                taken.add(free[0])
                self.moved = True
            elif 'spare' in member.flags and member.slot is None:
                self._replace_wanted(member)
        source = next((member for member in self.members if member.in_sync
                       and self.io(member) == 'ok'), None)
        if source is None:
            return
        for member in list(self.members):
            if 'spare' not in member.flags or member.slot is None:
                continue
            if self.io(member) == 'error':
                self.fault(member)
            if self.io(member) == 'ok':
                self._copy(source, member, seconds)

    def _copy(self, source: Member, member: Member, seconds: float) -> None:
        self.moved = True
        member.left -= seconds
        while member.todo and member.left <= 0:
            block = min(member.todo)
            member.todo.discard(block)
            member.medium.blocks[block] = source.medium.blocks[block]
            member.left += self.sync_time / BLOCKS
        if not member.todo and self.pending is None:
            self._complete(member)

    def _replace_wanted(self, spare: Member) -> None:
        """A leg that wants a replacement takes any spare."""
        for leg in self.members:
            if 'want_replacement' in leg.flags and not any(
                    other.slot == leg.slot and other is not leg
                    for other in self.members):
                spare.slot, spare.todo = leg.slot, set(range(BLOCKS))
                spare.flags |= {'replacement'}
                self.moved = True
                return

    def _complete(self, member: Member) -> None:
        if 'replacement' in member.flags:
            for other in self.members:
                if other is not member and other.slot == member.slot:
                    self.fault(other)
        member.flags = (member.flags | {'in_sync'}) - {'spare',
                                                       'replacement'}
        if self.whole:
            self.dirty.clear()
            self.cleared = self.events + 1
        self.write_superblocks()
        self.changed()

    # what mdadm does; each raises KernelError as that would

    def find(self, device: str) -> Member | None:
        """The leg on that device; a working one before a faulty one."""
        return min((member for member in self.members
                    if member.device == device),
                   key=lambda member: member.faulty, default=None)

    def member(self, device: str) -> Member:
        found = self.find(device)
        if found is None:
            raise KernelError('no such device: %s' % device)
        return found

    def fail(self, member: Member) -> None:
        if self._last(member):
            raise KernelError('set device faulty failed: busy')
        hangs = self.pending is not None and self.io(member) == 'wait'
        self.fault(member)
        member.flags |= {'blocked'} if hangs else set()

    def remove(self, member: Member) -> None:
        if 'blocked' in member.flags or (not member.faulty
                                         and member.slot is not None):
            raise KernelError('hot remove failed: busy')
        self.members.remove(member)
        self.write_superblocks()

    def resize(self, raid_disks: int) -> None:
        if (raid_disks < self.raid_disks
                and len(self.members) > raid_disks):
            raise KernelError('raid_disks: device or resource busy')
        self.raid_disks = raid_disks
        for slot, member in enumerate(sorted(
                (member for member in self.members
                 if member.slot is not None),
                key=lambda member: member.slot or 0)):
            member.slot = slot
        self.write_superblocks()

    def replace(self, member: Member, spare: Member) -> None:
        if spare.slot is not None or 'spare' not in spare.flags:
            raise KernelError('%s is no spare' % spare.device)
        member.flags |= {'want_replacement'}
        spare.flags |= {'replacement'}
        spare.slot, spare.todo = member.slot, set(range(BLOCKS))

    def join(self, device: str, medium: Medium, returning: bool,
             failfast: bool = True) -> Member:
        """Add a namespace, by its bitmap where that fits."""
        if medium.size < self.component_size + OFFSET:
            raise KernelError('mdadm: cannot add %s' % device)
        known = self._known(medium)
        if returning and not known:
            raise KernelError('mdadm: re-add of %s refused' % device)
        numbers = {member.number for member in self.members}
        member = Member(
            device, medium, None, {'spare'} | ({'failfast'} if failfast
                                               else set()),
            next(number for number in itertools.count(self.raid_disks)
                 if number not in numbers), set(range(BLOCKS)))
        free = self._free()
        if known and free:
            member.slot, member.todo = min(free), set(self.dirty)
        member.left = self.sync_time / BLOCKS if member.todo else 1.0
        self.members.append(member)
        self.write_superblocks()
        self.changed()
        return member

    def _known(self, medium: Medium) -> bool:
        """It was a leg in sync, and the bitmap goes back as far."""
        return (medium.written is not None and medium.whole
                and medium.written.array_uuid == self.uuid
                and medium.written.events >= self.cleared)

    def _free(self) -> set[int]:
        return set(range(self.raid_disks)) - {
            other.slot for other in self.members if not other.faulty}

    def would_mix(self, medium: Medium) -> bool:
        """md would take it in with what was never written to the others.

        It was in charge itself meanwhile: the bitmap of the array knows
        nothing of that.
        """
        good = next((member.medium for member in self.members
                     if member.in_sync), None)
        return good is not None and self._known(medium) and bool(
            self._free()) and any(
                one != other and block not in self.dirty
                for block, (one, other)
                in enumerate(zip(medium.blocks, good.blocks)))

    def array(self) -> model.Array:
        filled = {member.slot for member in self.members if member.in_sync}
        syncing = any('spare' in member.flags and member.slot is not None
                      for member in self.members)
        return model.Array(
            self.name, self.alias, self.uuid, self.raid_disks,
            self.raid_disks - len(filled), 'active',
            'recover' if syncing else 'idle', self.component_size,
            tuple(model.Leg(member.device, member.slot,
                            frozenset(member.flags), None if member.vanished
                            else member.medium.uuid)
                  for member in self.members), data_offset=OFFSET)


def block_of(copy: superblock.Superblock) -> bytes:
    """Return what md writes of it, and what follows in the same block."""
    roles = [0xffff] * 128
    for number, slot in copy.roles:
        roles[number] = slot
    tail = b''.join(role.to_bytes(2, 'little') for role in roles)

    def packed(checksum: int) -> bytes:
        return superblock._HEADER.pack(
            superblock.MAGIC, 1, uuid_lib.UUID(copy.array_uuid).bytes,
            copy.raid_disks, copy.number,
            uuid_lib.UUID(copy.device_uuid).bytes, int(copy.updated),
            copy.events, checksum, len(roles)) + tail
    return packed(superblock._checksum(packed(0))).ljust(
        superblock.LENGTH, b'\0')
