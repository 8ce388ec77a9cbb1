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
"""One pass after the other: what is lost is replaced, and no more done."""

from __future__ import annotations

import contextlib
import dataclasses
from unittest import mock

from os_brick.agent.daemon import healing_pass
from os_brick.agent.healing import decision
from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world

State = model.ReplicaState


class TestHealing(healing_loop_case.CycleCase):

    def test_nothing_happens_to_what_is_whole(self):
        self.turn(5)
        self.assertEqual([], self.host.did)
        self.assertEqual({'heartbeat', 'volumes', 'event'},
                         {words[0] for words in self.driver.said})

    def test_what_has_not_changed_is_not_thought_over(self):
        scan, last = self.cycle._observer._scan, attributes.Latest()

        def same() -> snapshots.HostSnapshot:
            # as the real scanner does it
            snapshot = scan()
            kept: snapshots.HostSnapshot = last.get(
                snapshots.HostSnapshot, snapshot.controllers,
                snapshot.namespaces, snapshot.arrays)
            return kept

        self.cycle._observer._scan = same
        self.turn(3)
        with contextlib.ExitStack() as patched:
            asked = [patched.enter_context(mock.patch.object(where, name))
                     for where, name in (
                         (decision, 'decide'), (decision, 'around'),
                         (ownership, 'match'), (ownership, 'Index'),
                         (self.book, 'records'), (self.book, 'pending'))]
            self.turn(3)
        for one in asked:
            one.assert_not_called()
        self.lose()
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def test_what_changes_is_claimed_anew(self):
        self.turn(3)
        volume = self.driver.volumes[1]
        self.assertEqual({volume.uuid: volume},
                         dict(self.claimed[-1].volumes))
        self.lose()
        self.turn(20)
        self.assertNotEqual(volume, self.driver.volumes[1])
        self.assertEqual({volume.uuid: self.driver.volumes[1]},
                         dict(self.claimed[-1].volumes))
        self.assertIn(small_world.uuid(1, 'c'),
                      self.claimed[-1].legs[volume.uuid])
        # and the guard is not woken by what has not changed
        last = self.claimed[-1]
        self.turn(2)
        self.assertIs(last, self.claimed[-1])

    def test_a_lost_replica_is_replaced(self):
        self.lose()
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual([('volume1', 'b')], self.said('retire'))
        self.assertEqual([('volume1', 'b')], self.said('confirm'))

    def test_s5_removal_is_confirmed_after_the_leg_has_left(self):
        self.lose()
        left = []
        self.driver.broken = lambda name, volume: left.append(
            set(self.host.legs[1])) if name == 'confirm' else None
        self.turn(20)
        self.assertEqual([{'A', 'C'}], left)

    def test_s5_nothing_is_confirmed_while_the_leg_cannot_leave(self):
        self.lose()

        def stuck(action):
            if isinstance(action, act.RemoveLeg):
                raise execute.NotDone('mdadm failed (1): Device is busy')

        self.host.broken = stuck
        self.turn(3)
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                dataclasses.replace(replica, state=State.TERMINATING)
                if replica.uuid[-1] == 'b' else replica
                for replica in self.driver.volumes[1].replicas))
        self.turn(5)
        self.assertIn('B', self.host.legs[1])
        self.assertEqual([], self.said('confirm'))
        self.host.broken = lambda action: None
        self.turn(5)
        self.assertNotIn('B', self.host.legs[1])
        self.assertEqual([('volume1', 'b')], self.said('confirm'))

    def test_heartbeat_carries_the_interval(self):
        with mock.patch.object(self.driver, 'heartbeat') as heartbeat:
            self.turn()
        heartbeat.assert_called_once_with(small_world.HOST, 30.0)

    def test_a_second_pass_soon_while_something_is_done(self):
        self.assertIsNone(self.cycle.run())
        self.lose()
        self.assertEqual(0.0, self.cycle.run())

    def test_the_next_pass_is_there_when_the_grace_period_ends(self):
        self.turn()
        self.lose()
        self.turn(3, seconds=1.0)
        self.host.broken = mock.Mock(side_effect=execute.NotDone('no'))
        self.assertAlmostEqual(37.0, self.cycle.run())
        self.clock.advance(30.0)
        self.assertAlmostEqual(7.0, self.cycle.run())

    def test_an_action_without_effect_does_not_spin(self):
        self.turn()
        self.lose()
        self.turn(4)
        with mock.patch.object(self.host, '_do'):
            self.cycle.run()
            self.cycle.run()
            self.cycle.run()
            self.assertNotEqual(0.0, self.cycle.run())
        self.assertEqual(1, len(self.lines('done: FailLeg')))


class TestStop(healing_loop_case.CycleCase):

    def test_nothing_starts_after_the_word_to_stop(self):
        self.lose()
        self.turn(4)

        def stop(action):
            self.stopping = True

        self.host.broken = stop
        self.turn(4)
        self.assertEqual(1, len(self.host.did))
        self.assertEqual([], self.said('replace'))

    def test_no_action_of_a_volume_starts_after_the_word_to_stop(self):
        self.turn()
        action = act.Disconnect('', 'nvme11')
        self.stopping = True
        self.assertFalse(self.cycle._serving.acting.execute(
            healing_pass.Pass(), action, self.driver.volumes[1], {}))
        self.assertEqual([], self.host.did)
