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
"""The events of legs that lack blocks, and of what no leg holds."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import events
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.model import events_case

A, OK, FAULTY = events_case.A, events_case.OK, events_case.FAULTY
SPARE, EMPTY = events_case.SPARE, events_case.EMPTY
leg = events_case.leg
array = events_case.array


class TestBadBlocks(events_case.EventCase):

    @staticmethod
    def lacking(*bad: tuple[tuple[int, int], ...],
                flags: frozenset[str] = OK) -> snapshots.HostSnapshot:
        return array(*(dataclasses.replace(leg(
            'nvme%dn1' % number, flags), bad=one)
            for number, one in enumerate(bad, 1)))

    def test_a_leg_that_lacks_blocks_and_no_longer(self) -> None:
        bad = self.lacking(((0, 8),), ())
        event, = self.expect(array(), bad, 'LEG_BAD_BLOCKS')
        self.assertEqual(
            'leg nvme1n1 (replica %s) of array volume (md127) lacks 4 KiB, '
            'though md calls it in sync: that could not be written to it (bad '
            'blocks)' % A, event.message)
        self.assertIn(('lost', '4096'), event.names)
        # that it is more is in the status, and not told each time
        more = self.lacking(((0, 16),), ())
        self.expect(bad, more)
        self.expect(more, array(), 'LEG_COMPLETE', 'ARRAY_HEALTHY')

    def test_what_is_there_at_the_first_look(self) -> None:
        self.expect(EMPTY, self.lacking(((0, 8),), ()), 'ARRAY_NEW',
                    'LEG_BAD_BLOCKS')

    def test_a_copy_that_ended_with_bad_blocks_is_not_healthy(self) -> None:
        copying = array(leg('nvme1n1'), leg('nvme2n1', SPARE),
                        sync_action='recover')
        self.expect(copying, self.lacking((), ((0, 8),)), 'LEG_IN_SYNC',
                    'LEG_BAD_BLOCKS', 'SYNC_FINISHED')

    def test_what_no_leg_holds(self) -> None:
        one = self.lacking(((0, 8),), ())
        both = self.lacking(((0, 8),), ((0, 16),))
        _leg, event = self.expect(one, both, 'LEG_BAD_BLOCKS', 'BLOCKS_LOST')
        self.assertEqual(events.FATAL, event.level)
        self.assertIn('no leg in sync that holds 4 KiB', event.message)
        more = self.lacking(((0, 16),), ((0, 16),))
        self.expect(both, more, 'BLOCKS_LOST')
        self.expect(more, both)
        self.expect(both, one, 'LEG_COMPLETE', 'BLOCKS_FOUND')

    def test_a_leg_that_is_dropped_has_held_them(self) -> None:
        one = self.lacking(((0, 8),), ())
        alone = array(one.arrays[0].legs[0], leg('nvme2n1', FAULTY))
        self.expect(one, alone, 'LEG_FAULTY', 'BLOCKS_LOST', 'ARRAY_DEGRADED')
        self.expect(EMPTY, alone, 'ARRAY_NEW', 'LEG_BAD_BLOCKS',
                    'BLOCKS_LOST')

    def test_broken(self) -> None:
        broken = array(leg('nvme1n1'), leg('nvme2n1', FAULTY),
                       array_state='broken')
        event = self.expect(array(leg('nvme1n1'), leg('nvme2n1', FAULTY)),
                            broken, 'ARRAY_BROKEN')[0]
        self.assertEqual(events.FATAL, event.level)
        self.assertIn('takes no writes', event.message)
        self.expect(EMPTY, broken, 'ARRAY_NEW', 'ARRAY_BROKEN')
