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
"""What an array is: its legs, what they hold, what md writes of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import math

from os_brick.agent.model import superblock
from os_brick.agent.testing.simulation import media

BLOCKS = media.BLOCKS
Medium = media.Medium
Member = media.Member
MIB = media.MIB


@dataclasses.dataclass(eq=False)
class RaidState:
    """An array.

    :ivar answer: what I/O to a device does: ok, wait or error.
    :ivar changed: called when something has that the kernel announces.
    :ivar clock: the wall clock, for superblocks.
    :ivar acknowledged: of each block, the last write that the application
        was told is done.
    :ivar dirty: the blocks that the write-intent bitmap marks as needed.
    :ivar fading: those of writes that have ended on all legs -> until when
        they are marked, at least.
    :ivar bitmap_delay: after how many seconds md looks at its marks;
        ``delayed_at``: since when.
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
    :ivar promised: what was acknowledged of each block before it counted no
        more, because the array came up without it.
    :ivar instance: the kernel's word for it, see ``model.Array``.
    :ivar written: the application has written to it since it was put
        together.
    :ivar moved: the last ``run`` or ``write`` has changed something beside
        the block that was written.
    :ivar sync_speed_max: KiB a second that a copy may make, 0: no limit.
    :ivar by_hand: when somebody who is not the agent has set that.
    :ivar broken: it takes no write until it is assembled anew.
    :ivar refused: how many writes no leg took.
    :ivar noted: bad blocks have come or gone since the kernel has looked; it
        does not announce that.
    :ivar noted_at: when a medium has refused something last.
    :ivar grown_at: when it was made larger last.
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
    fading: dict[int, float] = dataclasses.field(default_factory=dict)
    bitmap_delay: float = 5.0
    delayed_at: float = -math.inf
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
    promised: list[int] = dataclasses.field(
        default_factory=lambda: [0] * BLOCKS)
    moved: bool = False
    instance: str = ''
    written: bool = False
    sync_speed_max: int = 0
    by_hand: float | None = None
    broken: bool = False
    refused: int = 0
    noted: bool = False
    noted_at: float = -math.inf
    grown_at: float = -math.inf
    _roles: tuple[tuple[int, int], ...] = ()
    _unwritten: bool = False

    @property
    def _pace(self) -> float:
        """Seconds that a whole copy takes; a limit makes it longer."""
        return max(self.sync_time, self.component_size / 1024
                   / self.sync_speed_max if self.sync_speed_max else 0.0)

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

    @property
    def syncing(self) -> bool:
        """A leg that has a place is being brought up to date."""
        return any('spare' in member.flags and member.slot is not None
                   for member in self.members)

    @property
    def barred(self) -> bool:
        """What is copied hangs: a write that waits for that is not counted."""
        return any(member.todo and not member.faulty
                   and member.slot is not None and self.io(member) == 'wait'
                   for member in self.members)

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
        """The copy holds every acknowledged write; the truth.

        But for its bad blocks: see ``held``.
        """
        for block, (held, told) in enumerate(zip(member.medium.blocks,
                                                 self.acknowledged)):
            if held < told and block not in member.bad:
                return False
        return True

    def held(self, member: Member) -> set[int]:
        """The blocks of which md can read what was acknowledged there."""
        return {block for block, (held, told)
                in enumerate(zip(member.medium.blocks, self.acknowledged))
                if held >= told and block not in member.bad}

    def lacks(self) -> set[int]:
        """The blocks that no leg in sync holds."""
        return set(range(BLOCKS)).difference(*(
            self.held(member) for member in self.members if member.in_sync))

    @property
    def incomplete(self) -> bool:
        """A leg has bad blocks."""
        return any(member.bad for member in self.members)

    def copies(self) -> list[Member]:
        """The legs that hold all data and that md would use."""
        return [member for member in self.members if member.in_sync
                and not member.vanished and self.current(member)]

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
            if self.io(member) == 'ok' and not member.medium.read_only:
                self.write_superblock(member, self._roles)
            else:
                self._unwritten = True

    def write_superblock(self, member: Member,
                         roles: tuple[tuple[int, int], ...]) -> None:
        member.medium.written = superblock.Superblock(
            self.uuid, member.medium.uuid, self.events,
            float(int(self.clock())), member.number, self.raid_disks, roles,
            complete=member.in_sync)
        member.medium.whole = member.in_sync
        member.medium.unflushed.clear()
        member.medium.bitmap = frozenset(self.dirty), self.cleared
        member.medium.bad = frozenset(member.bad)

    @property
    def marked(self) -> set[int]:
        """The blocks that the bitmap on the legs marks."""
        return self.dirty | {block for block, end in self.fading.items()
                             if end > self.now()}

    @property
    def whole(self) -> bool:
        return len({member.slot for member in self.members
                    if member.in_sync}) >= self.raid_disks

    def find(self, device: str) -> Member | None:
        """The leg on that device; a working one before a faulty one."""
        return min((member for member in self.members
                    if member.device == device),
                   key=lambda member: member.faulty, default=None)
