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
"""A device is written to only while it is the namespace that is meant."""

from __future__ import annotations

import errno
import os
import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import namespaces
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit import small_world

A, B = (small_world.uuid(1, letter) for letter in 'ab')
LOCAL = 'sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0'
HEADS = 'sys/devices/virtual/nvme-subsystem/nvme-subsys0'


class RequireTest(base.BaseTestCase):
    """The namespace A is nvme1n1, by two paths."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.host = fakesys.FakeHost(folder.name)
        self.host.controller('nvme1')
        self.host.controller('nvme2', 'nqn.2024-01.test:nvme1')
        self.host.namespace('nvme1n1', A, ('nvme1', 'nvme2'))

    def refused(self, device: str, uuid: str, why: str) -> None:
        error = self.assertRaises(commands.NotMeant, namespaces.require,
                                  device, uuid, self.host.root)
        self.assertEqual(why, str(error))

    def test_what_is_meant(self) -> None:
        namespaces.require('nvme1n1', A, self.host.root)

    def test_what_is_meant_without_multipath(self) -> None:
        self.host.controller('nvme3')
        self.host.namespace('nvme3n1', B, ('nvme3',), multipath=False)
        namespaces.require('nvme3n1', B, self.host.root)
        self.refused('nvme3n1', A, 'nvme3n1 is %s, not %s' % (B, A))

    def test_a_name_that_was_given_to_another_one(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.refused('nvme1n1', A, 'nvme1n1 is gone')
        self.host.namespace('nvme1n1', B, ('nvme1',))
        self.refused('nvme1n1', A, 'nvme1n1 is %s, not %s' % (B, A))

    def test_a_local_disk(self) -> None:
        """Whatever UUID it says, and whoever asks."""
        self.host.disk('nvme0n1', folder=LOCAL, uuid=A)
        # its controller may have more than one port
        self.host.disk('nvme0c0n2', folder=LOCAL, uuid=A)
        self.host.disk('nvme0n2', folder=HEADS, uuid=A)
        for device in ('nvme0n1', 'nvme0n2'):
            self.refused(device, A, device + ' is no namespace of an NVMe-oF '
                         'target')

    def test_one_whose_paths_have_gone(self) -> None:
        for path in ('nvme1c1n1', 'nvme1c2n1'):
            self.host.remove('sys/class/block/' + path)
        self.refused('nvme1n1', A, 'nvme1n1 is no namespace of an NVMe-oF '
                     'target')

    def test_the_path_knows_the_uuid_when_the_head_does_not(self) -> None:
        self.host.remove('sys/class/block/nvme1n1/uuid')
        namespaces.require('nvme1n1', A, self.host.root)
        self.refused('nvme1n1', B, 'nvme1n1 is %s, not %s' % (A, B))

    def test_what_says_no_uuid_is_nobody(self) -> None:
        """A path is not asked where the head has said something."""
        why = 'nvme1n1 has no UUID, and is not known to be ' + A
        self.host.attributes('sys/class/block/nvme1n1', uuid='banana')
        self.refused('nvme1n1', A, why)
        self.host.remove('sys/class/block/nvme1n1/uuid')
        self.host.remove('sys/class/block/nvme1c1n1/uuid')
        self.refused('nvme1n1', A, why)

    def test_the_uuid_is_looked_at_last(self) -> None:
        """The name changes hands while it is found out what leads to it."""
        real = os.readlink

        def readlink(path, **words):
            if path.endswith('nvme1c1n1'):
                self.host.attributes('sys/class/block/nvme1n1', uuid=B)
            return real(path, **words)

        with mock.patch.object(os, 'readlink', readlink):
            self.refused('nvme1n1', A, 'nvme1n1 is %s, not %s' % (B, A))

    def test_nothing_left_to_look_with_is_this_hosts_fault(self) -> None:
        with mock.patch.object(os, 'scandir', side_effect=OSError(
                errno.EMFILE, 'Too many open files')):
            error = self.assertRaises(
                commands.CannotRun, namespaces.require, 'nvme1n1', A,
                self.host.root)
        self.assertIn('Too many open files', str(error))
