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
"""Memory runs short: who has to act on a disk that hangs waits for none."""

from __future__ import annotations

import os
import subprocess
import sys

from os_brick.agent.tests.functional import base
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import swapping
from os_brick.agent.tests.functional.lab import waiting

#: Bytes of a program that has as much to do with it as any.
SIZE = 64 << 20
OTHER = ('import sys; kept = bytearray(b"x") * int(sys.argv[1]); '
         'print(len(kept), flush=True); sys.stdin.read()')


class MemoryTest(base.LabTestCase):

    def test_guard_and_helper_are_not_swapped_out(self) -> None:
        """Another program beside them is, when all is taken that can be."""
        agent = self.session.agent(None, inventory.text([]), start=False)
        group = swapping.Group('lab-memory')
        starting = [os.getpid()]
        if forked.wanted():
            starting.append(forked.server().pid)
        with swapping.space():
            with group.starting(starting):
                agent.start()
                other = subprocess.Popen(
                    [sys.executable, '-IS', '-c', OTHER, str(SIZE)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.addCleanup(other.kill)
            assert other.stdout is not None
            self.assertEqual(b'%d\n' % SIZE, other.stdout.readline())
            waiting.wait_until(
                lambda: len(agent_lib.helpers(agent.config_path)) == 1,
                'what started the helper has ended')
            # that comes after the first line of the log
            pids = [agent.pid, *agent_lib.helpers(agent.config_path)]
            waiting.wait_until(lambda: all(map(self.locked, pids)),
                               'daemon and helper are kept in memory')
            group.reclaim()
            self.assertGreater(sum(swapping.swapped(other.pid).values()),
                               SIZE // 2)
            for pid in pids:
                self.assertEqual({}, swapping.swapped(pid))
                self.assertTrue(self.locked(pid))
            self.assertNotIn('not kept in memory', agent.log())

    def locked(self, pid: int) -> bool:
        """It may be asked for what it has in memory, and gives nothing."""
        memory = swapping.memory(pid)
        return memory['VmLck'] >= memory['VmRSS']
