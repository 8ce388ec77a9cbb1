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
"""A copy that was in charge before the array came up on an older one (S10)."""

from __future__ import annotations

import dataclasses
import uuid as uuid_lib

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import copies
from os_brick.agent.safety import origin
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reading
from os_brick.agent.safety import superfluous
from os_brick.agent.tests.unit.safety import test_copies
from os_brick.agent.tests.unit import superblocks

Standing = copies.Standing
of = superblocks.of


def uuid(number: int) -> str:
    return str(uuid_lib.UUID(int=number))


def numbered(number: int, device: int, events: int,
             others: tuple[int, ...] = ()) -> superblock.Superblock:
    """That of a device which has another number than it once had."""
    return dataclasses.replace(
        of(number, events, others, 900.0),
        device_uuid=of(device).device_uuid)


class OriginTest(base.BaseTestCase):
    """nvme9n1, which lists leg nvme2n1, comes to an array that went on."""

    def judge(self, copy: superblock.Superblock,
              events: int | None, legs: frozenset[str] = frozenset(),
              instance: str = 'boot/1', noted: str = 'boot/1',
              written: bool = True, left: str = '',
              **others: superblock.Superblock) -> copies.Judgement:
        """:param events: with which the array came up; None: not noted."""
        array = dataclasses.replace(test_copies.array(2), instance=instance)
        past = origin.Background(origins={} if events is None else {
            noted: origin.Origin(events, legs, written)})
        return copies.judge('nvme9n1', array, {
            'nvme2n1': superblocks.content(of(2, 30)),
            'nvme9n1': superblocks.content(copy),
            **{device: superblocks.content(other)
               for device, other in others.items()}}, past,
            act.Departure(instance=left), 'b')

    def test_S10_one_that_was_ahead_when_the_array_came_up(self) -> None:
        copy = of(1, 20, [2], 900.0)
        self.assertTrue(self.judge(copy, None).usable)
        found = self.judge(copy, 12)
        self.assertIs(Standing.DIVERGENT, found.standing)
        self.assertIn('20 changes against 12', found.why)
        self.assertTrue(self.judge(copy, 19).usable)
        self.assertIs(Standing.DIVERGENT, self.judge(copy, 18).standing)

    def test_S10_one_that_was_a_leg_since(self) -> None:
        """md has counted on while it was one."""
        copy = of(1, 20, [2], 900.0)
        self.assertTrue(self.judge(copy, 12, frozenset('b')).usable)
        self.assertFalse(self.judge(copy, 12, frozenset('c')).usable)

    def test_S10_one_that_md_was_copying_to_was_never_in_charge(self
                                                                ) -> None:
        """udev put it in, and it left again before anybody looked."""
        copy = dataclasses.replace(of(1, 20, [2], 900.0), complete=False)
        self.assertTrue(self.judge(copy, 12).usable)

    def test_S10_one_that_left_this_very_instance(self) -> None:
        """Its count is the array's own, and so were those it lists."""
        copy = of(1, 20, [2], 900.0)
        self.assertTrue(self.judge(copy, 12, left='boot/1').usable)
        self.assertFalse(self.judge(copy, 12, left='boot/0').usable)
        # B is given up, and had number 2 before it was C's
        given_up = numbered(2, 7, 300)
        self.assertTrue(self.judge(copy, None, left='boot/1',
                                   nvme3n1=given_up).usable)
        self.assertFalse(self.judge(copy, None, nvme3n1=given_up).usable)

    def test_S10_nobody_on_this_host_has_written_to_it_yet(self) -> None:
        """Whoever does may have counted on."""
        self.assertTrue(self.judge(of(1, 20, [2], 900.0), 12,
                                   written=False).usable)

    def test_S10_what_was_noted_of_another_instance_says_nothing(self
                                                                 ) -> None:
        self.assertTrue(self.judge(of(1, 20, [2], 900.0), 12,
                                   noted='boot/0').usable)

    def test_S10_where_the_kernel_does_not_number_arrays(self) -> None:
        array = model.Array('md1', 'v', 'u', 2, 0, 'clean', 'idle', 1)
        self.assertEqual('md1 u', origin.instance(array))
        self.assertFalse(self.judge(
            of(1, 20, [2], 900.0), 12, instance='',
            noted='md1 ' + superblocks.ARRAY).usable)

    def test_S10_a_number_that_another_copy_had_when_it_was_written(self
                                                                    ) -> None:
        """The leg had number 2 long ago, and the copy beside it after it."""
        copy = of(1, 20, [2], 900.0)
        for events, device, expected in (
                (20, 7, Standing.DIVERGENT), (25, 7, Standing.DIVERGENT),
                # md may write one of them an event earlier
                (19, 7, Standing.DIVERGENT),
                # gone when this one was written: the number was the leg's
                (18, 7, Standing.BEHIND),
                # the leg's own former name
                (20, 2, Standing.BEHIND)):
            self.assertIs(expected, self.judge(
                copy, None, nvme3n1=numbered(2, device, events)).standing,
                str((events, device)))

    def test_S10_another_arrays_copy_beside_it_says_nothing(self) -> None:
        strange = dataclasses.replace(numbered(2, 7, 20),
                                      array_uuid='another')
        self.assertTrue(self.judge(of(1, 20, [2], 900.0), None,
                                   nvme3n1=strange).usable)
        # nor where md does not say which array it is
        array = dataclasses.replace(test_copies.array(2), uuid=None)
        self.assertTrue(copies.judge('nvme9n1', array, {
            'nvme2n1': superblocks.content(of(2, 30)),
            'nvme9n1': superblocks.content(of(1, 20, [2], 900.0)),
            'nvme3n1': superblocks.content(strange)}).usable)

    def test_S10_whose_superblocks_are_read(self) -> None:
        """The copy, the good legs, and the volume's others that answer."""
        array = model.Array('md1', 'v', None, 3, 0, 'clean', 'idle', 1, tuple(
            model.Leg('nvme%dn1' % number, number, frozenset(flags.split()),
                      uuid(number))
            for number, flags in enumerate(('in_sync', 'faulty', 'spare'))))
        snapshot = snapshots.HostSnapshot(tuple(
            model.Controller('nvme%d' % number, 'nqn.%d' % number, None, None,
                             'connecting' if number == 5 else 'live')
            for number in range(7)), tuple(
            model.Namespace('nvme%dn1' % number, uuid(number), 1,
                            ('nvme%d' % number,)) for number in range(7)),
            (array,))
        volume = model.Volume(uuid(99), 'v', None, tuple(
            model.Replica(uuid(number)) for number in range(6)))
        self.assertEqual(
            {'nvme0n1', 'nvme3n1', 'nvme4n1'},
            copies.to_be_read('nvme3n1', array, volume, snapshot))
        self.assertEqual(
            {'nvme0n1', 'nvme3n1', 'nvme4n1'},
            superfluous.to_be_read(uuid(4), array, volume, snapshot))
        action = act.AddLeg('', 'md1', 'nvme4n1', uuid(4), True)
        self.assertEqual(
            {'nvme0n1', 'nvme3n1', 'nvme4n1'},
            reading.to_be_read(action, volume, snapshot, ownership.Owned()))

    def test_S10_whoever_judges_knows_with_how_many_it_came_up(self) -> None:
        """Before a copy is put in, and before it is given up."""
        array = dataclasses.replace(test_copies.array(2), instance='boot/1')
        snapshot = snapshots.HostSnapshot((
            model.Controller('nvme9', 'nqn.9', None, None, 'live'),), (
            model.Namespace('nvme9n1', uuid(1), 1, ('nvme9',)),), (array,))
        contents = {'nvme2n1': superblocks.content(of(2, 30)),
                    'nvme9n1': superblocks.content(of(1, 20, [2], 900.0))}
        volume = model.Volume(uuid(99), 'v', None, (model.Replica(uuid(1)),))
        action = act.AddLeg('', 'md1', 'nvme9n1', uuid(1), True)
        for legs, expected in ((frozenset[str](), Standing.DIVERGENT),
                               (frozenset([uuid(1)]), Standing.BEHIND)):
            past = origin.Background(origins={
                'boot/1': origin.Origin(12, legs, True)})
            self.assertIs(expected, superfluous.judged(
                uuid(1), array, snapshot, contents, past).standing)
            found = reading.judged(action, volume, snapshot,
                                   ownership.Owned(), contents, past)
            self.assertIs(expected, found[uuid(1)].standing)
