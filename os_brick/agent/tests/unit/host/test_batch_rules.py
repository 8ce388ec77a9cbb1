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
"""What a batch looks at again, and what the rules say between actions."""

from __future__ import annotations

from collections.abc import Callable

from oslotest import base

from os_brick.agent.host import batch
from os_brick.agent.host import commands
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.host import batch_world
from os_brick.agent.tests.unit.host import execute_case

World = batch_world.World


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
