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
"""What keeps the agent from working is seen wherever somebody looks."""

from __future__ import annotations

from os_brick.agent.model import pauses
from os_brick.agent.reporting import metrics
from os_brick.agent.reporting import verdict
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.tests.unit import small_world


class HeldBackTest(shown_case.ShownCase):

    volumes = 2

    def pause(self, volume: str) -> None:
        self.book.pause(volume, pauses.Pause(
            self.clock.wall() + 4810.0, 'a new cable'))

    def lines(self, *words: str) -> list[str]:
        return [' '.join(line.split())
                for line in self.look(*words)[1].splitlines()]

    def test_one_volume_is_paused(self) -> None:
        self.pause(small_world.uuid(1, 'f'))
        self.turn()
        words = 'paused by the operator, for another 1 h 20 min: a new cable'
        self.assertIn(words, self.lines('volume1'))
        self.assertNotIn(words, self.lines('volume2'))
        self.assertEqual(verdict.OK, self.look()[0])
        text, = [one['text'] for one in self.shown()['findings']]
        self.assertRegex(text, r'^paused until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d '
                               r'\w+: a new cable$')
        self.assertIn('; 1 paused', self.notified[-1])
        self.book.resume(small_world.uuid(1, 'f'))
        self.turn()
        self.assertNotIn('paused', self.look()[1])
        self.assertNotIn('paused', self.notified[-1])

    def test_all_are_paused(self) -> None:
        self.pause(pauses.ALL)
        self.turn()
        for volume in ('volume1', 'volume2'):
            self.assertIn('for another 1 h 20 min', self.look(volume)[1])
        self.assertIn('; all paused', self.notified[-1])

    def test_a_daemon_that_only_talks(self) -> None:
        self.conf.set_override('dry_run', True)
        self.lose()
        self.turn(20)
        self.assertEqual([], self.host.did)
        self.assertEqual(verdict.WARNING, self.look()[0])
        self.assertIn('guard observe;', self.look()[1])
        self.assertIn('DRY_RUN: dry_run is set', self.look()[1])
        self.assertNotIn('GUARD_OFF', self.codes())
        self.assertIn('; dry_run: nothing is done', self.notified[-1])
        self.assertIn('nvme_agent_guard_on 0',
                      metrics.text(self.shown()).splitlines())

    def test_a_guard_that_is_off_as_well(self) -> None:
        self.conf.set_override('dry_run', True)
        self.conf.set_override('io_guard', 'off')
        self.turn()
        self.assertIn('guard off;', self.look()[1])
        self.assertEqual({'DRY_RUN'}, self.codes())

    def test_how_fast_copies_go_at_most(self) -> None:
        self.conf.set_override('resync_speed_max', 50)
        self.turn(3)
        # as long as nothing is copied it is of no interest
        self.assertNotIn('at most', self.look()[1])
        self.host.legs[1]['B'] = (None, {'spare'})
        self.turn()
        self.assertIn('md copies 50 MiB/s at most: option resync_speed_max',
                      self.lines('volume1'))
        self.assertNotIn('at most', self.look('volume2')[1])
        self.host.limits['md2'] = 2048
        self.turn()
        # that it is another one, nobody might think of when it matters
        self.assertIn('md copies 2 MiB/s at most: set by somebody else, '
                      'resync_speed_max does not count',
                      ' '.join(self.lines('volume2')))
        array, other = [volume['array'] for volume in self.shown()['volumes']]
        self.assertEqual((51201 * 1024, True, 2048 * 1024, False), (
            array['speed_limit'], array['speed_limit_ours'],
            other['speed_limit'], other['speed_limit_ours']))
        self.conf.set_override('resync_speed_max', 0)
        self.turn(3)
        self.assertNotIn('at most', self.look('volume1')[1])
        self.assertIsNone(
            self.shown()['volumes'][0]['array']['speed_limit'])

    def test_a_limit_that_delays(self) -> None:
        self.conf.set_override('max_resyncs', 1)
        self.turn()
        for number in (1, 2):
            self.host.live[self.host.name(number, 'B')] = False
            self.host.legs[number]['B'] = (None, {'faulty'})
        words = 'put off: option max_resyncs: volume1 under way'
        for _turn in range(30):
            self.turn()
            if words in self.lines('volume2'):
                break
        else:
            self.fail(self.look()[1])
        self.assertNotIn('put off', self.look('volume1')[1])
        # a limit that only delays is nothing to be warned of
        self.assertNotIn('STEP_REFUSED', self.codes())
        for _turn in range(60):
            self.host.settle()
            self.turn()
        self.assertNotIn('put off', self.look()[1])
        self.assertEqual(set(), self.codes())
