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
"""What stands still, what is silent, and what is only slow."""

from __future__ import annotations

import unittest

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.guard import stall
from os_brick.agent import model

PORTAL = model.Portal('192.0.2.1', 4420)


def looks(flows: list[tuple[float, model.IoCounters]]) -> stall.IoHistory:
    """What is remembered after looks at md0, each so long after the last."""
    watched, now = stall.IoHistory(), 1000.0
    for pause, flow in flows:
        now += pause
        watched = stall.look(watched, {'md0': flow}, now)
    return watched


class ZonesTest(base.BaseTestCase):
    """The kernel's table of connections has no zones."""

    def test_a_link_local_portal(self) -> None:
        plain = model.Portal('fe80::1', 4420)
        one, other = (model.Portal('fe80::1%%%s' % link, 4420)
                      for link in ('eth0', 'eth1'))
        quiet = {PORTAL: 3.0, plain: 2.0}
        self.assertEqual({PORTAL: 3.0, one: 2.0},
                         stall.with_zones(quiet, [PORTAL, one, one]))
        # it may be either
        self.assertEqual({PORTAL: 3.0},
                         stall.with_zones(quiet, [PORTAL, one, other]))
        self.assertEqual({PORTAL: 3.0},
                         stall.with_zones({PORTAL: 3.0}, [PORTAL, one]))
        self.assertEqual(quiet, stall.with_zones(quiet, [PORTAL]))


class StallTest(base.BaseTestCase):

    def test_what_waits_for_md_is_not_counted(self) -> None:
        """An I/O ends at 10.0; from then on nothing is under way."""
        watched = stall.IoHistory()
        for now in (9.0, 9.5, 10.0, 10.2):
            watched = stall.look(watched, {
                'md0': model.IoCounters(7 if now >= 10.0 else 6, 0),
                'md1': model.IoCounters(7, 0)}, now)
        for now, expected in ((10.2, set()), (10.3, {'md0'}),
                              (10.0 + stall.IN_USE, {'md0'}),
                              (10.1 + stall.IN_USE, set())):
            self.assertEqual(expected, watched.waiting(now, ['md0', 'md1']))
        self.assertEqual(set(), watched.waiting(10.3, ['md1']))
        self.assertEqual({}, watched.standing)

    def test_io_under_way_and_none_ends(self) -> None:
        watched = looks([(0.5, model.IoCounters(7, 1))] * 3)
        self.assertEqual({'md0'}, watched.stalled(1001.5, 1.0))
        self.assertEqual(frozenset(), watched.stalled(1001.5, 1.1))

    def test_idle_is_not_stalled(self) -> None:
        watched = looks([(0.5, model.IoCounters(7, 0))] * 9)
        self.assertEqual(frozenset(), watched.stalled(1e9, 1.0))

    def test_what_has_ended_begins_anew(self) -> None:
        watched = looks([(0.5, model.IoCounters(7, 1)),
                         (0.5, model.IoCounters(7, 0)),
                         (0.5, model.IoCounters(7, 1))])
        self.assertEqual(frozenset(), watched.stalled(1001.5, 0.5))

    def test_reads_that_go_on_hide_no_write(self) -> None:
        """They come from the leg that is well."""
        watched = looks([(0.5, model.IoCounters(ended, 3, ended - 7, reads))
                         for ended, reads in ((10, 1), (25, 2), (31, 0))])
        self.assertEqual({'md0'}, watched.stalled(1001.5, 1.0))
        self.assertEqual({'md0': 1000.5}, watched.since())
        # and the other way round
        watched = looks([(0.5, model.IoCounters(ended, 3, 7, 2))
                         for ended in (10, 25, 31)])
        self.assertEqual({'md0'}, watched.stalled(1001.5, 1.0))
        self.assertEqual({'md0': 1000.5}, watched.since())

    def test_the_longer_pause_is_told(self) -> None:
        watched = looks([(0.5, model.IoCounters(10, 2, 3, 0)),
                         (0.5, model.IoCounters(10, 2, 3, 1)),
                         (0.5, model.IoCounters(10, 2, 3, 1))])
        after = stall.look(watched, {'md0': model.IoCounters(12, 0, 4)},
                           1002.0)
        self.assertEqual({'md0': 1.5}, stall.pauses(watched, after))

    def test_a_late_look_proves_nothing(self) -> None:
        """The agent, or the whole virtual machine, was paused."""
        watched = looks([(0.5, model.IoCounters(7, 1)),
                         (60.0, model.IoCounters(7, 1))])
        self.assertEqual(frozenset(), watched.stalled(1060.5, 1.0))

    def test_a_pause_is_told_when_it_ends(self) -> None:
        seen = []
        watched = stall.IoHistory()
        for now, ended, under_way in (
                (1.0, 0, 1), (1.9, 0, 1), (2.8, 0, 1),    # stands still
                (3.0, 1, 1), (3.2, 1, 0),                 # too short
                (4.0, 1, 1), (4.5, 1, 0),                 # and idle
                (5.0, 1, 1), (9.0, 2, 1)):                # a look was missed
            before = watched
            watched = stall.look(before, {
                'md0': model.IoCounters(ended, under_way)}, now)
            seen.append(stall.pauses(before, watched))
        self.assertEqual([{}, {}, {}, {'md0': 2.0}, {}, {}, {'md0': 0.5},
                          {}, {}], seen)

    def test_silence_has_to_last(self) -> None:
        self.assertEqual({PORTAL}, stall.silent({PORTAL: 2.0}, 2.2))
        self.assertEqual(frozenset(), stall.silent({PORTAL: 1.99}, 2.2))
        self.assertAlmostEqual(0.3, stall.silent_in(
            {PORTAL: 1.7, model.Portal('192.0.2.2', 1): 2.5}, 2.2))
        self.assertEqual(2.2, stall.silent_in({}, 2.2))


class PropertyTest(unittest.TestCase):

    @hypothesis.given(st.lists(st.tuples(st.floats(0.01, 5.0),
                                         st.integers(1, 100)), min_size=1),
                      st.floats(0.5, 10.0))
    def test_an_array_whose_io_ends_in_time_is_never_stalled(
            self, steps: list[tuple[float, int]], timeout: float) -> None:
        """However busy, however slow, however irregular the looks."""
        watched, now, ended, since = stall.IoHistory(), 0.0, 0, 0.0
        for pause, under_way in steps:
            now += pause
            if now - since >= timeout:
                ended, since = ended + 1, now
            watched = stall.look(
                watched, {'md0': model.IoCounters(ended, under_way)}, now)
            self.assertEqual(frozenset(), watched.stalled(now, timeout))

    @hypothesis.given(st.lists(st.floats(0.01, 0.9 * stall.LATE),
                               min_size=2))
    def test_one_that_stands_still_is_found_in_time(
            self, pauses: list[float]) -> None:
        watched, now = stall.IoHistory(), 0.0
        for pause in pauses:
            now += pause
            watched = stall.look(watched, {'md0': model.IoCounters(1, 1)}, now)
        self.assertEqual({'md0'} if now - pauses[0] >= 1.0 else set(),
                         watched.stalled(now, 1.0))
