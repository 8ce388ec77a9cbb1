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
"""What has to answer before a copy is given up (S11)."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock
from os_brick.agent.safety import farewell
from os_brick.agent.tests.unit.safety import rules_case
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState
A, B, C = rules_case.A, rules_case.B, rules_case.C


class FarewellTest(rules_case.RulesCase):
    """A is TERMINATING; C is listed only where a test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.mark(A, State.TERMINATING)

    def legs_of(self, *numbers: int) -> None:
        self.legs = [rules_case.leg(number, slot=slot) for slot, number
                     in enumerate(numbers)]
        self.raid_disks = len(numbers)
        self.namespaces = [rules_case.namespace(
            number, 'md1' if number in numbers else '')
            for number in range(3)]

    def test_S11_a_working_leg_goes_only_when_the_others_answer(self) -> None:
        self.forget(C)
        self.assert_allowed(self.drop)
        self.silent = frozenset(['nvme1n1'])
        self.assert_refused('S11', self.drop)

    def test_S1_a_lost_leg_goes_only_when_another_one_answers(self) -> None:
        self.controllers[0] = rules_case.controller(0, 'connecting')
        self.legs_of(0, 1, 2)
        for silent in ((), ('nvme1n1',), ('nvme2n1',)):
            self.silent = frozenset(silent)
            self.assert_allowed(self.drop)
        self.silent = frozenset(['nvme1n1', 'nvme2n1'])
        self.assert_refused('S1', self.drop)
        # what only the kernel still calls good is no witness
        self.silent = frozenset(['nvme1n1'])
        self.controllers[2] = rules_case.controller(2, 'connecting')
        self.assert_refused('S1', self.drop)

    def test_S1_a_leg_that_holds_nothing_yet_needs_no_witness(self) -> None:
        self.controllers[0] = rules_case.controller(0, 'connecting')
        self.legs[0] = rules_case.leg(0, rules_case.SPARE, None)
        self.silent = frozenset(['nvme1n1', 'nvme2n1'])
        self.assert_allowed(self.drop)

    def test_S11_a_working_leg_goes_only_from_what_is_whole(self) -> None:
        self.assert_refused('S11', self.drop)    # C is still to come
        self.legs_of(0, 1, 2)
        self.assert_allowed(self.drop)
        self.volume = dataclasses.replace(self.volume, replica_count=3)
        self.assert_refused('S11', self.drop)
        self.volume = dataclasses.replace(self.volume, replica_count=2)
        self.controllers[2] = rules_case.controller(2, 'resetting')
        self.assert_refused('S11', self.drop)

    def test_S11_not_while_all_are_to_go(self) -> None:
        self.forget(C)
        self.mark(B, State.TERMINATING)
        self.assert_refused('S11', self.drop)

    def test_S11_a_live_connection_stays_while_the_rest_is_silent(self
                                                                  ) -> None:
        self.legs_of(1, 2)
        close = act.Disconnect('', 'nvme0')
        self.assert_allowed(close)
        for device in ('nvme1n1', 'nvme2n1'):
            self.silent = frozenset([device])
            self.assert_refused('S11', close)
        # nothing is lost by closing what leads nowhere
        self.controllers[0] = rules_case.controller(0, 'connecting')
        self.assert_allowed(close)

    def test_S11_a_live_connection_stays_while_the_array_is_not_whole(
            self) -> None:
        self.legs_of(1, 2)
        self.legs[1] = rules_case.leg(2, rules_case.FAULTY, None)
        self.contents = {'nvme0n1': superblocks.content(superblocks.of(
            0, 8, (1, 2)))}
        self.assert_refused('S11', act.Disconnect('', 'nvme0'))
        self.assertIn('whole', self.refusal(act.Disconnect(
            '', 'nvme0')) or '')

    def test_S11_what_md_has_never_written_to_is_no_copy(self) -> None:
        """It was too small, say; another one may come once it has gone."""
        self.legs_of(1, 2)
        self.legs[1] = rules_case.leg(2, rules_case.FAULTY, None)
        self.contents = {'nvme0n1': superblock.Content()}
        close = act.Disconnect('', 'nvme0')
        self.assert_allowed(close)
        self.silent = frozenset(['nvme1n1'])
        self.assert_refused('S11', close)
        self.silent = frozenset()
        # one that was a leg was wiped, or does not show it for now
        self.assert_refused('S11', dataclasses.replace(close, left=(
            (A, act.Departure(was_leg=True)),)))
        # something else on the same connection is one
        self.namespaces.append(dataclasses.replace(
            rules_case.namespace(3, ''), controllers=('nvme0',)))
        self.volume = dataclasses.replace(self.volume, replicas=(
            *self.volume.replicas, model.Replica(
                self.namespaces[-1].uuid or '', State.TERMINATING)))
        self.contents['nvme3n1'] = superblocks.content(superblocks.of(3))
        self.assert_refused('S11', close)

    def test_S10_each_behind_a_connection_is_judged_by_its_own_past(
            self) -> None:
        """A went on elsewhere; B, which the array dropped, is beside it."""
        self.legs = [rules_case.leg(3, slot=0), rules_case.leg(2)]
        self.namespaces = [dataclasses.replace(
            rules_case.namespace(number, ''), controllers=('nvme0',))
            for number in (0, 1)] + [rules_case.namespace(number)
                                     for number in (2, 3)]
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            model.Replica(uuid, State.TERMINATING) for uuid in (A, B)) + tuple(
            model.Replica(uuid, State.AVAILABLE)
            for uuid in (C, rules_case.X)))
        for number, content in ((0, (0, 8, (7,), 900.0)),
                                (1, (1, 8, (9,), 900.0)),
                                (2, (2, 30, (3,))), (3, (3, 30, (2,)))):
            self.contents['nvme%dn1' % number] = superblocks.content(
                superblocks.of(*content))
        self.instance = 'boot/1'
        dropped = act.Departure(frozenset([C, rules_case.X]), 'boot/1', True)
        close = act.Disconnect('', 'nvme0', ((B, dropped),))
        self.assert_refused('S10', close)
        self.assert_refused('S10', dataclasses.replace(
            close, left=((A, dropped),)))
        self.assert_allowed(dataclasses.replace(
            close, left=((A, dropped), (B, dropped))))
        self.assert_allowed(dataclasses.replace(close, left=(
            (A, act.Departure(given_up=True)), (B, dropped))))

    def test_S11_a_live_connection_stays_where_the_array_is_not_seen(
            self) -> None:
        self.legs_of(1, 2)
        self.known = frozenset([A])
        self.assert_refused('S', act.Disconnect('', 'nvme0'), ours=())

    def test_S11_the_spare_and_the_others_have_to_answer(self) -> None:
        self.legs.append(rules_case.leg(2, rules_case.SPARE, None))
        exchange = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C)
        self.assert_allowed(exchange)
        self.silent = frozenset(['nvme0n1'])    # that is who is to leave
        self.assert_allowed(exchange)
        for device in ('nvme1n1', 'nvme2n1'):
            self.silent = frozenset([device])
            self.assert_refused('S11', exchange)

    def test_S11_an_array_shrinks_only_to_legs_that_answer(self) -> None:
        self.raid_disks = 3
        shrink, grow = (act.Resize('', 'md1', disks) for disks in (2, 4))
        self.assert_allowed(shrink)
        self.silent = frozenset(['nvme1n1'])
        self.assert_refused('S11', shrink)
        self.assert_allowed(grow)


class BadBlocksTest(rules_case.RulesCase):
    """C is let go of, which is here; A is to leave, and is there still."""

    def why(self) -> str | None:
        snapshot = self.snapshot()
        return farewell.giving_up(C, self.volume, snapshot.arrays[0],
                                  snapshot, ['nvme0n1', 'nvme1n1'])

    def test_S11_the_array_has_to_be_whole(self) -> None:
        self.assertIsNone(self.why())
        for number in range(2):
            self.legs = [rules_case.leg(0), rules_case.leg(1)]
            self.legs[number] = dataclasses.replace(
                self.legs[number], bad=((0, 8),))
            self.assertIn('not whole', self.why() or '')

    def test_S11_bad_blocks_of_what_is_to_leave_keep_nobody(self) -> None:
        """It may go only when C has: see ``fail_working``."""
        self.mark(A, State.TERMINATING)
        self.legs[0] = dataclasses.replace(self.legs[0], bad=((0, 8),))
        self.assertIsNone(self.why())
        self.legs[1] = dataclasses.replace(self.legs[1], bad=((8, 16),))
        self.assertIn('not whole', self.why() or '')
        self.legs[1] = dataclasses.replace(self.legs[1], bad=((0, 16),))
        self.assertIn('it may hold', self.why() or '')

    def test_S11_nor_one_that_md_has_never_written_to(self) -> None:
        self.legs[1] = dataclasses.replace(self.legs[1], bad=((0, 8),))
        snapshot = self.snapshot()
        for blank in (False, True):
            why = farewell.giving_up(C, self.volume, snapshot.arrays[0],
                                     snapshot, ['nvme0n1', 'nvme1n1'], blank)
            self.assertEqual(not blank, why is not None)

    def test_S11_nor_do_its_own(self) -> None:
        """What was assigned in its place has taken another one."""
        self.legs = [rules_case.leg(number) for number in range(3)]
        self.namespaces[2] = rules_case.namespace(2)
        self.raid_disks = 3
        self.legs[2] = dataclasses.replace(self.legs[2], bad=((0, 8),))
        self.assertIsNone(self.why())
        self.legs[1] = dataclasses.replace(self.legs[1], bad=((8, 16),))
        self.assertIn('not whole', self.why() or '')
