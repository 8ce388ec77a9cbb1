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
"""Write-intent bitmaps: what they mark, and how md is told of it."""

from __future__ import annotations

import base64
import zlib

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.model import intent_bitmap
from os_brick.agent.model import superblock
from os_brick.agent.tests.unit import superblocks

# Linux 6.1, mdadm 4.2: the superblock's block and the one with the bitmap, of
# which mdadm --examine-bitmap says: 63 chunks of 1 MB, 2 dirty.
REAL = (
    'eNr746e9kpGBgQGEQeC+zzt1PnV/ttkxRoHyted9E/Mqrcryc3RLyvMZsIEjmzizGZD0M/'
    'yAsxiYgJiDgQDgQNWHrh5mmpF3jpfZldu/djPN0TSPXR4BUikAFL8BtZ8Fqu4/FEw6n13T'
    'wEAMYITrGYmAYRSMglEwCkbBKBgFo2AUjIJRMApGwYgASZkluSxY+v2w/jQLln49A7DnzT'
    'pM/O8AxAoMDA3/R8EoGAWjYBSMglEwCkbBKBgFo2AUjIJhDAB5bRMP')
UUID = 'ade929ba-dacd-522b-52e6-b6838d6b1f1f'
CHUNKS = 600


def marking(chunks: set[int], of: int = CHUNKS, chunk: int = 1 << 20,
            **fields: int) -> bytes:
    return superblocks.bitmap(UUID, chunks, of, chunk, **fields)


def told(pages: tuple[str, ...]) -> set[int]:
    """What md marks: md.c, bitmap_store."""
    found: set[int] = set()
    for page in pages:
        for word in page.split():
            first, _dash, last = word.partition('-')
            found |= set(range(int(first), int(last or first) + 1))
    return found


class IntentBitmapTest(base.BaseTestCase):

    def test_what_is_marked(self) -> None:
        content = marking({0, 6, 7, 8, 599})
        self.assertEqual(((0, 0), (6, 8), (599, 599)),
                         intent_bitmap.marked(content))
        self.assertEqual(intent_bitmap.Header(UUID, 1 << 20, CHUNKS),
                         intent_bitmap.header(content))
        self.assertEqual(5, intent_bitmap.count(
            intent_bitmap.marked(content)))
        self.assertEqual((), intent_bitmap.marked(marking(set())))

    def test_a_real_one(self) -> None:
        blocks = zlib.decompress(base64.b64decode(REAL))
        block, content = blocks[:4096], blocks[4096:]
        self.assertEqual(4096 + 8 * 512, superblock.bitmap_place(block, 4096))
        header = intent_bitmap.header(content)
        self.assertEqual((superblock.parse(block).array_uuid, 1 << 20, 63),
                         (header.array_uuid, header.chunk, header.chunks))
        # what was written there was at 100 and 600 times 64 KiB
        self.assertEqual(((6, 6), (37, 37)), intent_bitmap.marked(content))
        without = block[:8] + bytes(4) + block[12:]
        self.assertIsNone(superblock.bitmap_place(without, 4096))

    def test_bits_behind_the_last_chunk_are_none(self) -> None:
        self.assertEqual((), intent_bitmap.marked(
            marking(set()) + b'\xff' * 512))
        self.assertEqual(((8, 8),), intent_bitmap.marked(
            marking({8, 9, 10}, 9)))

    def test_a_part_of_a_chunk_is_one(self) -> None:
        content = marking({1}, 2, sync_size=2049)
        self.assertEqual(2, intent_bitmap.header(content).chunks)

    def test_what_is_not_understood(self) -> None:
        for content, words in (
                (b'', 'too few'),
                (marking(set())[:255], 'too few'),
                (bytes(4096), 'there is none'),
                (marking(set(), version=3), 'version is 3'),
                (marking(set(), version=5, nodes=4), 'version is 5'),
                (marking(set(), nodes=4), 'version is 4'),
                (marking(set(), state=2), 'does not trust'),
                (marking(set(), state=4), 'does not trust'),
                (marking(set(), chunksize=0), 'chunks of 0'),
                (marking(set(), chunksize=3 << 10), 'chunks of 3072'),
                (marking(set(), sync_size=0), '0 sectors'),
                (marking(set(), sync_size=1 << 40), 'bytes'),
                (marking(set(), 8 * 1024, sectors_reserved=1), 'bytes'),
                (marking(set())[:300], 'were read')):
            error = self.assertRaises(intent_bitmap.NotUnderstood,
                                      intent_bitmap.marked, content)
            self.assertIn(words, str(error))

    @hypothesis.given(st.binary(max_size=600))
    def test_whatever_is_there(self, content: bytes) -> None:
        """It is read, or it is said that it cannot be."""
        try:
            found = intent_bitmap.marked(content)
        except intent_bitmap.NotUnderstood:
            return
        self.assertLessEqual(intent_bitmap.count(found), len(content) * 8)

    @hypothesis.given(st.sets(st.integers(0, CHUNKS - 1)))
    def test_md_is_told_of_what_is_marked_and_no_more(
            self, chunks: set[int]) -> None:
        found = intent_bitmap.marked(marking(chunks))
        self.assertEqual(chunks, told(intent_bitmap.pages(found)))
        self.assertEqual(len(chunks), intent_bitmap.count(found))
        self.assertEqual(sorted(found), list(found))

    def test_no_write_is_longer_than_a_page(self) -> None:
        every_other = set(range(0, 20000, 2))
        pages = intent_bitmap.pages(intent_bitmap.marked(
            marking(every_other, 20000)))
        self.assertGreater(len(pages), 1)
        self.assertLess(max(map(len, pages)), 4096)
        self.assertEqual(every_other, told(pages))

    def test_too_many_are_told_coarsely(self) -> None:
        every_other = set(range(0, 500000, 2))
        pages = intent_bitmap.pages(intent_bitmap.marked(
            marking(every_other, 500000)))
        self.assertLessEqual(len(pages), intent_bitmap.PAGES)
        self.assertLessEqual(every_other, told(pages))
        self.assertEqual(499998, max(told(pages)))
