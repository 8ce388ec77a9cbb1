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
"""What a leg is, and what the copy behind it holds: data and superblock."""

from __future__ import annotations

import dataclasses
import uuid as uuid_lib

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
    :ivar bad: md's bad blocks, as the superblock has them.
    :ivar refuses: the blocks that it does not let be written; True: for good.
    :ivar read_only: it lets nothing be written, no superblock either.
    :ivar unflushed: when it took which block of the application's, and what
        that held before; a superblock that is written flushes it all.
    :ivar forgetful: it has lost of that what it had acknowledged, and md has
        not dropped it yet.
    """

    uuid: str
    size: int = 64 * MIB
    blocks: list[int] = dataclasses.field(
        default_factory=lambda: [0] * BLOCKS)
    written: superblock.Superblock | None = None
    whole: bool = False
    bitmap: tuple[frozenset[int], int] = (frozenset(), 0)
    bad: frozenset[int] = frozenset()
    refuses: dict[int, bool] = dataclasses.field(default_factory=dict)
    read_only: bool = False
    unflushed: list[tuple[float, int, int]] = dataclasses.field(
        default_factory=list)
    forgetful: bool = False

    def forget(self, since: float) -> dict[int, int]:
        """Lose what it took since then; return the blocks as they were."""
        held: dict[int, int] = {}
        while self.unflushed and self.unflushed[-1][0] >= since:
            _when, block, before = self.unflushed.pop()
            held.setdefault(block, self.blocks[block])
            self.blocks[block] = before
        self.unflushed.clear()
        self.forgetful = bool(held)
        return held

    def takes(self, block: int) -> bool:
        return not self.read_only and block not in self.refuses


@dataclasses.dataclass(eq=False)
class Member:
    """A leg.

    :ivar number: md's own, in the superblock.
    :ivar todo: the blocks that are still to be copied to it.
    :ivar left: seconds until the next of them is.
    :ivar bad: its bad blocks, and when each was noted; ``struck``: and when
        one was struck out last.
    """

    device: str
    medium: Medium
    slot: int | None
    flags: set[str]
    number: int
    todo: set[int] = dataclasses.field(default_factory=set)
    left: float = 0.0
    vanished: bool = False
    bad: dict[int, float] = dataclasses.field(default_factory=dict)
    struck: dict[int, float] = dataclasses.field(default_factory=dict)

    @property
    def faulty(self) -> bool:
        return 'faulty' in self.flags

    @property
    def in_sync(self) -> bool:
        return 'in_sync' in self.flags and 'faulty' not in self.flags


def block_of(copy: superblock.Superblock) -> bytes:
    """Return what md writes of it, and what follows in the same block."""
    roles = [0xffff] * 128
    for number, slot in copy.roles:
        roles[number] = slot
    tail = b''.join(role.to_bytes(2, 'little') for role in roles)

    def packed(checksum: int) -> bytes:
        block = bytearray(superblock._HEADER.pack(
            superblock.MAGIC, 1, uuid_lib.UUID(copy.array_uuid).bytes,
            copy.raid_disks, copy.number,
            uuid_lib.UUID(copy.device_uuid).bytes, int(copy.updated),
            copy.events, checksum, len(roles)) + tail)
        if not copy.complete:
            # packing a pad writes zeros over the magic number
            block[8] |= superblock._RECOVERING
        return bytes(block)
    return packed(superblock._checksum(packed(0))).ljust(
        superblock.LENGTH, b'\0')
