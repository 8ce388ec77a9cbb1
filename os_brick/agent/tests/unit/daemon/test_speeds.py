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
"""The limit of copies in passes: set, kept, put back, and left alone."""

from __future__ import annotations

import dataclasses
import logging

import fixtures

from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent.model import actions as act
from os_brick.agent.model import pauses
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base

#: What the agent sets: one more than the option says.
OURS, TEN = 50 * 1024 + 1, 10 * 1024 + 1


class SpeedsCase(small_world.WorldCase):

    volumes = 2

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.conf.set_override('resync_speed_max', 50)

    def limits(self) -> list[int]:
        return [self.host.limits.get(name, 0) for name in ('md1', 'md2')]

    def did(self) -> list[act.Action]:
        return [action for action in self.host.did
                if isinstance(action, act.SetSyncSpeedMax)]


class SpeedsTest(SpeedsCase):

    def test_it_is_set_once(self) -> None:
        self.turn(5)
        self.assertEqual([OURS, OURS], self.limits())
        self.assertEqual(2, len(self.did()))
        self.assertIn('volume volume1: done: SetSyncSpeedMax array=md1 '
                      'kib_per_s=51201 (option resync_speed_max: 50 MiB/s)',
                      self.log.output)

    def test_nothing_is_done_where_nobody_asks(self) -> None:
        self.conf.set_override('resync_speed_max', 0)
        self.host.limits['md1'] = 900
        self.turn(5)
        self.cycle.leave()
        self.assertEqual([], self.did())
        self.assertNotIn('speed limit', self.log.output)

    def test_a_strangers_array_is_not_touched(self) -> None:
        self.host.legs[7] = {'A': (0, {'in_sync'}), 'B': (1, {'in_sync'})}
        self.host.limits['md7'] = OURS
        self.turn(3)
        self.cycle.leave()
        self.assertEqual(OURS, self.host.limits['md7'])
        self.assertEqual({'md1', 'md2'}, {
            getattr(action, 'array') for action in self.did()})

    def test_it_follows_the_option(self) -> None:
        for option in (50, 10, 0, 20):
            self.conf.set_override('resync_speed_max', option)
            self.turn(2)
            self.assertEqual([option and option * 1024 + 1] * 2,
                             self.limits())

    def test_another_pass_follows_at_once(self) -> None:
        """Or what is shown would be out of date for an interval."""
        self.assertEqual(0.0, self.cycle.run())
        self.cycle.run()
        self.assertNotEqual(0.0, self.cycle.run())

    def test_nothing_waits_for_it(self) -> None:
        """Reports, requests and connections come first."""
        self.turn()
        order: list[str] = []
        self.conf.set_override('resync_speed_max', 10)
        self.host.live['nvme11'] = False
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.host.broken = lambda action: order.append(
            type(action).__name__)
        self.driver.broken = lambda name, volume: order.append(name)
        self.turn()
        first = order.index('SetSyncSpeedMax')
        self.assertLess(order.index('report'), first)
        self.assertLess(order.index('RemoveLeg'), first)

    def test_what_was_set_by_hand_stays(self) -> None:
        self.turn()
        self.host.limits['md1'] = 900
        self.turn(3)
        self.conf.set_override('resync_speed_max', 10)
        self.turn(3)
        self.assertEqual([900, TEN], self.limits())
        self.assertEqual(1, self.log.output.count(
            'volume volume1, speed limit of md1: 900 KiB/s, which somebody '
            'else has set, stays'))
        self.conf.set_override('resync_speed_max', 0)
        self.turn(3)
        self.cycle.leave()
        self.assertEqual([900, 0], self.limits())

    def test_it_is_handed_back_by_hand(self) -> None:
        self.turn()
        self.host.limits['md1'] = 900
        self.turn()
        self.host.limits['md1'] = 0
        self.turn(2)
        self.assertEqual([OURS, OURS], self.limits())

    def test_set_by_hand_between_look_and_step(self) -> None:
        def meanwhile(action: act.Action) -> None:
            if getattr(action, 'array') == 'md1':
                self.host.limits['md1'] = 900
        self.host.broken = meanwhile
        self.turn(2)
        self.assertEqual(900, self.host.limits['md1'])

    def test_it_is_put_back_at_the_end(self) -> None:
        self.turn(2)
        self.cycle.leave()
        self.assertEqual([0, 0], self.limits())
        self.assertIn('volume volume2: done: SetSyncSpeedMax array=md2 '
                      'kib_per_s=0 before=51201 (the agent stops)',
                      self.log.output)

    def test_whatever_the_time_suffices_for_all_are_put_back(self) -> None:
        self.turn(2)
        put_off = [1]

        def late(action: act.Action) -> None:
            if action == self.host.did[1] or put_off.pop(0) is None:
                return
            raise not_done.PutOff('what is urgent comes first')
        self.host.broken = lambda action: late(action) if put_off else None
        self.cycle.leave()
        self.assertEqual([0, 0], self.limits())
        self.assertNotIn('not done', self.log.output)

    def test_what_cannot_be_put_back_is_named(self) -> None:
        self.turn(2)

        def fail(action: act.Action) -> None:
            if getattr(action, 'array') == 'md1':
                raise execute.NotDone('the helper has ended')
        self.host.broken = fail
        self.cycle.leave()
        self.assertEqual([OURS, 0], self.limits())
        self.assertIn('volume volume1, SetSyncSpeedMax array=md1 kib_per_s=0 '
                      'before=51201 (the agent stops): not done: the helper '
                      'has ended', self.log.output)

    def test_s7_killed_and_started_with_another_limit(self) -> None:
        self.turn(2)
        self.conf.set_override('resync_speed_max', 0)
        self.restart()
        self.turn(2)
        self.assertEqual([0, 0], self.limits())

    def test_the_options_own_number_set_by_hand_stays(self) -> None:
        self.host.limits['md1'] = 50 * 1024
        self.turn(2)
        self.conf.set_override('resync_speed_max', 10)
        self.turn(2)
        self.assertEqual([50 * 1024, TEN], self.limits())

    def test_one_that_fails_costs_no_other(self) -> None:
        def fail(action: act.Action) -> None:
            if getattr(action, 'array', '') == 'md1':
                raise execute.NotDone('the helper has ended')
        self.host.broken = fail
        self.turn(5)
        self.assertEqual([0, OURS], self.limits())
        self.assertEqual(1, self.log.output.count('the helper has ended'))
        self.host.broken = lambda action: None
        self.turn(2)
        self.assertEqual([OURS, OURS], self.limits())


class HeldBackTest(SpeedsCase):

    def test_a_pause(self) -> None:
        self.book.pause(small_world.uuid(1, 'f'), pauses.Pause(
            self.clock.wall() + 3600.0, 'a new cable'))
        self.turn(5)
        self.assertEqual([0, OURS], self.limits())
        self.assertEqual(1, self.log.output.count(
            'volume volume1, SetSyncSpeedMax array=md1 kib_per_s=51201 '
            '(option resync_speed_max: 50 MiB/s): paused by the operator (a '
            'new cable): it would be done'))
        self.book.resume(small_world.uuid(1, 'f'))
        self.turn(2)
        self.assertEqual([OURS, OURS], self.limits())

    def test_dry_run(self) -> None:
        self.conf.set_override('dry_run', True)
        self.host.limits['md2'] = OURS
        self.turn(5)
        self.cycle.leave()
        self.assertEqual([0, OURS], self.limits())
        self.assertIn('dry_run is set: it would be done', self.log.output)

    def test_what_is_observed_only(self) -> None:
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], observe='another host heals it')
        self.turn(5)
        self.assertEqual([0, OURS], self.limits())

    def test_the_provisioner_has_not_spoken_of_it(self) -> None:
        """It may be another host's."""
        self.host.instance = 'one'
        self.turn()
        self.conf.set_override('resync_speed_max', 0)
        self.turn(2)

        def silent(name: str, volume: str) -> None:
            raise base.Unavailable('away')
        self.driver.broken = silent
        self.host.instance = 'another'
        self.conf.set_override('resync_speed_max', 50)
        self.turn(3)
        self.assertEqual([0, 0], self.limits())
        self.driver.broken = lambda name, volume: None
        self.turn(3)
        self.assertEqual([OURS, OURS], self.limits())
