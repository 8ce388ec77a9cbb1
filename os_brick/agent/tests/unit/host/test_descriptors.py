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
"""Attributes that stay open."""

from __future__ import annotations

import errno
import os
import resource
from unittest import mock

from os_brick.agent.host import attributes
from os_brick.agent.host import descriptors
from os_brick.agent.tests.unit.host import test_activity


class OpenTest(test_activity.TreeCase):

    def setUp(self) -> None:
        super().setUp()
        self.put('one', 'first\n')
        self.path = os.path.join(self.root, 'one')
        self.open = descriptors.Open(2)
        self.addCleanup(self.open.close)

    def opened(self) -> int:
        return len(self.open._kept)

    def test_it_is_opened_once_and_read_each_time(self) -> None:
        self.assertEqual(b'first\n', self.open.read(self.path, 7))
        with mock.patch.object(os, 'open', side_effect=AssertionError):
            for words in ('second', 'a longer third', '4'):
                self.put('one', words)
                self.assertEqual(words.encode(),
                                 self.open.read(self.path, 7))
                self.open.close_unread()

    def test_another_object_of_that_name(self) -> None:
        self.open.read(self.path, 7)
        os.rename(self.path, self.path + '-gone')
        self.put('one', 'other')
        self.assertEqual(b'other', self.open.read(self.path, 8))

    def test_relative_to_a_directory(self) -> None:
        at = attributes.open_directory(self.root)
        self.addCleanup(os.close, at)
        self.assertEqual(b'first\n', self.open.read('one', 7, at))
        self.assertIsNone(self.open.read('two', 7, at))

    def test_what_has_gone_is_looked_for_by_its_name(self) -> None:
        self.open.read(self.path, 7)
        gone = OSError(errno.ENODEV, 'No such device')
        self.put('one', 'newcomer')
        with mock.patch.object(os, 'pread', side_effect=gone):
            self.assertEqual(b'newcomer', self.open.read(self.path, 7))
            self.assertEqual(0, self.opened())
            os.remove(self.path)
            self.assertIsNone(self.open.read(self.path, 7))
        self.assertIsNone(self.open.read(self.path, 7))

    def test_no_more_than_it_may(self) -> None:
        for number in range(5):
            self.put(str(number), 'words')
            self.assertEqual(b'words', self.open.read(
                os.path.join(self.root, str(number))))
        self.assertEqual(2, self.opened())
        self.assertEqual(b'first\n', descriptors.Open(0).read(self.path))

    def test_what_is_not_read_is_closed(self) -> None:
        self.put('two', '')
        other = os.path.join(self.root, 'two')
        for reads, left in (((self.path, other), 2), ((other,), 1),
                            ((other, other), 1), ((self.path, other), 2),
                            ((), 0)):
            for path in reads:
                self.open.read(path)
            self.open.close_unread()
            self.assertEqual(left, self.opened())
        self.open.read(self.path)
        self.open.close()
        self.assertEqual(0, self.opened())
        self.assertEqual(b'first\n', self.open.read(self.path))

    def test_one_that_went_after_it_was_read(self) -> None:
        """It does not count for one that was not read."""
        self.put('two', '')
        other = os.path.join(self.root, 'two')
        self.open.read(self.path)
        self.open.read(other)
        self.open.close_unread()
        self.open.read(self.path)
        with mock.patch.object(os, 'pread', side_effect=OSError(
                errno.ENODEV, 'No such device')):
            self.open.read(self.path)
        self.open.close_unread()
        self.assertEqual(0, self.opened())

    def test_some_are_left_for_others(self) -> None:
        with mock.patch.object(resource, 'getrlimit',
                               return_value=(1024, 4096)):
            self.assertEqual((256, 512), (descriptors.share(1 / 4),
                                          descriptors.share(1 / 2)))
