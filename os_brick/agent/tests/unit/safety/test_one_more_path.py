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
"""The last look before a leg that is reached gets one more path."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import connections
from os_brick.agent.safety import rules
from os_brick.agent.tests.unit.safety import rules_case

A, C, X = rules_case.A, rules_case.C, rules_case.X
HAD, LACKING, STRANGE = (model.Portal('192.0.2.%d' % number, 4420)
                         for number in range(3))
TARGET = model.Target('nqn.t0', (HAD, LACKING))


class OneMorePathTest(rules_case.RulesCase):
    """A is reached through one of the two portals of its target."""

    def setUp(self) -> None:
        super().setUp()
        self.controllers[0] = dataclasses.replace(self.controllers[0],
                                                  portal=HAD)
        self.name(TARGET)

    def name(self, target: model.Target | None) -> None:
        """The provisioner says where A is."""
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            dataclasses.replace(replica, target=target)
            if replica.uuid == A else replica
            for replica in self.volume.replicas))

    def more(self, uuid: str = A, portal: model.Portal = LACKING,
             nqn: str = 'nqn.t0') -> act.Connect:
        return act.Connect('', uuid, model.Target(nqn, TARGET.portals),
                           (portal,), True)

    def test_what_lacks_it_gets_it(self) -> None:
        self.assert_allowed(self.more())
        # it was not asked, or does not answer
        self.name(None)
        self.assert_allowed(self.more())

    def test_not_what_the_provisioner_does_not_name(self) -> None:
        why = 'the provisioner does not name all of '
        self.assertIn(why, self.refusal(self.more(portal=STRANGE)) or '')
        self.name(dataclasses.replace(TARGET, portals=(HAD,)))
        self.assertIn(why, self.refusal(self.more()) or '')
        self.name(dataclasses.replace(TARGET, nqn='nqn.t1'))
        self.assertIn(why, self.refusal(self.more()) or '')

    def test_not_what_is_connected(self) -> None:
        for state in ('live', 'connecting', 'deleting'):
            self.controllers[3] = dataclasses.replace(
                self.controllers[3], nqn='nqn.t0', portal=LACKING,
                state=state)
            self.assert_refused(connections.THERE, self.more())
        self.assertIn(connections.THERE, rules.ENDED)

    def test_s4_only_a_leg_of_this_volume(self) -> None:
        self.assert_refused('S4', self.more(C))
        self.assert_refused('S4', self.more(X))
        self.assert_refused('S4', self.more(), ours=())
        self.legs[0] = rules_case.leg(0, rules_case.FAULTY)
        self.assert_refused('S4', self.more())

    def test_s4_only_beside_a_path_that_lives(self) -> None:
        self.name(None)
        self.assert_refused('S4', self.more(nqn='nqn.t1'))
        self.controllers[0] = dataclasses.replace(self.controllers[0],
                                                  state='connecting')
        self.assert_refused('S4', self.more())
