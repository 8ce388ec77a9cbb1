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
"""What is counted: passes, calls, and what the guard has done."""

from __future__ import annotations

import fixtures
from oslotest import base as test_base
from prometheus_client import parser

from os_brick.agent.daemon import showing
from os_brick.agent.model import tallies
from os_brick.agent.reporting import metrics
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.vendors import base


class TallyTest(test_base.BaseTestCase):

    def test_pauses(self) -> None:
        tally = tallies.Tally()
        for seconds in (0.5, 1.0, 3.0, 99.0):
            tally = tally.stood('a', seconds)
        self.assertEqual((2, 2, 3, 3, 3, 3, 3, 4), tally.pauses['a'].counts)
        self.assertEqual(103.5, tally.pauses['a'].total)

    def test_what_is_gone_is_forgotten(self) -> None:
        tally = tallies.Tally().done('a', 'X').done('a', 'X').done(
            'b', 'X').stood('b', 1.0)
        self.assertIs(tally, tally.only({'a', 'b', 'c'}))
        self.assertEqual({('a', 'X'): 2}, tally.only({'a'}).actions)
        self.assertEqual({}, tally.only({'a'}).pauses)


class CountsTest(shown_case.ShownCase):

    def counted(self) -> dict[str, float]:
        return {'%s %s' % (one.name, ' '.join(one.labels.values())): one.value
                for family in parser.text_string_to_metric_families(
                    metrics.text(self.shown())) for one in family.samples}

    def test_passes_and_calls(self) -> None:
        self.turn(2)
        for error in (base.Unavailable('x'), base.Unauthorized('x'),
                      base.BadAnswer('x'), ValueError('x')):
            def broken(name: str, alias: str, raised: Exception = error
                       ) -> None:
                if name == 'volumes':
                    raise raised
            self.driver.broken = broken
            self.turn()
        with fixtures.MockPatchObject(self.book, 'owing',
                                      side_effect=OSError('x')):
            self.assertRaises(OSError, self.turn)
        found = self.counted()
        self.assertEqual(6, found['nvme_agent_passes_total ended'])
        self.assertEqual(1, found['nvme_agent_passes_total failed'])
        for result, count in (('answered', 2), ('unavailable', 1),
                              ('unauthorized', 1), ('failed', 1),
                              ('defect', 1)):
            self.assertEqual(count, found[
                'nvme_agent_provisioner_calls_total volumes ' + result])
        self.assertEqual(6, found[
            'nvme_agent_provisioner_calls_total heartbeat answered'])

    def test_what_was_asked_for(self) -> None:
        self.lose()
        self.turn(20)
        found = self.counted()
        for call in ('report', 'replace', 'confirm'):
            self.assertLessEqual(1, found[
                'nvme_agent_provisioner_calls_total %s answered' % call])

    def test_the_guard(self) -> None:
        show = self.cycle._show
        assert isinstance(show, showing.Showing)
        show._counted = lambda: (tallies.Tally().done(
            'volume1', 'Disconnect').stood('volume1', 3.0), {'md1': 7.5})
        self.turn()
        found = self.counted()
        self.assertEqual(7.5, found[
            'nvme_agent_volume_io_standing_seconds volume1 md1'])
        self.assertEqual(1, found[
            'nvme_agent_guard_actions_total volume1 Disconnect'])
        for name, value in (('bucket volume1 2.0', 0),
                            ('bucket volume1 5.0', 1),
                            ('bucket volume1 +Inf', 1), ('sum volume1', 3.0),
                            ('count volume1', 1)):
            self.assertEqual(value, found[
                'nvme_agent_volume_io_pause_seconds_' + name])

    def test_how_long_a_copy_is_missing(self) -> None:
        self.turn()
        name = 'nvme_agent_volume_degraded_seconds volume1 md1'
        self.assertEqual(0.0, self.counted()[name])
        self.lose()
        self.turn()
        first = self.counted()[name]
        self.turn()
        self.assertEqual(first + 10.0, self.counted()[name])
        self.turn(20)
        self.assertEqual(0.0, self.counted()[name])
