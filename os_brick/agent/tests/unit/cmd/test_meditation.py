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
"""SIGUSR2 asks a process what it is at, and harms it in no way."""

from __future__ import annotations

import subprocess
import sys

from oslotest import base

_PROGRAM = """
import os, signal, sys, threading, time
if sys.argv[1] == 'without':
    sys.modules['oslo_reports'] = None
from oslo_config import cfg
from os_brick.cmd import meditation
cfg.CONF.register_opts([cfg.StrOpt('token', secret=True),
                        cfg.StrOpt('plain')])
cfg.CONF([], default_config_files=[])
cfg.CONF.set_override('token', 'hush-hush')
cfg.CONF.set_override('plain', 'as-it-is')
asleep = threading.Event()
threading.Thread(target=asleep.wait, name='sleeper', daemon=True).start()
meditation.listen('1.2.3')
for _ in range(2):
    os.kill(os.getpid(), signal.SIGUSR2)
print('it goes on')
"""


class MeditationTest(base.BaseTestCase):

    def said(self, how: str) -> str:
        ended = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PROGRAM, how], text=True,
            capture_output=True, timeout=300)
        self.assertEqual((0, 'it goes on\n'), (ended.returncode,
                                               ended.stdout), ended.stderr)
        self.assertEqual(2, ended.stderr.count('Current thread 0x'))
        self.assertIn('in wait', ended.stderr)
        self.assertNotIn('hush-hush', ended.stderr)
        return ended.stderr

    def test_a_report_with_no_secret_in_it(self) -> None:
        said = self.said('with')
        self.assertEqual(2, said.count('Guru Meditation'), said)
        self.assertIn('version = 1.2.3', said)
        self.assertIn('plain = as-it-is', said)
        self.assertIn('token = ***', said)

    def test_the_threads_alone_without_the_library(self) -> None:
        said = self.said('without')
        self.assertNotIn('Guru Meditation', said)
        self.assertNotIn('Traceback', said)
