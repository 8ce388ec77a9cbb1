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
"""The host's identity, read as os-brick's own findmnt and blkid would."""

from __future__ import annotations

import os
import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent.host import identity
from os_brick.agent import model
from os_brick.agent.tests.unit.host import fakesys

NQN = fakesys.HOST_NQN
UUID = '5f0c1a52-7d6b-4e43-9c43-0e0c7a4a6d11'


class IdentityCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.host = fakesys.FakeHost(folder.name)
        self.host.write('etc/nvme/hostnqn', NQN + '\n')
        # decoys: another disk and its file system
        self.disk('sda', '11111111-7d6b-4e43-9c43-0e0c7a4a6d11')
        self.host.mount('8:0', '/boot', '/dev/sda')

    def disk(self, device: str, uuid: str | None) -> str:
        """Add a disk with its node and udev's link; return its number."""
        number = self.host.disk(device)
        self.host.write('dev/' + device, '')
        if uuid is not None:
            self.host.link('dev/disk/by-uuid/' + uuid, 'dev/' + device)
        return number

    def uuid(self) -> str | None:
        return identity.root_file_system_uuid(self.host.root)


class TestRootFileSystem(IdentityCase):

    def test_a_disk(self) -> None:
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/vda1')
        self.host.mount('8:0', '/home', '/dev/sda')
        self.assertEqual(UUID, self.uuid())

    def test_a_logical_volume(self) -> None:
        number = self.disk('dm-0', UUID)
        self.host.link('dev/mapper/vg-root', 'dev/dm-0')
        self.host.mount(number, '/', '/dev/mapper/vg-root')
        self.assertEqual(UUID, self.uuid())

    def test_btrfs_has_a_number_of_its_own(self) -> None:
        self.disk('vda1', UUID)
        self.host.mount('0:31', '/', '/dev/vda1', 'btrfs', '/@')
        self.assertEqual(UUID, self.uuid())

    def test_dev_root_is_no_file(self) -> None:
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/root')
        self.assertEqual(UUID, self.uuid())

    def test_dev_root_of_an_unknown_number(self) -> None:
        self.disk('vda1', UUID)
        self.host.mount('99:99', '/', '/dev/root')
        self.assertIsNone(self.uuid())

    def test_a_uuid_is_given_as_blkid_spells_it(self) -> None:
        for link, expected in (('1234-ABCD', '1234-ABCD'),
                               ('a\\x20b\\x2fc', 'a b/c')):
            device = 'vd' + expected[0]
            self.host.mount(self.disk(device, link), '/', '/dev/' + device)
            self.assertEqual(expected, self.uuid())

    def test_the_uppermost_mount_counts(self) -> None:
        self.host.mount('0:2', '/', 'rootfs', 'rootfs')
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/vda1')
        self.assertEqual(UUID, self.uuid())
        self.host.mount('0:39', '/', 'overlay', 'overlay')
        self.assertIsNone(self.uuid())

    def test_no_block_device(self) -> None:
        self.disk('vda1', UUID)
        for source, fstype in (('overlay', 'overlay'), ('tmpfs', 'tmpfs'),
                               ('192.0.2.1:/srv', 'nfs4'),
                               ('rpool/ROOT/debian', 'zfs'),
                               ('/dev/vanished', 'ext4')):
            self.host.mount('0:39', '/', source, fstype)
            self.assertIsNone(self.uuid(), source)

    def test_only_the_source_counts_where_it_is_no_device(self) -> None:
        # blkid is asked for the source, and knows of no "overlay"
        self.host.mount(self.disk('vda1', UUID), '/', 'overlay', 'overlay')
        self.assertIsNone(self.uuid())

    def test_no_link_for_the_device(self) -> None:
        self.host.mount(self.disk('vda1', None), '/', '/dev/vda1')
        self.assertIsNone(self.uuid())

    def test_no_links_at_all(self) -> None:
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/vda1')
        self.host.remove('dev/disk')
        self.assertIsNone(self.uuid())

    def test_no_mount_table(self) -> None:
        self.host.remove('proc/self/mountinfo')
        self.assertIsNone(self.uuid())

    def test_a_mount_table_that_makes_no_sense(self) -> None:
        self.host.write('proc/self/mountinfo',
                        '\n36 35 98:0 / / rw\n36 35 98:0 / / rw - ext4\n-\n')
        self.assertIsNone(self.uuid())

    def test_this_machine(self) -> None:
        # whatever it is: a UUID of a link that is there, or none
        found = identity.root_file_system_uuid()
        if found is not None:
            self.assertTrue(os.path.exists('/dev/disk/by-uuid/' + found))


class TestIdentify(IdentityCase):

    def identify(self, nqn: str | None = None, uuid: str | None = None,
                 name: str | None = None) -> model.Host:
        return identity.identify(nqn, uuid, name, self.host.root)

    def test_what_the_host_says(self) -> None:
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/vda1')
        with mock.patch('socket.gethostname', return_value='compute-7'):
            self.assertEqual(model.Host(NQN, UUID, 'compute-7'),
                             self.identify())
            self.assertEqual(model.Host(NQN, UUID, 'compute-7'),
                             self.identify('', '', ''))
            self.assertEqual(model.Host(NQN, UUID, 'compute-7'),
                             self.identify(' ', ' ', ' '))

    def test_options_win(self) -> None:
        self.host.mount(self.disk('vda1', UUID), '/', '/dev/vda1')
        self.assertEqual(
            model.Host('nqn.2024-01.test:mine', 'mine', 'me.example.org'),
            self.identify('nqn.2024-01.test:mine', 'mine',
                          'me.example.org'))

    def test_no_file_system_uuid(self) -> None:
        self.assertIsNone(self.identify().uuid)

    def test_no_host_nqn(self) -> None:
        self.host.remove('etc/nvme')
        error = self.assertRaises(identity.IdentityError, self.identify)
        path = self.host.path('etc/nvme/hostnqn')
        self.assertIn(path + ': No such file or directory', str(error))
        self.assertIn('the option host_nqn', str(error))

    def test_the_option_needs_no_file(self) -> None:
        self.host.remove('etc/nvme')
        self.assertEqual(NQN, self.identify(NQN).nqn)

    def test_a_host_nqn_that_the_kernel_would_refuse(self) -> None:
        path = self.host.path('etc/nvme/hostnqn')
        for text in ('', '\n', 'host', 'nqn.', 'nqn.a b', NQN + '\n' + NQN,
                     'nqn.' + 219 * 'x', 'nqn.\N{SNOWMAN}'):
            self.host.write('etc/nvme/hostnqn', text)
            error = self.assertRaises(identity.IdentityError, self.identify)
            self.assertIn('the host NQN in %s is not usable' % path,
                          str(error))
            if text.strip():
                error = self.assertRaises(identity.IdentityError,
                                          self.identify, text)
                self.assertIn('in the option host_nqn is', str(error))

    def test_the_longest_host_nqn(self) -> None:
        longest = 'nqn.' + 218 * 'x'
        self.assertEqual(longest, self.identify(longest).nqn)
