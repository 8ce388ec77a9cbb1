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
"""What the service tells systemd, and over which socket."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from unittest import mock

import fixtures
from oslo_service import backend
from oslotest import base

backend.init_backend(backend.BackendType.THREADING)

from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent.tests.unit.daemon import service_case  # noqa: E402
from os_brick.agent.tests.unit import small_world  # noqa: E402

PATIENCE = service_case.PATIENCE


class TestNotify(base.BaseTestCase):

    def listen(self, address: str, name: str) -> socket.socket:
        systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(systemd.close)
        systemd.bind(address)
        systemd.settimeout(PATIENCE)
        self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET', name))
        return systemd

    def test_messages_arrive(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'notify')
        systemd = self.listen(path, path)
        service.notify('READY=1')
        self.assertEqual(b'READY=1', systemd.recv(64))

    def test_an_abstract_socket(self):
        name = 'nvme-agent-test-%d' % os.getpid()
        systemd = self.listen('\0' + name, '@' + name)
        service.notify('WATCHDOG=1')
        self.assertEqual(b'WATCHDOG=1', systemd.recv(64))

    def test_nobody_listens(self):
        for name in ('', '/nowhere/notify'):
            self.useFixture(fixtures.EnvironmentVariable('NOTIFY_SOCKET',
                                                         name))
            service.notify('READY=1')

    def test_s14_one_that_does_not_read_stops_nobody(self):
        """The guard brings the word, and systemd's disk may stand still."""
        name = 'nvme-agent-full-%d' % os.getpid()
        systemd = self.listen('\0' + name, '@' + name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
            others.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    others.sendto(b'STATUS=x', '\0' + name)
        teller = threading.Thread(target=service.notify, daemon=True,
                                  args=('WATCHDOG=1',))
        teller.start()
        teller.join(PATIENCE)
        self.assertFalse(teller.is_alive())
        self.assertEqual(b'STATUS=x', systemd.recv(64))

    def test_start_pass_and_stop_are_told(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'notify')
        systemd = self.listen(path, path)
        conf = small_world.configuration(run_dir=folder.name,
                                         poll_jitter=0.0)
        agent = service.AgentService(conf, lambda: None, mock.Mock(),
                                     threading.Event())
        agent.start()
        told = {systemd.recv(64) for _number in range(2)}
        agent.stop()
        agent.wait()
        self.assertEqual({b'READY=1', b'WATCHDOG=1'}, told)
        self.assertEqual(b'STOPPING=1', systemd.recv(64))
