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
"""One pass after the other, through outages, defects and restarts."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sqlite3
from unittest import mock

import fixtures

from os_brick.agent.daemon import healing_pass
from os_brick.agent.healing import decision
from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks
from os_brick.agent.vendors import base

State = model.ReplicaState


class CycleCase(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def lose(self, letter: str = 'B', number: int = 1) -> None:
        self.host.live[self.host.name(number, letter)] = False

    def refuse(self, *names: str, error: BaseException | None = None,
               volume: str | None = None) -> None:
        """Let these calls of the provisioner fail from now on."""
        error = error or base.Unavailable('192.0.2.99 does not answer')

        def broken(name: str, alias: str) -> None:
            if name in names and volume in (None, alias):
                raise error

        self.driver.broken = broken

    def mend(self) -> None:
        self.driver.broken = lambda name, volume: None

    def legs(self, number: int = 1) -> set[str]:
        return {letter for letter, (_slot, flags)
                in self.host.legs[number].items() if 'in_sync' in flags}

    def lines(self, *words: str) -> list[str]:
        return [line for line in self.log.output.splitlines()
                if all(word in line for word in words)]


class TestHealing(CycleCase):

    def test_nothing_happens_to_what_is_whole(self):
        self.turn(5)
        self.assertEqual([], self.host.did)
        self.assertEqual({'heartbeat', 'volumes', 'event'},
                         {words[0] for words in self.driver.said})

    def test_what_has_not_changed_is_not_thought_over(self):
        scan, last = self.cycle._observer._scan, attributes.Latest()

        def same() -> snapshots.HostSnapshot:
            # as the real scanner does it
            snapshot = scan()
            kept: snapshots.HostSnapshot = last.get(
                snapshots.HostSnapshot, snapshot.controllers,
                snapshot.namespaces, snapshot.arrays)
            return kept

        self.cycle._observer._scan = same
        self.turn(3)
        with contextlib.ExitStack() as patched:
            asked = [patched.enter_context(mock.patch.object(where, name))
                     for where, name in (
                         (decision, 'decide'), (decision, 'around'),
                         (ownership, 'match'), (ownership, 'Index'),
                         (self.book, 'records'), (self.book, 'pending'))]
            self.turn(3)
        for one in asked:
            one.assert_not_called()
        self.lose()
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def test_what_changes_is_claimed_anew(self):
        self.turn(3)
        volume = self.driver.volumes[1]
        self.assertEqual({volume.uuid: volume},
                         dict(self.claimed[-1].volumes))
        self.lose()
        self.turn(20)
        self.assertNotEqual(volume, self.driver.volumes[1])
        self.assertEqual({volume.uuid: self.driver.volumes[1]},
                         dict(self.claimed[-1].volumes))
        self.assertIn(small_world.uuid(1, 'c'),
                      self.claimed[-1].legs[volume.uuid])
        # and the guard is not woken by what has not changed
        last = self.claimed[-1]
        self.turn(2)
        self.assertIs(last, self.claimed[-1])

    def test_a_lost_replica_is_replaced(self):
        self.lose()
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual([('volume1', 'b')], self.said('retire'))
        self.assertEqual([('volume1', 'b')], self.said('confirm'))

    def test_s5_removal_is_confirmed_after_the_leg_has_left(self):
        self.lose()
        left = []
        self.driver.broken = lambda name, volume: left.append(
            set(self.host.legs[1])) if name == 'confirm' else None
        self.turn(20)
        self.assertEqual([{'A', 'C'}], left)

    def test_s5_nothing_is_confirmed_while_the_leg_cannot_leave(self):
        self.lose()

        def stuck(action):
            if isinstance(action, act.RemoveLeg):
                raise execute.NotDone('mdadm failed (1): Device is busy')

        self.host.broken = stuck
        self.turn(3)
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                dataclasses.replace(replica, state=State.TERMINATING)
                if replica.uuid[-1] == 'b' else replica
                for replica in self.driver.volumes[1].replicas))
        self.turn(5)
        self.assertIn('B', self.host.legs[1])
        self.assertEqual([], self.said('confirm'))
        self.host.broken = lambda action: None
        self.turn(5)
        self.assertNotIn('B', self.host.legs[1])
        self.assertEqual([('volume1', 'b')], self.said('confirm'))

    def test_heartbeat_carries_the_interval(self):
        with mock.patch.object(self.driver, 'heartbeat') as heartbeat:
            self.turn()
        heartbeat.assert_called_once_with(small_world.HOST, 30.0)

    def test_a_second_pass_soon_while_something_is_done(self):
        self.assertIsNone(self.cycle.run())
        self.lose()
        self.assertEqual(0.0, self.cycle.run())

    def test_the_next_pass_is_there_when_the_grace_period_ends(self):
        self.turn()
        self.lose()
        self.turn(3, seconds=1.0)
        self.host.broken = mock.Mock(side_effect=execute.NotDone('no'))
        self.assertAlmostEqual(37.0, self.cycle.run())
        self.clock.advance(30.0)
        self.assertAlmostEqual(7.0, self.cycle.run())

    def test_an_action_without_effect_does_not_spin(self):
        self.turn()
        self.lose()
        self.turn(4)
        with mock.patch.object(self.host, '_do'):
            self.cycle.run()
            self.cycle.run()
            self.cycle.run()
            self.assertNotEqual(0.0, self.cycle.run())
        self.assertEqual(1, len(self.lines('done: FailLeg')))


class TestGivingUp(CycleCase):
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


class TestSuperfluous(CycleCase):
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


class TestHeldBack(CycleCase):

    def test_S13_it_is_said_once_how_long_a_copy_waits(self):
        self.turn()
        del self.host.legs[1]['B']
        self.turn(6, 2.0)
        self.assertEqual(1, len(self.lines(
            'volume volume1, return of replica %s: it is here, and is put '
            'back in 12 s' % small_world.uuid(1, 'b'))))
        self.assertEqual({'A'}, self.legs())
        self.turn(2)
        self.assertEqual({'A', 'B'}, self.legs())

    def test_S8_nonsense_is_said_once_and_not_acted_on(self):
        self.turn()
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], replicas=tuple(
                dataclasses.replace(replica, state=State.TERMINATING)
                for replica in self.driver.volumes[1].replicas))
        self.turn(5)
        self.assertEqual(1, len(self.lines(
            'volume volume1, its replicas: all its replicas are marked')))
        self.assertEqual([], self.host.did)

    def test_S13_one_that_was_killed_while_it_added_knows_it(self):
        """The new leg is dropped before it is looked at."""
        self.lose()
        self.turn(5)
        self.host.broken = self.kill
        self.assertRaises(small_world.Killed, self.turn, 5)
        self.host.broken = lambda action: None
        self.restart()
        self.turn(1, 0.0)
        self.assertEqual(1, len(self.lines('return of replica %s'
                                           % small_world.uuid(1, 'c'))))

    def kill(self, action: act.Action) -> None:
        if isinstance(action, act.AddLeg):
            raise small_world.Killed()

    def test_one_that_was_refused_is_not_held_back(self):
        self.lose()
        refusals = []

        def refuse(action: act.Action) -> None:
            if isinstance(action, act.AddLeg) and not refusals:
                refusals.append(action)
                raise execute.Refused('not now')
        self.host.broken = refuse
        self.turn(20, 4.0)
        self.assertEqual([], self.lines('return of replica'))
        self.assertEqual({'A', 'C'}, self.legs())


class TestWhoseFault(CycleCase):
    """A host that cannot do it uses up no spares."""

    def test_a_missing_program_consumes_no_spare(self):
        def broken(action):
            if isinstance(action, act.AddLeg):
                raise execute.HostUnfit('mdadm cannot be run')
        self.host.broken = broken
        self.lose()
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_program_that_is_needed_to_reach_it(self):
        """What was assigned is not here, and that is not its fault."""
        def broken(action):
            if isinstance(action, act.Connect):
                raise execute.HostUnfit('nvme cannot be run')
        self.host.broken = broken
        self.lose()
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def stands_still(self):
        self.turn(60)
        self.assertEqual([], self.said('replace'))

    def test_a_target_that_this_host_has_no_way_to(self):
        self.turn(3)
        self.host.no_way = 'this host has no way to 192.0.2.2'
        self.lose()
        self.stands_still()
        self.host.no_way = ''
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def test_an_array_that_is_read_only(self):
        self.turn(3)
        self.host.array_state = 'readonly'
        self.lose()
        self.stands_still()
        self.assertEqual(1, len(self.lines('takes no writes', 'readonly')))
        self.host.array_state = 'active'
        self.turn(20)
        self.assertEqual(1, len(self.lines('takes writes again')))
        self.assertEqual({'A', 'C'}, self.legs())

    def test_an_array_that_is_read_only_until_its_first_write(self):
        """What comes is put in; no more than that is done about a loss."""
        self.host.array_state = 'read-auto'
        self.turn(3)
        self.lose()
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.stands_still()
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(3)
        self.assertIn(act.AddLeg, [type(done) for done in self.host.did])

    def test_a_lock_that_is_held_all_the_time(self):
        self.lose()

        def held(action):
            if isinstance(action, act.Connect):
                raise execute.LockHeld('os-brick is attaching')
        self.host.broken = held
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())


class TestCopiesInDoubt(CycleCase):
    """S10: a stale or a divergent copy stops all but guarding and telling."""

    def setUp(self):
        super().setUp()
        self.diverged: set[str] = set()
        self.host.broken = self.judge

    def judge(self, action: act.Action) -> None:
        if isinstance(action, act.AddLeg) and not action.erase and (
                action.device in self.diverged):
            raise execute.Divergent('%s is ahead' % action.device,
                                    action.replica_uuid)

    def reattach(self, *letters: str) -> None:
        """Stop the array; assemble it anew of these legs."""
        legs = self.host.legs.pop(1)
        self.turn()
        self.host.legs[1] = {letter: legs.get(letter, (
            'AB'.index(letter), {'in_sync'})) for letter in letters}

    def untouched(self) -> None:
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))
        self.assertEqual([], [action for action in self.host.did
                              if isinstance(action, act.AddLeg)])

    def test_S10_a_divergent_copy_is_neither_added_nor_replaced(self):
        self.turn()
        del self.host.legs[1]['B']
        self.diverged = {self.host.name(1, 'B') + 'n1'}
        self.turn(10)
        # also not when it is lost again, and longer than the grace period
        self.lose()
        self.turn(20)
        self.restart()
        self.turn(20)
        self.untouched()
        self.assertEqual({'A'}, self.legs())
        line, = [line for line in self.lines('is ahead')
                 if 'No copy of it' in line and 'event' not in line][:1]
        self.assertIn('volume volume1, its copies', line)

    def test_no_grace_is_used_up_while_nothing_can_be_done(self):
        """Or it would be replaced at once when the doubt is over."""
        self.turn()
        del self.host.legs[1]['B']
        self.diverged = {self.host.name(1, 'B') + 'n1'}
        self.turn(3)
        uuid = small_world.uuid(1, 'f')
        before = self.book.records(uuid)[small_world.uuid(1, 'b')].down
        self.turn(50)
        after = self.book.records(uuid)[small_world.uuid(1, 'b')]
        self.assertEqual((before, None), (after.down, after.counted_at))

    def test_S10_it_is_told_as_an_event(self):
        events = []
        self.driver.report_event = events.append
        self.turn()
        del self.host.legs[1]['B']
        self.diverged = {self.host.name(1, 'B') + 'n1'}
        self.turn(10)
        self.assertEqual(1, [event.kind for event in events].count(
            'COPIES_IN_DOUBT'))

    def test_S10_an_array_that_came_up_on_an_old_copy(self):
        self.turn()
        self.lose('A')
        self.turn(2)
        self.host.legs[1] = {'B': self.host.legs[1]['B']}
        self.turn()
        self.host.live[self.host.name(1, 'A')] = True
        told = list(self.said('report'))
        self.host.did.clear()
        self.reattach('A')
        self.lose('B')
        self.turn(30)
        self.untouched()
        self.assertNotIn(('volume1', 'a', 'AVAILABLE'),
                         self.said('report')[len(told):])

    def test_the_operators_word_ends_it(self):
        self.turn()
        del self.host.legs[1]['B']
        self.diverged = {self.host.name(1, 'B') + 'n1'}
        self.turn(5)
        volume, = self.book.volumes()
        self.book.choose(volume, small_world.uuid(1, 'a'))
        self.turn(5)
        self.assertEqual({'A', 'B'}, self.legs())
        self.assertEqual([True], [
            action.erase for action in self.host.did
            if isinstance(action, act.AddLeg)])
        self.assertEqual({}, self.book.choices())


class TestReports(CycleCase):
    """S6: every change, at least once, in order; nothing old after new."""

    volumes = 2

    def states(self, alias: str = 'volume1', letter: str = 'b'):
        return [words[2] for words in self.said('report')
                if words[:2] == (alias, letter)]

    def flap(self, number: int = 1) -> None:
        self.host.live[self.host.name(number, 'B')] ^= True
        self.turn()

    def settled(self) -> None:
        """Nothing is replaced: only states change."""
        self.conf.set_override('replacement_grace_period', 1e6)
        self.turn()

    def test_s6_in_order_over_an_outage_and_restarts(self):
        self.settled()
        self.refuse('report', 'volumes', 'heartbeat', 'event')
        for _change in range(3):
            self.flap()
            self.restart()
            # what a restart does not know it cannot serve: a moment of
            # answers, while reports still do not get through
            self.refuse('report')
            self.turn()
            self.refuse('report', 'volumes', 'heartbeat', 'event')
        self.assertEqual([], self.states())
        expected = [pending.state.value for pending in self.book.pending()
                    if pending.replica[-1] == 'b']
        self.assertEqual(['MISSING', 'AVAILABLE', 'MISSING'], expected)
        self.mend()
        self.restart()
        self.turn(2)
        self.assertEqual(expected, self.states())
        self.assertEqual([], self.book.pending())

    def test_s6_a_report_is_sent_again_when_killed_before_it_is_noted(self):
        self.settled()
        self.lose()
        with mock.patch.object(self.book, 'delivered',
                               side_effect=small_world.Killed):
            self.assertRaises(small_world.Killed, self.turn)
        self.restart()
        self.turn()
        self.assertEqual(['MISSING', 'MISSING'], self.states())

    def test_s6_nothing_newer_overtakes_a_report_that_does_not_get_through(
            self):
        self.settled()
        self.flap()
        failed = []

        def broken(name: str, alias: str) -> None:
            if name == 'report' and len(failed) < 1:
                failed.append(alias)
                raise base.Unavailable('no answer')

        self.driver.broken = broken
        self.flap()
        self.flap()
        self.turn(2)
        self.assertEqual(['volume1'], failed)
        self.assertEqual(['MISSING', 'AVAILABLE', 'MISSING'], self.states())

    def test_one_volumes_report_does_not_hold_up_another_volume(self):
        for error in (base.Unavailable('no answer'), base.BadAnswer('<html>'),
                      KeyError('defect'), SystemExit(3)):
            self.build()
            self.settled()
            self.refuse('report', error=error, volume='volume1')
            self.lose('B', 1)
            self.lose('B', 2)
            self.turn(2)
            self.assertEqual([], self.states('volume1'))
            self.assertEqual(['MISSING'], self.states('volume2'))

    def test_nothing_is_requested_before_the_report_has_arrived(self):
        self.refuse('report', volume='volume1')
        self.lose('B', 1)
        self.lose('B', 2)
        self.turn(7)
        self.assertEqual([('volume2', 'b')], self.said('replace'))

    def test_a_declined_report_is_not_repeated(self):
        self.settled()
        self.refuse('report', error=base.Rejected('no such replica'))
        self.lose()
        self.turn(3)
        self.assertEqual([], self.book.pending())
        self.assertEqual(1, len(self.lines('declined', 'no such replica')))

    def test_a_replica_left_out_of_a_list_is_reported_all_the_same(self):
        self.settled()
        self.refuse('report')
        self.lose()
        self.turn()
        self.mend()
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes]
        self.turn()
        self.assertEqual(['MISSING'], self.states())

    def test_an_outage_costs_one_call_and_not_one_for_each_volume(self):
        self.settled()
        self.lose('B', 1)
        self.lose('B', 2)
        tried: list[str] = []

        def broken(name: str, alias: str) -> None:
            tried.append(name)
            raise base.Unavailable('no answer')

        self.driver.broken = broken
        self.turn()
        self.assertEqual(['heartbeat', 'volumes'], tried)
        self.assertEqual(2, len(self.book.pending()))


class TestStateDirectory(CycleCase):
    """Another process that has the ledger's file stands for a full disk."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.store.database.BUSY', 0.0))

    def test_it_heals_and_tells_but_asks_for_nothing(self):
        self.turn(3)
        other = sqlite3.connect(self.book._db.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.lose()
        self.turn(20)
        self.assertEqual([], self.lines('a pass failed'))
        self.assertEqual([], self.lines('Traceback'))
        said = [words[0] for words in self.driver.said]
        self.assertIn('report', said)
        self.assertNotIn('replace', said)
        self.assertEqual(1, len(self.lines('goes on from memory')))
        other.execute('ROLLBACK')
        # until now the grace period has stood still
        self.turn(2)
        self.assertNotIn('replace', [words[0] for words in self.driver.said])
        self.turn(20)
        self.assertIn('replace', [words[0] for words in self.driver.said])
        self.assertEqual({'A', 'C'}, self.legs())

    def test_s6_a_later_report_waits_for_the_one_before(self):
        """Sent before that is struck out, it came before it once more."""
        self.turn(3)
        self.refuse('report')
        self.lose()
        self.turn(2)
        other = sqlite3.connect(self.book._db.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        self.mend()
        self.turn(2)
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(6)
        reports = [words[2:] for words in self.driver.said
                   if words[0] == 'report' and words[2] == 'b']
        self.assertEqual([('b', 'MISSING')], reports)
        self.assertEqual(1, len(self.lines('it waits')))
        other.execute('ROLLBACK')
        self.turn(20)
        reports = [words[3] for words in self.driver.said
                   if words[0] == 'report' and words[2] == 'b']
        self.assertEqual('AVAILABLE', reports[-1])
        self.assertEqual(1, reports.count('MISSING'))


class TestKilled(CycleCase):
    """S7: killed at every point of an exchange, and started again."""

    def exchange(self, kill_at: int | None) -> None:
        self.build()
        self.turn()
        self.lose()
        self.points.passed, self.points.kill_at = 0, kill_at
        for _pass in range(35):
            try:
                self.turn()
            except small_world.Killed:
                self.restart()
            self.assertTrue(self.legs(), 'S1')
            if self.said('confirm') and self.legs() == {'A', 'C'}:
                return
        self.fail_here(kill_at)

    def fail_here(self, kill_at: int | None) -> None:
        raise AssertionError('not healed, killed at %s: %s %s' % (
            kill_at, self.host.did, self.driver.said))

    def test_s7_one_request_wherever_it_is_killed(self):
        self.exchange(None)
        points = self.points.passed
        self.assertGreater(points, 30)
        for kill_at in range(points):
            self.exchange(kill_at)
            self.assertEqual([('volume1', 'b')], self.said('replace'),
                             'killed at %d' % kill_at)
            self.assertEqual({'A', 'C'}, set(self.host.legs[1]))

    def test_s7_killed_between_the_request_and_its_being_noted(self):
        self.turn()
        self.lose()
        self.turn(4)
        with mock.patch.object(decision, 'answered',
                               side_effect=small_world.Killed):
            self.assertRaises(small_world.Killed, self.turn)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.restart()
        self.turn(20)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual({'A', 'C'}, self.legs())

    def test_a_request_that_was_declined_is_made_again_later(self):
        self.refuse('replace', error=base.Rejected('no spare is left'))
        self.lose()
        self.turn(12)
        self.mend()
        self.assertEqual([], self.said('replace'))
        self.turn(30)
        self.assertEqual([('volume1', 'b')], self.said('replace'))
        self.assertEqual(1, len(self.lines('no spare is left')))


class TestSilence(CycleCase):
    """S8: what the provisioner does not say is unknown, never gone."""

    volumes = 2

    def untouched(self) -> None:
        self.turn(3)
        self.assertEqual([], self.host.did)
        self.assertEqual({'A', 'B'}, self.legs(1))
        self.assertEqual({'A', 'B'}, self.legs(2))
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))

    def answers(self, answer) -> None:
        self.turn()
        self.driver.answer = answer
        self.untouched()

    def test_s8_empty_list(self):
        self.answers(lambda volumes: [])

    def test_s8_a_replica_that_two_volumes_list(self):
        """It is unknown for both: not replaced, retired or confirmed."""
        self.turn()
        self.driver.answer = lambda volumes: [
            volumes[0], dataclasses.replace(
                volumes[1], replicas=volumes[1].replicas + (
                    volumes[0].replicas[1],))]
        self.lose()
        self.turn(20)
        self.assertEqual([], [action for action in self.host.did
                              if isinstance(action, (act.AddLeg,
                                                     act.FailLeg))])
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))
        self.assertEqual({'A', 'B'}, self.legs(2))

    def test_s8_a_volume_left_out(self):
        self.answers(lambda volumes: volumes[:1])

    def test_s8_volumes_without_replicas(self):
        self.answers(lambda volumes: [
            dataclasses.replace(volume, replicas=()) for volume in volumes])

    def test_s8_volumes_with_one_replica(self):
        self.answers(lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes])

    def test_s8_no_list_at_all(self):
        self.answers(lambda volumes: None)

    def test_s8_nonsense_in_the_list(self):
        self.answers(lambda volumes: ['volume1', None])

    def test_s8_an_answer_that_breaks_off(self):
        def half(volumes):
            yield dataclasses.replace(volumes[0],
                                      replicas=volumes[0].replicas[:1])
            raise base.BadAnswer('truncated')
        self.answers(half)

    def test_s8_every_error(self):
        for error in (base.Unavailable('a'), base.Unauthorized('b'),
                      base.BadAnswer('c'), base.Rejected('d'),
                      ValueError('e')):
            self.build()
            self.turn()
            self.refuse('volumes', error=error)
            self.untouched()

    def test_s8_silent_from_the_first_pass_on(self):
        self.refuse('volumes', 'heartbeat')
        self.untouched()

    def test_nothing_is_requested_on_the_word_of_yesterday(self):
        self.turn()
        self.refuse('volumes', error=base.BadAnswer('<html>'))
        self.lose()
        self.turn(8)
        self.assertEqual([], self.said('replace'))
        self.assertEqual([('volume1', 'b', 'MISSING')], self.said('report'))

    def test_a_volume_that_left_this_host_claims_nothing_later(self):
        self.turn()
        del self.host.legs[2]
        for letter in 'AB':
            del self.host.live[self.host.name(2, letter)]
        first = self.driver.volumes.pop(2)
        self.turn()
        # its namespaces serve another volume now
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1],
            replicas=self.driver.volumes[1].replicas + first.replicas[:1])
        self.turn(2)
        self.assertEqual([], self.lines('all claim it'))
        self.assertEqual('md1', next(iter(self.cycle._knowledge.arrays)))


class TestOneAmongMany(CycleCase):
    """One failing volume, call or action never stops the others."""

    volumes = 2

    def test_a_volume_that_cannot_be_decided(self):
        decide = decision.decide

        def broken(volume, *words):
            if volume.alias == 'volume1':
                raise ZeroDivisionError('a defect')
            return decide(volume, *words)

        self.lose('B', 2)
        with mock.patch.object(decision, 'decide', broken):
            self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(2))
        self.assertEqual(1, len(self.lines('volume1', 'defect',
                                           'ZeroDivisionError')))

    def test_an_executor_with_a_defect(self):
        def broken(action):
            if 'nvme1' in repr(action):
                raise RuntimeError('a defect')

        self.lose('B', 1)
        self.lose('B', 2)
        self.host.broken = broken
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(2))
        self.assertEqual({'A', 'B'}, self.legs(1))

    def test_every_call_of_the_driver_failing_keeps_the_passes_going(self):
        for error in (base.Unavailable('x'), TypeError('defect')):
            self.build()
            self.turn()
            self.driver.broken = mock.Mock(side_effect=error)
            self.lose()
            self.turn(3)
            self.mend()
            self.turn(20)
            self.assertEqual({'A', 'C'}, self.legs(1))

    def test_os_bricks_lock_is_waited_for_once_in_a_pass(self):
        self.lose('B', 1)
        self.lose('B', 2)
        self.turn(4)
        tried = []

        def held(action):
            tried.append(action)
            raise execute.LockHeld('os-brick holds the lock')

        self.host.broken = held
        self.turn()
        self.assertEqual(1, len(tried))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs(1))
        self.assertEqual({'A', 'C'}, self.legs(2))

    def test_a_lock_that_is_held_does_not_condemn_the_replica(self):
        self.turn()
        self.lose()
        self.turn(5)
        tried = []

        def held(action):
            if isinstance(action, act.Connect):
                tried.append(action)
                raise execute.LockHeld('os-brick holds the lock')

        self.host.broken = held
        self.turn(3)
        self.assertNotEqual([], tried)
        for record in self.book.records(small_world.uuid(1, 'f')).values():
            self.assertEqual('', record.failed)

    def test_a_target_that_cannot_be_connected_is_remembered(self):
        self.lose()
        self.turn(5)

        def refused(action):
            if isinstance(action, act.Connect):
                raise execute.NotDone('connection refused')

        self.host.broken = refused
        self.turn(3)
        records = self.book.records(small_world.uuid(1, 'f'))
        self.assertEqual('connection refused',
                         records[small_world.uuid(1, 'c')].failed)

    def test_a_namespace_that_cannot_be_added_is_remembered(self):
        """It is bad from then on, and replaced in the end."""
        self.lose()

        def refused(action):
            if (isinstance(action, act.AddLeg)
                    and action.replica_uuid == small_world.uuid(1, 'c')):
                raise execute.NotDone('mdadm failed (1): no superblock')

        self.host.broken = refused
        self.turn(40)    # twice as patient: it is a replacement itself
        self.assertIn(('volume1', 'c'), self.said('replace'))


class TestOutage(CycleCase):
    """Started while the provisioner is away."""

    def test_what_is_claimed_is_known_before_the_first_answer(self):
        self.turn(2)
        self.refuse('volumes', 'heartbeat', 'event', 'report')
        self.restart()
        self.assertEqual({small_world.uuid(1, 'f')},
                         set(self.claimed[-1].volumes))
        self.lose()
        self.turn(3)
        self.assertNotEqual([], self.book.pending())

    def test_a_word_from_before_a_reboot_does_not_count(self):
        self.turn(2)
        self.clock.boot_id = 'another'
        self.restart()
        self.assertEqual({}, dict(self.claimed[-1].volumes))


class TestWords(CycleCase):
    """What an operator reads: once, and with the names in it."""

    volumes = 2

    def test_a_trouble_is_said_once_and_its_end(self):
        self.refuse('volumes', 'heartbeat')
        self.turn(4)
        self.mend()
        self.turn(2)
        for subject in ('volumes', 'heartbeat'):
            self.assertEqual(1, len(self.lines(
                'provisioner, ' + subject, 'does not answer')))
            self.assertEqual(1, len(self.lines(
                'provisioner, ' + subject, 'works again')))

    def test_two_failing_actions_are_said_once_each(self):
        self.lose('B', 1)
        self.lose('B', 2)
        self.host.broken = mock.Mock(
            side_effect=execute.NotDone('mdadm failed (1): busy'))
        self.turn(8)
        for device in ('nvme11', 'nvme21'):
            self.assertEqual(1, len(self.lines(device, 'not done',
                                               'busy')), self.log.output)

    def test_problems_of_the_scan_are_said_once_each(self):
        scan = self.host.scan
        self.host.scan = lambda: dataclasses.replace(
            scan(), problems=('nvme8: nonsense', 'nvme9: nonsense'))
        self.restart()
        self.turn(3)
        self.assertEqual(1, len(self.lines('nvme8: nonsense')))
        self.assertEqual(1, len(self.lines('nvme9: nonsense')))

    def test_events_are_logged_and_handed_over_once(self):
        self.turn()
        self.lose()
        self.turn(3)
        self.assertEqual(1, len(self.lines('nvme11', 'was lost')))
        self.assertEqual(1, self.said('event').count(
            ('', 'CONNECTION_LOST')))


class TestStop(CycleCase):

    def test_nothing_starts_after_the_word_to_stop(self):
        self.lose()
        self.turn(4)

        def stop(action):
            self.stopping = True

        self.host.broken = stop
        self.turn(4)
        self.assertEqual(1, len(self.host.did))
        self.assertEqual([], self.said('replace'))

    def test_no_action_of_a_volume_starts_after_the_word_to_stop(self):
        self.turn()
        action = act.Disconnect('', 'nvme11')
        self.stopping = True
        self.assertFalse(self.cycle._serving.acting.execute(
            healing_pass.Pass(), action, self.driver.volumes[1], {}))
        self.assertEqual([], self.host.did)


class TestMatching(CycleCase):

    def find(self, arrays, volumes, before=(), remembered=()):
        return ownership.match(
            snapshots.HostSnapshot(arrays=tuple(arrays)),
            {volume.uuid: volume for volume in volumes}, dict(before),
            dict(remembered))

    def test_S8_a_truncated_list_does_not_lose_the_array(self):
        volume = self.driver.volumes[1]
        array = self.host.array(1)
        legs = frozenset(leg.replica_uuid for leg in array.legs)
        foreign = dataclasses.replace(volume, alias='other', replicas=(
            model.Replica(small_world.uuid(9, 'f')),))
        self.assertEqual({}, self.find([array], [foreign]).arrays)
        found = self.find([array], [foreign],
                          remembered={volume.uuid: legs})
        self.assertEqual({array.name: volume.uuid}, found.arrays)

    def test_S8_a_leg_that_no_list_has_had_keeps_the_array(self):
        """Also when the only one that was listed has left, and later on."""
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes]
        self.turn(2)
        del self.host.legs[1]['A']
        for _time in range(2):
            self.turn(2)
            self.assertEqual({'md1': self.driver.volumes[1].uuid}, {
                **self.claimed[-1].match(self.host.scan(), {}).arrays})
            self.restart()

    def test_an_array_that_two_volumes_claim_is_left_alone(self):
        one = self.driver.volumes[1]
        other = dataclasses.replace(one, uuid=small_world.uuid(9, 'f'))
        found = self.find([self.host.array(1)], [one, other])
        self.assertEqual({}, found.arrays)
        self.assertIn(other.uuid, found.doubts['array volume1 (md1)'])

    def test_of_two_arrays_the_one_with_a_good_leg(self):
        array = self.host.array(1)
        stale = dataclasses.replace(array, name='md9', legs=tuple(
            dataclasses.replace(leg, flags=frozenset())
            for leg in array.legs[1:]))
        volume = self.driver.volumes[1]
        found = self.find([stale, array], [volume])
        self.assertEqual({'md1': volume.uuid}, found.arrays)
        found = self.find([dataclasses.replace(array, name='md9'), array],
                          [volume])
        self.assertEqual({}, found.arrays)
        self.assertIn('md1, md9', found.doubts['volume volume1'])

    def test_a_doubt_about_an_array_that_is_served_is_said_once(self):
        scan = self.cycle._observer._scan

        def with_another() -> snapshots.HostSnapshot:
            found: snapshots.HostSnapshot = scan()
            stale = dataclasses.replace(
                found.arrays[0], name='md9', legs=tuple(
                    dataclasses.replace(leg, flags=frozenset())
                    for leg in found.arrays[0].legs[1:]))
            return dataclasses.replace(found, arrays=(*found.arrays, stale))

        self.cycle._observer._scan = with_another
        self.turn(4)
        self.assertEqual(1, len(self.lines('md1, md9 all look like')))

    def test_an_array_whose_legs_have_vanished_stays_what_it_was(self):
        volume = self.driver.volumes[1]
        array = dataclasses.replace(
            self.host.array(1), alias=None, legs=tuple(
                dataclasses.replace(leg, replica_uuid=None)
                for leg in self.host.array(1).legs))
        self.assertEqual({}, self.find([array], [volume]).arrays)
        self.assertEqual({'md1': volume.uuid}, self.find(
            [array], [volume], {'md1': volume.uuid}).arrays)
