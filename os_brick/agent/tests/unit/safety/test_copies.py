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
"""Whether a copy may be put in: what its superblock tells (S10)."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock
from os_brick.agent.safety import copies
from os_brick.agent.safety import origin
from os_brick.agent.tests.unit.model import test_superblock
from os_brick.agent.tests.unit import superblocks

Standing = copies.Standing
of = superblocks.of


def array(*numbers: int, uuid: str | None = superblocks.ARRAY) -> model.Array:
    return model.Array('md1', 'v', uuid, 2, 0, 'clean', 'idle', 1 << 20, tuple(
        model.Leg('nvme%dn1' % number, slot, frozenset(['in_sync']))
        for slot, number in enumerate(numbers)))


class CopiesTest(base.BaseTestCase):
    """nvme9n1 is to be put into an array of nvme0n1, unless said."""

    def judge(self, copy: superblock.Superblock | None,
              *legs: superblock.Superblock) -> Standing:
        found = {'nvme%dn1' % leg.number: superblocks.content(leg)
                 for leg in legs}
        found['nvme9n1'] = (superblocks.content(copy) if copy
                            else superblock.Content())
        judgement = copies.judge('nvme9n1', array(
            *[leg.number for leg in legs]), found)
        self.assertEqual(judgement.standing in (Standing.BLANK,
                                                Standing.BEHIND),
                         judgement.usable)
        return judgement.standing

    def test_S10_nothing_on_it(self) -> None:
        self.assertIs(Standing.BLANK, self.judge(None, of(0)))

    def test_S10_one_that_was_dropped(self) -> None:
        self.assertIs(Standing.BEHIND, self.judge(of(1, 8, [0]), of(0, 12)))

    def test_S10_one_that_is_ahead(self) -> None:
        self.assertIs(Standing.DIVERGENT,
                      self.judge(of(1, 14, [0]), of(0, 12)))

    def test_S10_the_one_event_that_md_takes_back(self) -> None:
        self.assertIs(Standing.BEHIND, self.judge(of(1, 13, [0]), of(0, 12)))

    def test_S10_one_that_was_in_charge_alone_and_is_behind(self) -> None:
        """The dangerous brother: the count says nothing."""
        self.assertIs(Standing.DIVERGENT,
                      self.judge(of(1, 8, [], 900.0), of(0, 30)))

    def test_S10_a_number_that_was_given_away_is_no_acquaintance(self
                                                                 ) -> None:
        other = of(1, 30)
        copy = superblock.Superblock(
            other.array_uuid, of(7).device_uuid, 8, 900.0, 1, 2, ((1, 1),))
        self.assertIs(Standing.DIVERGENT, self.judge(copy, other))

    def test_S10_a_leg_that_came_later_is_no_acquaintance(self) -> None:
        """md gave the number to it of one that was removed."""
        legs = {'nvme2n1': superblocks.content(of(2, 30, [3])),
                'nvme3n1': superblocks.content(of(3, 30, [2])),
                'nvme9n1': superblocks.content(of(1, 8, [3], 900.0))}
        two = array(2, 3)
        two = dataclasses.replace(two, legs=tuple(
            dataclasses.replace(leg, replica_uuid=leg.device)
            for leg in two.legs))
        for later, expected in (((), Standing.BEHIND),
                                ({'nvme2n1'}, Standing.BEHIND),
                                ({'nvme3n1'}, Standing.DIVERGENT),
                                ({'nvme2n1', 'nvme3n1'}, Standing.DIVERGENT)):
            self.assertIs(expected, copies.judge(
                'nvme9n1', two, legs, left=act.Departure(frozenset(later))
            ).standing, str(later))

    def test_S10_all_legs_came_after_it_had_left(self) -> None:
        """A was dropped, C copied from B, B lost: A names none but B."""
        for here, others, later, expected in (
                ('boot/1', [1], ['c'], Standing.BEHIND),
                # nothing tells that it was dropped by this array
                ('', [1], ['c'], Standing.DIVERGENT),
                ('boot/0', [1], ['c'], Standing.DIVERGENT),
                # it went on alone
                ('boot/1', [], ['c'], Standing.DIVERGENT),
                # C was there before, and is not in what it wrote last
                ('boot/1', [1], [], Standing.DIVERGENT),
                ('boot/1', [2], [], Standing.BEHIND)):
            only = array(2)
            only = dataclasses.replace(
                only, instance='boot/1', legs=(dataclasses.replace(
                    only.legs[0], replica_uuid='c'),))
            self.assertIs(expected, copies.judge('nvme9n1', only, {
                'nvme2n1': superblocks.content(of(2, 30)),
                'nvme9n1': superblocks.content(of(0, 8, others, 900.0))},
                left=act.Departure(frozenset(later), here)).standing,
                str((here, others, later)))

    def test_S10_one_leg_that_it_knows_is_enough(self) -> None:
        """The other one was exchanged meanwhile."""
        self.assertIs(Standing.BEHIND, self.judge(
            of(1, 8, [0]), of(0, 30, [2]), of(2, 30, [0])))

    def test_S10_written_later_than_the_array(self) -> None:
        self.assertIs(Standing.UNKNOWN, self.judge(
            of(1, 8, [0], 1001.0), of(0, 12, (), 1000.0)))

    def test_S10_this_hosts_clock_was_set_back_since(self) -> None:
        """What it wrote before is no later, and has fewer events."""
        legs = {'nvme0n1': superblocks.content(of(0, 12, updated=1000.0))}
        for events, updated, set_back, expected in (
                (8, 5000.0, 5000.0, Standing.BEHIND),
                (8, 5000.0, 9000.0, Standing.BEHIND),
                # between the agent's last note of the time and the step
                (8, 5000.0 + copies.NOTED_WITHIN, 5000.0, Standing.BEHIND),
                (8, 5001.0 + copies.NOTED_WITHIN, 5000.0, Standing.UNKNOWN),
                (12, 5000.0, 9000.0, Standing.UNKNOWN),
                (14, 5000.0, 9000.0, Standing.DIVERGENT),
                (8, 5000.0, None, Standing.UNKNOWN)):
            self.assertIs(expected, copies.judge('nvme9n1', array(0), {
                **legs, 'nvme9n1': superblocks.content(
                    of(1, events, [0], updated=updated))},
                origin.Background(set_back)).standing, str((
                    events, updated, set_back)))

    def test_S10_another_array(self) -> None:
        strange = of(1, 8, [0], array='0d5a1d3e-0000-4000-8000-000000000bad')
        self.assertIs(Standing.FOREIGN, self.judge(strange, of(0)))

    def test_S10_what_cannot_be_read(self) -> None:
        legs = {'nvme0n1': superblocks.content(of(0))}
        for contents in ({}, legs, {'nvme9n1': superblocks.content(of(1))}):
            self.assertIs(Standing.UNKNOWN, copies.judge(
                'nvme9n1', array(0), contents).standing)
        self.assertIs(Standing.FOREIGN, copies.judge(
            'nvme9n1', array(0), {**legs, 'nvme9n1': superblock.Content(
                (), 'its checksum is wrong')}).standing)
        broken = superblock.Content(unreadable='I/O error')
        found = copies.judge('nvme9n1', array(0), {**legs, 'nvme9n1': broken})
        self.assertIs(Standing.UNREADABLE, found.standing)
        self.assertIn('nvme9n1 cannot be read: I/O error', found.why)
        # a leg of which nothing is known is no intruder's
        self.assertIs(Standing.BEHIND, copies.judge_among(
            'nvme9n1', array(0, 1), {
                **legs, 'nvme9n1': superblocks.content(of(9, 8, [0])),
                'nvme1n1': broken}).standing)

    def test_S10_as_a_real_kernel_wrote_it(self) -> None:
        """A was dropped, B written; then A came up alone and was written."""
        a, b = (superblock.read((test_superblock.real(name),))
                for name in ('forked_a', 'forked_b'))
        uuid = a.superblocks[0].array_uuid
        for leg, copy in ((a, b), (b, a)):
            self.assertIs(Standing.DIVERGENT, copies.judge(
                'nvme9n1', array(0, uuid=uuid),
                {'nvme0n1': leg, 'nvme9n1': copy}).standing)
        a, b = (superblock.read((test_superblock.real(name),))
                for name in ('a_dropped_a', 'a_dropped_b'))
        self.assertIs(Standing.BEHIND, copies.judge(
            'nvme9n1', array(0, uuid=uuid),
            {'nvme0n1': b, 'nvme9n1': a}).standing)

    def test_another_host_that_writes(self) -> None:
        two = array(0, 1)
        fine = {'nvme0n1': superblocks.content(of(0, others=[1])),
                'nvme1n1': superblocks.content(of(1, others=[0]))}
        self.assertIsNone(copies.intruder(two, fine))
        for strange in (superblocks.content(of(0)), superblock.Content(),
                        superblocks.content(of(0, others=[1], array=(
                            '0d5a1d3e-0000-4000-8000-000000000bad')))):
            self.assertIn('nvme0n1', copies.intruder(
                two, {**fine, 'nvme0n1': strange}) or '')
