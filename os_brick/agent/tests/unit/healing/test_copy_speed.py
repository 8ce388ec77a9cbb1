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
"""Whose limit it is, and what is set."""

from __future__ import annotations

from oslotest import base

from os_brick.agent.healing import copy_speed
from os_brick.agent import model

FIFTY, TEN = 50 * 1024 + 1, 10 * 1024 + 1


def array(now: int | None) -> model.Array:
    return model.Array('md1', 'v', None, 2, 0, 'active', 'idle', 1 << 30,
                       sync_speed_max=now)


class CopySpeedTest(base.BaseTestCase):

    def test_what_is_decided(self) -> None:
        for now, option, wanted in (
                (0, 50, (FIFTY, 0)),
                # as it is wanted
                (0, 0, None), (FIFTY, 50, None),
                # a kernel that does not say it
                (None, 50, None),
                # ours follows the option, and goes with it
                (FIFTY, 10, (TEN, FIFTY)), (FIFTY, 0, (0, FIFTY)),
                # somebody else's stays, be it higher, lower or the same
                (1000, 50, None), (90000, 50, None), (FIFTY - 1, 50, None),
                (90000, 0, None), (1, 50, None), (1, 0, None)):
            found = copy_speed.decide(array(now), option)
            self.assertEqual(
                wanted, None if found is None else (
                    found.kib_per_s, found.before), '%s, %d' % (now, option))

    def test_the_reason_names_the_option(self) -> None:
        for option, words in ((7, 'option resync_speed_max: 7 MiB/s'),
                              (0, 'option resync_speed_max: 0, no limit')):
            found = copy_speed.decide(array(FIFTY), option)
            assert found is not None
            self.assertIn(words, found.reason)

    def test_only_ours_is_put_back(self) -> None:
        found = copy_speed.restore(array(FIFTY))
        assert found is not None
        self.assertEqual((0, FIFTY), (found.kib_per_s, found.before))
        for now in (90000, FIFTY - 1, 0, None):
            self.assertIsNone(copy_speed.restore(array(now)))
