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
"""What ``nvme-agent status`` shows of a state file."""

from __future__ import annotations

import dataclasses
import json
import os
from unittest import mock

from os_brick.agent.daemon import showing
from os_brick.agent.reporting import screen
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.vendors import base
from os_brick.cmd import viewing

SCREENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'screens')


class TestStatus(shown_case.ShownCase):

    def test_all_is_well(self) -> None:
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('Volume volume1  md1  2 of 2 copies good', text)
        self.assertNotIn('\033', text)

    def test_two_screens(self) -> None:
        self.anchors['md1'] = 'nvme10n1'
        self.turn()
        self.lose()
        self.turn(2)
        self.kept('degraded')
        while self.host.legs[1].get('C', (0, set()))[1] != {'spare'}:
            self.cycle.run()
            self.clock.advance(2.0)
        array = self.host.array
        self.put(self.host, 'array', lambda number: dataclasses.replace(
            array(number), sync_done=int(self.clock.time) % 20 << 20,
            sync_total=32 << 20))
        self.clock.time = 1.8e9
        for _number in range(2):
            self.clock.advance(5.0)
            self.cycle.run()
        self.kept('resync')

    def kept(self, name: str) -> None:
        """It is shown as it was."""
        path = os.path.join(SCREENS, name + '.txt')
        text = self.look()[1]
        if os.environ.get('WRITE_SCREENS'):
            with open(path, 'w', encoding='utf-8') as screen_file:
                screen_file.write(text)
        with open(path, encoding='utf-8') as screen_file:
            self.assertEqual(screen_file.read(), text,
                             'write it anew: WRITE_SCREENS=1')

    def test_no_volume(self) -> None:
        self.driver.answer = lambda volumes: []
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('No volume of this host is listed', text)

    def test_it_fits_a_terminal(self) -> None:
        self.lose()
        self.outage()
        self.turn(4)
        for line in self.look()[1].splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_a_copy_fits_a_terminal(self) -> None:
        long = screen.progress({
            'action': 'recover', 'done': 999 << 30, 'total': 9999 << 30,
            'rate': float(999 << 20), 'left': 5 * 3600.0 + 59 * 60})
        with mock.patch.object(screen, 'progress', lambda sync: long):
            self.host.legs[1]['B'] = (None, {'spare'})
            self.turn()
            lines = self.look()[1].splitlines()
        self.assertIn('recover', ' '.join(lines))
        for line in lines:
            self.assertLessEqual(len(line), 80, line)

    def test_an_agent_of_before_a_reboot(self) -> None:
        self.turn()
        self.clock.boot_id = 'another'
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('has not run since this host was booted', text)

    def test_a_dead_agent(self) -> None:
        self.turn()
        path = os.path.join(self.folder, showing.STATE_FILE)
        content = self.shown()
        content['agent']['started'] += 1    # another process of that pid
        with open(path, 'w', encoding='ascii') as stream:
            json.dump(content, stream)
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('AGENT_DOWN', text)

    def test_a_stuck_agent(self) -> None:
        self.turn()
        self.clock.advance(79.0)    # and 10 s of the turn
        self.assertEqual(0, self.look()[0])
        self.clock.advance(2.0)
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('AGENT_STUCK', text)

    def test_another_schema(self) -> None:
        self.turn()
        path = os.path.join(self.folder, showing.STATE_FILE)
        for content, words in ((dict(self.shown(), schema=2), 'a newer'),
                               (dict(self.shown(), schema=0), 'an older'),
                               ([], 'no state document'),
                               ({'schema': 1}, 'it lacks')):
            with open(path, 'w', encoding='ascii') as stream:
                json.dump(content, stream)
            error = self.assertRaises(viewing.Unknown, self.look)
            self.assertIn(words, str(error))
            self.assertIn(path, str(error))

    def test_what_is_no_state_file(self) -> None:
        path = os.path.join(self.folder, showing.STATE_FILE)
        self.assertIn('has not run', str(self.assertRaises(
            viewing.Unknown, self.look)))
        for content in (b'{', b'\xff\xfe', b'[' * 100000):
            with open(path, 'wb') as stream:
                stream.write(content)
            self.assertRaises(viewing.Unknown, self.look)
        os.unlink(path)
        os.mkdir(path)
        self.assertRaises(viewing.Unknown, self.look)

    def test_one_volume(self) -> None:
        self.turn()
        self.assertIn('volume1', self.look('volume1')[1])
        self.assertIn('knows: volume1', str(self.assertRaises(
            viewing.Unknown, self.look, 'volume2')))
        self.assertEqual(1, len(json.loads(
            self.look('--json', 'volume1')[1])['volumes']))

    def test_what_comes_from_elsewhere_steers_no_terminal(self) -> None:
        self.turn()
        self.driver.broken = lambda name, volume: (_ for _ in ()).throw(
            base.Unavailable('\033[2Jgone\x07'))
        self.turn()
        text = self.look()[1]
        self.assertIn('gone', text)
        self.assertFalse({'\033', '\x07'} & {*text})
