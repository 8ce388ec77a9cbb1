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
"""With how many events an array came up, in whole passes (S10)."""

from __future__ import annotations

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import superblocks


class TestOrigins(healing_loop_case.CycleCase):
    """The array md1 of A and B."""

    def write(self, letter: str, number: int, events: int,
              others: tuple[int, ...], updated: float) -> None:
        self.host.written[self.host.name(1, letter) + 'n1'] = (
            superblocks.content(superblocks.of(number, events, others,
                                               updated, 'md-uuid-1')))

    def come_back(self, letter: str = 'B') -> list[act.Action]:
        """Return what puts it in; A has counted on."""
        self.write('A', 0, 900, (), 2000.0)
        self.host.live[self.host.name(1, letter)] = True
        self.host.did.clear()
        self.turn(3)
        return [one for one in self.host.did if isinstance(one, act.AddLeg)]

    def test_S10_a_copy_that_was_ahead_when_the_array_came_up(self) -> None:
        self.host.instance = 'boot/1'
        self.lose('B')
        del self.host.legs[1]['B']
        self.write('A', 0, 100, (1,), 1000.0)
        self.write('B', 1, 340, (0,), 1100.0)
        self.turn()
        self.assertEqual([], self.come_back())
        self.assertTrue(self.lines('its copies', 'No copy of it',
                                   '340 changes against 100'))
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))

    def test_S10_a_leg_that_was_lost_before_the_first_write_here(self
                                                                 ) -> None:
        """The destination of a migration; the source counts on with both."""
        self.host.instance, self.host.used = 'boot/1', False
        self.write('A', 0, 100, (1,), 1000.0)
        self.write('B', 1, 100, (0,), 1000.0)
        self.turn(2)
        self.write('B', 1, 340, (0,), 1100.0)
        self.lose('B')
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.turn(2)
        self.assertEqual({'A'}, set(self.host.legs[1]))
        # the virtual machine is here: md writes down its own count
        self.write('A', 0, 104, (), 1200.0)
        self.host.used = True
        self.turn()
        self.assertTrue(self.come_back())
        self.assertEqual([], self.lines('its copies', 'No copy of it'))

    def test_S10_it_is_asked_before_a_copy_is_given_up(self) -> None:
        """B is here again when C has taken its place, and A was an old copy.

        B lists A; only with how many events A came up tells the two apart.
        """
        for events, given_up in ((340, []), (101, [('volume1', 'b')])):
            self.build()
            self.host.instance = 'boot/%d' % events
            self.lose('B')
            del self.host.legs[1]['B']
            self.write('A', 0, 100, (1,), 1000.0)
            while 'C' not in self.legs():
                self.turn()
                self.host.settle()
                if 'C' in self.host.legs[1]:
                    self.write('A', 0, 900, (1,), 2000.0)
                    self.write('C', 1, 900, (0,), 2000.0)
            self.assertEqual([], self.said('retire'))
            self.write('B', 2, events, (0,), 1100.0)
            self.host.live[self.host.name(1, 'B')] = True
            self.turn(5)
            self.assertEqual(given_up, self.said('retire'), str(events))
