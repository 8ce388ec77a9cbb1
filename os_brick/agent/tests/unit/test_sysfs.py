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
"""The scan of a host: every noun, and everything that goes wrong there."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import io
import os
import tempfile
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from oslotest import base

from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.tests.unit import fakesys

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'
ATTRIBUTES = ('sys/class/nvme-fabrics/ctl/nvme1/', 'sys/class/block/nvme1n1/',
              'sys/class/block/md127/md/')


class ScanCase(base.BaseTestCase):
    """A host with two controllers, a namespace on each, and one array."""

    multipath = True

    def setUp(self) -> None:
        super().setUp()
        self.host = fakesys.FakeHost(self.temporary_directory())
        for name, uuid in (('nvme1', A), ('nvme2', B)):
            self.host.controller(name, address='192.0.2.' + name[-1])
            self.host.namespace(name + 'n1', uuid, (name,),
                                multipath=self.multipath)
        self.host.array('md127', ('nvme1n1', 'nvme2n1'), alias='volume')

    def temporary_directory(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def scan(self) -> model.HostSnapshot:
        return sysfs.Scanner(self.host.root).scan()

    def array(self) -> model.Array:
        (array,) = self.scan().arrays
        return array

    def leg(self, device: str) -> model.Leg:
        leg = self.array().leg(device)
        assert leg is not None
        return leg

    def namespace(self, device: str = 'nvme1n1') -> model.Namespace:
        namespace = self.scan().namespace(device)
        assert namespace is not None
        return namespace

    def controller(self) -> model.Controller:
        controller = self.scan().controller('nvme1')
        assert controller is not None
        return controller


class TestScan(ScanCase):

    def test_an_empty_machine(self) -> None:
        empty = self.temporary_directory()
        self.assertEqual(model.HostSnapshot(), sysfs.Scanner(empty).scan())

    def test_controller(self) -> None:
        self.assertEqual(
            model.Controller(
                'nvme1', 'nqn.2024-01.test:nvme1',
                model.Portal('192.0.2.1', 4420, 'tcp'), fakesys.HOST_NQN,
                'live', None, True),
            self.controller())

    def test_the_source_address_is_no_part_of_the_portal(self) -> None:
        self.host.set_controller(
            'nvme1', transport='rdma',
            address='traddr=2001:db8::1,trsvcid=4421,src_addr=2001:db8::2')
        self.assertEqual(model.Portal('2001:db8::1', 4421, 'rdma'),
                         self.controller().portal)

    def test_a_controller_of_another_transport_has_no_portal(self) -> None:
        self.host.set_controller('nvme1', transport='loop', address='')
        self.assertIsNone(self.controller().portal)

    def test_fast_io_fail_tmo_is_seconds(self) -> None:
        self.host.set_controller('nvme1', fast_io_fail_tmo=2)
        self.assertEqual(2.0, self.controller().fast_io_fail_tmo)

    def test_a_kernel_without_fast_io_fail_tmo(self) -> None:
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1/fast_io_fail_tmo')
        self.assertIsNone(self.controller().fast_io_fail_tmo)
        self.assertFalse(self.controller().has_fast_io_fail)

    def test_namespace(self) -> None:
        self.assertEqual(
            model.Namespace('nvme1n1', A, 64 * fakesys.MEBIBYTE, ('nvme1',),
                            ('md127',), ''),
            self.namespace())

    def test_the_spelling_of_a_uuid_does_not_matter(self) -> None:
        self.host.attributes('sys/class/block/nvme1n1',
                             uuid=A.upper().replace('-', ''))
        self.assertEqual(A, self.namespace().uuid)

    def test_a_namespace_without_uuid(self) -> None:
        for text in ('', 'eui.0025388b710000'):
            self.host.attributes('sys/class/block/nvme1n1', uuid=text)
            if self.multipath:
                self.host.attributes('sys/class/block/nvme1c1n1', uuid=text)
            self.assertIsNone(self.namespace().uuid)

    def test_array(self) -> None:
        self.assertEqual(
            model.Array(
                'md127', 'volume', self.array().uuid, 2, 0, 'clean', 'idle',
                63 * fakesys.MEBIBYTE, (
                    model.Leg('nvme1n1', 0, frozenset({'in_sync'}), A),
                    model.Leg('nvme2n1', 1, frozenset({'in_sync'}), B)),
                data_offset=fakesys.MEBIBYTE),
            self.array())
        self.assertRegex(str(self.array().uuid), '^0{8}-0000-4000-8000-')

    def test_an_array_without_a_link_has_no_alias(self) -> None:
        self.host.remove('dev/md/volume')
        self.host.write('dev/md/md127', 'a file, not a link')
        self.assertIsNone(self.array().alias)

    def test_the_words_of_a_leg(self) -> None:
        self.host.set_leg('md127', 'nvme2n1', slot='none',
                          state='faulty,blocked,failfast')
        leg = self.leg('nvme2n1')
        self.assertEqual({'faulty', 'blocked', 'failfast'}, leg.flags)
        self.assertIsNone(leg.slot)

    def test_a_spare_with_no_words(self) -> None:
        self.host.set_leg('md127', 'nvme2n1', slot='none', state='')
        self.assertEqual(frozenset(), self.leg('nvme2n1').flags)

    def test_raid_disks_that_are_being_changed(self) -> None:
        self.host.set_array('md127', raid_disks='2 (1)')
        self.assertEqual(2, self.array().raid_disks)

    def test_progress_is_bytes(self) -> None:
        self.host.set_array('md127', sync_action='recover',
                            sync_completed='1024 / 129024')
        array = self.array()
        self.assertEqual((512 * 1024, 63 * fakesys.MEBIBYTE),
                         (array.sync_done, array.sync_total))

    def test_no_progress(self) -> None:
        for word in ('none', 'delayed', ''):
            self.host.set_array('md127', sync_completed=word)
            array = self.array()
            self.assertEqual((None, None),
                             (array.sync_done, array.sync_total), word)


class TestScanWithoutMultipath(TestScan):
    """The same host, nvme_core.multipath=N."""

    multipath = False


class TestPaths(ScanCase):

    def test_a_head_with_several_paths(self) -> None:
        self.host.controller('nvme3')
        self.host.controller('nvme4')
        self.host.namespace('nvme3n1', A, ('nvme3', 'nvme4'))
        self.assertEqual(('nvme3', 'nvme4'),
                         self.namespace('nvme3n1').controllers)

    def test_several_namespaces_behind_one_controller(self) -> None:
        self.host.namespace('nvme1n12', B, ('nvme1',))
        self.assertEqual(('nvme1',), self.namespace('nvme1n12').controllers)
        self.assertEqual(A, self.namespace('nvme1n1').uuid)

    def test_two_devices_for_one_namespace_without_multipath(self) -> None:
        for name, state in (('nvme3', 'connecting'), ('nvme4', 'live')):
            self.host.controller(name, state=state)
            self.host.namespace(name + 'n1', A[:-1] + '9', (name,),
                                multipath=False)
        found = self.scan().namespace_of(A[:-1] + '9')
        self.assertEqual('nvme4n1', found and found.device)

    def test_the_path_knows_the_uuid_when_the_head_does_not(self) -> None:
        self.host.remove('sys/class/block/nvme1n1/uuid')
        self.assertEqual(A, self.namespace().uuid)

    def test_a_path_that_goes_leaves_the_other(self) -> None:
        self.host.controller('nvme3')
        self.host.controller('nvme4')
        self.host.namespace('nvme3n1', A, ('nvme3', 'nvme4'))
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme4')
        self.assertEqual(('nvme3',), self.namespace('nvme3n1').controllers)


class TestUsers(ScanCase):
    """Who else uses a namespace: never write to such a one."""

    def test_device_mapper(self) -> None:
        self.host.disk('dm-0')
        self.host.hold('nvme1n1', 'dm-0')
        self.assertEqual({'dm-0', 'md127'}, set(self.namespace().holders))

    def test_mount(self) -> None:
        self.host.mount('0:21', '/proc')
        self.host.mount(self.host.number('nvme1n1'), '/srv')
        self.assertEqual('it is mounted on /srv', self.namespace().in_use)
        self.assertEqual('', self.namespace('nvme2n1').in_use)

    def test_mount_of_btrfs_which_has_a_number_of_its_own(self) -> None:
        self.host.mount('0:47', '/srv', '/dev/nvme1n1', 'btrfs')
        self.assertEqual('it is mounted on /srv', self.namespace().in_use)

    def test_swap(self) -> None:
        self.host.write('proc/swaps', 'Filename\tType\n'
                        '/dev/nvme1n1 partition 65532 0 -2\n')
        self.assertEqual('it is swap space', self.namespace().in_use)

    def test_mountinfo_that_makes_no_sense(self) -> None:
        self.host.write('proc/self/mountinfo', '\n - \n36 35 98:0\n\0\xff')
        self.host.write('proc/swaps', '\n\n')
        self.assertEqual('', self.namespace().in_use)

    def test_partition(self) -> None:
        partition = self.host.partition('nvme1n1', 1)
        self.assertEqual('it has the partition nvme1n1p1',
                         self.namespace().in_use)
        self.host.disk('dm-0')
        self.host.hold(partition, 'dm-0')
        self.assertEqual(('md127', 'dm-0'), self.namespace().holders)


class TestWhichArrays(ScanCase):
    """Only RAID1 whose legs are, or were, NVMe-oF namespaces (S4)."""

    def names(self) -> list[str]:
        return [array.name for array in self.scan().arrays]

    def test_another_raid_level(self) -> None:
        self.host.set_array('md127', level='raid10')
        self.assertEqual([], self.names())

    def test_a_local_mirror(self) -> None:
        for disk in ('sda', 'sdb', 'nvme8n1', 'nvme9n1'):
            self.host.disk(disk)
        self.host.array('md0', ('sda', 'sdb'), alias='boot')
        self.host.array('md1', ('nvme8n1', 'nvme9n1'), alias='root')
        self.assertEqual(['md127'], self.names())

    def test_a_local_mirror_that_lost_a_drive(self) -> None:
        for disk in ('nvme8n1', 'nvme9n1'):
            self.host.disk(disk)
        self.host.array('md1', ('nvme8n1', 'nvme9n1'), alias='root')
        self.host.remove('sys/class/block/nvme9n1')
        self.host.remove('sys/devices/virtual/block/nvme9n1')
        self.assertEqual(['md127'], self.names())

    def test_a_mirror_over_partitions(self) -> None:
        for disk in ('nvme8n1', 'nvme9n1'):
            self.host.disk(disk)
            self.host.partition(disk, 1)
        self.host.array('md1', ('nvme8n1p1', 'nvme9n1p1'))
        self.assertEqual(['md127'], self.names())

    def test_a_partition_of_an_array_is_none(self) -> None:
        self.host.partition('md127', 1)
        self.assertEqual(['md127'], self.names())

    def test_an_array_whose_namespaces_have_all_gone(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.lose_namespace('nvme2n1')
        self.assertEqual(['md127'], self.names())
        self.assertEqual({None}, {leg.replica_uuid
                                  for leg in self.array().legs})


class TestStaleLegs(ScanCase):
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
        self.assertIsNone(self.leg('nvme1n1').replica_uuid)


class TestMalformed(ScanCase):
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
            self.host.set_array('md127', **{attribute: value})
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
        with tempfile.TemporaryDirectory() as root:
            host = fakesys.FakeHost(root)
            host.replicated_volumes(1)
            host.controller('nvme7')
            folder = folder.replace('md127', 'md0')
            names = sorted(
                os.path.join(parent, name)
                for parent, _folders, files in os.walk(host.path(folder))
                for name in files)
            with open(draw.draw(strategies.sampled_from(names)),
                      'wb') as attribute:
                attribute.write(content)
            snapshot = sysfs.Scanner(root).scan()
            self.assertIsNotNone(snapshot.controller('nvme7'))
            self.assertIsNotNone(snapshot.controller('nvme0'))
            self.assertLessEqual(len(snapshot.problems), 1)


class Vanishing:
    """Lets objects go between any two looks of a scan.

    :param after: how many looks (files opened, directories listed, links
        read) still see everything.
    :param gone: a part of the path of what is not there any more then.
    """

    def __init__(self, after: int, gone: str) -> None:
        self.left = after
        self.gone = gone

    def _look(self, path: str) -> None:
        self.left -= 1
        if self.left < 0 and self.gone in path:
            # what sysfs says of a device that is being taken down
            raise OSError(19, 'No such device', path)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        listdir, readlink, real_open = os.listdir, os.readlink, io.open

        def fake_listdir(path: str) -> list[str]:
            self._look(path)
            return listdir(path)

        def fake_readlink(path: str) -> str:
            self._look(path)
            return readlink(path)

        def fake_open(path: str, *args: Any, **kwargs: Any) -> Any:
            self._look(path)
            return real_open(path, *args, **kwargs)

        with mock.patch.object(os, 'listdir', fake_listdir), \
                mock.patch.object(os, 'readlink', fake_readlink), \
                mock.patch.object(sysfs, 'open', fake_open, create=True):
            yield


class TestVanishing(ScanCase):
    """Hot-unplug at every point of a scan is no error and no problem."""

    def vanish(self, gone: str) -> list[model.HostSnapshot]:
        """Scan once for each point at which it may vanish."""
        snapshots = []
        for after in range(1000):
            vanishing = Vanishing(after, gone)
            with vanishing():
                snapshots.append(self.scan())
            self.assertEqual((), snapshots[-1].problems)
            if vanishing.left >= 0:
                # the scan was over before anything could vanish
                return snapshots
        raise AssertionError('the scan never ends')

    def test_controller(self) -> None:
        snapshots = self.vanish('ctl/nvme1/')
        self.assertIsNone(snapshots[0].controller('nvme1'))
        self.assertIsNotNone(snapshots[-1].controller('nvme1'))
        for snapshot in snapshots:
            self.assertIsNotNone(snapshot.controller('nvme2'))
            self.assertIsNotNone(snapshot.namespace('nvme2n1'))
            self.assertIsNotNone(snapshot.array('md127'))

    def test_namespace(self) -> None:
        snapshots = self.vanish('block/nvme1n1')
        self.assertIsNone(snapshots[0].namespace('nvme1n1'))
        self.assertIsNotNone(snapshots[-1].namespace('nvme1n1'))
        for snapshot in snapshots:
            self.assertIsNotNone(snapshot.namespace('nvme2n1'))
            (array,) = snapshot.arrays
            self.assertEqual(2, len(array.legs))

    def test_leg(self) -> None:
        snapshots = self.vanish('dev-nvme1n1')
        self.assertEqual(['nvme2n1'],
                         [leg.device for leg in snapshots[0].arrays[0].legs])
        self.assertEqual(2, len(snapshots[-1].arrays[0].legs))
        for snapshot in snapshots:
            (array,) = snapshot.arrays
            self.assertIsNotNone(array.leg('nvme2n1'))

    def test_array(self) -> None:
        snapshots = self.vanish('md127')
        self.assertEqual((), snapshots[0].arrays)
        self.assertEqual(1, len(snapshots[-1].arrays))
        for snapshot in snapshots:
            self.assertEqual(2, len(snapshot.namespaces))

    def test_everything(self) -> None:
        snapshots = self.vanish('')
        self.assertEqual(model.HostSnapshot(), snapshots[0])
        self.assertEqual(self.scan(), snapshots[-1])

    def test_listed_and_gone(self) -> None:
        # the names are still in the listings, what they name is not
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        real = sysfs._listing

        def stale(*parts: str) -> list[str]:
            found = real(*parts)
            if parts[-1].endswith('ctl'):
                found.append('nvme1')
            if parts[-1] == 'nvme1':
                found.append('nvme1c1n1')
            return found

        with mock.patch.object(sysfs, '_listing', stale):
            snapshot = self.scan()
        self.assertEqual((), snapshot.problems)
        self.assertEqual(['nvme2'],
                         [found.name for found in snapshot.controllers])
        self.assertEqual(['nvme2n1'],
                         [found.device for found in snapshot.namespaces])


class TestMany(base.BaseTestCase):

    def test_hundreds_of_arrays(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            fakesys.FakeHost(root).replicated_volumes(200)
            snapshot = sysfs.Scanner(root).scan()
        self.assertEqual((400, 400, 200, ()), (
            len(snapshot.controllers), len(snapshot.namespaces),
            len(snapshot.arrays), snapshot.problems))
        array = snapshot.array('md150')
        assert array is not None
        self.assertEqual(
            [fakesys.volume_replica_uuid(150, 0),
             fakesys.volume_replica_uuid(150, 1)],
            [leg.replica_uuid for leg in array.legs])
        self.assertTrue(array.whole)
