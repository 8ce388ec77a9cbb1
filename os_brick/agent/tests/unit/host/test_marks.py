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
"""md is told to keep what a leg's bitmap marks: in a folder, not in sysfs."""

from __future__ import annotations

from collections.abc import Collection
import os
import pathlib
import tempfile
import threading
from unittest import mock

from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import marks
from os_brick.agent.host import privileged
from os_brick.agent.host import reads
from os_brick.agent.tests.unit import superblocks

ARRAY = superblocks.ARRAY
FEATURE = b'\x01\0\0\0'


class MarksTest(base.BaseTestCase):
    """The array md127 with a leg, whose bitmap marks some chunks."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.md = self.folder / 'md127' / 'md'
        for name, text in (('metadata_version', '1.2'),
                           ('uuid', ARRAY), ('bitmap/location', '+8'),
                           ('bitmap/chunksize', '1048576'),
                           ('dev-nvme1n1/state', 'in_sync'),
                           ('bitmap_set_bits', '')):
            self.put(name, text)
        self.mark({0, 7, 8, 9})
        self.written: list[str] = []
        patches = (mock.patch.object(privileged, 'BLOCK', str(self.folder)),
                   mock.patch.object(commands, 'write', self.write),
                   mock.patch.object(marks, '_bitmaps', reads.Reads(
                       self.read, 0.0)))
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)
        privileged.default.set_client_mode(False)
        self.addCleanup(privileged.default.set_client_mode, True)
        self.hangs = threading.Event()
        self.hangs.set()
        self.addCleanup(self.hangs.set)

    def put(self, name: str, text: str) -> None:
        path = self.md / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + '\n')

    def mark(self, chunks: Collection[int], of: int = 600,
             array: str = ARRAY) -> None:
        self.found = {2: (superblocks.block(superblocks.of(0)),
                          superblocks.bitmap(array, chunks, of))}

    def read(self, path: str) -> dict[int, tuple[bytes, bytes]]:
        self.assertEqual('/dev/nvme1n1', path)
        self.hangs.wait(30.0)
        return self.found

    def write(self, text: str, *parts: str, limit: float = 0.0) -> None:
        self.assertEqual(str(self.md / 'bitmap_set_bits'),
                         os.path.join(*parts))
        self.assertLessEqual(0.0, limit)
        self.written.append(text)

    def keep(self, milliseconds: int = 30000) -> int:
        return int(privileged.keep_marked('md127', 'nvme1n1', milliseconds))

    def fails(self, words: str, milliseconds: int = 30000) -> None:
        error = self.assertRaises(commands.CommandFailed, self.keep,
                                  milliseconds)
        self.assertIn(words, str(error))
        self.assertEqual([], self.written)

    def test_what_is_marked_is_written(self) -> None:
        self.assertEqual(4, self.keep())
        self.assertEqual(['0 7-9'], self.written)

    def test_nothing_is_marked(self) -> None:
        self.mark(())
        self.assertEqual(0, self.keep())
        self.assertEqual([], self.written)

    def test_much_is_marked(self) -> None:
        """The kernel takes a page at once, and cuts off what is more."""
        self.mark(range(0, 20000, 2), 20000)
        self.assertEqual(10000, self.keep())
        self.assertLess(1, len(self.written))
        self.assertLess(max(map(len, self.written)), 4096)

    def test_what_the_kernel_does_not_have(self) -> None:
        (self.md / 'bitmap_set_bits').unlink()
        self.fails('takes no such word')

    def test_an_array_without_a_bitmap_on_its_legs(self) -> None:
        for location in ('none', 'file', ''):
            self.put('bitmap/location', location)
            self.fails('no write-intent bitmap is on the legs (%s, metadata '
                       '1.2)' % (location or 'none'))
        self.put('bitmap/location', '+8')
        self.put('metadata_version', 'external:ddf')
        self.fails('metadata external:ddf')

    def test_one_that_is_no_leg(self) -> None:
        (self.md / 'dev-nvme1n1' / 'state').unlink()
        self.fails('nvme1n1 is no leg of it')

    def test_the_bitmap_of_another_array(self) -> None:
        self.mark({1}, array='0d5a1d3e-0000-4000-8000-00000000b44b')
        self.fails('it is not that of the array')
        self.mark({1})
        self.put('uuid', '0d5a1d3e-0000-4000-8000-00000000b44b')
        self.fails('it is not that of the array')
        self.put('uuid', '')    # older kernels do not say it
        self.assertEqual(1, self.keep())
        self.written.clear()
        self.put('bitmap/chunksize', '65536')
        self.fails('it is not that of the array')
        # that of version 1.0 is another place
        self.put('metadata_version', '1.0')
        self.fails('is not understood')

    def test_a_leg_that_does_not_answer(self) -> None:
        self.hangs.clear()
        self.fails('it did not answer in time', 20)

    def test_what_hangs_is_not_written_again(self) -> None:
        with mock.patch.object(commands, 'hangs', lambda path: True):
            self.fails('bitmap_set_bits failed: it hangs')

    def test_names_that_are_none(self) -> None:
        for array, device in (('../x', 'nvme1n1'), ('md127', '../x'),
                              ('md127', 'sda')):
            self.assertRaises(commands.BadArgument, privileged.keep_marked,
                              array, device, 500)


class HangsTest(base.BaseTestCase):

    def test_a_write_that_is_under_way(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'never')
        os.mkfifo(path)
        self.assertFalse(commands.hangs(folder.name, 'never'))
        error = self.assertRaises(commands.CommandFailed, commands.write,
                                  '17 ' * 1000, path, limit=0.05)
        self.assertTrue(commands.hangs(folder.name, 'never'))
        self.assertLess(len(str(error)), 300)
        with open(path, encoding='ascii') as fifo:
            fifo.read()
