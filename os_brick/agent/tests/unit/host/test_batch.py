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
"""The guard's batch: one wait for the lock, few scans, and nobody queues."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging

import fixtures
from oslotest import base

from os_brick.agent.guard import roles
from os_brick.agent.host import batch
from os_brick.agent.host import brick_lock
from os_brick.agent.host import commands
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests.unit.host import execute_case
from os_brick.agent.tests.unit import small_world

A, B = execute_case.A, execute_case.B
TARGETS = 4


class Clock(small_world.Timer):
    """Time that passes with what is done alone."""

    def __init__(self) -> None:
        super().__init__(lambda: self.seconds)
        self.seconds = 100.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class World:
    """Arrays with a leg on each of two targets; who is asked for what.

    :param shared: whether all arrays share a few connections, or each leg
        has one to itself.
    """

    def __init__(self, arrays: int, shared: bool, tmo: float | None = None
                 ) -> None:
        self.clock = Clock()
        self.scans = 0
        self.tries = 0
        self.calls: list[tuple[str, int]] = []
        self.free = True
        self.hangs = False
        # what happens while a look at the host ends
        self.meanwhile: Callable[[], object] = lambda: None
        self.states: dict[str, str] = {}
        self.tmo: dict[str, float | None] = {}
        self.legs: dict[str, set[str]] = {}
        self.failfast: set[str] = set()
        self.volumes: dict[str, model.Volume] = {}
        self.shape: dict[str, list[tuple[str, str, str]]] = {}
        for number in range(arrays):
            legs = []
            for side in range(2):
                nth = number % TARGETS if shared else number
                controller = 'nvme%d' % (2 * nth + side)
                device = 'nvme%dn%d' % (2 * nth + side, number + 1)
                self.states[controller] = 'live'
                self.tmo[controller] = tmo
                legs.append((device, controller,
                             targets.uuid_of(2 * number + side)))
                self.legs[device] = {'in_sync'}
            name = 'md%d' % number
            self.shape[name] = legs
            self.volumes[name] = model.Volume(
                targets.uuid_of(100000 + number), 'v%d' % number, None,
                tuple(model.Replica(leg[2]) for leg in legs))
        self.owned = ownership.Owned(frozenset(self.shape), frozenset(
            leg[2] for legs in self.shape.values() for leg in legs))
        conf = small_world.configuration(lock_timeout=1.0)
        conf.set_override('lock_path', '/nowhere', 'os_brick')
        self.executor = execute.Executor(
            conf, self, small_world.HOST,  # type: ignore[arg-type]
            effects=self, clock=self.clock)  # type: ignore[arg-type]

    def probe_all(self, portals: Sequence[model.Portal],
                  _seconds: float = 3.0) -> dict[model.Portal, OSError]:
        return {}

    def scan(self) -> snapshots.HostSnapshot:
        self.scans += 1
        seen = self._seen()
        self.meanwhile()
        return seen

    def _seen(self) -> snapshots.HostSnapshot:
        return snapshots.HostSnapshot(
            tuple(model.Controller(
                name, 'nqn.' + name,
                model.Portal('192.0.2.1', 4420 + int(name[4:])), None, state,
                self.tmo[name])
                for name, state in self.states.items()),
            tuple(model.Namespace(device, uuid, 1, (controller,), (array,))
                  for array, legs in self.shape.items()
                  for device, controller, uuid in legs
                  if controller in self.states),
            tuple(model.Array(array, None, None, 2, 0, 'active', 'idle', 1,
                              tuple(model.Leg(
                                  device, slot, frozenset(self.legs[device]),
                                  uuid if controller in self.states else None)
                                  for slot, (device, controller, uuid)
                                  in enumerate(legs)))
                  for array, legs in self.shape.items()))

    def try_lock(self, _folder: str) -> object:
        self.tries += 1
        return (lambda: None) if self.free else None

    def fail_all(self, legs: list[list[str]], milliseconds: int) -> list[str]:
        self.calls.append(('fail', len(legs)))
        if self.hangs:
            self.clock.sleep(milliseconds / 1000)
            return [commands.HANGS] * len(legs)
        for _array, device in legs:
            self.legs[device] = {'faulty'}
        return [''] * len(legs)

    def disconnect_all(self, names: list[str],
                       milliseconds: int) -> list[str]:
        self.calls.append(('disconnect', len(names)))
        if self.hangs:
            self.clock.sleep(milliseconds / 1000)
            return [commands.HANGS] * len(names)
        for name in names:
            del self.states[name]
        return [''] * len(names)

    def close_connections(self, *_words: object) -> int:
        self.calls.append(('close', 1))
        return 1

    def set_fast_io_fail(self, controller: str, seconds: int) -> None:
        self.calls.append(('fast_io_fail', 1))
        self.tmo[controller] = None if seconds < 0 else float(seconds)

    def set_failfast(self, _array: str, device: str, on: bool) -> None:
        self.calls.append(('failfast', 1))
        self.clock.sleep(0.02)
        self.legs[device] ^= {'failfast'}

    def decide(self, memory: roles.GuardMemory, now: float
               ) -> roles.GuardDecision:
        return self.decide_on(self.scan(), memory, now)

    def decide_on(self, snapshot: snapshots.HostSnapshot,
                  memory: roles.GuardMemory, now: float
                  ) -> roles.GuardDecision:
        self.heard = frozenset(one.device for one in snapshot.namespaces
                               if snapshot.reachable(one))
        return roles.decide(
            snapshot, self.owned, memory, now, roles.GuardPolicy(),
            roles.Symptoms(frozenset(self.shape), answered=self.heard,
                           listening={path.portal: False for path
                                      in snapshot.controllers
                                      if path.portal is not None}))

    def run(self, decision: roles.GuardDecision,
            budget: float = batch.BUDGET) -> list[batch.Outcome]:
        return self.executor.execute_all(
            [batch.Step(action, self.volumes[name])
             for name, action in decision.actions], self.owned, self.heard,
            budget)


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


class SlowLookTest(base.BaseTestCase):
    """Looking at the host takes longer than what is seen may serve."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(1, shared=False)
        self.world.legs['nvme1n1'].add('failfast')

    def outcome(self, action: act.Action) -> batch.Outcome:
        outcome, = self.world.executor.execute_all(
            [batch.Step(action, self.world.volumes['md0'])],
            self.world.owned, frozenset(['nvme1n1']))
        return outcome

    def slowly(self) -> None:
        self.world.clock.sleep(batch.FRESH + 0.05)

    def test_S9_what_was_lost_meanwhile_is_seen(self) -> None:
        """Once, and the one leg that does not fail fast is lost then."""
        def lost() -> None:
            self.world.meanwhile = lambda: None
            self.slowly()
            self.world.states['nvme0'] = 'connecting'

        self.world.legs['nvme1n1'] = {'in_sync'}
        self.world.meanwhile = lost
        self.assertIn('target is lost', str(self.outcome(
            act.SetFailfast('', 'md0', 'nvme1n1', True))))
        self.assertEqual(2, self.world.scans)

    def test_S9_nothing_is_made_to_fail_fast_on_an_old_look(self) -> None:
        self.world.meanwhile = self.slowly
        for action in (act.SetFailfast('', 'md0', 'nvme0n1', True),
                       act.SetFastIoFail('', 'nvme0', 1.0)):
            self.world.scans = 0
            self.world.legs['nvme1n1'] = {'in_sync'}
            self.assertIsInstance(self.outcome(action), not_done.PutOff)
            self.assertEqual(2, self.world.scans)
        self.assertEqual([], self.world.calls)

    def test_what_is_urgent_is_done_all_the_same(self) -> None:
        self.world.meanwhile = self.slowly
        self.world.states['nvme0'] = 'connecting'
        for action in (act.FailLeg('', 'md0', 'nvme0n1'),
                       act.Disconnect('', 'nvme0'),
                       act.SetFastIoFail('', 'nvme1', None)):
            self.assertIsNone(self.outcome(action))


class OverTheLockTest(base.BaseTestCase):
    """Whoever held os-brick's lock has changed what was looked at before."""

    def test_S1_the_look_is_taken_under_the_lock(self) -> None:
        """A connection is given up first, and the lock is had later."""
        world = World(2, shared=False)
        world.states['nvme2'] = 'connecting'
        free_at = world.clock.seconds + batch.FRESH / 2

        def try_lock(_folder: str) -> Callable[[], None] | None:
            if world.clock.seconds < free_at:
                return None
            world.legs['nvme3n2'] = {'faulty'}
            return lambda: None

        world.try_lock = try_lock  # type: ignore[method-assign]
        closed, failed = world.executor.execute_all([
            batch.Step(act.ResetConnection(
                '', 'nvme0', model.Portal('192.0.2.1', 4420)),
                world.volumes['md0']),
            batch.Step(act.FailLeg('', 'md1', 'nvme2n2'),
                       world.volumes['md1'])],
            world.owned, frozenset(['nvme1n1', 'nvme3n2']))
        self.assertIsNone(closed)
        self.assertIn('S1', str(failed))
        self.assertEqual({'in_sync'}, world.legs['nvme2n2'])


class BatchTest(execute_case.ActionsCase):
    """On a host of files: what of the rules holds between two actions."""

    def outcomes(self, *actions: act.Action) -> list[batch.Outcome]:
        return self.executor.execute_all(
            [batch.Step(action, execute_case.VOLUME) for action in actions],
            execute_case.OWNED)

    def test_S1_what_the_batch_did_is_seen_by_the_next_rule(self) -> None:
        """Of two connections of an array, the one is lost and goes."""
        for name in ('nvme1', 'nvme2'):
            self.host.set_controller(name, state='connecting')

        def gone(_names: list[str], _milliseconds: int) -> list[str]:
            self.fail('the last leg was disconnected')

        self.privileged.disconnect_all.side_effect = gone
        for outcome in self.outcomes(act.Disconnect('', 'nvme1'),
                                     act.Disconnect('', 'nvme2')):
            self.assertIn('S1', str(outcome))

    def test_S9_a_setting_is_held_against_the_one_before(self) -> None:
        def sets(controller: str, seconds: int) -> None:
            self.host.set_controller(controller, fast_io_fail_tmo=seconds)

        self.privileged.set_fast_io_fail.side_effect = sets
        first, second = self.outcomes(
            act.SetFastIoFail('', 'nvme1', 1.0),
            act.SetFastIoFail('', 'nvme2', 1.0))
        self.assertIsNone(first)
        self.assertIn('S9', str(second))

    def test_S9_what_goes_together_is_judged_together(self) -> None:
        """A leg with one path left waits by one of two that are lost."""
        self.host.controller('nvme8', state='connecting')
        self.host.controller('nvme9', state='connecting')
        self.host.set_controller('nvme1', fast_io_fail_tmo=1)
        self.host.set_controller('nvme2', fast_io_fail_tmo=1)
        self.host.namespace('nvme7n1', execute_case.C,
                            ('nvme1', 'nvme8', 'nvme9'))
        self.host.array('md128', ('nvme7n1', 'nvme2n1'), alias='w')
        owned = ownership.Owned(frozenset(['md127', 'md128']),
                                execute_case.OWNED.replicas)
        first, second = self.executor.execute_all(
            [batch.Step(act.Disconnect('', name), execute_case.VOLUME)
             for name in ('nvme8', 'nvme9')], owned)
        self.assertIsNone(first)
        self.assertIn('S9', str(second))

    def test_what_has_ended_is_as_it_should_be(self) -> None:
        for action in (act.FailLeg('', 'md127', 'nvme9n1'),
                       act.Disconnect('', 'nvme9'),
                       act.ResetConnection('', 'nvme9', None),
                       act.SetFastIoFail('', 'nvme9', 1.0)):
            outcome, = self.outcomes(action)
            self.assertIsInstance(outcome, not_done.Ended)

    def test_one_that_fails_costs_no_other_its_turn(self) -> None:
        self.privileged.set_fast_io_fail.side_effect = [
            RuntimeError('defect'), commands.CommandFailed('no'), None]
        outcomes = self.outcomes(*[
            act.SetFastIoFail('', 'nvme1', None)] * 3)
        self.assertEqual(
            [RuntimeError, not_done.NotDone, type(None)],
            [type(outcome) for outcome in outcomes])

    def test_a_lock_that_cannot_be_taken_stops_nobody(self) -> None:
        self.conf.set_override('lock_path', self.locks + '/no/where',
                               'os_brick')
        self.privileged.try_lock.side_effect = PermissionError(13, 'no')
        self.urgently(act.SetFastIoFail('', 'nvme1', None))
        self.refused(act.SetFastIoFail('', 'nvme1', None), 'lock_path',
                     kind=execute.NotDone)
