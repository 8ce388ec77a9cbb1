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
"""For how long a former leg must not be put back (S13)."""

from __future__ import annotations

from oslotest import base

from os_brick.agent.safety import late_writes


class LateWritesTest(base.BaseTestCase):

    def test_S13_longer_than_a_target_keeps_an_association(self) -> None:
        """It may look at the keep-alive time as seldom as once in it."""
        self.assertGreater(late_writes.HOLD, 2 * late_writes.KEEP_ALIVE)

    def test_S13_it_counts_from_when_it_was_not_listed(self) -> None:
        left = late_writes.left_at(None, True, False, 100.0)
        self.assertIsNone(left)
        self.assertEqual(0.0, late_writes.remaining(left, 100.0))
        left = late_writes.left_at(left, False, False, 110.0)
        for now, expected in ((110.0, 12.0), (115.0, 7.0), (122.0, 0.0),
                              (1e9, 0.0)):
            left = late_writes.left_at(left, False, False, now)
            self.assertEqual(expected, late_writes.remaining(left, now))

    def test_S13_as_long_as_its_own_target_waits(self) -> None:
        for keep_alive, expected in ((0.0, 12.0), (1.0, 12.0), (5.0, 12.0),
                                     (15.0, 32.0)):
            self.assertEqual(expected, late_writes.hold(keep_alive))
            self.assertEqual(expected - 2.0, late_writes.remaining(
                100.0, 102.0, keep_alive))

    def test_S13_it_counts_anew_where_it_may_have_been_back(self) -> None:
        left = late_writes.left_at(100.0, False, True, 111.0)
        self.assertEqual(late_writes.HOLD,
                         late_writes.remaining(left, 111.0))
        self.assertIsNone(late_writes.left_at(100.0, True, False, 111.0))
