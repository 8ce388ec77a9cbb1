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
"""The passes see how much md copies to a leg that comes back."""

from __future__ import annotations

from collections.abc import Mapping
import logging

from oslotest import base

from os_brick.agent.daemon import copying
from os_brick.agent.daemon import healing_loop
from os_brick.agent.model import copied
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit.model import test_copied
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import test_log_fields

MIB = 1 << 20


class CopyingTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.snapshot = test_copied.FINE
        self.asked: list[set[str]] = []
        self.written = 0
        self.copying = copying.Copying(lambda: self.snapshot, self.count,
                                       small_world.Clock())

    def count(self, devices: Mapping[str, tuple[str, ...]]
              ) -> dict[str, copied.Count]:
        self.asked.append(set(devices))
        return {name: copied.Count((hash(name), self.written))
                for name in devices}

    def look(self, snapshot: snapshots.HostSnapshot
             ) -> snapshots.HostSnapshot:
        self.snapshot = snapshot
        return self.copying.look()

    def test_a_host_at_rest_costs_nothing(self) -> None:
        first = self.look(test_copied.FINE)
        for _number in range(5):
            self.assertIs(first, self.copying.look())
        self.assertEqual([], self.asked)

    def test_what_is_read_of_a_leg_that_comes_back(self) -> None:
        self.look(test_copied.FINE)
        self.look(test_copied.OUT)
        self.copying.look()
        self.written = 14 * MIB
        found = self.look(test_copied.FINE)
        self.assertEqual(14 * MIB, found.copied[test_copied.KEY].most)
        self.assertEqual([{'nvme2n1'}] * 3, self.asked)
        self.copying.look()
        self.copying.look()
        self.assertEqual(3, len(self.asked))


class LoopTest(healing_loop_case.CycleCase):
    """Leg B is lost, and C takes its place."""

    def test_the_log_says_how_much(self) -> None:
        kept = test_log_fields.Kept()
        logging.getLogger().addHandler(kept)
        self.addCleanup(logging.getLogger().removeHandler, kept)
        written = 0

        def count(devices: Mapping[str, tuple[str, ...]]
                  ) -> dict[str, copied.Count]:
            nonlocal written
            written += MIB
            return {name: copied.Count((1, written)) for name in devices}
        self.cycle = healing_loop.HealingLoop(
            self.conf, self.driver, small_world.HOST, self.host.scan,
            self.host,  # type: ignore[arg-type]
            self.book, lambda: self.stopping, self.claimed.append,
            clock=self.clock, count=count)
        self.turn(2)
        self.lose()
        self.turn(20)
        line = kept.of('LEG_IN_SYNC')[-1]
        self.assertEqual('md1', line['array'])
        self.assertGreater(line['copied'], 0)
        self.assertIsInstance(line['copied'], int)
        self.assertGreater(kept.of('ARRAY_HEALTHY')[-1]['seconds'], 0)
