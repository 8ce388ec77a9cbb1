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
"""The benchmark of what watching costs runs, and notices unrest."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

from os_brick.agent.tests.unit.packaging import wheelhouse

PATIENCE = 300


class BenchmarkTest(wheelhouse.TreeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tools = self.tree / 'tools'

    def test_it_prints_its_table(self) -> None:
        ended = subprocess.run(
            [str(self.tools / 'bench-watch-cost.sh'), '--arrays', '1,2',
             '--passes', '2', '--checks', '2', '--growth-passes', '2',
             '--growth-arrays', '1', '--tool-runs', '1'],
            env={**os.environ, 'TEST_VENV': sys.prefix}, text=True,
            capture_output=True, timeout=PATIENCE)
        self.assertEqual(0, ended.returncode, ended.stderr)
        rows = re.findall(
            r'^ +(\d+) +(\d+) \| +[\d.]+ +[\d.]+ .* (\d+) +\d+ \| .*x$',
            ended.stdout, re.MULTILINE)
        # arrays, legs, forks
        self.assertEqual([('1', '3', '0'), ('2', '6', '0')], rows,
                         ended.stdout)
        self.assertRegex(ended.stdout, 'memory with 1 arrays over 2 passes')

    def world(self) -> Any:
        path = self.tools / 'bench' / 'at_rest.py'
        spec = importlib.util.spec_from_file_location('at_rest', path)
        assert spec is not None and spec.loader is not None
        at_rest = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(at_rest)
        folders = [tempfile.TemporaryDirectory() for _ in range(2)]
        for folder in folders:
            self.addCleanup(folder.cleanup)
        world = at_rest.World(1, folders[0].name, folders[1].name)
        self.addCleanup(world.close)
        self.restless = at_rest.Restless
        return world

    def test_a_host_at_rest_is_left_alone(self) -> None:
        world = self.world()
        for _ in range(3):
            world.do_pass()
            world.do_check()

    def test_a_pass_that_has_to_act_fails_the_benchmark(self) -> None:
        world = self.world()
        world.host.set_leg('md0', 'nvme2n1', state='faulty')
        self.assertRaises(self.restless, world.do_pass)

    def test_a_check_that_has_to_act_fails_the_benchmark(self) -> None:
        world = self.world()
        # the leg that waits without end
        world.host.set_controller('nvme0', state='connecting')
        self.assertRaises(self.restless, lambda: [
            world.do_check() for _ in range(100)])
