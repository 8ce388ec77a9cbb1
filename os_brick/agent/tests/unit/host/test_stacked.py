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

from __future__ import annotations

import os
import tempfile

from oslotest import base

from os_brick.agent.host import stacked
from os_brick.agent.tests.unit.host import fakesys

DM = 'sys/devices/virtual/block/dm-%d'


class StackedTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.host = fakesys.FakeHost(folder.name)

    def array(self, name: str, leg: str, policy: str = 'numa') -> None:
        """Add an array of one namespace, which is remote if it has one."""
        number = leg[len('nvme'):leg.index('n', 1)]
        self.host.controller('nvme' + number)
        self.host.namespace(leg, None, ['nvme' + number])
        self.host.array(name, [leg])
        subsystem = 'sys/class/nvme-subsystem/nvme-subsys' + number
        self.host.attributes(subsystem, subsysnqn='nqn.' + number,
                             iopolicy=policy)
        self.host.attributes(os.path.join(subsystem, 'nvme' + number),
                             transport='tcp' if policy else 'pcie')

    def mapped(self, array: str, number: int, name: str,
               identifier: str) -> None:
        self.host.disk('dm-%d' % number)
        self.host.attributes(DM % number + '/dm', name=name, uuid=identifier)
        self.host.hold(array, 'dm-%d' % number)

    def test_what_lvm_holds(self) -> None:
        self.array('md127', 'nvme1n1')
        self.mapped('md127', 0, 'guest-data', 'LVM-Xh3d')
        self.assertEqual({'md127': 'guest-data'},
                         stacked.lvm(self.host.root))

    def test_what_lvm_holds_when_the_legs_have_gone(self) -> None:
        self.array('md127', 'nvme1n1')
        self.mapped('md127', 0, 'guest-data', 'LVM-Xh3d')
        self.host.lose_namespace('nvme1n1')
        self.assertEqual({'md127': 'guest-data'},
                         stacked.lvm(self.host.root))

    def test_what_nova_encrypts_is_no_finding(self) -> None:
        self.array('md127', 'nvme1n1')
        self.mapped('md127', 0, 'crypt-vol', 'CRYPT-LUKS1-6b1f')
        self.assertEqual({}, stacked.lvm(self.host.root))

    def test_a_local_array_is_the_hosts_own(self) -> None:
        self.array('md0', 'nvme1n1', policy='')
        self.mapped('md0', 0, 'system-root', 'LVM-Ab1c')
        self.assertEqual({}, stacked.lvm(self.host.root))

    def test_a_host_without_blocks(self) -> None:
        self.assertEqual({}, stacked.lvm('/nowhere'))
