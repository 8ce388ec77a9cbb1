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
"""What one scan leaves to the next, and what is let go and closed."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from os_brick.agent.host import attributes
from os_brick.agent.host import descriptors
from os_brick.agent.host import sysfs
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.host import sysfs_kept_case

Meddling = sysfs_kept_case.Meddling


def open_below(root: str) -> int:
    """How many descriptors this process holds below a directory."""
    found = 0
    for number in os.listdir('/proc/self/fd'):
        try:
            found += os.readlink('/proc/self/fd/' + number).startswith(
                os.path.realpath(root) + '/')
        except OSError:
            continue
    return found


class TestKept(sysfs_kept_case.KeptCase):

    def kept(self, scanner: sysfs.Scanner) -> int:
        """How many things a scanner remembers."""
        (kept,) = scanner._idle
        todo, count = [vars(kept)], 0
        while todo:
            for one in todo.pop().values():
                if isinstance(one, dict):
                    count += len(one)
                elif hasattr(one, '__dict__'):
                    todo.append(vars(one))
        return count

    def test_what_has_gone_is_forgotten(self) -> None:
        self.replace_namespace()
        counts = set()
        for _ in range(5):
            self.replace_controller()
            self.scan()
            self.scan()
            counts.add(self.kept(self.scanner))
        (count,) = counts
        self.assertGreater(count, 10)
        for name in ('nvme1', 'nvme2'):
            self.host.lose_namespace(name + 'n1')
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)
        self.host.remove('sys/class/block/md127')
        self.scan()
        self.assertEqual(0, self.kept(self.scanner))

    def test_a_scan_within_a_scan(self) -> None:
        # as two threads may do it
        whole = self.scan()
        for after in range(1000):
            inner: list[snapshots.HostSnapshot] = []
            meddling = Meddling(after, lambda: inner.append(
                self.scanner.scan()))
            with meddling:
                self.assertEqual(whole, self.scanner.scan())
            if meddling.left >= 0:
                break
            self.assertEqual([whole], inner)
        self.assertGreater(after, 20)
        self.assertEqual(2, len(self.scanner._idle))

    def test_descriptors_are_closed_with_what_has_gone(self) -> None:
        counts = set()
        for _ in range(5):
            self.replace_controller()
            self.scanner.scan()
            counts.add(open_below(self.host.root))
        (count,) = counts
        # per controller, namespace and leg, and of the array
        self.assertEqual(2 * 2 + 2 + 2 * 3 + 7, count)
        for name in ('nvme1', 'nvme2'):
            self.host.lose_namespace(name + 'n1')
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)
        self.host.remove('sys/class/block/md127')
        self.scanner.scan()
        self.assertEqual(0, open_below(self.host.root))

    def test_a_scanner_that_goes_leaves_nothing_open(self) -> None:
        self.assertLess(0, open_below(self.host.root))
        del self.scanner
        self.assertEqual(0, open_below(self.host.root))

    def test_a_scan_within_a_scan_keeps_nothing_open(self) -> None:
        count = open_below(self.host.root)
        inner: list[snapshots.HostSnapshot] = []
        with Meddling(5, lambda: inner.append(self.scanner.scan())):
            self.scanner.scan()
        self.assertEqual(2, len(self.scanner._idle))
        for _ in range(3):
            self.scanner.scan()
            # and the one with the descriptors is used again
            self.assertIs(self.scanner._idle[-1].open,
                          max((kept.open for kept in self.scanner._idle),
                              key=lambda one: one.most))
            self.assertEqual(count, open_below(self.host.root))

    def test_a_path_that_could_not_be_seen_is_looked_at_again(self) -> None:
        readlink = os.readlink

        def blind(path: str, **kwargs: Any) -> str:
            if path.endswith('/nvme1c1n1'):
                raise OSError(19, 'No such device', path)
            return readlink(path, **kwargs)

        self.scanner = sysfs.Scanner(self.host.root)
        with mock.patch.object(os, 'readlink', blind):
            self.assertIsNone(self.scanner.scan().namespace('nvme1n1'))
        self.assertIsNotNone(self.scan().namespace('nvme1n1'))

    def test_what_has_not_changed_is_the_same_value(self) -> None:
        one, other = self.scan(), self.scan()
        self.assertIs(one, other)
        self.host.set_controller('nvme1', state='connecting')
        other = self.scan()
        self.assertNotEqual(one, other)
        self.assertIs(one.arrays[0], other.arrays[0])
        self.assertIs(one.namespaces[1], other.namespaces[1])

    def test_what_is_settled_is_read_once(self) -> None:
        read, read_again = attributes.read, descriptors.Open.read
        paths = []

        def spy(path: str, at: int | None = None) -> bytes | None:
            paths.append(path.rsplit('/', 1)[-1])
            return read(path, at)

        def spy_again(self: descriptors.Open, path: str, identity: int = 0,
                      at: int | None = None) -> bytes | None:
            paths.append(path.rsplit('/', 1)[-1])
            return read_again(self, path, identity, at)

        with mock.patch.object(attributes, 'read', spy), \
                mock.patch.object(descriptors.Open, 'read', spy_again):
            self.scanner.scan()
        self.assertEqual(set(), set(paths) & {
            'address', 'dev', 'hostnqn', 'offset', 'partition', 'subsysnqn',
            'transport'})
        # the array's
        self.assertEqual(1, paths.count('uuid'))
        self.assertLessEqual({'state', 'size', 'fast_io_fail_tmo', 'slot'},
                             set(paths))
