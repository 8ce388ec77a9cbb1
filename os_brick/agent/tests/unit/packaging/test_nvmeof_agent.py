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
"""The hook that os-brick calls after an attach, against real sockets."""

import errno
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
from unittest import mock

from oslotest import base

import os_brick


def _load():
    """Import the module, which the tree's layout hides from os_brick.

    In the tree the installed os_brick.initiator wins; in a wheel it is there.
    """
    for top in os_brick.__path__:
        path = (pathlib.Path(top) / 'initiator' / 'connectors'
                / 'nvmeof_agent.py')
        if path.exists():
            spec = importlib.util.spec_from_file_location(
                'os_brick.initiator.connectors.nvmeof_agent', path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise AssertionError('nvmeof_agent.py is not beside os_brick.agent')


class NudgeTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        # Each test has its own module, and so its own 'said once'.
        self.module = _load()
        # Not the test runner's directory: a socket's path is short.
        directory = tempfile.TemporaryDirectory(prefix='nudge', dir='/tmp')
        self.addCleanup(directory.cleanup)
        self.run_dir = directory.name
        patcher = mock.patch.dict(
            os.environ, {'NVME_AGENT_RUN_DIR': self.run_dir})
        patcher.start()
        self.addCleanup(patcher.stop)
        self.path = os.path.join(self.run_dir, 'nudge.sock')
        warning = mock.patch.object(self.module.LOG, 'warning')
        self.warning = warning.start()
        self.addCleanup(warning.stop)

    def _listen(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(self.path)
        sock.setblocking(False)
        return sock

    def _nudge(self):
        self.module.NVMeOFAgent.ensure_running(mock.sentinel.connector)

    def _warned_of(self):
        template, values = self.warning.call_args.args
        return template % values

    def test_reaches_the_agent(self):
        agent = self._listen()
        self._nudge()
        self.assertEqual(self.module.MESSAGE, agent.recv(64))
        self.warning.assert_not_called()

    def test_each_attach_is_told(self):
        agent = self._listen()
        self._nudge()
        self._nudge()
        agent.recv(64)
        agent.recv(64)
        self.assertRaises(BlockingIOError, agent.recv, 64)

    def test_a_full_queue_neither_blocks_nor_warns(self):
        agent = self._listen()
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(filler.close)
        filler.setblocking(False)
        sent = 0
        try:
            while True:
                filler.sendto(b'x', self.path)
                sent += 1
        except BlockingIOError:
            pass
        # Were it to block, the test would say so and not hang.
        attach = threading.Thread(target=self._nudge, daemon=True)
        attach.start()
        attach.join(30)
        self.assertFalse(attach.is_alive(), 'the hook waits for the agent')
        self.warning.assert_not_called()
        received = 0
        try:
            while agent.recv(64) == b'x':
                received += 1
        except BlockingIOError:
            pass
        self.assertEqual(sent, received)

    def test_no_agent_is_said_once(self):
        self._nudge()
        self._nudge()
        self.warning.assert_called_once()
        self.assertIn(self.path, self._warned_of())
        self.assertIn(os.strerror(errno.ENOENT), self._warned_of())

    def test_a_socket_left_behind_by_a_dead_agent(self):
        self._listen().close()
        self._nudge()
        self.assertIn(os.strerror(errno.ECONNREFUSED), self._warned_of())

    def test_a_stream_socket_in_its_place(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(self.path)
            other.listen(1)
            self._nudge()
        self.assertIn(os.strerror(errno.EPROTOTYPE), self._warned_of())

    def test_a_path_too_long_for_a_socket(self):
        with mock.patch.dict(os.environ,
                             {'NVME_AGENT_RUN_DIR': '/tmp/' + 'x' * 200}):
            self._nudge()
        self.warning.assert_called_once()

    def test_no_file_descriptors_left(self):
        exc = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        with mock.patch.object(self.module.socket, 'socket',
                               side_effect=exc):
            self._nudge()
        self.assertIn(os.strerror(errno.EMFILE), self._warned_of())

    def test_permission_denied(self):
        self._listen()
        os.chmod(self.path, 0o600)
        # An ordinary user's process; the one of the test may be root's.
        os.chmod(self.run_dir, 0o711)
        if os.getuid() != 0:
            os.chmod(self.path, 0)
        script = (
            'import importlib.util, os, sys\n'
            'spec = importlib.util.spec_from_file_location("hook", %r)\n'
            'hook = importlib.util.module_from_spec(spec)\n'
            'spec.loader.exec_module(hook)\n'
            'if os.getuid() == 0:\n'
            '    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n'
            'hook.NVMeOFAgent.ensure_running(None)\n'
            'hook.NVMeOFAgent.ensure_running(None)\n'
            % self.module.__file__)
        done = subprocess.run([sys.executable, '-c', script], text=True,
                              capture_output=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(1, done.stderr.count('nvme-agent could not be'))
        self.assertIn(os.strerror(errno.EACCES), done.stderr)

    def test_the_default_place(self):
        with mock.patch.dict(os.environ):
            del os.environ['NVME_AGENT_RUN_DIR']
            self.assertEqual('/run/nvme-agent/nudge.sock',
                             self.module.socket_path())

    def test_imports_nothing_but_the_standard_library(self):
        script = (
            'import importlib.util, sys\n'
            'spec = importlib.util.spec_from_file_location("hook", %r)\n'
            'hook = importlib.util.module_from_spec(spec)\n'
            'spec.loader.exec_module(hook)\n'
            'print(sorted({name.partition(".")[0] for name in sys.modules}\n'
            '             - set(sys.stdlib_module_names)\n'
            '             - {"hook", "__main__"}))\n'
            % self.module.__file__)
        done = subprocess.run([sys.executable, '-I', '-S', '-c', script],
                              text=True, capture_output=True, check=False)
        self.assertEqual(('[]\n', ''), (done.stdout, done.stderr))
