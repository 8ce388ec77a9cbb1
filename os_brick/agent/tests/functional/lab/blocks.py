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
"""The content of the writer's blocks and its log of acknowledged writes.

Each block says which write it is of, and its whole content follows from
that, so that a lost, misplaced, torn or spoilt block is told by comparing
it with what its offset ought to hold.  Standard library only: the writer is
started without site packages, which takes seconds less when emulated.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
import dataclasses
import struct
import zlib

SIZE = 4096
_HEADER = struct.Struct('<8sQQQI')
_MAGIC = b'NVMELAB1'

#: sequence, offset, start (ns, monotonic clock), duration (ns), errno.
RECORD = struct.Struct('<QQQQI')


@dataclasses.dataclass(frozen=True)
class Write:
    """One finished write; times are seconds on the monotonic clock."""

    sequence: int
    offset: int
    start: float
    latency: float
    errno: int


def block(session: int, sequence: int, offset: int) -> bytes:
    """Return the 4096 bytes of one write."""
    filling = (_HEADER.pack(_MAGIC, session, sequence, offset, 0)
               * (SIZE // _HEADER.size + 1))[_HEADER.size:SIZE]
    checksum = zlib.crc32(filling)
    return _HEADER.pack(_MAGIC, session, sequence, offset,
                        checksum) + filling


def describe(content: bytes) -> str:
    """Say in words what a block holds."""
    if not any(content):
        return 'zeros'
    magic, _session, sequence, offset, _sum = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        return 'foreign content %s...' % content[:16].hex()
    if content == block(_session, sequence, offset):
        return 'write %d for offset %d' % (sequence, offset)
    return 'a torn or spoilt write %d for offset %d' % (sequence, offset)


def offset_of(sequence: int, count: int) -> int:
    """Return where a write goes: all of ``count`` blocks, hopping about."""
    # A stride coprime with any power of two, so that neighbours in time
    # are not neighbours on the device and many bitmap chunks are dirtied.
    return (sequence * 7919) % count * SIZE


def read_log(path: str) -> Iterator[Write]:
    """Yield every finished write in order, leaving out a torn last record."""
    with open(path, 'rb') as records:
        content = records.read()
    whole = len(content) - len(content) % RECORD.size
    for sequence, offset, start, duration, errno in RECORD.iter_unpack(
            content[:whole]):
        yield Write(sequence, offset, start / 1e9, duration / 1e9, errno)


def expectations(session: int, writes: Iterator[Write],
                 in_flight: tuple[int, int] | None
                 ) -> dict[int, tuple[bytes, ...]]:
    """Map each acknowledged offset to what may be there.

    It is the last acknowledged write, or a later one that ended in an error
    or never ended: the device promised nothing about those.

    :param in_flight: sequence and offset of a write that never ended.
    """
    allowed: dict[int, list[bytes]] = collections.defaultdict(list)
    acknowledged = set()
    for write in writes:
        if not write.errno:
            acknowledged.add(write.offset)
            allowed[write.offset].clear()
        allowed[write.offset].append(
            block(session, write.sequence, write.offset))
    if in_flight and in_flight[1] in acknowledged:
        allowed[in_flight[1]].append(block(session, *in_flight))
    return {offset: tuple(allowed[offset]) for offset in acknowledged}
