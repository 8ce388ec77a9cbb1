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
"""Copies that are here, and are not put in at once, or at all."""

from __future__ import annotations

import dataclasses

from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world

State = model.ReplicaState


class TestHeldBack(healing_loop_case.CycleCase):

    def test_S13_it_is_said_once_how_long_a_copy_waits(self):
        self.turn()
        del self.host.legs[1]['B']
        self.turn(6, 2.0)
        self.assertEqual(1, len(self.lines(
            'volume volume1, return of replica %s: it is here, and is put '
            'back in 12 s' % small_world.uuid(1, 'b'))))
        self.assertEqual({'A'}, self.legs())
        self.turn(2)
        self.assertEqual({'A', 'B'}, self.legs())

    def test_S8_nonsense_is_said_once_and_not_acted_on(self):
        self.turn()
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                dataclasses.replace(replica, state=State.TERMINATING)
                for replica in self.driver.volumes[1].replicas))
        self.turn(5)
        self.assertEqual(1, len(self.lines(
            'volume volume1, its replicas: all its replicas are marked')))
        self.assertEqual([], self.host.did)

    def test_S13_one_that_was_killed_while_it_added_knows_it(self):
        """The new leg is dropped before it is looked at."""
        self.lose()
        self.turn(5)
        self.host.broken = self.kill
        self.assertRaises(small_world.Killed, self.turn, 5)
        self.host.broken = lambda action: None
        self.restart()
        self.turn(1, 0.0)
        self.assertEqual(1, len(self.lines('return of replica %s'
                                           % small_world.uuid(1, 'c'))))

    def kill(self, action: act.Action) -> None:
        if isinstance(action, act.AddLeg):
            raise small_world.Killed()

    def test_one_that_was_refused_is_not_held_back(self):
        self.lose()
        refusals = []

        def refuse(action: act.Action) -> None:
            if isinstance(action, act.AddLeg) and not refusals:
                refusals.append(action)
                raise execute.Refused('not now')
        self.host.broken = refuse
        self.turn(20, 4.0)
        self.assertEqual([], self.lines('return of replica'))
        self.assertEqual({'A', 'C'}, self.legs())
