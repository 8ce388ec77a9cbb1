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
"""When what md's bitmap marks is to be kept."""

from __future__ import annotations

import dataclasses
from typing import Any

from oslotest import base

from os_brick.agent.guard import keeping
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots

IN_SYNC, FAULTY, BLOCKED = (frozenset(words.split()) for words in (
    'in_sync', 'faulty', 'faulty blocked'))
NAMES = ('nvme0n1', 'nvme1n1', 'nvme2n1')


class KeepingTest(base.BaseTestCase):
    """The array md1 with three legs; a look at each of some moments."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self) -> None:
        self.memory = keeping.KeepMemory()
        self.flags = dict.fromkeys(NAMES, IN_SYNC)
        self.array = model.Array('md1', 'v', None, 3, 0, 'active', 'idle', 1,
                                 instance='1/a', written=True)
        self.state = dict.fromkeys(NAMES, 'live')
        self.answered: tuple[str, ...] = ()
        self.leaving = frozenset[str]()

    def snapshot(self) -> snapshots.HostSnapshot:
        return snapshots.HostSnapshot(
            tuple(model.Controller(name[:-2], 'nqn.' + name, None, None, state)
                  for name, state in self.state.items()),
            tuple(model.Namespace(name, 'uuid-' + name, 1, (name[:-2],),
                                  ('md1',)) for name in NAMES),
            (dataclasses.replace(self.array, legs=tuple(
                model.Leg(name, None if 'faulty' in flags else slot, flags,
                          'uuid-' + name)
                for slot, (name, flags) in enumerate(self.flags.items()))),))

    def look(self, now: float, done: bool = True) -> list[str]:
        """Return from which leg what is marked is kept."""
        snapshot = self.snapshot()
        self.memory = keeping.look(snapshot.arrays, self.memory, now,
                                   self.leaving)
        actions = [action for _name, action in keeping.decide(
            snapshot, self.memory, self.answered)]
        if done:
            self.memory = keeping.after(self.memory, actions, actions)
        return [action.device for action in actions
                if isinstance(action, act.KeepMarked)]

    def drop(self, name: str, flags: frozenset[str] = FAULTY) -> None:
        self.flags[name] = flags

    def test_a_leg_that_leaves(self) -> None:
        self.assertEqual([], self.look(1.0))
        self.drop('nvme0n1')
        self.assertEqual(['nvme1n1'], self.look(2.0))
        self.assertFalse(self.memory.pending(2.0))
        for now in (3.0, 60.0):
            self.assertEqual([], self.look(now))
        # another one
        self.drop('nvme1n1')
        self.assertEqual(['nvme2n1'], self.look(61.0))

    def test_one_that_leaves_for_good(self) -> None:
        self.leaving = frozenset(['uuid-nvme0n1'])
        self.look(1.0)
        self.drop('nvme0n1')
        self.assertEqual([], self.look(2.0))
        self.drop('nvme1n1')
        self.assertEqual(['nvme2n1'], self.look(3.0))

    def test_one_that_has_vanished(self) -> None:
        self.look(1.0)
        del self.flags['nvme1n1']
        self.assertEqual(['nvme0n1'], self.look(2.0))

    def test_one_that_came_back_and_leaves_again(self) -> None:
        self.look(1.0)
        for now in (2.0, 4.0):
            self.drop('nvme0n1')
            self.assertEqual(['nvme1n1'], self.look(now))
            self.flags['nvme0n1'] = IN_SYNC
            self.assertEqual([], self.look(now + 1.0))

    def test_the_first_look_at_a_degraded_array(self) -> None:
        self.drop('nvme0n1')
        self.drop('nvme2n1')
        self.assertEqual(['nvme1n1'], self.look(100.0))
        self.assertEqual([], self.look(101.0))
        # another array gets its name
        self.array = dataclasses.replace(self.array, instance='2/b')
        self.assertEqual(['nvme1n1'], self.look(102.0))

    def test_the_first_look_where_two_legs_are_left(self) -> None:
        self.drop('nvme0n1')
        self.assertEqual([], self.look(100.0))
        self.drop('nvme2n1')
        self.assertEqual(['nvme1n1'], self.look(101.0))

    def test_an_array_that_is_gone_is_forgotten(self) -> None:
        self.look(1.0)
        self.assertEqual({}, keeping.look((), self.memory, 2.0).arrays)

    def test_the_leg_that_has_just_answered(self) -> None:
        self.look(1.0)
        self.drop('nvme0n1')
        self.answered = ('nvme2n1',)
        self.assertEqual(['nvme2n1'], self.look(2.0))

    def test_what_fails_is_tried_as_long_as_it_is_of_use(self) -> None:
        self.look(1.0)
        self.drop('nvme0n1')
        for now, soon in ((2.0, True), (3.0, True), (50.0, False),
                          (2.0 + keeping.LIFE, False)):
            self.assertEqual(['nvme1n1'], self.look(now, done=False))
            self.assertEqual(soon, self.memory.pending(now))
        self.assertEqual([], self.look(3.0 + keeping.LIFE))

    def test_as_long_as_md_would_wait_for_a_lost_leg(self) -> None:
        self.look(1.0)
        self.drop('nvme0n1', BLOCKED)
        self.state['nvme0n1'] = 'connecting'
        self.assertEqual([], self.look(2.0))
        self.assertTrue(self.memory.pending(2.0))
        del self.state['nvme0n1']
        self.drop('nvme0n1')
        self.assertEqual(['nvme1n1'], self.look(3.0))

    def test_where_there_is_nothing_to_keep(self) -> None:
        """A leg that was surplus; another host's writes; no writes."""
        def changed(**fields: Any) -> list[str]:
            self.begin()
            self.look(1.0)
            self.array = dataclasses.replace(self.array, **fields)
            self.drop('nvme0n1')
            return self.look(2.0)

        self.assertEqual(['nvme1n1'], changed())
        self.assertEqual([], changed(raid_disks=2))
        self.assertEqual([], changed(written=False))
        self.assertEqual([], changed(array_state='readonly'))
        self.assertEqual([], changed(array_state='broken'))
        self.assertEqual([], changed(locked=True))

    def delays(self, wanted: float = 25.0) -> list[float]:
        snapshot = self.snapshot()
        self.memory = keeping.look(snapshot.arrays, self.memory, 1.0)
        return [action.seconds for _name, action in keeping.settings(
            snapshot, self.memory, wanted)
            if isinstance(action, act.SetBitmapDelay)]

    def test_md_looks_less_often_what_it_need_mark(self) -> None:
        for delay, wanted in ((None, []), (5.0, [25.0]), (25.0, []),
                              (60.0, [])):
            self.array = dataclasses.replace(self.array, bitmap_delay=delay)
            self.assertEqual(wanted, self.delays())
        self.assertEqual([], keeping.settings(
            self.snapshot(), keeping.KeepMemory(), 25.0))

    def test_md_is_left_as_it_is_where_the_operator_says_so(self) -> None:
        self.array = dataclasses.replace(self.array, bitmap_delay=5.0)
        self.assertEqual([], self.delays(0.0))
        self.assertEqual([60.0], self.delays(60.0))

    def test_a_longer_delay_is_set_when_the_option_changes(self) -> None:
        self.array = dataclasses.replace(self.array, bitmap_delay=5.0)
        for seconds, again in ((25.0, [60.0]), (60.0, [])):
            action = act.SetBitmapDelay('', 'md1', seconds)
            self.delays()
            self.memory = keeping.after(self.memory, [], [action])
            self.assertEqual(again, self.delays(60.0))
        self.assertEqual([], self.delays(25.0))

    def test_what_md_marks_for_longer_is_kept_for_longer(self) -> None:
        self.array = dataclasses.replace(self.array, bitmap_delay=100.0)
        self.look(1.0)
        self.drop('nvme0n1')
        self.assertEqual(['nvme1n1'], self.look(2.0, done=False))
        self.assertEqual(['nvme1n1'], self.look(402.0, done=False))
        self.assertEqual([], self.look(403.0))

    def test_what_md_does_not_take_is_not_asked_again(self) -> None:
        self.array = dataclasses.replace(self.array, bitmap_delay=5.0)
        self.delays()
        action = act.SetBitmapDelay('', 'md1', 25.0)
        self.memory = keeping.after(self.memory, [], [action])
        self.assertEqual([], self.delays())
        # of another array it is
        self.array = dataclasses.replace(self.array, instance='2/b')
        self.assertEqual([25.0], self.delays())

    def test_what_is_done_for_one_array_says_nothing_of_another(self) -> None:
        other = dataclasses.replace(self.array, name='md2', instance='1/b')
        seen = keeping.SeenArray({'nvme0n1': None}, 5.0, 25.0)
        memory = keeping.KeepMemory({
            (array.name, array.instance): seen
            for array in (self.array, other)})
        memory = keeping.after(
            memory, [act.KeepMarked('', 'md1', 'nvme0n1')],
            [act.SetBitmapDelay('', 'md1', 60.0)])
        self.assertEqual([(None, 60.0), (5.0, 25.0)], [
            (one.since, one.delayed) for one in memory.arrays.values()])

    def test_no_leg_is_good(self) -> None:
        self.look(1.0)
        self.drop('nvme0n1')
        self.state = dict.fromkeys(NAMES, 'connecting')
        self.assertEqual([], self.look(2.0))
        self.state = dict.fromkeys(NAMES, 'live')
        self.assertEqual(['nvme1n1'], self.look(3.0))
