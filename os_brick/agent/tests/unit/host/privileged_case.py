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
"""Entry points of the privileged helper, with programs of the test's own."""

from __future__ import annotations

import os
import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit import small_world

NQN = 'nqn.2014-08.org.nvmexpress:uuid:0f1e2d3c-0000-4000-8000-0000000000ab'
A, B = (small_world.uuid(1, letter) for letter in 'ab')


class PrivilegedCase(base.BaseTestCase):
    """Entry points run in this process, with programs of the test's own.

    The namespace A is nvme1n1.
    """

    def setUp(self) -> None:
        super().setUp()
        privileged.default.set_client_mode(False)
        self.addCleanup(privileged.default.set_client_mode, True)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.said = os.path.join(self.folder, 'said')
        patch = mock.patch.object(commands, 'PROGRAMS',
                                  self.folder + ':/usr/bin:/bin')
        patch.start()
        self.addCleanup(patch.stop)
        root = os.path.join(self.folder, 'root')
        os.mkdir(root)
        self.host = fakesys.FakeHost(root)
        self.host.controller('nvme1')
        self.host.namespace('nvme1n1', A, ('nvme1',))
        patch = mock.patch.object(privileged, 'ROOT', root)
        patch.start()
        self.addCleanup(patch.stop)
        for name in ('nvme', 'mdadm'):
            self.program(name)

    def program(self, name: str, then: str = '') -> None:
        """Let a program note its arguments, one a line, and do ``then``."""
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as script:
            script.write('#!/bin/sh\n'
                         'printf "%%s\\n" "${0##*/}" "$@" >> %s\n%s\n'
                         % (self.said, then))
        os.chmod(path, 0o755)

    def ran(self) -> list[str]:
        if not os.path.exists(self.said):
            return []
        with open(self.said, encoding='utf-8') as said:
            words = said.read().splitlines()
        os.unlink(self.said)
        return words
