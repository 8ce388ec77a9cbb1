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
"""What only one copy holds is not given up for what lacks it."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import farewell
from os_brick.agent.tests.unit.safety import rules_case
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState
A, B, C = rules_case.A, rules_case.B, rules_case.C
HERE, THERE = ((0, 8),), ((100, 108),)


class BadBlocksTest(rules_case.RulesCase):
    """Leg A is lost; leg B lacks blocks where a test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.controllers[0] = rules_case.controller(0, 'connecting')

    def lacks(self, number: int, bad: tuple[tuple[int, int], ...]) -> None:
        self.legs[number] = dataclasses.replace(self.legs[number], bad=bad)

    def third(self, bad: tuple[tuple[int, int], ...]) -> None:
        self.legs[2:] = [dataclasses.replace(rules_case.leg(2), bad=bad)]
        self.namespaces[2] = rules_case.namespace(2)

    def test_S1_a_lost_leg_is_not_failed(self) -> None:
        self.assert_allowed(self.drop)
        self.lacks(1, HERE)
        self.assert_refused('S1: the other legs', self.drop)
        self.lacks(0, HERE)
        self.assert_allowed(self.drop)    # they lack the same

    def test_S1_others_may_hold_it_together(self) -> None:
        self.lacks(1, HERE)
        self.third(THERE)
        self.assert_allowed(self.drop)
        # then both of them have to be there
        for silent in ('nvme1n1', 'nvme2n1'):
            self.silent = frozenset([silent])
            self.assert_refused('S11', self.drop)
        self.silent = frozenset()
        self.third(HERE)
        self.assert_refused('S1', self.drop)

    def test_S1_one_that_lacks_nothing_is_enough(self) -> None:
        self.lacks(1, HERE)
        self.third(())
        self.silent = frozenset(['nvme1n1'])
        self.assert_allowed(self.drop)
        self.silent = frozenset(['nvme2n1'])
        self.assert_refused('S1', self.drop)

    def test_S1_its_connection_is_not_closed(self) -> None:
        close = act.Disconnect('', 'nvme0')
        self.assert_allowed(close)
        self.lacks(1, HERE)
        self.assert_refused('S1: the other good legs', close)
        # what md has dropped is no longer waited for
        self.legs[0] = rules_case.leg(0, rules_case.FAULTY)
        self.assert_allowed(close)

    def test_S1_who_alone_holds_some_is_not_exchanged(self) -> None:
        """md would let go of it, whatever the spare has refused meanwhile."""
        self.controllers[0] = rules_case.controller(0)
        self.legs.append(rules_case.leg(2, rules_case.SPARE, None))
        self.namespaces[2] = rules_case.namespace(2)
        exchange = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C)
        self.assert_allowed(exchange)
        self.lacks(1, HERE)
        self.assert_refused('S1: the other legs', exchange)
        self.assert_allowed(dataclasses.replace(exchange, device='nvme1n1'))

    def test_S11_no_working_leg_goes_for_one_that_lacks_blocks(self) -> None:
        self.controllers[0] = rules_case.controller(0)
        self.mark(A, State.TERMINATING)
        self.forget(C)
        self.assert_allowed(self.drop)
        self.lacks(1, HERE)
        self.assert_refused('S1', self.drop)
        self.lacks(0, HERE)
        self.assert_refused('S11', self.drop)

    def test_S10_a_former_copy_is_not_put_in(self) -> None:
        """md would mark what no leg holds as bad on it, too."""
        self.legs = [rules_case.leg(1, slot=0)]
        self.controllers[0] = rules_case.controller(0)
        returning = dataclasses.replace(self.add, returning=True)
        behind = superblocks.content(superblocks.of(7, 8, [0]))
        for content in (behind, superblocks.content()):
            self.contents = {'nvme2n1': content}
            self.lacks(0, ())
            self.assert_allowed(self.add)
            self.assert_allowed(returning)
        self.lacks(0, HERE)
        self.assert_allowed(self.add)    # it is blank
        self.contents = {'nvme2n1': behind}
        for add in (self.add, returning):
            self.assert_refused('S10: all legs of md1 that are in sync lack '
                                'blocks (4 KiB)', add)
        # one that lacks them itself loses nothing by it
        for bad in (HERE, ((0, 16),)):
            self.contents = {'nvme2n1': superblocks.content(
                dataclasses.replace(superblocks.of(7, 8, [0]), bad=bad))}
            self.assert_allowed(self.add)
            self.assert_allowed(returning)
        self.contents = {'nvme2n1': superblocks.content(dataclasses.replace(
            superblocks.of(7, 8, [0]), bad=((0, 4),)))}
        self.assert_refused('S10', returning)
        self.contents = {'nvme2n1': behind}
        # the operator has said that it is not the one
        self.assert_allowed(dataclasses.replace(self.add, erase=True))
        # what another leg holds is copied from that one
        self.legs.append(dataclasses.replace(rules_case.leg(0), bad=THERE))
        self.contents['nvme2n1'] = superblocks.content(
            superblocks.of(7, 8, [0, 1]))
        self.assert_allowed(returning)

    def giving_up(self, *bad: tuple[tuple[int, int], ...],
                  answered: tuple[str, ...] = ('nvme0n1', 'nvme1n1')
                  ) -> str | None:
        """Why C must not be let go beside legs that lack these."""
        legs = tuple(dataclasses.replace(rules_case.leg(number), bad=one)
                     for number, one in enumerate(bad))
        array = model.Array('md1', 'v', None, len(legs), 0, 'active', 'idle',
                            1 << 20, legs)
        snapshot = snapshots.HostSnapshot(
            tuple(map(rules_case.controller, range(3))),
            tuple(self.namespaces), (array,))
        return farewell.giving_up(C, self.volume, array, snapshot,
                                  answered)

    def test_S11_a_copy_is_not_let_go_for_those_that_lack_blocks(
            self) -> None:
        self.assertIsNone(self.giving_up((), ()))
        self.assertIn('lack blocks', self.giving_up(HERE, HERE) or '')
        for bad in ((HERE, THERE), (HERE, ()), ((), HERE)):
            self.assertIn('is not whole', self.giving_up(*bad) or '')
        # nor a leg that alone holds some
        self.assertIn('lack blocks', self.giving_up(
            HERE, HERE, (), answered=('nvme0n1', 'nvme1n1')) or '')
        self.assertIsNone(self.giving_up((), (), HERE))
