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
"""Findings that an operator mutes: how, for how long, and until when."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from typing import Any

from os_brick.agent.daemon import showing
from os_brick.agent.reporting import health
from os_brick.agent.reporting import mutes
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import commands
from os_brick.cmd import mute
from os_brick.cmd import unmute


class TestMute(shown_case.ShownCase):

    def mute(self, *words: str) -> None:
        arguments = self.parsed(mute, *words)
        now = self.clock.wall()
        how_bad = mute.weights(os.path.join(
            self.folder, showing.STATE_FILE), arguments.code)
        mute.change(self.folder, arguments.code, arguments.volume, now, (
            mutes.Mute(arguments.code, arguments.volume,
                       now + arguments.seconds, how_bad),))

    def test_it_ends_by_itself(self) -> None:
        self.conf.set_override('io_guard', 'off')
        self.turn()
        self.assertEqual(1, self.look()[0])
        self.mute('GUARD_OFF', '--for', '60s')
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('(muted for ', text)
        self.turn(6)
        self.assertEqual(1, self.look()[0])

    def test_it_ends_when_it_gets_worse(self) -> None:
        found = health.found('ARRAY_DEGRADED', 'x', 'volume1', weight=1)
        one = mutes.Mute('ARRAY_DEGRADED', '', 10.0, {'volume1': 1})
        self.assertTrue(one.covers(found, 9.0))
        self.assertFalse(one.covers(found, 10.0))
        self.assertFalse(one.covers(health.found(
            'ARRAY_DEGRADED', 'x', 'volume1', weight=2), 9.0))
        self.assertFalse(one.covers(health.found(
            'NO_GOOD_LEG', 'x', 'volume1'), 9.0))

    def test_unmute(self) -> None:
        self.turn()
        self.mute('GUARD_OFF')
        arguments = self.parsed(unmute, 'GUARD_OFF')
        # by the host's own clock it would have ended long ago
        self.clock.time = 0.0
        self.assertTrue(mute.change(self.folder, arguments.code, '', 0.0))
        self.assertFalse(mute.change(self.folder, arguments.code, '', 0.0))

    def test_a_code_that_is_none(self) -> None:
        self.assertEqual('GUARD_OFF', mute.code('guard_off'))
        for text, words in (('DEGRADED', 'is ARRAY_DEGRADED meant?'),
                            ('BANANA', '"BANANA"; see nvme-agent health')):
            self.assertIn(words, str(self.assertRaises(
                argparse.ArgumentTypeError, mute.code, text)))

    def run_it(self, module: Any, *words: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            module.run(self.parsed(module, *words), lambda: self.conf)
        return out.getvalue()

    def test_a_volume_that_is_misspelt(self) -> None:
        self.turn()
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'ARRAY_DEGRADED', 'volum1')
        self.assertEqual('there is no volume "volum1"; the agent knows: '
                         'volume1', str(error))
        # findings are of aliases
        for name in ('volume1', small_world.uuid(1, 'f')):
            self.assertIn('ARRAY_DEGRADED of volume1 is muted',
                          self.run_it(mute, 'ARRAY_DEGRADED', name))
        error = self.assertRaises(commands.CommandError, self.run_it, unmute,
                                  'ARRAY_DEGRADED')
        self.assertEqual('ARRAY_DEGRADED is not muted; muted are: '
                         'ARRAY_DEGRADED of volume1', str(error))
        os.unlink(os.path.join(self.folder, showing.STATE_FILE))
        self.assertIn('of volum1 is muted', self.run_it(
            mute, 'ARRAY_DEGRADED', 'volum1'))

    def test_where_no_agent_has_run(self) -> None:
        self.conf.set_override('state_dir', '/nonexistent')
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'GUARD_OFF')
        self.assertIn('there is no directory /nonexistent (option state_dir)',
                      str(error))
        self.conf.set_override('state_dir', '/proc')
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'GUARD_OFF')
        self.assertIn('/proc/mutes.json (option state_dir) cannot be written: '
                      'No such file', str(error))

    def test_a_file_that_makes_no_sense(self) -> None:
        path = os.path.join(self.folder, showing.MUTES_FILE)
        for content in ('{}', '[1]', '[{}]', '[{"code": "X", "volume": "",'
                        ' "until": "soon"}]', '['):
            with open(path, 'w', encoding='ascii') as stream:
                stream.write(content)
            self.turn()
            self.assertEqual(set(), self.codes())
        self.assertIn('mutes.json', self.log.output)

    def test_durations(self) -> None:
        self.assertEqual(14400.0, mute.duration('4h'))
        for text in ('', '4', '-1h', '0h', '31d', '1.5h', 'h', '4h '):
            self.assertRaises(argparse.ArgumentTypeError, mute.duration,
                              text)
