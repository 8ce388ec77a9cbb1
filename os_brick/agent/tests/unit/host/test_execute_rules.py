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
"""The last look before an action: what the rules refuse then."""

from __future__ import annotations

import os
from unittest import mock

from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.host import execute_case

A, B, C = execute_case.A, execute_case.B, execute_case.C
VOLUME, OWNED = execute_case.VOLUME, execute_case.OWNED


class TestRules(execute_case.ActionsCase):

    def test_s1_the_last_good_leg_is_not_failed(self):
        self.host.set_controller('nvme1', state='connecting')
        self.refused(act.FailLeg('', 'md127', 'nvme2n1'), 'S1')
        self.assertEqual([], self.called())

    def test_S11_the_other_leg_is_asked_before_a_working_one_goes(self):
        volume = model.Volume(VOLUME.uuid, 'volume', None, (
            model.Replica(A, model.ReplicaState.TERMINATING),
            model.Replica(B)))
        action = act.FailLeg('', 'md127', 'nvme1n1')
        self.privileged.answering.return_value = []
        error = self.assertRaises(execute.Refused, self.executor.execute,
                                  action, volume, OWNED)
        self.assertIn('S11: nvme2n1 of md127 did not answer', str(error))
        self.privileged.fail.assert_not_called()
        self.privileged.answering.return_value = ['nvme2n1']
        self.executor.execute(action, volume, OWNED)
        self.privileged.fail.assert_called_once_with('md127', 'nvme1n1')

    def test_nobody_is_asked_for_what_is_refused_anyway(self):
        self.refused(act.FailLeg('', 'md127', 'nvme1n1'), 'S3')
        self.privileged.answering.assert_not_called()

    def test_the_look_is_taken_after_the_lock_is_held(self):
        """What another one did meanwhile is seen."""
        action = act.AddLeg('', 'md127', 'nvme3n1', C, False)
        scan = self.scanner.scan
        seen = []

        def look():
            seen.append(os.path.exists(os.path.join(
                self.locks, 'os-brick-connect_volume')))
            self.host.set_array('md127', raid_disks=2)
            self.host.hold('nvme3n1', 'md127')
            return scan()

        with mock.patch.object(self.scanner, 'scan', look):
            self.refused(action, 'S2', 'in use by md127')
        self.assertEqual([True], seen)
        self.assertEqual([], self.called())

    def test_s4_a_foreign_array_is_not_touched(self):
        error = self.assertRaises(
            execute.Refused, self.executor.execute,
            act.RemoveLeg('', 'md127', 'nvme1n1'), VOLUME, ownership.Owned())
        self.assertIn('S4', str(error))

    def test_s2_what_cannot_be_looked_at_is_not_free(self):
        """No descriptor left: nothing was tried, and no leg is to blame."""
        why = 'this host cannot be looked at: Too many open files'
        with mock.patch.object(self.scanner, 'scan', mock.Mock(
                side_effect=attributes.Exhausted(why))):
            self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False), why)
        self.assertEqual([], self.called())

    def test_a_stale_plan_is_refused(self):
        self.refused(act.RemoveLeg('', 'md9', 'nvme1n1'), 'gone')
