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
"""Reads that may hang."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from unittest import mock

from oslotest import base

from os_brick.agent.host import reads
from os_brick.agent.model import intent_bitmap
from os_brick.agent.model import superblock
from os_brick.agent.tests.unit import superblocks

PATIENCE = 30.0
UUID = '0d5a1d3e-0000-4000-8000-00000000a44a'


class ReadsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.begun: list[str] = []
        self.answer = {'nvme1n1': True}
        self.hangs: dict[str, threading.Event] = {}
        self.errno = errno.EIO
        self.reads = reads.Reads(self.read)

    def read(self, path: str) -> bool:
        device = path.removeprefix('/dev/')
        self.begun.append(device)
        if device in self.hangs:
            self.hangs[device].wait(PATIENCE)
        if device not in self.answer:
            raise OSError(self.errno, 'I/O error')
        return self.answer[device]

    def answering(self, devices: list[str], seconds: float) -> list[str]:
        return list(self.reads.of(devices, seconds))

    def test_one_that_hangs_does_not_hide_the_others(self) -> None:
        self.hangs['nvme2n1'] = threading.Event()
        self.addCleanup(self.hangs['nvme2n1'].set)
        self.assertEqual(['nvme1n1'], self.answering(
            ['nvme2n1', 'nvme3n1', 'nvme1n1'], 0.5))

    def test_one_that_hangs_is_not_begun_again(self) -> None:
        """Its answer counts when it comes."""
        self.hangs['nvme1n1'] = threading.Event()
        for _call in range(3):
            self.assertEqual([], self.answering(['nvme1n1'], 0.01))
        self.assertEqual(['nvme1n1'], self.begun)
        self.hangs['nvme1n1'].set()
        self.assertEqual(['nvme1n1'],
                         self.answering(['nvme1n1'], PATIENCE))
        self.assertEqual(['nvme1n1'],
                         self.answering(['nvme1n1'], PATIENCE))
        self.assertEqual(['nvme1n1'] * 2, self.begun)

    def test_a_read_that_fails_is_not_one_that_is_under_way(self) -> None:
        self.hangs['nvme2n1'] = threading.Event()
        self.addCleanup(self.hangs['nvme2n1'].set)
        self.assertEqual(
            {'nvme3n1': 'I/O error', 'nvme1n1': True}, self.reads.or_why_not(
                ['nvme2n1', 'nvme3n1', 'nvme1n1'], 0.5))

    def test_what_else_fails_says_nothing_of_the_disk(self) -> None:
        """No descriptor left, no memory, no way to it, no such device."""
        for self.errno in (errno.EMFILE, errno.ENOMEM, errno.ENOLINK,
                           errno.ENODEV, errno.EACCES):
            self.assertEqual({}, self.reads.or_why_not(['nvme3n1'], PATIENCE))

    def test_an_old_answer_does_not_count(self) -> None:
        self.hangs['nvme1n1'] = threading.Event()
        self.assertEqual([], self.answering(['nvme1n1'], 0.01))
        self.hangs['nvme1n1'].set()
        self.reads._reads['nvme1n1'].wait(PATIENCE)
        self.answer.clear()
        with mock.patch.object(reads, 'AGE', 0.0):
            self.assertEqual([], self.answering(['nvme1n1'], PATIENCE))
        self.assertEqual(['nvme1n1'] * 2, self.begun)


class JustNowTest(base.BaseTestCase):
    """What was begun long before a call does not count for it (S10)."""

    def setUp(self) -> None:
        super().setUp()
        self.begun: list[str] = []
        self.hangs = threading.Event()
        self.addCleanup(self.hangs.set)
        self.reads = reads.Reads(self.read, 0.0)

    def read(self, path: str) -> int:
        """Return the number of this read."""
        self.begun.append(threading.current_thread().name)
        number = len(self.begun)
        self.hangs.wait(PATIENCE)
        return number

    def test_the_answer_to_an_earlier_call_does_not_count(self) -> None:
        for _call in range(9):
            self.assertEqual({}, self.reads.of(['nvme1n1'], 0.01))
        self.assertEqual(1, len(self.begun))
        self.assertEqual(1, sum(thread.name == self.begun[0]
                                for thread in threading.enumerate()))
        found: list[dict[str, int]] = []
        asking = threading.Thread(target=lambda: found.append(
            self.reads.of(['nvme1n1'], PATIENCE)), daemon=True)
        asking.start()
        asking.join(0.05)
        self.assertEqual([], found)
        self.hangs.set()
        asking.join(PATIENCE)
        # the second one was asked for by the calls before, and is of now
        self.assertIn(found, ([{'nvme1n1': 2}], [{'nvme1n1': 3}]))

    def test_one_that_has_ended_meanwhile_does_not_count(self) -> None:
        self.assertEqual({}, self.reads.of(['nvme1n1'], 0.01))
        first = self.reads._reads['nvme1n1']
        self.hangs.set()
        first.wait(PATIENCE)
        self.assertEqual({'nvme1n1': 2},
                         self.reads.of(['nvme1n1'], PATIENCE))

    def test_a_disk_that_takes_longer_than_a_call_is_read(self) -> None:
        """Not once for each call, and never in time."""
        slow = reads.Reads(self.read, PATIENCE)
        for _call in range(3):
            self.assertEqual({}, slow.of(['nvme1n1'], 0.01))
        first = slow._reads['nvme1n1']
        self.hangs.set()
        first.wait(PATIENCE)
        self.assertEqual({'nvme1n1': 1}, slow.of(['nvme1n1'], 0.01))
        self.assertEqual(1, len(self.begun))
        # and the next call reads anew
        self.assertEqual({'nvme1n1': 2}, slow.of(['nvme1n1'], PATIENCE))

    def test_a_defect_leaves_nothing_behind_to_wait_for(self) -> None:
        self.hangs.set()
        defects = [RuntimeError('a defect')]

        def body(path: str) -> int:
            if defects:
                raise defects.pop()
            return self.read(path)

        broken = reads.Reads(body, 0.0)
        with mock.patch.object(threading, 'excepthook') as told:
            self.assertEqual({}, broken.of(['nvme1n1'], 0.05))
            while not told.called:
                time.sleep(0.001)
        self.assertEqual({'nvme1n1': 1}, broken.of(['nvme1n1'], PATIENCE))


class ReadTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        # not in /tmp, which may be a file system without direct reads
        folder = tempfile.TemporaryDirectory(dir=os.path.dirname(__file__))
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'device')

    def write(self, size: int, *places: int) -> None:
        with open(self.path, 'wb') as device:
            device.truncate(size)
            for place in places:
                device.seek(place)
                device.write(superblock.MAGIC.to_bytes(4, 'little') + b'SB')

    def test_the_first_blocks_are_read(self) -> None:
        for length, whole in ((reads.LENGTH, True), (512, None)):
            self.write(length)
            self.assertEqual(whole, reads.first_block(self.path))

    def test_the_page_cache_answers_nothing(self) -> None:
        """It has blocks of a disk that answers no more."""
        self.write(1 << 20, 4096)
        for body in (reads.first_block, reads.superblocks, reads.bitmaps):
            with mock.patch.object(os, 'open', wraps=os.open) as opened:
                body(self.path)
            flags, = (call.args[1] for call in opened.call_args_list
                      if call.args[0] == self.path)
            self.assertEqual(os.O_DIRECT, flags & os.O_DIRECT)

    def test_what_is_not_there(self) -> None:
        for body in (reads.first_block, reads.superblocks, reads.bitmaps):
            self.assertRaises(FileNotFoundError, body, self.path)

    def test_superblocks_wherever_md_puts_one(self) -> None:
        size = 1 << 20
        for place in superblock.places(size):
            self.write(size, place)
            block, = reads.superblocks(self.path)
            self.assertEqual((reads.LENGTH, b'SB'),
                             (len(block), block[4:6]))
        self.write(size, *superblock.places(size))
        self.assertEqual(4, len(reads.superblocks(self.path)))

    def test_the_list_of_bad_blocks_follows(self) -> None:
        block = (b'\xfc\x4e\x2b\xa9' + bytes(4) + b'\x08' + bytes(177)
                 + b'\x08\x00' + b'\x10\x00\x00\x00')
        # beyond the end of the device there is none to read
        for size, length in ((1 << 20, 2 * reads.LENGTH),
                             (16384, 2 * reads.LENGTH),
                             (16383 // 512 * 512, reads.LENGTH)):
            with open(self.path, 'wb') as device:
                device.truncate(size)
                device.seek(4096)
                device.write(block)
                device.seek(4096 + 16 * 512)
                device.write(b'bad')
                device.truncate(size)
            found, = reads.superblocks(self.path)
            self.assertEqual(length, len(found))
            self.assertEqual(b'bad' if length > reads.LENGTH else b'',
                             found[reads.LENGTH:][:3])

    def bitmap(self, chunks: int, place: int = 4096, offset: int = 8,
               size: int = 1 << 20) -> bytes:
        """Write one behind a superblock; return what is read of it."""
        begin = place + offset * 512
        with open(self.path, 'wb') as device:
            device.truncate(size)
            device.seek(place)
            device.write(b'\xfc\x4e\x2b\xa9' + bytes(4) + b'\x01' + bytes(87)
                         + offset.to_bytes(4, 'little', signed=True))
            if offset and 0 <= begin < size:
                device.seek(begin)
                device.write(superblocks.bitmap(UUID, {chunks - 1}, chunks))
            device.truncate(size)
        found = reads.bitmaps(self.path)
        self.assertEqual({superblock.minor(place)}, found.keys())
        return found[superblock.minor(place)][1]

    def test_the_bitmap_is_read_as_far_as_it_goes(self) -> None:
        for chunks, length in ((9, 4096), (30720, 4096), (30721, 8192),
                               (600000, 77824)):
            content = self.bitmap(chunks)
            self.assertEqual(length, len(content))
            self.assertEqual(((chunks - 1, chunks - 1),),
                             intent_bitmap.marked(content))
        # where the others are: at the beginning, and at the end
        self.assertTrue(self.bitmap(9, 0))
        self.assertTrue(self.bitmap(9, (1 << 20) - 8192, -16))

    def test_a_bitmap_that_is_not_on_the_device(self) -> None:
        for offset in (-9, 1 << 20, 0):
            self.assertEqual(b'', self.bitmap(9, offset=offset))
        # it ends too early
        size = 4096 * 3
        self.assertEqual(4096, len(self.bitmap(30721, size=size)))
        self.assertEqual(b'', self.bitmap(30721, size=size - 512))

    def test_what_is_no_superblock_is_nobodys_business(self) -> None:
        with open(self.path, 'wb') as device:
            device.write(b'secret' * 100000)
        self.assertEqual([], reads.superblocks(self.path))

    def test_a_device_too_small_for_one(self) -> None:
        for size in (0, 512, 8191):
            self.write(size)
            self.assertEqual([], reads.superblocks(self.path))
