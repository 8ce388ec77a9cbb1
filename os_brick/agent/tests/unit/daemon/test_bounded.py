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
"""A pass is bounded: dead targets and a slow provisioner cost no healing."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from os_brick.agent.daemon import budget
from os_brick.agent.daemon import healing_loop
from os_brick.agent.daemon import observer
from os_brick.agent.host import commands
from os_brick.agent.host import effects
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world

DEAD = model.Target('nqn.2024-01.test:dead', (
    model.Portal('198.51.100.1', 4420), model.Portal('198.51.100.2', 4420)))
#: Seconds in which nvme-cli gives a connection up that hangs.
HANG = 60.0


class Reach(effects.Effects):
    """Connecting and asking for portals; both take time of the world's."""

    def __init__(self, world: BoundedCase) -> None:
        self.world = world

    def probe_all(self, portals):
        dead = [portal for portal in portals
                if portal in self.world.dead.portals]
        self.world.now += effects.PROBE_TIMEOUT if dead else 0.0
        return {portal: TimeoutError('timed out') for portal in dead}

    def connect(self, *words):
        self.world.now += HANG
        raise commands.TimedOut('nvme connect did not end')

    def try_lock(self, folder):
        return lambda: None


class BoundedCase(healing_loop_case.CycleCase):
    volumes = 60

    def setUp(self) -> None:
        self.now = 1000.0
        self.dead = DEAD
        self.steps: list[float] = []
        self.tried: list[float] = []
        super().setUp()

    def restart(self) -> None:
        super().restart()
        clock = small_world.Timer(lambda: self.now)
        self.conf.set_override('lock_path', '/nonexistent', 'os_brick')
        reach = execute.Executor(
            self.conf, self.host,  # type: ignore[arg-type]
            small_world.HOST, effects=Reach(self), clock=clock)
        self.put(self.host, 'survey', reach.survey)

        def broken(action: act.Action) -> None:
            if isinstance(action, act.Connect):
                self.tried.append(self.now)
                reach.execute(action, self.volume_of(action),
                              ownership.Owned())

        self.host.broken = broken
        self.cycle = healing_loop.HealingLoop(
            self.conf, self.driver, small_world.HOST, self.host.scan,
            self.host,  # type: ignore[arg-type]
            self.book, lambda: self.stopping,
            self.claimed.append, clock,
            progress=lambda: self.steps.append(self.now))

    def volume_of(self, action: act.Connect) -> model.Volume:
        return next(volume for volume in self.driver.volumes.values()
                    if volume.replica(action.replica_uuid))

    def aim(self, number: int, target: model.Target) -> None:
        volume = self.driver.volumes[number]
        self.driver.volumes[number] = dataclasses.replace(
            volume, replicas=tuple(
                dataclasses.replace(replica, target=target)
                if replica.uuid.endswith('b') else replica
                for replica in volume.replicas))

    def lose_target(self, numbers: range) -> None:
        """It is switched off, and its connections have been given up."""
        for number in numbers:
            del self.host.live[self.host.name(number, 'B')]
            del self.host.legs[number]['B']
            self.aim(number, DEAD)
        real = self.driver.get_volumes
        self.put(self.driver, 'get_volumes', lambda host, arrays, wanted: [
            dataclasses.replace(volume, replicas=tuple(
                dataclasses.replace(replica, target=DEAD)
                if replica.uuid.endswith('b') else replica
                for replica in volume.replicas))
            for volume in real(host, arrays, frozenset())])

    def took(self) -> float:
        began = self.now
        self.turn()
        return self.now - began


class TestDeadTarget(BoundedCase):

    def test_it_is_waited_for_once_and_all_else_goes_on(self):
        self.turn()
        self.lose_target(range(1, 60))
        # and one copy that only has to be put back
        del self.host.legs[60]['B']
        self.driver.said.clear()
        times = [self.took() for _pass in range(6)]
        self.assertLess(max(times), 10.0, times)
        self.assertGreater(sum(times), 0.0)
        reported = {alias for alias, _letter, state in self.said('report')
                    if state == 'MISSING'}
        self.assertEqual(60, len(reported))
        self.assertEqual({'A', 'B'}, self.legs(60))

    def test_a_target_that_hangs_is_waited_for_once_and_the_rest_later(self):
        self.dead = small_world.model.Target('nqn.test', ())
        self.turn()
        self.lose_target(range(1, 60))
        times = [self.took() for _pass in range(6)]
        self.assertLessEqual(max(times), budget.CONNECTING + 2 * HANG, times)
        # the memory is shared: one volume has found out
        self.assertLess(sum(times), 5 * HANG, times)
        self.assertEqual(59, len({alias for alias, *_words
                                  in self.said('report')}))

    def test_the_reports_do_not_wait_for_the_connections(self):
        order: list[str] = []
        self.turn()
        self.lose_target(range(1, 3))
        before = self.host.broken

        def broken(action: act.Action) -> None:
            order.append(type(action).__name__)
            before(action)

        self.host.broken = broken
        self.driver.broken = lambda name, alias: order.append(name)
        self.turn(2)
        self.assertIn('Connect', order)
        self.assertLess(order.index('report'), order.index('Connect'))

    def test_those_who_had_to_wait_are_the_first_in_the_next_pass(self):
        self.turn()
        self.lose_target(range(1, 60))
        seen: list[str] = []

        def slow(action: act.Action) -> None:
            if isinstance(action, act.Connect):
                seen.append(action.replica_uuid)
                self.now += 10.0

        self.turn()
        self.host.broken = slow
        seen.clear()
        self.turn(4)
        self.assertEqual(12, len(seen))
        self.assertEqual(12, len(set(seen)))


class TestSlowProvisioner(BoundedCase):

    def slow(self, *names: str) -> Callable[[str, str], None]:
        def broken(name: str, alias: str) -> None:
            if name in names:
                self.now += 2.0
        return broken

    def test_events_go_last_and_none_is_lost(self):
        self.turn()
        self.driver.said.clear()
        self.lose_target(range(1, 60))
        self.driver.broken = self.slow('event')
        times = [self.took() for _pass in range(3)]
        self.assertLess(max(times), 2 * budget.EVENTS + 5.0, times)
        self.assertEqual(60, len({alias for _name, alias, *_words
                                  in self.driver.said
                                  if _name == 'report'} | {'volume60'}))
        names = [words[0] for words in self.driver.said]
        first = names.index('event')
        self.assertIn('report', names[:first])
        self.driver.broken = lambda name, alias: None
        self.turn(2)
        self.assertGreaterEqual(len(self.said('event')), 59)

    def test_a_copy_is_put_back_between_two_slow_reports(self):
        self.turn()
        self.lose_target(range(1, 60))
        self.driver.broken = self.slow('report', 'replace', 'heartbeat',
                                       'volumes', 'event')
        times = [self.took() for _pass in range(3)]
        limit = budget.TELLING + budget.EVENTS + 4.0 + 2 * 2.0 + 3.0
        self.assertLess(max(times), limit, times)
        # each volume is told of in the end
        self.turn(40)
        self.assertEqual({'volume%d' % number for number in range(1, 60)},
                         {alias for alias, *_words in self.said('report')})

    def test_events_that_come_faster_than_they_are_told_are_bounded(self):
        sight = observer.Observer(self.host.scan)
        sight.put_back([model.Event('KIND', 1, str(number), ())
                        for number in range(observer.MOST_KEPT + 5)])
        kept = sight.take()
        self.assertEqual(observer.MOST_KEPT, len(kept))
        self.assertEqual('5', kept[0].message)
        self.assertEqual(1, len(self.lines('5 events are not told')))

    def test_every_step_is_progress_for_the_watchdog(self):
        self.turn()
        self.lose_target(range(1, 60))
        self.driver.broken = self.slow('report')
        self.steps.clear()
        self.turn()
        gaps = [later - earlier for earlier, later
                in zip(self.steps, self.steps[1:])]
        self.assertLessEqual(max(gaps), 2.0 + 3.0)
