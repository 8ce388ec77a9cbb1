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
"""A process that is kept in memory."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import textwrap
from unittest import mock

from oslotest import base

from os_brick.agent.host import memory

LOCKED = textwrap.dedent('''
    import sys, threading
    from os_brick.agent.host import memory
    why = memory.lock()
    if why:
        sys.exit(why)
    ready, done = threading.Barrier(65), threading.Event()

    def body():
        ready.wait()
        done.wait()

    threads = [threading.Thread(target=body) for _ in range(64)]
    for thread in threads:
        thread.start()
    ready.wait()
    for line in open('/proc/self/status'):
        if line.startswith(('VmLck', 'VmRSS')):
            print(line.split()[1])
    done.set()
''')


class LockTest(base.BaseTestCase):

    def run_locked(self) -> list[int]:
        process = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', LOCKED],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=False)
        if process.returncode:
            self.skipTest('mlockall: %s' % process.stderr.strip())
        return [int(word) for word in process.stdout.split()]

    def test_what_is_there_is_kept_and_stacks_are_not_filled(self) -> None:
        """64 stacks of 8 MiB each would be half a gigabyte."""
        locked, resident = self.run_locked()
        self.assertGreater(locked, resident // 2)
        self.assertLess(resident, 200 * 1024)

    def test_a_limit_is_said_and_nothing_is_locked(self) -> None:
        libc = mock.Mock()
        limit = (65536, 65536)
        with mock.patch.object(ctypes, 'CDLL', return_value=libc), \
                mock.patch.object(resource, 'getrlimit',
                                  return_value=limit), \
                mock.patch.object(memory, '_effective', return_value=0):
            self.assertIn('65536', memory.lock())
        libc.mlockall.assert_not_called()

    def test_half_a_lock_is_taken_back(self) -> None:
        libc = mock.Mock()
        libc.mlockall.side_effect = [0, -1]
        with mock.patch.object(ctypes, 'CDLL', return_value=libc), \
                mock.patch.object(ctypes, 'get_errno',
                                  return_value=12), \
                mock.patch.object(memory, '_unlimited', return_value=True):
            self.assertEqual(os.strerror(12), memory.lock())
        libc.munlockall.assert_called_once_with()

    def test_the_soft_limit_is_raised(self) -> None:
        infinite = resource.RLIM_INFINITY
        with mock.patch.object(resource, 'getrlimit',
                               return_value=(65536, infinite)), \
                mock.patch.object(resource, 'setrlimit') as setrlimit:
            self.assertTrue(memory._unlimited())
        setrlimit.assert_called_once_with(resource.RLIMIT_MEMLOCK,
                                          (infinite, infinite))
