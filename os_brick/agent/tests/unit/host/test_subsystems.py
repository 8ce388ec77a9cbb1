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
"""Targets as sysfs shows them."""

from __future__ import annotations

import pathlib
import tempfile

from oslotest import base

from os_brick.agent.host import subsystems
from os_brick.agent import model


class SubsystemsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, path: str, text: str) -> None:
        file = self.root / 'sys/class/nvme-subsystem' / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_connections_are_counted_for_each_target(self) -> None:
        for number, transports in enumerate((
                ('tcp', 'tcp'), ('rdma',), ('pcie',))):
            self.write('nvme-subsys%d/subsysnqn' % number,
                       'nqn.%d\n' % number)
            self.write('nvme-subsys%d/iopolicy' % number, 'numa\n')
            for path, transport in enumerate(transports):
                self.write('nvme-subsys%d/nvme%d%d/transport' % (
                    number, number, path), transport + '\n')
        # multipath is off
        self.write('nvme-subsys3/subsysnqn', 'nqn.3\n')
        self.write('nvme-subsys3/nvme3/transport', 'tcp\n')
        self.assertEqual({
            'nqn.0': model.Subsystem('nvme-subsys0', 'numa', 2),
            'nqn.1': model.Subsystem('nvme-subsys1', 'numa', 1)},
            subsystems.policies(str(self.root)))

    def test_a_host_without_nvme_has_none(self) -> None:
        self.assertEqual({}, subsystems.policies(str(self.root)))
