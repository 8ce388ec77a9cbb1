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
"""Whether the agent that wrote a state file runs, be it in a container."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from oslotest import base

from os_brick.agent.daemon import showing
from os_brick.cmd import viewing

#: Beyond the most that Linux gives out (proc_sys_kernel(5), pid_max).
NOBODY = 2**22 + 1
TICKS = 4711


class RunsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.proc = folder.name
        os.mkdir(os.path.join(self.proc, 'self'))

    def process(self, number: int, *inside: int,
                started: int = TICKS) -> None:
        """Add one, with its numbers in the namespaces below this one."""
        folder = os.path.join(self.proc, str(number))
        os.mkdir(folder)
        with open(folder + '/stat', 'w', encoding='ascii') as stream:
            stream.write('%d (agent) S %s\n' % (
                number, ' '.join(map(str, [1] * 18 + [started, 0]))))
        with open(folder + '/status', 'w', encoding='ascii') as stream:
            stream.write('Name:\tagent\nNSpid:\t%s\n' % '\t'.join(
                map(str, [number, *inside])))

    def runs(self, started: int = TICKS) -> bool:
        return viewing._runs(NOBODY, started, self.proc)

    def test_one_in_a_container_is_known_by_its_number_there(self) -> None:
        self.process(12, 3)
        self.assertFalse(self.runs())
        self.process(13, 5, NOBODY)
        self.assertTrue(self.runs())

    def test_another_one_has_that_number_now(self) -> None:
        self.process(13, NOBODY, started=TICKS + 1)
        self.assertFalse(self.runs())

    def test_nothing_tells_when_it_was_started(self) -> None:
        self.process(13, NOBODY, started=0)
        self.assertFalse(self.runs(0))

    def test_a_process_of_this_namespace(self) -> None:
        with subprocess.Popen([sys.executable, '-c', 'input()'],
                              stdin=subprocess.PIPE) as process:
            started = showing.started(process.pid)
            self.assertTrue(viewing._runs(process.pid, started))
            self.assertFalse(viewing._runs(process.pid, started + 1))
            process.kill()
        self.assertFalse(viewing._runs(process.pid, started))
