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
"""A volume that is paused is watched and told of, and not touched."""

from __future__ import annotations

import logging

import fixtures

from os_brick.agent.daemon import showing
from os_brick.agent.model import pauses
from os_brick.agent.tests.unit import small_world

A, B = (small_world.uuid(1, letter) for letter in 'ab')


class PausedTest(small_world.WorldCase):

    volumes = 2

    def pause(self, volume: str, seconds: float = 3600.0) -> None:
        self.book.pause(volume, pauses.Pause(
            self.clock.wall() + seconds, 'a new cable'))

    def lose(self, number: int) -> None:
        self.host.live[self.host.name(number, 'B')] = False
        self.host.legs[number]['B'] = (None, {'faulty'})

    def touched(self, number: int) -> bool:
        return any(getattr(action, 'array', '') == 'md%d' % number
                   for action in self.host.did)

    def test_only_the_other_volume_is_healed(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.turn()
        self.pause(small_world.uuid(1, 'f'))
        self.lose(1)
        self.lose(2)
        self.turn(10)
        self.assertFalse(self.touched(1))
        self.assertTrue(self.touched(2))
        self.assertIn(('volume1', 'b', 'MISSING'), self.said('report'))
        self.assertEqual({'volume2'}, {
            alias for alias, _replica in self.said('replace')})
        self.assertIn(('', 'PAUSED'), self.said('event'))
        # once, and not anew with each second that it has been bad for
        self.assertEqual(1, len([
            line for line in log.output.splitlines()
            if 'volume1, replace replica' in line
            and 'it would be done' in line]))
        self.assertGreaterEqual(len(self.said('heartbeat')), 11)

    def test_it_is_shown(self) -> None:
        shown = showing.Showing(self.conf, small_world.HOST)
        self.conf.set_override('run_dir', self.path.rpartition('/')[0])
        self.conf.set_override('state_dir', self.path.rpartition('/')[0])
        self.cycle._show = shown
        self.pause(small_world.uuid(1, 'f'))
        self.turn(2)
        assert shown._last is not None
        self.assertEqual([('volume1', 'a new cable')], [
            (one['volume'], one['reason'])
            for one in shown._last['paused']])
        self.assertIn(('AGENT_PAUSED', 'volume1'), [
            (one['code'], one['volume']) for one in shown._last['findings']])

    def test_all_of_them(self) -> None:
        self.turn()
        self.pause(pauses.ALL)
        self.lose(1)
        self.lose(2)
        self.turn(10)
        self.assertEqual([], self.host.did)
        self.assertEqual([], self.said('replace'))

    def test_it_outlives_a_restart_and_ends_by_itself(self) -> None:
        self.turn()
        self.pause(small_world.uuid(1, 'f'), 300.0)
        self.restart()
        self.lose(1)
        self.turn(20)
        self.assertFalse(self.touched(1))
        self.turn(20)
        self.assertTrue(self.touched(1))
        self.assertIn(('', 'RESUMED'), self.said('event'))
        self.assertEqual([('volume1', 'b')], self.said('replace'))

    def test_the_provisioner_may_not_begin_an_exchange(self) -> None:
        self.turn()
        self.pause(small_world.uuid(1, 'f'))
        volume = self.driver.volumes[1]
        self.driver._set(volume, volume.replica(B),
                         small_world.State.TERMINATING)
        self.turn(10)
        self.assertFalse(self.touched(1))
        self.assertEqual([], self.said('confirm'))
        self.book.resume(volume.uuid)
        self.turn(10)
        self.assertTrue(self.touched(1))

    def test_dry_run(self) -> None:
        self.conf.set_override('dry_run', True)
        self.turn()
        self.lose(1)
        self.turn(10)
        self.assertEqual([], self.host.did)
        self.assertEqual([], self.said('replace'))
        self.assertIn(('volume1', 'b', 'MISSING'), self.said('report'))


class LimitedTest(small_world.WorldCase):

    volumes = 3

    def test_one_copy_at_a_time(self) -> None:
        self.conf.set_override('max_resyncs', 1)
        self.turn()
        for number in (1, 2, 3):
            self.host.live[self.host.name(number, 'B')] = False
            self.host.legs[number]['B'] = (None, {'faulty'})
        most = 0
        for turn in range(60):
            self.cycle.run()
            self.clock.advance(10.0)
            most = max(most, sum(
                self.host.array(number).sync_action == 'recover'
                for number in self.host.legs))
            if turn % 3 == 0:
                self.host.settle()
        self.assertEqual(1, most)
        self.assertEqual([0, 0, 0], [self.host.array(number).degraded
                                     for number in (1, 2, 3)])
