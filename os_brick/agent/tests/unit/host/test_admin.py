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
"""Admin commands by ioctl: what is sent, and what it says when refused."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import threading
from typing import Any
from unittest import mock

from oslotest import base

from os_brick.agent.host import admin
from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.tests.unit.host import privileged_case


class KeepAliveTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        device = tempfile.NamedTemporaryFile()
        self.addCleanup(device.close)
        self.path = device.name
        self.sent: list[tuple[int, bytes]] = []

    def send(self, answer: Any) -> None:
        def ioctl(_device: int, request: int, command: bytearray) -> int:
            self.sent.append((request, bytes(command)))
            result: int = answer()
            return result
        with mock.patch.object(fcntl, 'ioctl', ioctl):
            admin.set_keep_alive(self.path, 2000)

    def test_the_command(self) -> None:
        self.send(lambda: 0)
        (request, command), = self.sent
        # the request holds the structure's size: 72 bytes
        self.assertEqual((0xC0484E41, 72), (request, len(command)))
        fields = admin._COMMAND.unpack(command)
        self.assertEqual((0x09, 0x0f, 2000), (
            fields[0], fields[10], fields[11]))
        # no time-out of its own: it would have the connection given up
        self.assertEqual({0}, set(fields[1:10]) | set(fields[12:]))

    def test_a_target_that_refuses(self) -> None:
        error = self.assertRaises(commands.CommandFailed, self.send,
                                  lambda: 0x2002)
        for word in (self.path, '2000 ms', '0x2002'):
            self.assertIn(word, str(error))

    def test_a_kernel_that_refuses(self) -> None:
        def refuse() -> int:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        error = self.assertRaises(commands.CommandFailed, self.send, refuse)
        self.assertIn(os.strerror(errno.ENOTTY), str(error))

    def test_a_target_that_is_silent_holds_up_nobody(self) -> None:
        ended = threading.Event()
        self.addCleanup(ended.set)

        def hang() -> int:
            ended.wait(60.0)
            return 0
        with mock.patch.object(admin, 'PATIENCE', 0.05):
            error = self.assertRaises(commands.CommandFailed, self.send,
                                      hang)
        self.assertIn('it hangs', str(error))


class EntryPointTest(privileged_case.PrivilegedCase):

    def test_it_is_never_turned_off(self) -> None:
        for seconds in (0, -1, 3601, True, '2'):
            with mock.patch.object(admin, 'set_keep_alive') as sent:
                self.assertRaises(commands.BadArgument,
                                  privileged.set_keep_alive, 'nvme1', seconds)
            sent.assert_not_called()
        with mock.patch.object(admin, 'set_keep_alive') as sent:
            privileged.set_keep_alive('nvme1', 2)
        sent.assert_called_once_with('/dev/nvme1', 2000)
