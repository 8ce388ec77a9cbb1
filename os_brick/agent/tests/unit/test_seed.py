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
"""A run's seed decides its examples, in CI as anywhere else."""

from __future__ import annotations

from unittest import mock

import hypothesis
from hypothesis import core
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.tests import unit


class SeedTest(base.BaseTestCase):

    def drawn(self, seed: int) -> list[int]:
        found: list[int] = []

        @hypothesis.settings(max_examples=20)
        @hypothesis.given(st.integers())
        def draw(number: int) -> None:
            found.append(number)

        with mock.patch.object(core, 'global_force_seed', seed):
            draw()
        return found

    def test_the_same_one_draws_the_same_examples(self) -> None:
        self.assertEqual(self.drawn(1), self.drawn(1))

    def test_another_one_draws_others(self) -> None:
        self.assertNotEqual(self.drawn(1), self.drawn(2))

    def test_it_is_the_runs(self) -> None:
        self.assertEqual(unit.SEED, core.global_force_seed)
