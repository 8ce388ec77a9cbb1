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
"""Many arrays lose a leg at once: few calls, and nobody queues."""

from __future__ import annotations

import logging

import fixtures
from oslotest import base

from os_brick.agent.guard import roles
from os_brick.agent.host import batch
from os_brick.agent.host import brick_lock
from os_brick.agent.host import not_done
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.host import batch_world

TARGETS = batch_world.TARGETS
World = batch_world.World


class WideTest(base.BaseTestCase):
    """A target, or a whole side of the network, of 256 arrays is lost."""

    def lost(self, shared: bool) -> World:
        """Every anchor is lost, and what is left does not wait yet."""
        world = World(256, shared)
        self.memory = roles.GuardMemory()
        for name in world.states:
            if int(name[4:]) % 2:
                world.tmo[name] = 1.0
        self.memory = world.decide(self.memory, 0.0).memory
        self.assertEqual({legs[0][0] for legs in world.shape.values()},
                         set(self.memory.anchors.values()))
        for name in world.states:
            if not int(name[4:]) % 2:
                world.states[name] = 'connecting'
        self.memory = world.decide(self.memory, 100.0).memory
        return world

    def cut(self, world: World) -> roles.GuardDecision:
        decision = world.decide(self.memory, 200.0)
        world.scans = world.tries = 0
        return decision

    def test_the_decision_comes_in_order_and_says_nothing_twice(
            self) -> None:
        for shared, connections in ((True, TARGETS), (False, 256)):
            world = self.lost(shared)
            actions = [action for _name, action
                       in self.cut(world).actions]
            kinds = [type(action) for action in actions]
            self.assertEqual([act.SetFastIoFail] * connections
                             + [act.FailLeg] * 256
                             + [act.Disconnect] * connections,
                             kinds[:256 + 2 * connections])
            controllers = [action.controller for action in actions
                           if isinstance(action, act.SetFastIoFail
                                         | act.Disconnect)]
            self.assertEqual(len(set(controllers)), len(controllers))

    def test_all_are_cut_in_two_calls_and_a_few_scans(self) -> None:
        for shared, connections in ((True, TARGETS), (False, 256)):
            for free in (True, False):
                world = self.lost(shared)
                decision = self.cut(world)
                world.free = free
                began = world.clock.seconds
                outcomes = world.run(decision)
                self.assertEqual({None}, set(outcomes))
                cuts = [call for call in world.calls
                        if call[0] in ('fail', 'disconnect')]
                self.assertEqual([('fail', 256),
                                  ('disconnect', connections)], cuts)
                self.assertLessEqual(world.scans, 8)
                # the lock was waited for once
                self.assertLess(world.clock.seconds - began,
                                brick_lock.URGENT_PATIENCE + 0.1)

    def test_a_lock_that_is_held_is_waited_for_once(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        world = self.lost(shared=False)
        world.free, tries = False, []
        decision = self.cut(world)

        def run() -> int:
            world.tries = 0
            world.run(decision)
            return world.tries

        for _batch in range(5):
            tries.append(run())
        self.assertGreater(tries[0], 1)
        self.assertEqual([1] * 4, tries[1:])
        self.assertEqual(1, log.output.count('going on without it'))
        world.free = True
        run()
        world.free = False
        self.assertEqual(tries[0], run())

    def test_what_hangs_holds_up_nobody(self) -> None:
        world = self.lost(shared=False)
        world.hangs = True
        decision = self.cut(world)
        began = world.clock.seconds
        outcomes = world.run(decision)
        self.assertLess(world.clock.seconds - began, 3.0)
        self.assertEqual(512, len([
            outcome for outcome in outcomes
            if isinstance(outcome, not_done.UnderWay)]))

    def test_settings_wait_for_what_is_urgent(self) -> None:
        world = World(256, shared=False)
        for legs in world.shape.values():
            for device, _controller, _uuid in legs:
                world.legs[device].add('failfast')
        memory, batches = roles.GuardMemory(), 0
        while True:
            decision = world.decide(memory, 0.0)
            memory = decision.memory
            if not decision.actions:
                break
            began = world.clock.seconds
            world.run(decision)
            batches += 1
            self.assertLess(world.clock.seconds - began,
                            batch.BUDGET + 0.2)
        self.assertGreater(batches, 2)
        self.assertEqual(256, sum('failfast' in flags
                                  for flags in world.legs.values()))

    def test_settings_that_have_their_time(self) -> None:
        """The guard stops: nothing urgent comes after them."""
        world = World(256, shared=False)
        for legs in world.shape.values():
            for device, _controller, _uuid in legs:
                world.legs[device].add('failfast')
        decision = world.decide(roles.GuardMemory(), 0.0)
        outcomes = world.run(decision, budget=1000.0)
        self.assertEqual([], [outcome for outcome in outcomes
                              if isinstance(outcome, not_done.PutOff)])
        self.assertGreater(len(outcomes), 256)
