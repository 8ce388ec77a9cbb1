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
"""The scan of a host at rest: every noun, and whose array is whose."""

from __future__ import annotations

import os
import tempfile

from oslotest import base

from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.host import fakesys

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'


class ScanCase(base.BaseTestCase):
    """A host with two controllers, a namespace on each, and one array."""

    multipath = True

    def setUp(self) -> None:
        super().setUp()
        self.build()

    def build(self) -> None:
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

    def scan(self) -> snapshots.HostSnapshot:
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
        self.assertEqual(snapshots.HostSnapshot(), sysfs.Scanner(empty).scan())

    def test_controller(self) -> None:
        self.assertEqual(
            model.Controller(
                'nvme1', 'nqn.2024-01.test:nvme1',
                model.Portal('192.0.2.1', 4420, 'tcp'), fakesys.HOST_NQN,
                'live', None, True, identity=os.stat(self.host.path(
                    'sys/class/nvme-fabrics/ctl/nvme1')).st_ino),
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

    def test_a_controller_of_a_name_that_no_standard_has(self) -> None:
        """Linux's own target takes any, and what is foreign must be seen."""
        self.host.controller('nvme3', 'testnqn')
        self.host.namespace('nvme3n1', None, ('nvme3',))
        seen = self.scan()
        self.assertIn('testnqn', [one.nqn for one in seen.controllers])
        self.assertIsNotNone(seen.namespace('nvme3n1'))

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

    def test_a_target_that_gives_no_access(self) -> None:
        """Linux shows that of paths, where the target has ANA."""
        if not self.multipath:
            return
        access = 'sys/class/block/nvme1c1n1'
        self.host.attributes(access, ana_state='optimized')
        scanner = sysfs.Scanner(self.host.root)
        for state, barred in (
                ('optimized', False), ('inaccessible', True),
                ('non-optimized', False), ('persistent-loss', True),
                ('change', True), ('invalid state', False)):
            self.host.attributes(access, ana_state=state)
            seen = scanner.scan()
            namespace = seen.namespace('nvme1n1')
            assert namespace is not None
            self.assertEqual({'nvme1'} if barred else set(),
                             namespace.barred, state)
            self.assertEqual(not barred, seen.reachable(namespace))
            self.assertTrue(seen.linked(namespace))
            self.assertEqual(not barred, bool(seen.open_paths(namespace)))

    def test_a_path_that_is_just_being_made(self) -> None:
        """Its name is there before its attributes, its holders after them."""
        if not self.multipath:
            return
        access = 'sys/class/block/nvme1c1n1'
        holders = self.host.path(access + '/holders')
        os.rmdir(holders)
        scanner = sysfs.Scanner(self.host.root)
        self.assertEqual(frozenset(), self._barred(scanner))
        self.host.attributes(access, ana_state='inaccessible')
        os.mkdir(holders)
        self.assertEqual({'nvme1'}, self._barred(scanner))

    def _barred(self, scanner: sysfs.Scanner) -> frozenset[str]:
        namespace = scanner.scan().namespace('nvme1n1')
        assert namespace is not None
        return namespace.barred

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

    def test_the_instance_of_an_array(self) -> None:
        """The boot, the kernel's number of the disk, and the array."""
        self.assertEqual('', self.array().instance)
        self.host.set_array('md127', **{'../diskseq': 17})
        self.assertEqual('', self.array().instance)
        self.host.write('proc/sys/kernel/random/boot_id', 'the-boot\n')
        first = self.array()
        self.assertEqual('the-boot/17/%s' % first.uuid, first.instance)
        scanner = sysfs.Scanner(self.host.root)
        for number in (17, 18):
            self.host.set_array('md127', **{'../diskseq': number})
            self.assertIn('/%d/' % number, scanner.scan().arrays[0].instance)

    def test_whether_something_was_written_to_an_array(self) -> None:
        """By its user, not by md; for this array it stays so."""
        self.assertFalse(self.array().written)
        for sectors, written in (('0', False), ('none', False), ('8', True)):
            self.host.set_array('md127', **{
                '../stat': '9 0 72 1 1 0 %s 1 0 2 2' % sectors})
            self.assertEqual(written, self.array().written)
        scanner = sysfs.Scanner(self.host.root)
        self.assertTrue(scanner.scan().arrays[0].written)
        self.host.remove('sys/class/block/md127/stat')
        self.assertTrue(scanner.scan().arrays[0].written)
        self.assertFalse(self.array().written)

    def test_the_limit_of_copies(self) -> None:
        """md.c, sync_max_show."""
        self.assertIsNone(self.array().sync_speed_max)
        scanner = sysfs.Scanner(self.host.root)
        for text, found in (('200000 (system)\n', 0),
                            ('51201 (local)\n', 51201), ('', None),
                            ('51201\n', None), ('900 (system)\n', 0)):
            self.host.set_array('md127', sync_speed_max=text)
            self.assertEqual(found, scanner.scan().arrays[0].sync_speed_max)

    def test_how_long_md_marks(self) -> None:
        """md-bitmap.c, timeout_show."""
        self.assertIsNone(self.array().bitmap_delay)
        scanner = sysfs.Scanner(self.host.root)
        for text, found in (('5\n', 5.0), ('0.500\n', 0.5), ('', None),
                            ('none\n', None)):
            self.host.set_array('md127', **{'bitmap/time_base': text})
            self.assertEqual(found, scanner.scan().arrays[0].bitmap_delay)

    def test_an_array_that_is_read_only(self) -> None:
        self.assertEqual('', self.array().read_only)
        for state, locked, words in (
                ('readonly', 1, 'array_state readonly'),
                ('readonly', 0, 'array_state readonly'),
                ('read-auto', 0, 'read-auto'),
                ('active', 1, 'blockdev --setro'), ('clean', 0, '')):
            self.host.set_array('md127', array_state=state,
                                **{'../ro': locked})
            self.assertIn(words, self.array().read_only)
            self.assertEqual(bool(words), bool(self.array().read_only))

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

    def test_what_a_leg_lacks(self) -> None:
        """It is counted from where the array's data begins on the leg."""
        self.assertEqual((), self.leg('nvme2n1').bad)
        self.host.set_leg('md127', 'nvme2n1', bad_blocks='10240 512\n10752 8')
        leg = self.leg('nvme2n1')
        self.assertEqual(((8192, 8712),), leg.bad)
        self.assertTrue(leg.in_sync)
        self.assertFalse(self.array().whole)
        for offset, slot in ((2056, 'none'), (2064, 'none')):
            # one without a slot may be given another offset
            self.host.set_leg('md127', 'nvme2n1', slot=slot, offset=offset)
            self.assertEqual(((10240 - offset, 10760 - offset),),
                             self.leg('nvme2n1').bad)

    def test_a_kernel_that_notes_no_bad_blocks(self) -> None:
        self.host.remove('sys/devices/virtual/block/md127/md/dev-nvme2n1/'
                         'bad_blocks')
        self.assertEqual((), self.leg('nvme2n1').bad)

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
        self.assertEqual('', self.namespace().in_use)

    def test_device_mapper_says_whose_it_is(self) -> None:
        self.host.disk('dm-0')
        self.host.hold('nvme1n1', 'dm-0')
        for name, identifier, words in (
                ('guest-data', 'LVM-Xh3d', 'guest-data of LVM'),
                ('mpatha', 'mpath-3600', 'mpatha of mpath'),
                ('by-hand', '', 'by-hand')):
            self.host.attributes('sys/devices/virtual/block/dm-0/dm',
                                 name=name, uuid=identifier)
            self.assertEqual(words, self.namespace().in_use)

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
        for level in ('raid0', 'raid10', 'raid5', 'linear', ''):
            self.host.set_array('md127', level=level)
            self.assertEqual([], self.names(), level)

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


class TestMany(base.BaseTestCase):

    def test_many_arrays(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            fakesys.FakeHost(root).replicated_volumes(30)
            snapshot = sysfs.Scanner(root).scan()
        self.assertEqual((60, 60, 30, ()), (
            len(snapshot.controllers), len(snapshot.namespaces),
            len(snapshot.arrays), snapshot.problems))
        array = snapshot.array('md25')
        assert array is not None
        self.assertEqual(
            [fakesys.volume_replica_uuid(25, 0),
             fakesys.volume_replica_uuid(25, 1)],
            [leg.replica_uuid for leg in array.legs])
        self.assertTrue(array.whole)
