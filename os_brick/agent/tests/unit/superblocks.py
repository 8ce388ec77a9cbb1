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
"""Superblocks of md for tests: as values, and as md would write them."""

from __future__ import annotations

from collections.abc import Collection
import uuid as uuid_lib

from os_brick.agent import model
from os_brick.agent.model import intent_bitmap
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.testing.simulation import md

#: What md writes of a superblock, and what follows in the same block.
block = md.block_of
ARRAY = '0d5a1d3e-0000-4000-8000-00000000a44a'


def of(number: int, events: int = 10, others: Collection[int] = (),
       updated: float = 1000.0, array: str = ARRAY) -> superblock.Superblock:
    """Return that of a device which lists itself and others as members."""
    return superblock.Superblock(
        array, str(uuid_lib.UUID(int=number + 1)), events, updated, number, 2,
        tuple((known, slot) for slot, known
              in enumerate(sorted({number, *others}))))


def content(*copies: superblock.Superblock) -> superblock.Content:
    return superblock.Content(tuple(copies))


def contents(snapshot: snapshots.HostSnapshot, array: model.Array | None
             ) -> dict[str, superblock.Content]:
    """What is read where all is as it should be.

    The legs that are in sync list each other; whatever else there is, is
    blank.
    """
    found = {namespace.device: superblock.Content()
             for namespace in snapshot.namespaces}
    legs = [leg.device for leg in array.in_sync] if array else []
    for number, device in enumerate(legs):
        found[device] = content(of(
            number, others=range(len(legs)),
            array=array.uuid or ARRAY if array else ARRAY))
    return found


def bitmap(array: str, chunks: Collection[int], of_chunks: int,
           chunk: int = 1 << 20, **fields: int) -> bytes:
    """Return md's write-intent bitmap, which marks some of all chunks.

    :param fields: of its header, where they are others than usual.
    """
    names = {'magic': intent_bitmap.MAGIC, 'version': 4, 'events': 9,
             'events_cleared': 9, 'sync_size': of_chunks * chunk // 512,
             'state': 0, 'chunksize': chunk, 'daemon_sleep': 5,
             'write_behind': 0, 'sectors_reserved': 0, 'nodes': 0, **fields}
    magic, version, *others = names.values()
    header = intent_bitmap._FIELDS.pack(
        magic, version, uuid_lib.UUID(array).bytes, *others)
    bits = sum(1 << one for one in chunks)
    return header.ljust(intent_bitmap.HEADER, b'\0') + bits.to_bytes(
        max(1, -(-(max(chunks, default=0) + 1) // 8), -(-of_chunks // 8)),
        'little')
