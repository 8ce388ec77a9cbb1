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
"""What the kernel counts as written to a block device."""

from __future__ import annotations

import os

from os_brick.agent.host import written
from os_brick.agent.tests.unit.host import test_activity

STAT = ('     120        0      960       41      306        0     %d'
        '     1220        0     1290     1261        0        0        0'
        '        0        3        0\n')


class WrittenTest(test_activity.TreeCase):

    def stat(self, device: str, sectors: int) -> None:
        self.put('sys/class/block/%s/stat' % device, STAT % sectors)

    def read(self, device: str, *controllers: str) -> list[int]:
        """Bytes of the device and of its paths."""
        return [count for one in written.Reader(self.root).read(
            {device: controllers}).values()
            for _which, count in (one.own, *one.paths)]

    def test_an_array(self) -> None:
        self.stat('md127', 2448)
        self.assertEqual([2448 * 512], self.read('md127'))

    def test_a_namespace_without_multipath(self) -> None:
        self.stat('nvme3n1', 8)
        self.assertEqual([4096], self.read('nvme3n1', 'nvme3'))

    def test_a_namespace_with_two_paths(self) -> None:
        self.stat('nvme0n1', 0)
        self.stat('nvme0c2n1', 8)
        self.stat('nvme0c3n1', 16)
        self.assertEqual([0, 4096, 8192],
                         self.read('nvme0n1', 'nvme2', 'nvme3', 'nvme4'))

    def test_another_device_of_that_name_is_another_one(self) -> None:
        self.stat('nvme3n1', 8)
        path = os.path.join(self.root, 'sys/class/block/nvme3n1/stat')
        reader = written.Reader(self.root)
        first = reader.read({'nvme3n1': ()})['nvme3n1']
        self.assertEqual(0, reader.read({'nvme3n1': ()})['nvme3n1'].since(
            first))
        os.rename(path, path + '-gone')
        self.stat('nvme3n1', 80)
        self.assertIsNone(reader.read({'nvme3n1': ()})['nvme3n1'].since(
            first))

    def test_what_is_not_there_or_makes_no_sense(self) -> None:
        self.assertEqual([], self.read('nvme3n1'))
        self.put('sys/class/block/nvme3n1/stat', 'nonsense\n')
        self.assertEqual([], self.read('nvme3n1'))
        self.put('sys/class/block/nvme3n1/stat', '1 2 3 4 5 6 seven 8\n')
        self.assertEqual([], self.read('nvme3n1'))
