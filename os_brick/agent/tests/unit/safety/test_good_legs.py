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
"""A good leg stays, and above all the last one (S1, S3)."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.safety import rules_case

A, C, FAULTY = rules_case.A, rules_case.C, rules_case.FAULTY
SPARE = rules_case.SPARE
State = rules_case.State
leg = rules_case.leg
namespace = rules_case.namespace
controller = rules_case.controller


class LastGoodLegTest(rules_case.RulesCase):

    def test_S1_last_good_leg_is_not_failed(self) -> None:
        self.mark(A, State.TERMINATING)
        self.forget(C)
        self.assert_allowed(self.drop)
        for spoil in (FAULTY, SPARE):
            self.legs[1] = leg(1, spoil)
            self.assert_refused('S1', self.drop)

    def test_S1_the_other_leg_must_answer(self) -> None:
        self.mark(A, State.TERMINATING)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S1', self.drop)
        self.controllers[1] = controller(1, 'resetting')
        self.assert_refused('S1', self.drop)

    def test_an_unknown_state_is_lost_and_not_cut(self) -> None:
        """The kernel may hold I/O on purpose until it is safe to fail it."""
        self.controllers[0] = controller(0, 'fencing')
        for action in (act.Disconnect('', 'nvme0'),
                       act.ResetConnection('', 'nvme0', None)):
            self.assert_refused("nvme0 is in the state 'fencing'", action)
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(act.Disconnect('', 'nvme0'))
        self.controllers[1] = controller(1, 'fenced')
        self.assert_refused('S1', self.drop)

    def test_S1_a_vanished_leg_is_no_other_leg(self) -> None:
        """Its name was given to another namespace since."""
        self.mark(A, State.TERMINATING)
        self.legs[1] = dataclasses.replace(self.legs[1], replica_uuid=None)
        self.assert_refused('S1', self.drop)

    def test_S1_last_good_leg_is_not_replaced(self) -> None:
        self.legs.append(leg(2, SPARE, None))
        replace = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C)
        self.assert_allowed(replace)
        self.legs[1] = leg(1, FAULTY, None)
        self.assert_refused('S1', replace)

    def test_S1_last_good_leg_is_not_disconnected(self) -> None:
        disconnect = act.Disconnect('', 'nvme0')
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(disconnect)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S1', disconnect)
        # md has let go of it: with it hangs what another array writes
        self.legs[0] = leg(0, FAULTY)
        self.assert_allowed(disconnect)

    def test_S1_both_legs_behind_one_controller(self) -> None:
        self.namespaces[1] = dataclasses.replace(
            self.namespaces[1], controllers=('nvme0',))
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('S1', act.Disconnect('', 'nvme0'))

    def test_S1_array_does_not_shrink_below_its_legs(self) -> None:
        self.raid_disks = 3
        self.assert_allowed(act.Resize('', 'md1', 2))
        self.assert_refused('S3', act.Resize('', 'md1', 1))
        self.legs[1] = leg(1, FAULTY, None)
        self.assert_refused('S1', act.Resize('', 'md1', 2))
        self.assert_refused('S3', act.Resize('', 'md1', 0))
        self.assert_allowed(act.Resize('', 'md1', 4))

    def test_S1_a_silent_connection_needs_another_leg(self) -> None:
        """It is live for the kernel; a working leg may be given up."""
        reset = act.ResetConnection('', 'nvme0', None)
        self.assert_allowed(reset)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S9', reset)
        self.controllers[0] = controller(0, tmo=1.0)
        self.assert_refused('S1', reset)
        self.controllers[1] = controller(1)
        self.assert_refused('S4', reset, ours=())

    def test_S1_S4_a_portals_connections_are_given_up_together(self) -> None:
        """Whoever else is connected to it loses that, too."""
        portal = model.Portal('192.0.2.1', 4420)
        reset = act.ResetConnection('', 'nvme0', portal)
        self.controllers[0] = dataclasses.replace(controller(0),
                                                  portal=portal)
        self.assert_allowed(reset)
        # the other leg is behind the same portal
        self.controllers[1] = dataclasses.replace(controller(1),
                                                  portal=portal)
        self.legs.append(leg(2))
        self.namespaces[2] = namespace(2)
        self.assert_allowed(reset)
        self.legs[2] = leg(2, FAULTY)
        self.assert_refused('S9', reset)
        self.controllers[0] = dataclasses.replace(self.controllers[0],
                                                  fast_io_fail_tmo=1.0)
        self.controllers[1] = dataclasses.replace(self.controllers[1],
                                                  fast_io_fail_tmo=1.0)
        self.assert_refused('S1', reset)
        # somebody else is
        self.controllers[1] = controller(1)
        self.controllers[3] = dataclasses.replace(controller(3),
                                                  portal=portal)
        self.assert_refused('S4', reset)
        self.assert_allowed(dataclasses.replace(reset, portal=None))


class WorkingLegTest(rules_case.RulesCase):

    def test_S3_working_leg_is_not_failed(self) -> None:
        self.assert_refused('S3', self.drop)
        self.mark(A, State.MISSING)
        self.assert_refused('S3', self.drop)
        self.mark(A, State.TERMINATING)
        self.forget(C)
        self.assert_allowed(self.drop)

    def test_S3_lost_leg_is_failed(self) -> None:
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(self.drop)

    def test_S3_leg_in_use_is_not_removed(self) -> None:
        remove = act.RemoveLeg('', 'md1', 'nvme0n1')
        self.assert_refused('S3', remove)
        self.legs[0] = leg(0, SPARE, 0)
        self.assert_refused('S3', remove)
        for idle in (leg(0, FAULTY, None), leg(0, SPARE, None)):
            self.legs[0] = idle
            self.assert_allowed(remove)

    def test_S3_controller_of_a_working_leg_stays(self) -> None:
        self.assert_refused('S3', act.Disconnect('', 'nvme0'))
        self.legs[0] = leg(0, FAULTY, None)
        self.assert_allowed(act.Disconnect('', 'nvme0'))

    def test_S3_second_path_of_a_working_leg_may_go(self) -> None:
        self.namespaces[0] = dataclasses.replace(
            self.namespaces[0], controllers=('nvme0', 'nvme3'))
        self.assert_allowed(act.Disconnect('', 'nvme3'))
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('S3', act.Disconnect('', 'nvme3'))
