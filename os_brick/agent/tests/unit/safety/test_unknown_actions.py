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
"""An action that no rule knows, and one whose object is gone."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.safety import rules_case

C = rules_case.C


class UnknownTest(rules_case.RulesCase):

    def test_an_action_without_a_rule_is_refused(self) -> None:
        @dataclasses.dataclass(frozen=True)
        class Wipe(act.Action):
            array: str
            device: str

        self.assert_refused('no rule', Wipe('', 'md1', 'nvme2n1'))

    def test_what_is_gone_is_said(self) -> None:
        for action in (act.Disconnect('', 'nvme9'),
                       act.FailLeg('', 'md8', 'nvme0n1'),
                       act.FailLeg('', 'md1', 'nvme9n1'),
                       act.AddLeg('', 'md1', 'nvme9n1', C, False)):
            self.assertIn('gone', self.refusal(action) or '')
