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
"""MD RAID1 with data, as Linux 6.1 and mdadm 4.2 behave: what mdadm does.

A faulty leg on which I/O hangs is blocked and cannot be removed; a former leg
comes back by the write-intent bitmap.
"""

from __future__ import annotations

from collections.abc import Iterable
import itertools

from os_brick.agent import model
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import superblock
from os_brick.agent.testing.simulation import media
from os_brick.agent.testing.simulation import running

BLOCKS = media.BLOCKS
KernelError = media.KernelError
Medium = media.Medium
Member = media.Member
MIB = media.MIB
OFFSET = media.OFFSET
block_of = media.block_of
#: Sectors that one entry of md's list of bad blocks has at most.
_MOST = 512


def log_of(medium: Medium, raids: Iterable[Raid]) -> bytes:
    """Return the list of bad blocks that follows a copy's superblock.

    The block with the superblock says that its data begins at sector 0.
    """
    length = next((raid.block_length for raid in raids if medium.written
                   and raid.uuid == medium.written.array_uuid), 0)
    if not medium.bad or not length:
        return b''
    found = b''.join(
        (first << 10 | min(_MOST, length)).to_bytes(8, 'little')
        for block in sorted(medium.bad)
        for first in range(block * length, (block + 1) * length, _MOST))
    return found.ljust(superblock.LENGTH, b'\xff')


class Raid(running.RunningRaid):
    """An array, and what mdadm does to it.

    Each raises KernelError as that would.
    """

    def member(self, device: str) -> Member:
        found = self.find(device)
        if found is None:
            raise KernelError('no such device: %s' % device)
        return found

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

    def keep_marked(self, member: Member) -> int:
        """What is written to bitmap_set_bits: that of the bitmap of a leg."""
        if self.io(member) != 'ok':
            raise KernelError('%s cannot be read' % member.device)
        self.dirty |= self.marked
        return len(self.dirty)

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
        if medium.read_only:
            raise KernelError('mdadm: cannot write to %s' % device)
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
        if known:
            member.bad = dict.fromkeys(medium.bad, self.now())
        if known and free:
            member.slot, member.todo = min(free), set(self.dirty)
        member.left = self._pace / BLOCKS if member.todo else 1.0
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
        good = next((member for member in self.members
                     if member.in_sync), None)
        return good is not None and self._known(medium) and bool(
            self._free()) and any(
                one != other and block not in self.dirty
                and block not in good.bad and block not in medium.bad
                for block, (one, other)
                in enumerate(zip(medium.blocks, good.medium.blocks)))

    def alone_has(self, medium: Medium) -> set[int]:
        """The acknowledged blocks that this copy has, and no leg in sync."""
        return {block for block in self.lacks()
                if medium.blocks[block] >= self.acknowledged[block] > 0
                and block not in medium.bad}

    @property
    def block_length(self) -> int:
        """Sectors of a block."""
        return self.component_size // BLOCKS // bad_blocks.SECTOR

    def bad_blocks(self, member: Member) -> str:
        """As in ``md/dev-X/bad_blocks``: sectors of the device."""
        length = self.block_length
        return ''.join('%d %d\n' % (
            OFFSET // bad_blocks.SECTOR + block * length, length)
            for block in sorted(member.bad))

    def array(self) -> model.Array:
        filled = {member.slot for member in self.members if member.in_sync}
        return model.Array(
            self.name, self.alias, self.uuid, self.raid_disks,
            self.raid_disks - len(filled),
            'broken' if self.broken else 'active',
            'recover' if self.syncing else 'idle', self.component_size,
            tuple(model.Leg(member.device, member.slot,
                            frozenset(member.flags), None if member.vanished
                            else member.medium.uuid, bad_blocks.parse(
                                self.bad_blocks(member),
                                OFFSET // bad_blocks.SECTOR))
                  for member in self.members), data_offset=OFFSET,
            instance=self.instance, written=self.written,
            sync_speed_max=self.sync_speed_max,
            bitmap_delay=self.bitmap_delay)
