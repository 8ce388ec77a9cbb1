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
"""What the lab forks is what would have been executed."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from typing import Any
from unittest import mock

from oslotest import base

from os_brick.agent.safety import late_writes
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import forkserver
from os_brick.agent.tests.functional.lab import shortened
from os_brick.agent.tests.functional.lab import waiting

SERVE = forked.server.__wrapped__
# What the agent needs is imported in a second, and by few tests of this.
LIGHT = 'forkserver.MODULES = ()\n'
# A server that has one more program, which tells what it is.
SERVER = '''
import json, os, signal, sys, time
sys.path[:0] = %(path)r
from os_brick.agent.safety import late_writes
from os_brick.agent.tests.functional.lab import forkserver

def probe():
    print(json.dumps({
        'argv': sys.argv, 'environment': dict(os.environ),
        'descriptors': sorted(forkserver._descriptors()),
        'session': os.getsid(0), 'pid': os.getpid(), 'cwd': os.getcwd(),
        'cmdline': open('/proc/self/cmdline').read().rstrip(chr(0)),
        'threads': len(os.listdir('/proc/self/task')),
        'blocked': len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        'hold': late_writes.HOLD}),
        flush=True)
    if 'wait' in sys.argv:
        time.sleep(300)
    return int(sys.argv[1])

forkserver.PROGRAMS['probe'] = ('__main__', 'probe')
%(more)s
sys.exit(forkserver.main(sys.argv[1]))
'''


class ForksTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix='forks')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, value in (('DIRECTORY', self.folder / 'forks'),
                            ('SOCKET', self.folder / 'forks/socket'),
                            ('LOG_PATH', self.folder / 'forks/server.log')):
            self.put(forked, name, value)

    def put(self, module: Any, name: str, value: Any) -> None:
        """Let a module have another value until the test has ended."""
        patch = mock.patch.object(module, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def serve(self, more: str = '') -> subprocess.Popen[bytes]:
        """Let a server of this test take the place of the lab's one."""
        script = self.folder / 'server.py'
        script.write_text(SERVER % {'path': sys.path, 'more': more})
        self.put(forkserver, '__file__', str(script))
        server: subprocess.Popen[bytes] = SERVE()
        self.put(forked, 'server', lambda: server)
        self.addCleanup(server.wait, 60)
        assert server.stdin is not None
        self.addCleanup(server.stdin.close)
        return server

    def fork(self, *argv: str, shorter: dict[str, float] | None = None,
             **environment: str) -> forked.Forked:
        # each has its own, for several may write at once
        descriptor, name = tempfile.mkstemp(prefix='output', dir=self.folder)
        self.output = pathlib.Path(name)
        with open(descriptor, 'wb') as output:
            return forked.start(['/bin/' + argv[0], *argv[1:]], None,
                                environment, output.fileno(),
                                shortened=shorter)

    def ended(self, process: forked.Forked) -> int | None:
        waiting.wait_until(lambda: process.poll() is not None,
                           'the fork ends')
        return process.returncode

    def test_it_is_what_was_asked_for(self) -> None:
        self.serve()
        process = self.fork('probe', '7', 'é', TMPDIR='/x')
        self.assertEqual(7, self.ended(process))
        said = json.loads(self.output.read_text())
        self.assertEqual(
            {'argv': ['/bin/probe', '7', 'é'], 'environment': {
                'TMPDIR': '/x'}, 'descriptors': [0, 1, 2],
             'session': process.pid, 'pid': process.pid, 'cwd': '/',
             'cmdline': '/bin/probe\0007\0é', 'threads': 1, 'blocked': 0,
             'hold': late_writes.HOLD},
            said)

    def test_forks_know_nothing_of_each_other(self) -> None:
        self.serve(LIGHT)
        first = self.fork('probe', '1', 'wait')
        others = [(self.fork('probe', str(number), shorter={
            shortened.HOLD: 0.5 * number}), self.output)
            for number in range(2, 6)]
        self.assertEqual([2, 3, 4, 5], [self.ended(one) for one, _ in others])
        for one, output in others:
            said = json.loads(output.read_text())
            self.assertEqual(
                [one.pid, [0, 1, 2], 0.5 * (one.returncode or 0)],
                [said['pid'], said['descriptors'], said['hold']])
        self.assertIsNone(first.poll())
        first.send_signal(signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, self.ended(first))
        first.send_signal(signal.SIGKILL)   # whose pid may be another's now

    def test_the_agent_and_its_helper_are_what_they_are(self) -> None:
        self.serve()
        self.assertEqual(os.EX_NOINPUT, self.ended(self.fork(
            'nvme-agent', '--config-file', '/nonexistent')))
        self.assertIn('/nonexistent cannot be read', self.output.read_text())
        said = subprocess.run([str(forked.privsep_helper())],
                              stdin=subprocess.DEVNULL, capture_output=True)
        self.assertEqual(1, said.returncode)
        self.assertIn(b'privsep_context', said.stderr)

    def test_only_what_there_is_can_be_shortened(self) -> None:
        for name, why in (('HOLDS', 'no attribute'), ('left_at', 'seconds')):
            with self.assertRaisesRegex(Exception, why):
                forkserver.shorten(
                    'os_brick.agent.safety.late_writes.' + name, 1.0)
        for name in (shortened.ARRIVAL, *shortened.TIMES):
            module, _dot, constant = name.rpartition('.')
            self.assertIsInstance(getattr(
                importlib.import_module(module), constant), float)

    def test_a_server_that_is_not_clean_does_not_serve(self) -> None:
        for more, why in (
                ('import threading; threading.Thread(target=time.sleep, '
                 'args=(300,), daemon=True).start()', '2 threads'),
                ('kept = open("/dev/null")', 'open descriptors'),
                ('import logging; logging.basicConfig()', 'a log is set up'),
                ('import tempfile; tempfile.gettempdir()', 'temporary')):
            self.serve(LIGHT + more)
            with self.assertRaisesRegex(RuntimeError, why):
                self.fork('probe', '0')

    def test_it_ends_with_who_started_it(self) -> None:
        server = self.serve(LIGHT)
        first = self.fork('probe', '1', 'wait')
        assert server.stdin is not None
        server.stdin.close()
        self.assertEqual(0, server.wait(60))
        self.assertRaises(ConnectionError, waiting.wait_until, first.poll,
                          'it is told')
        os.kill(first.pid, signal.SIGKILL)
