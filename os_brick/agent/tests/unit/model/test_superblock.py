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
"""Superblocks as md wrote them, and whatever else is found in their place."""

from __future__ import annotations

import base64
import dataclasses
import zlib

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.model import superblock
from os_brick.agent.tests.unit import superblocks

# Linux 6.1, mdadm 4.2: two devices of an array, "whole"; then a was failed
# and removed, b written; then the array stopped, and assembled of a alone and
# written ("forked").  The first 512 bytes, compressed; and what mdadm
# --examine --export says: MD_UUID, MD_DEV_UUID, MD_EVENTS, MD_UPDATE_TIME.
REAL = {
    'whole_a': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg+XenmXPY8tap2SM61fRQZM2CUAUgkkGKrR7P8PBS+mKH5pYCAG'
        'MML1jEQAALydHxc=',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '1f44bce3:387d4263:693bea59:5090ba10', 1, 1795583099),
    'whole_b': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg9dPcw0pVtFUuriZWcrNh0Pq3jiZwpSKQAUr0az/z8UCE2o3dbA'
        'QAxghOsZiQAAOEEeng==',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '22da721a:271776cd:78b2c756:78e44e35', 1, 1795583099),
    'a_dropped_a': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg+XenmXPY8tap2SM61fRQZM2CUAUgkkGKrR7P8PBS+mKH5pYCAG'
        'MML1jEQAALydHxc=',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '1f44bce3:387d4263:693bea59:5090ba10', 1, 1795583099),
    'a_dropped_b': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg9dPcw0pVtFUuriZWcrNh0Pq3jiZwpSKQAUr4fazwZV9x8KpCbU'
        'bWtgIAz+/2eE6xmJAABK3iCu',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '22da721a:271776cd:78b2c756:78e44e35', 6, 1795583103),
    'forked_a': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg+XenmXPY8tap2SM61fRQZM2CUAUgkkGFqg9rND1f2Hgh9T5L80'
        'MBAD/o9oAADXhiEx',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '1f44bce3:387d4263:693bea59:5090ba10', 7, 1795583108),
    'forked_b': (
        'eNr746e9kpGBgQGEQWDtS81dt84GaQc929bcmy0vn5hXaVWWn8OAC1TlsGUzIOln+A'
        'FnMTABMQcDAcCBqg9dPcw0pVtFUuriZWcrNh0Pq3jiZwpSKQAUr4fazwZV9x8KpCbU'
        'bWtgIAz+/2eE6xmJAABK3iCu',
        'ade929ba:dacd522b:52e6b683:8d6b1f1f',
        '22da721a:271776cd:78b2c756:78e44e35', 6, 1795583103),
}


def real(name: str) -> bytes:
    return zlib.decompress(base64.b64decode(REAL[name][0])).ljust(
        superblock.LENGTH, b'\0')


# Linux 6.1, mdadm 4.2: a leg of which md has bad_blocks "10240 32, 10288 16",
# and the beginning of its list of them.
LACKING = (
    'eJz746e9kpGBgYGTAQKMOt0SRYMsuCXMrgvqNvToJeZVWpXl5+iWZBSlpjJgAo9azmwQ'
    'zQgT+AFnMTADMQcWPSgApgCqD5d6yYuuXedum2dvm3Fk/c8VK86CVAoAxX2h9nNB1f2H'
    'AmXOgpwGQnYzQFzOBNc18gAA3QYdBA==')
LOG = bytes.fromhex('2000a0000000000010c0a00000000000') + b'\xff' * 4080


class BadBlocksTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.block = zlib.decompress(base64.b64decode(LACKING)) + bytes(3584)

    def test_the_list_of_a_real_one(self) -> None:
        # where mdadm --examine says: offset 16 sectors
        self.assertEqual(4096 + 16 * 512,
                         superblock.log_place(self.block, 4096))
        copy, = superblock.read((self.block + LOG,)).superblocks
        # the data begins at sector 2048
        self.assertEqual(((8192, 8224), (8240, 8256)), copy.bad)

    def test_one_that_was_not_read(self) -> None:
        self.assertEqual((), superblock.parse(self.block).bad)
        self.assertEqual(((8192, 8224),), superblock.parse(
            self.block + LOG[:12]).bad)

    def test_one_that_has_none(self) -> None:
        self.assertIsNone(superblock.log_place(real('whole_a'), 4096))
        self.assertIsNone(superblock.log_place(b'', 4096))
        without = bytearray(self.block)
        without[186:188] = bytes(2)
        self.assertIsNone(superblock.log_place(bytes(without), 4096))


class SuperblockTest(base.BaseTestCase):

    def test_it_says_what_mdadm_says(self) -> None:
        for name, (_bytes, array, device, events, updated) in REAL.items():
            copy = superblock.parse(real(name))
            self.assertEqual(
                (array.replace(':', ''), device.replace(':', ''), events,
                 float(updated), 2),
                (copy.array_uuid.replace('-', ''),
                 copy.device_uuid.replace('-', ''), copy.events,
                 copy.updated, copy.raid_disks), name)

    def test_who_is_a_member(self) -> None:
        seen = {name: [superblock.parse(real(name)).has(number)
                       for number in (0, 1, 2)] for name in REAL}
        self.assertEqual({
            'whole_a': [True, True, False], 'whole_b': [True, True, False],
            'a_dropped_a': [True, True, False],
            'a_dropped_b': [False, True, False],
            'forked_a': [True, False, False],
            'forked_b': [False, True, False]}, seen)

    def test_one_bit_that_is_wrong(self) -> None:
        whole = real('whole_a')
        for place in range(4, 512):
            block = bytearray(whole)
            block[place] ^= 0x10
            self.assertRaises(superblock.NotUnderstood, superblock.parse,
                              bytes(block))

    def test_what_is_cut_off_or_of_another_kind(self) -> None:
        whole = real('whole_a')
        for block in (b'', whole[:-1], bytes(4096), b'\xff' * 4096,
                      whole[3::-1] + whole[4:]):
            self.assertRaises(superblock.NotUnderstood, superblock.parse,
                              block)

    def test_damage_is_said(self) -> None:
        whole = real('whole_a')
        found = superblock.read((whole, whole[:512] + bytes(3584),
                                 whole[:200] + bytes(3896)))
        self.assertEqual(2, len(found.superblocks))
        self.assertIn('checksum', found.damaged)
        self.assertEqual(superblock.Content(), superblock.read(()))

    def test_where_md_looks(self) -> None:
        """Seen on a device of 64 MiB with mdadm --metadata=1.2, 1.1 ..."""
        self.assertEqual((4096, 0, 67100672, 67043328),
                         superblock.places(64 << 20))

    @hypothesis.given(st.binary(max_size=4500))
    def test_nothing_but_an_answer(self, block: bytes) -> None:
        for content in (block, real('whole_a')[:100] + block):
            try:
                superblock.parse(content)
            except superblock.NotUnderstood:
                pass

    @hypothesis.given(
        st.integers(0, 127), st.integers(0, (1 << 64) - 1),
        st.sets(st.integers(0, 127), max_size=100), st.booleans())
    def test_what_is_written_is_read(self, number: int, events: int,
                                     others: set[int],
                                     complete: bool) -> None:
        copy = dataclasses.replace(superblocks.of(number, events, others),
                                   raid_disks=len(others) + 1,
                                   complete=complete)
        self.assertEqual(copy, superblock.parse(superblocks.block(copy)))
