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
"""One good leg waits, whatever is set or let go (S9)."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.safety import rules_case

IN_SYNC, FAULTY = rules_case.IN_SYNC, rules_case.FAULTY
leg = rules_case.leg
namespace = rules_case.namespace
controller = rules_case.controller


class WhoWaitsTest(rules_case.RulesCase):

    def test_S9_one_good_leg_waits(self) -> None:
        fast = act.SetFastIoFail('', 'nvme0', 1.0)
        self.assert_allowed(fast)
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_refused('S9', fast)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S9', fast)
        self.assert_allowed(act.SetFastIoFail('', 'nvme1', None))

    def test_S9_one_path_that_waits_is_enough(self) -> None:
        self.controllers[1] = controller(1, tmo=1.0)
        self.namespaces[0] = dataclasses.replace(
            self.namespaces[0], controllers=('nvme0', 'nvme3'))
        self.assert_allowed(act.SetFastIoFail('', 'nvme3', 1.0))
        self.controllers[3] = controller(3, tmo=1.0)
        self.assert_refused('S9', act.SetFastIoFail('', 'nvme0', 1.0))

    def test_S9_the_last_leg_that_waits_is_not_failed(self) -> None:
        """Also a lost one: the others would end I/O with an error."""
        self.controllers[0] = controller(0, 'connecting')
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_refused('S9', self.drop)
        self.controllers[1] = controller(1)
        self.assert_allowed(self.drop)
        # one that was to fail fast itself may go
        self.controllers[0] = controller(0, 'connecting', 1.0)
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_allowed(self.drop)

    def test_S9_one_good_leg_is_without_failfast(self) -> None:
        """md's own flag, which os-brick sets on every leg."""
        flag = act.SetFailfast('', 'md1', 'nvme0n1', True)
        self.assert_allowed(flag)
        self.legs[1] = leg(1, IN_SYNC | {'failfast'})
        self.assert_refused('S9', flag)
        self.assert_allowed(act.SetFailfast('', 'md1', 'nvme1n1', False))
        self.legs[1] = leg(1, FAULTY)
        self.assert_refused('S9', flag)
        self.assert_refused('S4', flag, ours=())

    def test_S9_the_last_path_that_waits_is_not_disconnected(self) -> None:
        """It leads to a lost leg, and is a good one's patient path too."""
        self.legs.append(leg(2))
        self.namespaces[1] = dataclasses.replace(
            self.namespaces[1], controllers=('nvme0', 'nvme1'))
        self.namespaces[2] = namespace(2)
        self.controllers[0] = controller(0, 'connecting')
        self.controllers[1] = controller(1, tmo=1.0)
        self.controllers[2] = controller(2, tmo=1.0)
        self.assert_refused('S9', act.Disconnect('', 'nvme0'))
        self.controllers[2] = controller(2)
        self.assert_allowed(act.Disconnect('', 'nvme0'))
