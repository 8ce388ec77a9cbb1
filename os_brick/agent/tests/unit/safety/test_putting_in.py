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
"""What may be put into an array, and when (S2, S10, S15)."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.safety import rules_case

MIB, C, X = rules_case.MIB, rules_case.C, rules_case.X
FAULTY, SPARE = rules_case.FAULTY, rules_case.SPARE
leg = rules_case.leg
namespace = rules_case.namespace
controller = rules_case.controller


class PuttingInTest(rules_case.RulesCase):

    def test_S10_the_bitmap_of_an_array_is_none_of_the_next_one(
            self) -> None:
        """It was stopped, and put together anew, while this waited."""
        back = dataclasses.replace(self.add, returning=True)
        self.assert_allowed(back)
        back = dataclasses.replace(back, instance='boot/1/array')
        self.assert_refused('S10: md1 was put together anew', back)
        self.assert_allowed(dataclasses.replace(back, returning=False))

    def test_S2_a_free_replica_is_added(self) -> None:
        self.assert_allowed(self.add)

    def test_nothing_is_added_to_what_is_read_only(self) -> None:
        """That would be blamed on the replica, and use up the spares."""
        self.array_state = 'readonly'
        self.assertEqual('the array is read-only', self.refusal(self.add))

    def test_S15_nothing_is_put_in_before_the_first_write(self) -> None:
        """By whatever way; what leaves need not wait for it."""
        returning = dataclasses.replace(self.add, returning=True)
        erased = dataclasses.replace(self.add, erase=True)
        exchange = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C)
        shrink = act.Resize('', 'md1', 2)
        for self.written in (False, True):
            self.legs = [leg(0), leg(1)]
            self.namespaces[2] = namespace(2, '')
            puts_in = self.assert_allowed if self.written else (
                lambda action: self.assert_refused('S15: nobody on this host '
                                                   'has written', action))
            puts_in(self.add)
            puts_in(returning)
            puts_in(erased)
            puts_in(act.Resize('', 'md1', 3))
            self.raid_disks = 3
            self.assert_allowed(shrink)
            self.raid_disks = 2
            self.legs.append(leg(2, SPARE, None))
            self.namespaces[2] = namespace(2)
            puts_in(exchange)
            self.legs[2] = leg(2, FAULTY, None)
            self.assert_allowed(act.RemoveLeg('', 'md1', 'nvme2n1'))
            self.controllers[0] = controller(0, 'connecting')
            self.assert_allowed(self.drop)
            self.controllers[0] = controller(0)

    def test_S2_stranger_is_not_added(self) -> None:
        self.namespaces.append(namespace(3, ''))
        self.assert_refused('S2', act.AddLeg('', 'md1', 'nvme3n1', X, False))
        self.assert_refused('S2', act.AddLeg('', 'md1', 'nvme3n1', C, False))

    def test_S2_held_namespace_is_not_added(self) -> None:
        for holder in ('md1', 'md7', 'dm-0'):
            self.namespaces[2] = namespace(2, holder)
            self.assert_refused('S2', self.add)

    def test_S2_mounted_or_partitioned_namespace_is_not_added(self) -> None:
        self.namespaces[2] = dataclasses.replace(
            self.namespaces[2], in_use='it is mounted on /srv')
        self.assert_refused('S2', self.add)

    def test_S2_namespace_must_be_large_enough(self) -> None:
        self.namespaces[2] = namespace(2, '', 33 * MIB)
        self.assert_allowed(self.add)
        self.namespaces[2] = namespace(2, '', 33 * MIB - 1)
        self.assert_refused('S2', self.add)

    def test_S2_only_a_replica_takes_the_place_of_another(self) -> None:
        self.legs.append(leg(3, SPARE, None))
        self.assert_refused('S2', act.ReplaceLeg('', 'md1', 'nvme0n1',
                                                 'nvme3n1', X))

    def test_S2_the_spare_is_the_replica_that_was_meant(self) -> None:
        """Its name was given to another one since it was decided."""
        self.legs.append(leg(2, SPARE, None))
        exchange = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C)
        self.assert_allowed(exchange)
        self.assert_refused('S2: the spare nvme2n1 is %s, not %s' % (C, X),
                            dataclasses.replace(exchange, replica_uuid=X))

    def test_nothing_is_added_without_a_copy_to_read(self) -> None:
        self.controllers[:2] = [controller(0, 'connecting'),
                                controller(1, 'connecting')]
        self.assertIsNotNone(self.refusal(self.add))
