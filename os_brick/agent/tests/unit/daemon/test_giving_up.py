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
"""A copy is given up when the others answer, and nothing is lost with it."""

from __future__ import annotations

import dataclasses
import logging
from unittest import mock

import fixtures

from os_brick.agent.healing import replica_record
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock
from os_brick.agent.safety import rules
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState


class TestGivingUp(healing_loop_case.CycleCase):
    """A copy is given up only when the others have answered just now."""

    def test_no_confirmation_while_the_others_are_silent(self):
        """The kernel calls them live: that is belief, not evidence."""
        self.lose()
        for silent in ('AC', 'A', 'C'):
            self.build()
            self.lose()
            while not self.lines('done: AddLeg'):
                self.turn()
            self.host.silent = {self.host.name(1, letter) + 'n1'
                                for letter in silent}
            self.turn(20)
            self.assertEqual([], self.said('retire') + self.said('confirm'))
            self.assertEqual(1, len(self.lines('put off', 'answer a read')),
                             self.log.output)
            self.host.silent = set()
            self.turn(5)
            self.assertEqual([('volume1', 'b')], self.said('retire'))
            self.assertEqual([('volume1', 'b')], self.said('confirm'))
            self.log = self.useFixture(fixtures.FakeLogger(
                level=logging.INFO))

    def test_no_confirmation_unread(self):
        self.lose()

        def broken(_devices):
            raise execute.NotDone('the helper is gone')
        self.host.answering_patiently = broken
        self.turn(20)
        self.assertEqual([], self.said('retire') + self.said('confirm'))


class TestSuperfluous(healing_loop_case.CycleCase):
    """S10: what is here is read before it is given up."""

    def written(self, events: int = 10, array: str = 'md-uuid-1') -> None:
        """Say what B carries; its array has 10 events."""
        self.host.written[self.host.name(1, 'B') + 'n1'] = (
            superblocks.content(superblocks.of(1, events, (0,),
                                               array=array)))

    def terminate(self, letter: str = 'b') -> None:
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                dataclasses.replace(replica, state=State.TERMINATING)
                if replica.uuid[-1] == letter else replica
                for replica in self.driver.volumes[1].replicas))

    def come_back_in_vain(self) -> None:
        """B is replaced by C, and here again before it is let go of."""
        self.turn()
        self.lose()
        while not self.lines('done: AddLeg'):
            self.turn()
        self.host.live[self.host.name(1, 'B')] = True

    def gone(self) -> list[tuple[str, ...]]:
        return self.said('retire') + self.said('confirm')

    def test_S10_a_copy_that_is_behind_goes(self):
        self.written(events=9)
        self.come_back_in_vain()
        self.turn(20)
        self.assertEqual(2, len(self.gone()))

    def test_S10_a_copy_that_is_ahead_is_not_retired(self):
        self.come_back_in_vain()
        self.written(events=99)
        self.turn(20)
        self.restart()
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertEqual(1, len(self.lines('letting go of', 'put off',
                                           'ahead of md1')))
        self.assertTrue(self.lines('its copies', 'No copy of it'))
        # until the operator says that it is not the one
        volume, = self.book.volumes()
        self.book.choose(volume, small_world.uuid(1, 'a'))
        self.turn(20)
        self.assertEqual(2, len(self.gone()))

    def without_a(self, *numbers: int) -> None:
        """Say that B carries a superblock that lists these, and not A."""
        self.host.written[self.host.name(1, 'B') + 'n1'] = (
            superblocks.content(superblocks.of(5, 9, numbers,
                                               array='md-uuid-1')))

    def c_is_there(self) -> None:
        self.host.legs[1]['C'] = (1, {'in_sync'})
        self.host.live[self.host.name(1, 'C')] = True
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=(
                *self.driver.volumes[1].replicas,
                model.Replica(small_world.uuid(1, 'c'), State.AVAILABLE)))

    def test_S10_the_number_of_a_later_leg_is_no_acquaintance(self):
        """B was in charge without A; md has given that number to C."""
        self.come_back_in_vain()
        self.without_a(1)
        self.restart()
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertTrue(self.lines('letting go of', 'put off',
                                   'in charge without any of the legs'))
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def test_S10_nor_is_it_when_its_connection_would_be_closed(self):
        self.turn()
        self.host.legs[1].pop('B')
        self.c_is_there()
        self.without_a(1)
        self.terminate()
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertFalse([action for action in self.host.did
                          if isinstance(action, act.Disconnect)])
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def a_is_lost_when_c_is_there(self) -> None:
        self.turn()
        self.host.legs[1].pop('B')
        self.turn()
        self.c_is_there()
        self.turn()
        self.host.legs[1].pop('A')
        self.host.live[self.host.name(1, 'A')] = False

    def test_S10_nor_is_it_when_the_copy_would_be_put_in(self):
        self.a_is_lost_when_c_is_there()
        self.without_a()
        self.turn(20)
        self.assertFalse([action for action in self.host.did
                          if isinstance(action, act.AddLeg)])
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def test_S10_whom_this_array_dropped_comes_back_when_all_others_left(
            self):
        self.host.instance = 'boot/1'
        self.a_is_lost_when_c_is_there()
        self.without_a(0)    # which was the number of A
        self.turn(20)
        added, = [action for action in self.host.did
                  if isinstance(action, act.AddLeg)]
        self.assertEqual(small_world.uuid(1, 'b'), added.replica_uuid)
        self.assertFalse(self.lines('its copies', 'No copy of it'))

    def test_S10_nor_does_it_once_another_array_was_put_together(self):
        self.host.instance = 'boot/1'
        self.a_is_lost_when_c_is_there()
        self.host.instance = 'boot/2'
        self.without_a(0)
        self.turn(20)
        self.assertFalse([action for action in self.host.did
                          if isinstance(action, act.AddLeg)])
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def blank_and_to_leave(self, letter: str) -> None:
        """The array lacks a leg; nothing of md's is on what is to leave."""
        self.turn()
        self.host.legs[1].pop('B')
        name = self.host.name(1, letter.upper())
        self.host.live[name] = True
        self.host.written[name + 'n1'] = superblock.Content()
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=(
                model.Replica(small_world.uuid(1, 'a'), State.AVAILABLE),
                model.Replica(small_world.uuid(1, letter),
                              State.TERMINATING)))
        self.turn(20)

    def test_S11_what_never_was_a_copy_goes_while_a_leg_is_missing(self):
        self.blank_and_to_leave('c')
        self.assertEqual(1, len(self.gone()))
        self.assertEqual([], self.lines('letting go of', 'put off'))

    def test_S11_a_former_leg_that_reads_blank_stays(self):
        self.blank_and_to_leave('b')
        self.assertEqual([], self.gone())
        self.assertTrue(self.lines('S11', 'is not whole without it'))

    def superseded(self, was_leg: bool) -> None:
        """C is of no use, D in its place in sync; A and B are lost."""
        c, d = (small_world.uuid(1, letter) for letter in 'cd')
        self.turn()
        self.host.legs[1] = {'D': (1, {'in_sync'})}
        self.lose('A')
        self.lose()
        for letter in 'CD':
            self.host.live[self.host.name(1, letter)] = True
        self.host.written[self.host.name(1, 'C') + 'n1'] = (
            superblock.Content())
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                model.Replica(uuid, State.AVAILABLE) for uuid in (c, d)))
        now = self.book.now()
        self.book.save(self.driver.volumes[1].uuid, {
            c: replica_record.ReplicaRecord(
                joined=was_leg, bad_since=now, down=1e6, requested_at=now,
                retry_at=float('inf'), successor=d, failed='too small'),
            d: replica_record.ReplicaRecord(joined=True)})
        with mock.patch.object(rules, 'unusable', return_value='too small'):
            self.turn(4)

    def test_S11_what_never_was_a_copy_is_retired_while_a_leg_is_missing(
            self):
        self.superseded(was_leg=False)
        self.assertEqual(1, len(self.said('retire')))

    def test_S11_a_former_leg_that_reads_blank_is_not_retired(self):
        self.superseded(was_leg=True)
        self.assertEqual([], self.said('retire'))
        self.assertTrue(self.lines('letting go of', 'put off', 'S11'))

    def test_S10_nor_is_another_one_asked_for_in_its_place(self):
        """It is too small, in use, or whatever else keeps it out."""
        self.turn()
        self.host.legs[1].pop('B')

        def full(action):
            if isinstance(action, act.AddLeg):
                raise execute.NotDone('no room')
        self.host.broken = full
        self.written(events=99)
        self.turn(40)
        self.assertEqual([], self.said('replace') + self.gone())
        self.assertTrue(self.lines('asking for a replacement', 'put off'))
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def test_S10_a_connection_is_not_closed_on_a_copy_that_is_ahead(self):
        self.turn()
        self.host.legs[1].pop('B')
        self.c_is_there()
        self.written(events=99)
        self.terminate()
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertIn(self.host.name(1, 'B'), self.host.live)
        self.assertTrue(self.lines('its copies', 'ahead of md1'))

    def test_S10_what_another_array_wrote_is_no_copy_unless_it_was_a_leg(
            self):
        self.written(array='another')
        self.come_back_in_vain()
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertTrue(self.lines('letting go of', 'put off', 'another'))
        # nobody's alarm: the array has all that is known to be its own
        self.assertFalse(self.lines('its copies'))

    def test_what_fails_every_read_goes(self):
        """A broken disk is what is replaced most often."""
        self.come_back_in_vain()
        self.host.unreadable = {self.host.name(1, 'B') + 'n1'}
        self.turn(20)
        self.assertEqual(2, len(self.gone()))

    def test_S10_what_takes_its_time_is_waited_for(self):
        """Its target is busy, or hangs: nobody knows what it holds."""
        self.come_back_in_vain()
        self.host.silent = {self.host.name(1, 'B') + 'n1'}
        self.turn(20)
        self.assertEqual([], self.gone())
        self.assertTrue(self.lines('letting go of', 'put off',
                                   'did not answer'))
        self.assertFalse(self.lines('its copies'))
        self.host.silent = set()
        self.turn(20)
        self.assertEqual(2, len(self.gone()))
