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
"""md's write-intent bitmap as it is on a member: what it marks; pure.

A bit says of a chunk of the data that it may differ between the legs.  It is
on disk before the write that it is for, and goes some seconds after that has
ended on all legs.  Sizes are bytes.

Source: drivers/md/md-bitmap.h, struct bitmap_super_s, and md-bitmap.c (Linux
6.1); md.c, bitmap_store.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import re
import struct
import uuid as uuid_lib

MAGIC = 0x6d746962
#: Bytes before the first bit, and those of a bitmap at most that is read:
#: a million chunks.  mdadm makes chunks of 64 MiB at least by itself.
HEADER, MOST = 256, 128 * 1024
_SECTOR = 512
#: Only that of one host, in little endian: 5 is a cluster's, 3 depends on who
#: wrote it.
_VERSION = 4
# magic, version, uuid, events, events_cleared, sync_size in sectors, state,
# chunksize, daemon_sleep, write_behind, sectors_reserved, nodes
_FIELDS = struct.Struct('<II16sQQQIIIIII')
#: md does not trust it itself: BITMAP_STALE, BITMAP_WRITE_ERROR.
_NOT_TRUSTED = 0x6
#: What one write to md's attribute may have: the kernel takes a page.
PAGE = 4096
#: How many of these there may be, before neighbours are marked, too.
PAGES = 32

#: (first, last) chunks, ascending, and apart.
Chunks = tuple[tuple[int, int], ...]


class NotUnderstood(Exception):
    """It is none that can be read."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What a bitmap says of itself.

    :ivar array_uuid: spelt as a UUID.
    :ivar chunk: bytes of the data that a bit is for.
    :ivar chunks: how many bits there are.
    """

    array_uuid: str
    chunk: int
    chunks: int

    @property
    def length(self) -> int:
        """Bytes of all of it."""
        return HEADER + -(-self.chunks // 8)


def header(content: bytes) -> Header:
    """Read the beginning of a bitmap.

    :raises NotUnderstood: it is none, or of another kind, or too long.
    """
    if len(content) < HEADER:
        raise NotUnderstood('%d bytes are too few' % len(content))
    (magic, version, uuid, _events, _cleared, sectors, state, chunk, _sleep,
     _behind, reserved, nodes) = _FIELDS.unpack_from(content)
    if magic != MAGIC:
        raise NotUnderstood('there is none')
    if version != _VERSION or nodes:
        raise NotUnderstood('its version is %d' % version)
    if state & _NOT_TRUSTED:
        raise NotUnderstood('md does not trust it (state %#x)' % state)
    if chunk < _SECTOR or chunk & (chunk - 1) or not sectors:
        raise NotUnderstood('chunks of %d bytes, %d sectors' % (chunk,
                                                                sectors))
    found = Header(str(uuid_lib.UUID(bytes=uuid)), chunk,
                   -(-sectors * _SECTOR // chunk))
    if found.length > MOST or reserved and (
            found.length > reserved * _SECTOR):
        raise NotUnderstood('it has %d bytes' % found.length)
    return found


def marked(content: bytes) -> Chunks:
    """Return the chunks that a bitmap marks.

    :raises NotUnderstood: see ``header``; or some of it is missing.
    """
    found = header(content)
    if len(content) < found.length:
        raise NotUnderstood('%d of %d bytes were read' % (len(content),
                                                          found.length))
    # the lowest bit of the first byte is the first chunk
    bits = bin(int.from_bytes(content[HEADER:found.length], 'little'))[:1:-1]
    return tuple((run.start(), run.end() - 1) for run
                 in re.finditer('1+', bits[:found.chunks]))


def count(chunks: Chunks) -> int:
    return sum(last - first + 1 for first, last in chunks)


def pages(chunks: Chunks) -> tuple[str, ...]:
    """Return what has md mark these, in what it takes in one write each.

    Where they are too many, what lies between neighbours is marked, too: that
    costs copying, and a write that was cut off would mark others.
    """
    gap = 1
    found = tuple(_pages(chunks))
    while len(found) > PAGES:
        gap *= 2
        found = tuple(_pages(_closer(chunks, gap)))
    return found


def _pages(chunks: Chunks) -> Iterator[str]:
    words: list[str] = []
    length = 0
    for first, last in chunks:
        word = '%d' % first if first == last else '%d-%d' % (first, last)
        if length + len(word) >= PAGE:
            yield ' '.join(words)
            words, length = [], 0
        words.append(word)
        length += len(word) + 1
    if words:
        yield ' '.join(words)


def _closer(chunks: Chunks, gap: int) -> Chunks:
    found: list[tuple[int, int]] = []
    for first, last in chunks:
        if found and first - found[-1][1] <= gap:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)
