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
"""What a scan makes of hosts in flux: vanished, exchanged, malformed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import os
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies

from os_brick.agent.host import attributes
from os_brick.agent.host import sysfs
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.host import test_sysfs

A, B = test_sysfs.A, test_sysfs.B
ATTRIBUTES = ('sys/class/nvme-fabrics/ctl/nvme1/', 'sys/class/block/nvme1n1/',
              'sys/class/block/md127/md/')


class TestStaleLegs(test_sysfs.ScanCase):
    """md still lists a leg whose device has gone or whose name is taken."""

    def test_a_device_that_has_gone(self) -> None:
        self.host.lose_namespace('nvme1n1')
        leg = self.leg('nvme1n1')
        self.assertIsNone(leg.replica_uuid)
        self.assertTrue(leg.in_sync)
        self.assertEqual(B, self.leg('nvme2n1').replica_uuid)

    def test_a_newcomer_with_the_same_name(self) -> None:
        # The link "block" is text: it leads to the newcomer.
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', A[:-1] + '9', ('nvme1',))
        self.assertEqual(
            self.host.number('nvme1n1'),
            self.host.number('md127/md/dev-nvme1n1/block'))
        self.assertIsNone(self.leg('nvme1n1').replica_uuid)
        self.assertFalse(self.scan().good(self.leg('nvme1n1')))
        self.assertEqual((), self.namespace().holders)

    def test_a_newcomer_that_another_array_has_taken(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', A[:-1] + '9', ('nvme1',))
        self.host.array('md126', ('nvme1n1',))
        found = {array.name: array.legs[0].replica_uuid
                 for array in self.scan().arrays}
        self.assertEqual({'md126': A[:-1] + '9', 'md127': None}, found)

    def test_a_link_that_leads_elsewhere(self) -> None:
        self.host.remove('sys/class/block/md127/md/dev-nvme1n1/block')
        self.host.link('sys/class/block/md127/md/dev-nvme1n1/block',
                       'sys/class/block/nvme2n1')
        self.assertEqual(self.host.number('nvme2n1'),
                         self.host.number('md127/md/dev-nvme1n1/block'))
        self.assertIsNone(self.leg('nvme1n1').replica_uuid)


class TestMalformed(test_sysfs.ScanCase):
    """An attribute that makes no sense spoils its own object only."""

    def test_controller(self) -> None:
        for attribute, value in (('fast_io_fail_tmo', 'soon'),
                                 ('address', 'traddr=192.0.2.1,trsvcid=x'),
                                 ('address', 'traddr=192.0.2.1,trsvcid=0')):
            self.host.controller('nvme3')
            self.host.namespace('nvme3n1', A[:-1] + '9', ('nvme3',))
            whole = self.scan()
            self.host.set_controller('nvme3', **{attribute: value})
            snapshot = self.scan()
            self.assertEqual(['nvme1', 'nvme2'],
                             [found.name for found in snapshot.controllers])
            self.assertEqual(whole.namespaces, snapshot.namespaces)
            self.assertEqual(whole.arrays, snapshot.arrays)
            (problem,) = snapshot.problems
            self.assertIn('controller nvme3 left out: ', problem)
            self.host.lose_namespace('nvme3n1')
            self.host.remove('sys/class/nvme-fabrics/ctl/nvme3')

    def test_namespace(self) -> None:
        for device in ('nvme1n1', 'nvme2n1'):
            self.host.attributes('sys/class/block/' + device, size='many')
        snapshot = self.scan()
        self.assertEqual((), snapshot.namespaces)
        self.assertEqual(2, len(snapshot.controllers))
        self.assertEqual(['md127'], [a.name for a in snapshot.arrays])
        self.assertEqual(2, len(snapshot.problems))
        self.assertIn("namespace nvme1n1 left out: ", snapshot.problems[0])
        self.assertIn("'many'", snapshot.problems[0])

    def test_array(self) -> None:
        self.host.controller('nvme3')
        self.host.namespace('nvme3n1', A[:-1] + '9', ('nvme3',))
        self.host.array('md126', ('nvme3n1',))
        for attribute, value in (
                ('raid_disks', ''), ('raid_disks', 'two'), ('degraded', '?'),
                ('component_size', ''), ('sync_completed', 'a / b'),
                ('dev-nvme1n1/slot', 'first'), ('dev-nvme1n1/offset', '-')):
            with open(self.host.path('sys/class/block/md127/md', attribute),
                      encoding='ascii') as stream:
                before = stream.read()
            self.host.set_array('md127', **{
                'sync_action': 'recover', attribute: value})
            snapshot = self.scan()
            self.assertEqual(['md126'], [a.name for a in snapshot.arrays],
                             attribute)
            self.assertEqual(3, len(snapshot.namespaces))
            (problem,) = snapshot.problems
            self.assertIn('array md127 left out: ', problem)
            self.host.write('sys/class/block/md127/md/' + attribute, before)

    def test_bytes_that_are_no_text(self) -> None:
        with open(self.host.path('sys/class/block/nvme1n1/uuid'),
                  'wb') as attribute:
            attribute.write(b'\xff\x00\xfe')
        self.assertIsNone(self.namespace().uuid)

    @settings(max_examples=60, deadline=None)
    @given(strategies.sampled_from(ATTRIBUTES), strategies.data(),
           strategies.one_of(strategies.binary(max_size=24),
                             strategies.from_regex(rb'[0-9 ()/.,=-]{0,9}')))
    def test_any_attribute_may_hold_anything(
            self, folder: str, draw: strategies.DataObject,
            content: bytes) -> None:
        names = sorted(
            os.path.join(parent, name) for parent, _folders, files
            in os.walk(self.host.path(folder)) for name in files)
        name = draw.draw(strategies.sampled_from(names))
        with open(name, 'rb') as attribute:
            before = attribute.read()
        with open(name, 'wb') as attribute:
            attribute.write(content)
        try:
            snapshot = self.scan()
        finally:
            with open(name, 'wb') as attribute:
                attribute.write(before)
        self.assertIsNotNone(snapshot.controller('nvme2'))
        self.assertIsNotNone(snapshot.namespace('nvme2n1'))
        self.assertLessEqual(len(snapshot.problems), 1)


class Vanishing:
    """Lets objects go between any two looks of a scan.

    :param after: how many looks (files opened, directories listed, links
        read) still see everything.
    :param gone: a part of the path of what is not there any more then.
    """

    #: What sysfs says of a device that is being taken down.
    code = errno.ENODEV

    def __init__(self, after: int, gone: str) -> None:
        self.left = after
        self.gone = gone

    def _look(self, path: str) -> None:
        self.left -= 1
        if self.fails(path):
            raise OSError(self.code, os.strerror(self.code), path)

    def fails(self, path: str) -> bool:
        return self.left < 0 and self.gone in path

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with contextlib.ExitStack() as patched:
            for name in ('open', 'pread', 'listdir', 'scandir',
                         'readlink'):
                patched.enter_context(mock.patch.object(
                    os, name, self._looking(getattr(os, name))))
            patched.enter_context(mock.patch.object(
                attributes, 'open', self._looking(open), create=True))
            yield

    def _looking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        readlink = os.readlink

        def look(path: str | int, *args: Any, dir_fd: int | None = None,
                 **kwargs: Any) -> Any:
            folder = path if isinstance(path, int) else dir_fd
            full = str(path)
            if folder is not None:
                full = os.path.join(readlink('/proc/self/fd/%d' % folder),
                                    '' if folder == path else full)
            self._look(full)
            if dir_fd is not None:
                kwargs['dir_fd'] = dir_fd
            return real(path, *args, **kwargs)

        return look


class Exhausting(Vanishing):
    """Lets a single look of a scan fail, for want of what it takes."""

    def __init__(self, after: int, code: int) -> None:
        super().__init__(after, '')
        self.code = code

    def fails(self, path: str) -> bool:
        return self.left == -1


class TestVanishing(test_sysfs.ScanCase):
    """Hot-unplug at every point of a scan is no error and no problem."""

    namespace_below = 'block/nvme1n1'

    def vanish(self, gone: str) -> list[snapshots.HostSnapshot]:
        """Scan once for each point at which it may vanish."""
        scans = []
        for after in range(1000):
            self.scan()
            vanishing = Vanishing(after, gone)
            with vanishing():
                scans.append(self.scan())
            self.assertEqual((), scans[-1].problems)
            if vanishing.left >= 0:
                # the scan was over before anything could vanish
                return scans
        raise AssertionError('the scan never ends')

    def test_controller(self) -> None:
        scans = self.vanish('ctl/nvme1/')
        self.assertIsNone(scans[0].controller('nvme1'))
        self.assertIsNotNone(scans[-1].controller('nvme1'))
        for snapshot in scans:
            self.assertIsNotNone(snapshot.controller('nvme2'))
            self.assertIsNotNone(snapshot.namespace('nvme2n1'))
            self.assertIsNotNone(snapshot.array('md127'))

    def test_namespace(self) -> None:
        scans = self.vanish(self.namespace_below)
        self.assertIsNone(scans[0].namespace('nvme1n1'))
        self.assertIsNotNone(scans[-1].namespace('nvme1n1'))
        for snapshot in scans:
            self.assertIsNotNone(snapshot.namespace('nvme2n1'))
            (array,) = snapshot.arrays
            self.assertEqual(2, len(array.legs))

    def test_leg(self) -> None:
        scans = self.vanish('dev-nvme1n1')
        self.assertEqual(['nvme2n1'],
                         [leg.device for leg in scans[0].arrays[0].legs])
        self.assertEqual(2, len(scans[-1].arrays[0].legs))
        for snapshot in scans:
            (array,) = snapshot.arrays
            self.assertIsNotNone(array.leg('nvme2n1'))

    def test_array(self) -> None:
        scans = self.vanish('md127')
        self.assertEqual((), scans[0].arrays)
        self.assertEqual(1, len(scans[-1].arrays))
        for snapshot in scans:
            self.assertEqual(2, len(snapshot.namespaces))

    def test_everything(self) -> None:
        scans = self.vanish('')
        self.assertEqual(snapshots.HostSnapshot(), scans[0])
        self.assertEqual(self.scan(), scans[-1])

    def test_listed_and_gone(self) -> None:
        # the names are still in the listings, what they name is not
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        real = attributes.identities

        def stale(where: str | int, prefix: str = '') -> dict[str, int]:
            found = real(where, prefix)
            if str(where).endswith('ctl'):
                found['nvme1'] = 1
            if str(where).endswith('class/block'):
                found.update({'nvme1n1': 2, 'nvme1c1n1': 3})
            return found

        with mock.patch.object(attributes, 'identities', stale):
            snapshot = self.scan()
        self.assertEqual((), snapshot.problems)
        self.assertEqual(['nvme2'],
                         [found.name for found in snapshot.controllers])
        self.assertEqual(['nvme2n1'],
                         [found.device for found in snapshot.namespaces])


class TestExhausted(test_sysfs.ScanCase):
    """No descriptor or memory to look with, at any point of a scan.

    S2 and S8: what cannot be looked at is neither free nor gone.
    """

    def build(self) -> None:
        super().build()
        self.host.write('proc/swaps', 'Filename\tType\n'
                        '/dev/nvme1n1 partition 65532 0 -2\n')
        self.host.mount(self.host.number('nvme2n1'), '/srv')

    def test_any_look(self) -> None:
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            whole, failed = self.scan(), 0
            for after in range(1000):
                exhausting = Exhausting(after, code)
                with exhausting():
                    try:
                        self.assertEqual(whole, self.scan())
                    except attributes.Exhausted as error:
                        self.assertEqual(
                            'this host cannot be looked at: '
                            + os.strerror(code), str(error))
                        failed += 1
                if exhausting.left >= 0:
                    break
            self.assertGreater(failed, 10)
            self.assertGreaterEqual(exhausting.left, 0)
            self.assertEqual(whole, self.scan())


class TestVanishingWhatStaysOpen(TestVanishing):
    """The same of a scanner that has seen the host."""

    # which has followed the links
    namespace_below = 'nvme-subsys1/nvme1n1/'

    def build(self) -> None:
        super().build()
        self.scanner = sysfs.Scanner(self.host.root)

    def scan(self) -> snapshots.HostSnapshot:
        return self.scanner.scan()


class TestExhaustedWithWhatStaysOpen(TestExhausted):
    """The same of a scanner that has seen the host."""

    def build(self) -> None:
        super().build()
        self.scanner = sysfs.Scanner(self.host.root)

    def scan(self) -> snapshots.HostSnapshot:
        return self.scanner.scan()
