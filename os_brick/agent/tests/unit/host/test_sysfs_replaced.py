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
"""Another object has got a name that a scanner has seen."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from os_brick.agent.host import descriptors
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit.host import sysfs_kept_case

A, C = sysfs_kept_case.A, sysfs_kept_case.C
Meddling = sysfs_kept_case.Meddling


class TestReplaced(sysfs_kept_case.KeptCase):
    """Another object has got the name."""

    def test_a_namespace(self) -> None:
        self.replace_namespace()
        self.assertEqual(C, self.namespace().uuid)
        self.assertIsNone(self.leg('nvme1n1').replica_uuid)

    def test_a_namespace_without_a_uuid(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', None, ('nvme1',))
        self.assertIsNone(self.namespace().uuid)
        self.host.attributes('sys/class/block/nvme1n1', uuid=C)
        self.assertEqual(C, self.namespace().uuid)

    def test_a_namespace_on_another_controller(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', A, ('nvme2',))
        self.assertEqual(('nvme2',), self.namespace().controllers)

    def test_a_namespace_that_keeps_its_name_on_another_controller(
            self) -> None:
        for controller in ('nvme1', 'nvme2', 'nvme1'):
            self.host.lose_namespace('nvme1n1')
            self.host.namespace('nvme1n1', A, (controller,), multipath=False)
            self.assertEqual((controller,), self.namespace().controllers)

    def test_a_controller_that_could_not_be_read(self) -> None:
        read = descriptors.Open.read

        def blind(self: descriptors.Open, path: str, identity: int = 0,
                  at: int | None = None) -> bytes | None:
            return None if path == 'nvme1/state' else read(
                self, path, identity, at)

        with mock.patch.object(descriptors.Open, 'read', blind):
            self.assertEqual(['nvme2n1'], [found.device for found
                                           in self.scan().namespaces])
        self.assertEqual(('nvme1',), self.namespace().controllers)

    def test_a_controller_that_is_being_connected(self) -> None:
        """Its subsystem gets known later: what stands there is no name."""
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        self.host.controller('nvme1', '(efault)', state='connecting')
        self.assertEqual(('', model.Portal('192.0.2.1', 4420)),
                         (self.controller().nqn, self.controller().portal))
        self.host.attributes('sys/class/nvme-fabrics/ctl/nvme1', state='live',
                             subsysnqn='nqn.2024-01.test:nvme1')
        self.assertEqual('nqn.2024-01.test:nvme1', self.controller().nqn)

    def test_the_number_of_a_namespace(self) -> None:
        before = self.host.number('nvme1n1')
        self.host.mount(before, '/mnt')
        self.assertEqual('it is mounted on /mnt', self.namespace().in_use)
        self.replace_namespace()
        self.assertEqual('', self.namespace().in_use)
        self.host.mount(self.host.number('nvme1n1'), '/srv')
        self.assertEqual('it is mounted on /srv', self.namespace().in_use)

    def test_a_controller(self) -> None:
        self.replace_controller()
        found = self.controller()
        self.assertEqual(
            ('nqn.2024-01.test:other', 'nqn.2024-01.test:host',
             model.Portal('192.0.2.9', 4420)),
            (found.nqn, found.host_nqn, found.portal))

    def test_the_device_of_a_leg(self) -> None:
        self.host.remove('sys/class/block/md127/md/dev-nvme1n1')
        self.host.remove('sys/class/block/nvme1n1/holders/md127')
        self.assertEqual(1, len(self.array().legs))
        self.replace_namespace()
        self.host.leg('md127', 'nvme1n1', 0)
        self.host.set_leg('md127', 'nvme1n1', offset=4096)
        self.assertEqual(C, self.leg('nvme1n1').replica_uuid)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)

    def test_an_array_that_was_started_under_the_same_name(self) -> None:
        self.host.remove('sys/class/block/md127/md')
        for device in ('nvme1n1', 'nvme2n1'):
            self.host.remove('sys/class/block/%s/holders/md127' % device)
        self.host.remove('sys/class/block/md127')
        self.host.remove('sys/devices/virtual/block/md127')
        self.assertEqual((), self.scan().arrays)
        self.host.array('md127', ('nvme2n1',), uuid=C)
        self.assertEqual(C, self.array().uuid)
        self.assertEqual(1, len(self.array().legs))

    def test_an_array_whose_attributes_were_made_again(self) -> None:
        self.host.set_array('md127', array_state='clear')
        self.scan()
        # between two scans, and the device stays
        self.host.remove('sys/class/block/md127/md')
        for slot, device in enumerate(('nvme2n1', 'nvme1n1')):
            self.host.remove('sys/class/block/%s/holders/md127' % device)
            self.host.leg('md127', device, slot)
        self.host.set_array(
            'md127', level='raid1', raid_disks=2, degraded=0, uuid=C,
            array_state='active', sync_action='idle', component_size=512)
        self.assertEqual((C, 'active'), (self.array().uuid,
                                         self.array().array_state))
        self.assertEqual(0, self.leg('nvme2n1').slot)

    def test_a_leg_that_was_taken_out_and_added_again(self) -> None:
        self.host.remove('sys/class/block/md127/md/dev-nvme1n1')
        self.host.remove('sys/class/block/nvme1n1/holders/md127')
        self.host.leg('md127', 'nvme1n1', None, ('spare',))
        self.assertEqual((None, {'spare'}), (self.leg('nvme1n1').slot,
                                             self.leg('nvme1n1').flags))

    def test_an_array(self) -> None:
        # also the device may stay when an array is stopped
        self.host.set_array('md127', uuid=C)
        self.assertEqual(C, self.array().uuid)

    def test_the_offset_of_a_leg_without_a_slot(self) -> None:
        self.host.set_leg('md127', 'nvme1n1', slot='none', state='spare')
        self.scan()
        self.host.set_leg('md127', 'nvme1n1', offset=4096)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot=0)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot='none', offset=6144)
        self.assertEqual(3 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot=0, offset=8192)
        self.assertEqual(4 * fakesys.MEBIBYTE, self.array().data_offset)


class TestReplacedMeanwhile(sysfs_kept_case.KeptCase):
    """A snapshot is of before or of after, and no mixture."""

    def all_or_nothing(self, meddle: Callable[[], None]) -> None:
        for after in range(1000):
            before = self.scan()
            meddling = Meddling(after, meddle)
            with meddling:
                seen = self.scanner.scan()
            if meddling.left >= 0:
                self.assertGreater(after, 20)
                return
            now = sysfs.Scanner(self.host.root).scan()
            self.assertNotEqual(before, now)
            self.assertIn(seen, (before, now), 'look %d' % after)
            self.build()
        raise AssertionError('the scan never ends')

    def test_a_namespace(self) -> None:
        self.all_or_nothing(self.replace_namespace)

    def test_a_controller(self) -> None:
        self.all_or_nothing(self.replace_controller)
