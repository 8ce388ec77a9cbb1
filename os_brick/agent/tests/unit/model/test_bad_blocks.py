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
"""Lists of bad blocks: what the kernel prints, and what follows from it."""

from __future__ import annotations

import unittest

import hypothesis
from hypothesis import strategies as st

from os_brick.agent import model
from os_brick.agent.model import bad_blocks

END = 40


@st.composite
def ranges(draw: st.DrawFn) -> bad_blocks.Ranges:
    """As ``parse`` makes them."""
    lines = draw(st.lists(st.tuples(st.integers(0, END - 8),
                                    st.integers(1, 8)), max_size=5))
    return bad_blocks.parse(''.join(
        '%d %d\n' % line for line in sorted(lines)), 0)


def sectors(found: bad_blocks.Ranges) -> set[int]:
    return {sector for first, end in found for sector in range(first, end)}


def leg(device: str, bad: bad_blocks.Ranges,
        flags: str = 'in_sync') -> model.Leg:
    return model.Leg(device, 0, frozenset([flags]), None, bad)


class BadBlocksTest(unittest.TestCase):

    def test_what_the_kernel_prints(self) -> None:
        self.assertEqual(((8192, 8224), (9000, 9001)), bad_blocks.parse(
            '10240 32\n11048 1', 2048))
        self.assertEqual((), bad_blocks.parse('', 2048))

    def test_where_the_data_begins_is_not_known(self) -> None:
        self.assertEqual((), bad_blocks.parse('', None))
        found = bad_blocks.parse('10240 32', None)
        unknown, known = leg('a', found), leg('b', ((0, 8),))
        self.assertFalse(model.held_by(known, [unknown]))
        self.assertFalse(model.held_by(unknown, [known]))

    def test_neighbours_are_one(self) -> None:
        # md notes at most 512 sectors in a line
        self.assertEqual(((0, 1024),), bad_blocks.parse('0 512\n512 512', 0))

    def test_a_list_that_the_kernel_cut(self) -> None:
        lines = ''.join('%d 8\n' % (10 ** 9 + 16 * number)
                        for number in range(400))
        for page in (lines[:4096], lines[:4089], lines[:4095]):
            found = bad_blocks.parse(page.strip(), 0)
            shown = page.count('\n')
            self.assertIn((10 ** 9, 10 ** 9 + 8), found)
            # whatever may have followed is bad
            self.assertGreater(found[-1][1], 1 << 60)
            self.assertLessEqual(found[-1][0], 10 ** 9 + 16 * shown)
            # nobody knows that, and what is listed is all that is sure
            listed = len(bad_blocks.sure(found))
            self.assertIn(listed, (shown - 1, shown))
            self.assertEqual('at least', bad_blocks.words(found)[:8])
            self.assertEqual(listed * 8 * 512, bad_blocks.size(found))
            cut = leg('a', found)
            self.assertFalse(model.held_by(cut, [leg('b', found)]))
            beyond = ((10 ** 9 + 16 * 399, 10 ** 9 + 16 * 399 + 1),)
            self.assertFalse(model.held_by(cut, [leg('b', beyond)]))
            self.assertTrue(model.held_by(cut, [leg('b', found[:9])]))
        whole = ''.join(lines.splitlines(True)[:200])
        self.assertEqual(200, len(bad_blocks.parse(whole, 0)))

    def test_nonsense(self) -> None:
        for text in ('10240', 'a b', '1 2 3', '1' * 4096):
            self.assertRaises(ValueError, bad_blocks.parse, text, 0)

    def test_how_much_that_is(self) -> None:
        self.assertEqual(1024, bad_blocks.size(((0, 2),)))
        self.assertEqual('1 KiB', bad_blocks.words(((0, 2),)))
        self.assertEqual(512, bad_blocks.size(((0, 1 << 62),)))
        self.assertEqual(0, bad_blocks.size(()))
        self.assertEqual((), bad_blocks.parse('5 0', 0))

    @hypothesis.given(st.lists(ranges(), min_size=1, max_size=4))
    def test_common(self, several: list[bad_blocks.Ranges]) -> None:
        found = bad_blocks.common(several)
        self.assertEqual(set.intersection(*map(sectors, several)),
                         sectors(found))
        for one, after in zip(found, found[1:]):
            self.assertLess(one[1], after[0])

    @hypothesis.given(ranges(), ranges())
    def test_within(self, some: bad_blocks.Ranges,
                    others: bad_blocks.Ranges) -> None:
        self.assertIs(bad_blocks.within(some, others),
                      sectors(some) <= sectors(others))

    @hypothesis.given(ranges(), st.lists(ranges(), max_size=3))
    def test_held_by(self, own: bad_blocks.Ranges,
                     others: list[bad_blocks.Ranges]) -> None:
        everything = set(range(END))
        held = set[int]().union(*(everything - sectors(other)
                                  for other in others))
        self.assertIs(
            model.held_by(leg('a', own), [leg('b', other)
                                          for other in others]),
            bool(others) and everything - sectors(own) <= held)

    def test_a_leg_that_is_copied_to_holds_nothing_yet(self) -> None:
        holed = leg('b', ((0, 8),))
        self.assertTrue(model.held_by(leg('a', (), 'spare'), [holed]))
        self.assertFalse(model.held_by(leg('a', (), 'spare'), []))


class ArrayTest(unittest.TestCase):

    @staticmethod
    def array(*legs: model.Leg, state: str = 'clean') -> model.Array:
        return model.Array('md0', None, None, len(legs), 0, state, 'idle',
                           4096, legs)

    def test_filled_is_not_whole(self) -> None:
        array = self.array(
            model.Leg('a', 0, frozenset(['in_sync']), None, ((0, 8),)),
            model.Leg('b', 1, frozenset(['in_sync'])))
        self.assertTrue(array.filled)
        self.assertFalse(array.whole)
        self.assertEqual((), array.lacks)

    def test_what_no_leg_in_sync_holds(self) -> None:
        array = self.array(
            model.Leg('a', 0, frozenset(['in_sync']), None, ((0, 8),)),
            model.Leg('b', None, frozenset(['faulty'])))
        self.assertEqual(((0, 8),), array.lacks)
        self.assertEqual((), self.array().lacks)

    def test_broken(self) -> None:
        self.assertIn('refuses', self.array(state='broken').broken)
        self.assertEqual('', self.array().broken)
