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
"""What md wrote on a member of an array: its superblock, as bytes and read.

Only version 1 is read, in its three places (1.0, 1.1 and 1.2); of the older
0.90 no more is told than that it is there.  Sizes are bytes, times are
seconds since the epoch.

Source: include/uapi/linux/raid/md_p.h, struct mdp_superblock_1, and
drivers/md/md.c, super_1_load and calc_sb_1_csum (Linux 6.1).
"""

from __future__ import annotations

import dataclasses
import struct
import uuid as uuid_lib

from os_brick.agent.model import bad_blocks

MAGIC = 0xa92b4efc
#: Bytes of a block that is read: a superblock with its roles fits in.
LENGTH = 4096
#: A role that is no place in the array: the journal, faulty, none.
NO_PLACE = 0xfffd
# magic, version; array's UUID; raid_disks; this device's number and UUID;
# utime and events; checksum and how many roles follow
_HEADER = struct.Struct(
    '<II8x16s' '32x24x4xI' '32x32xI4x16s8x' 'QQ8xII32x')
_CHECKSUM = slice(0xd8, 0xdc)
_FEATURES = struct.Struct('<8xI')
_HAS_BITMAP, _RECOVERING, _HAS_BAD_BLOCKS = 1, 2, 8
# where the data begins; bblog_shift, bblog_size, bblog_offset
_DATA_OFFSET = struct.Struct('<128xQ')
_LOG = struct.Struct('<185xBHi')
# where the bitmap is, in sectors from the superblock
_BITMAP_OFFSET = struct.Struct('<96xi')
_KIB = 1024


class NotUnderstood(Exception):
    """It begins like a superblock and is none that can be read."""


@dataclasses.dataclass(frozen=True)
class Superblock:
    """What a member's superblock says of its array.

    :ivar array_uuid: as md has it in sysfs and mdadm in MD_UUID, spelt as a
        UUID.
    :ivar events: how often md has written down a change of the array; the
        higher of two copies has seen more.
    :ivar updated: when md wrote it, by the wall clock of its host.
    :ivar number: by which ``roles`` names this device.
    :ivar roles: number of a device -> its slot, of those that have one.
    :ivar bad: the sectors of the data that this device does not hold, as far
        as its list of them was read, too.
    :ivar complete: it was in sync when this was written; False: md was still
        copying to it (a recovery offset).
    """

    array_uuid: str
    device_uuid: str
    events: int
    updated: float
    number: int
    raid_disks: int
    roles: tuple[tuple[int, int], ...]
    bad: bad_blocks.Ranges = ()
    complete: bool = True

    def has(self, number: int) -> bool:
        """The device of that number had a place when this was written."""
        return any(number == known for known, _slot in self.roles)


@dataclasses.dataclass(frozen=True)
class Content:
    """What was read of a namespace: the superblocks of md on it.

    :ivar superblocks: those that make sense; none: md has not written here.
    :ivar damaged: why another one makes no sense, '' where there is none.
    :ivar unreadable: why every read of it fails, '' where none did; then
        nothing is known of what is on it.
    """

    superblocks: tuple[Superblock, ...] = ()
    damaged: str = ''
    unreadable: str = ''


def read(blocks: tuple[bytes, ...]) -> Content:
    """Read the blocks that begin with md's magic number."""
    found, damaged = [], ''
    for block in blocks:
        try:
            found.append(parse(block))
        except NotUnderstood as error:
            damaged = str(error)
    return Content(tuple(found), damaged)


def places(size: int) -> tuple[int, ...]:
    """Return where on a device of that size a superblock may begin.

    In the order 1.2, 1.1, 1.0, 0.90 (md.c: super_1_load, calc_dev_sboffset).
    """
    last = (size // 512 - 16) // 8 * 8 * 512
    oldest = size // (64 * _KIB) * 64 * _KIB - 64 * _KIB
    return tuple(dict.fromkeys(place for place in (4 * _KIB, 0, last, oldest)
                               if 0 <= place <= size - LENGTH))


def is_one(block: bytes) -> bool:
    """The block begins with md's magic number."""
    return len(block) >= 4 and block[:4] in (
        MAGIC.to_bytes(4, 'little'), MAGIC.to_bytes(4, 'big'))


def log_place(block: bytes, place: int) -> int | None:
    """Return where on the device the list of bad blocks is, if there is one.

    :param place: where the block with the superblock begins.
    """
    if len(block) < LENGTH or not (
            _FEATURES.unpack_from(block)[0] & _HAS_BAD_BLOCKS):
        return None
    _shift, size, offset = _LOG.unpack_from(block)
    return place + offset * bad_blocks.SECTOR if size and offset else None


def bitmap_place(block: bytes, place: int) -> int | None:
    """Return where on the device the write-intent bitmap is, if it is there.

    :param place: where the block with the superblock begins.
    """
    if len(block) < LENGTH or not (
            _FEATURES.unpack_from(block)[0] & _HAS_BITMAP):
        return None
    offset, = _BITMAP_OFFSET.unpack_from(block)
    return place + offset * bad_blocks.SECTOR if offset else None


def minor(place: int) -> int:
    """Return which version 1.x has its superblock there."""
    return {0: 1, 4 * _KIB: 2}.get(place, 0)


def _bad(block: bytes, log: bytes) -> bad_blocks.Ranges:
    """Read the list: 54 bits of a sector, 10 of how many (super_1_load)."""
    offset, = _DATA_OFFSET.unpack_from(block)
    shift = _LOG.unpack_from(block)[0]
    found = []
    for entry, in struct.iter_unpack('<Q', log[:len(log) // 8 * 8]):
        if entry == (1 << 64) - 1:
            break
        first = ((entry >> 10) << shift) - offset
        found.append((first, first + ((entry & 0x3ff) << shift)))
    return bad_blocks.merged(found)


def parse(block: bytes) -> Superblock:
    """Read a block of ``LENGTH`` bytes that begins with the magic number.

    What follows it is the list of bad blocks, see ``log_place``.

    :raises NotUnderstood: it is of another version, cut off, or damaged.
    """
    if len(block) < LENGTH:
        raise NotUnderstood('%d bytes are too few' % len(block))
    (magic, major, array_uuid, raid_disks, number, device_uuid, updated,
     events, checksum, places_known) = _HEADER.unpack_from(block)
    if magic != MAGIC or major != 1:
        raise NotUnderstood('its version is not 1')
    length = _HEADER.size + 2 * places_known
    if length > LENGTH:
        raise NotUnderstood('it names %d devices' % places_known)
    if checksum != _checksum(block[:length]):
        raise NotUnderstood('its checksum is wrong')
    roles = struct.unpack_from('<%dH' % places_known, block, _HEADER.size)
    return Superblock(
        array_uuid=str(uuid_lib.UUID(bytes=array_uuid)),
        device_uuid=str(uuid_lib.UUID(bytes=device_uuid)),
        events=events, updated=float(updated & (1 << 40) - 1), number=number,
        raid_disks=raid_disks, roles=tuple(
            (known, slot) for known, slot in enumerate(roles)
            if slot < NO_PLACE), bad=_bad(block, block[LENGTH:]),
        complete=not _FEATURES.unpack_from(block)[0] & _RECOVERING)


def _checksum(content: bytes) -> int:
    content = (content[:_CHECKSUM.start] + bytes(4)
               + content[_CHECKSUM.stop:])
    words = len(content) // 4
    total: int = sum(struct.unpack_from('<%dI' % words, content))
    if len(content) % 4:
        total += int.from_bytes(content[4 * words:4 * words + 2], 'little')
    return ((total & 0xffffffff) + (total >> 32)) & 0xffffffff
