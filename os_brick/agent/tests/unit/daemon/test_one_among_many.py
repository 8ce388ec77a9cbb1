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
"""One volume, call or action that fails, and all others that do not."""

from __future__ import annotations

from unittest import mock

from os_brick.agent.healing import decision
from os_brick.agent.host import execute
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base


class TestOneAmongMany(healing_loop_case.CycleCase):
    """One failing volume, call or action never stops the others."""

    volumes = 2

    def test_a_volume_that_cannot_be_decided(self):
        decide = decision.decide

        def broken(volume, *words):
            if volume.alias == 'volume1':
                raise ZeroDivisionError('a defect')
            return decide(volume, *words)

        self.lose('B', 2)
        with mock.patch.object(decision, 'decide', broken):
            self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(2))
        self.assertEqual(1, len(self.lines('volume1', 'defect',
                                           'ZeroDivisionError')))

    def test_an_executor_with_a_defect(self):
        def broken(action):
            if 'nvme1' in repr(action):
                raise RuntimeError('a defect')

        self.lose('B', 1)
        self.lose('B', 2)
        self.host.broken = broken
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(2))
        self.assertEqual({'A', 'B'}, self.legs(1))

    def test_every_call_of_the_driver_failing_keeps_the_passes_going(self):
        for error in (base.Unavailable('x'), TypeError('defect')):
            self.build()
            self.turn()
            self.driver.broken = mock.Mock(side_effect=error)
            self.lose()
            self.turn(3)
            self.mend()
            self.turn(20)
            self.assertEqual({'A', 'C'}, self.legs(1))

    def test_os_bricks_lock_is_waited_for_once_in_a_pass(self):
        self.lose('B', 1)
        self.lose('B', 2)
        self.turn(4)
        tried = []

        def held(action):
            tried.append(action)
            raise execute.LockHeld('os-brick holds the lock')

        self.host.broken = held
        self.turn()
        self.assertEqual(1, len(tried))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(1))
        self.assertEqual({'A', 'C'}, self.legs(2))

    def test_a_lock_that_is_held_does_not_condemn_the_replica(self):
        self.turn()
        self.lose()
        self.turn(5)
        tried = []

        def held(action):
            if isinstance(action, act.Connect):
                tried.append(action)
                raise execute.LockHeld('os-brick holds the lock')

        self.host.broken = held
        self.turn(3)
        self.assertNotEqual([], tried)
        for record in self.book.records(small_world.uuid(1, 'f')).values():
            self.assertEqual('', record.failed)

    def test_a_target_that_cannot_be_connected_is_remembered(self):
        self.lose()
        self.turn(5)

        def refused(action):
            if isinstance(action, act.Connect):
                raise execute.NotDone('connection refused')

        self.host.broken = refused
        self.turn(3)
        records = self.book.records(small_world.uuid(1, 'f'))
        self.assertEqual('connection refused',
                         records[small_world.uuid(1, 'c')].failed)

    def test_a_namespace_that_cannot_be_added_is_remembered(self):
        """It is bad from then on, and replaced in the end."""
        self.lose()

        def refused(action):
            if (isinstance(action, act.AddLeg)
                    and action.replica_uuid == small_world.uuid(1, 'c')):
                raise execute.NotDone('mdadm failed (1): no superblock')

        self.host.broken = refused
        self.turn(40)    # twice as patient: it is a replacement itself
        self.assertIn(('volume1', 'c'), self.said('replace'))
