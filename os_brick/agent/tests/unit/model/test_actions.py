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

from __future__ import annotations

import inspect
import typing

from oslotest import base

from os_brick.agent.model import actions as act


class TestActions(base.BaseTestCase):

    def test_every_kind_is_one_of_them(self) -> None:
        """What is none of them has no rule, and nothing that does it."""
        kinds = {kind for _name, kind in inspect.getmembers(
            act, inspect.isclass) if issubclass(kind, act.Action)}
        self.assertEqual(kinds - {act.Action},
                         set(typing.get_args(act.AnyAction)))

    def test_what_is_done_to_an_array_names_it(self) -> None:
        named = {kind for kind in typing.get_args(act.AnyAction)
                 if 'array' in kind.__dataclass_fields__}
        self.assertEqual(named, set(typing.get_args(act.ArrayAction)))

    def test_an_operator_does_not_read_what_only_a_rule_needs(self) -> None:
        action = act.AddLeg('it came back', 'md1', 'nvme1n1', 'uuid', True,
                            left=act.Departure(frozenset(['another']), 'x'))
        self.assertEqual('AddLeg array=md1 device=nvme1n1 replica_uuid=uuid '
                         'returning=True (it came back)', act.words(action))
