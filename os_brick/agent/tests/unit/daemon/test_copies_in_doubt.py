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
"""A copy that is stale, or ahead of its array, stops the healing."""

from __future__ import annotations

from os_brick.agent.host import execute
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world


class TestCopiesInDoubt(healing_loop_case.CycleCase):
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

    def test_S10_it_is_told_again_where_the_volume_comes_back(self):
        """Somebody is needed again, who may not have seen the first one."""
        self.turn()
        del self.host.legs[1]['B']
        self.diverged = {self.host.name(1, 'B') + 'n1'}
        self.turn(10)
        self.reattach('A')
        self.turn(10)
        self.assertEqual(2, len(self.lines('its copies', 'is ahead')))
        self.untouched()

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
