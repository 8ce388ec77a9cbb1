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
"""A certificate that ends, from the driver to what the operator sees."""

from __future__ import annotations

from os_brick.agent.daemon import expiry
from os_brick.agent import model
from os_brick.agent.reporting import health
from os_brick.agent.reporting import metrics
from os_brick.agent.reporting import mutes
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.vendors import base

DAY = 86400.0


class CertificatesTest(shown_case.ShownCase):

    def setUp(self) -> None:
        super().setUp()
        self.ends: dict[str, float] = {}
        self.asked = 0
        self.driver.certificates = self.certificates  # type: ignore

    def certificates(self) -> list[model.Certificate]:
        self.asked += 1
        return [model.Certificate(whose, at)
                for whose, at in self.ends.items()]

    def found(self) -> list[tuple[str, str]]:
        self.clock.advance(expiry.INTERVAL)
        self.turn()
        return [(one['severity'], one['text'])
                for one in self.shown()['findings']
                if one['code'] == 'CERTIFICATE_EXPIRES']

    def test_from_first_to_last(self) -> None:
        now = self.clock.wall()
        self.ends = {'of a': now + 400 * DAY, 'of b': now + 30.5 * DAY}
        self.assertEqual([], self.found())
        for days, severity, words in (
                (20.5, 'warning', 'ends in 20 days'),
                (7.5, 'warning', 'ends in 7 days'),
                (6.9, 'critical', 'ends in 6 days'),
                (-1, 'critical', 'has ended')):
            self.ends['of b'] = self.clock.wall() + days * DAY
            (found, text), = self.found()
            self.assertEqual((severity, 'the certificate of b ' + words),
                             (found, text))
        self.assertIn('nvme_agent_certificate_end_timestamp_seconds'
                      '{certificate="of b"}', metrics.text(self.shown()))
        self.ends['of b'] = now + 400 * DAY
        self.assertEqual([], self.found())
        self.assertIn('CERTIFICATE_EXPIRES: over', self.log.output)

    def test_several_are_one_finding(self) -> None:
        now = self.clock.wall()
        self.ends = {'of a': now + 9 * DAY, 'of b': now + 8 * DAY}
        self.found()
        one, = [one for one in self.shown()['findings']
                if one['code'] == 'CERTIFICATE_EXPIRES']
        self.assertIn('of b', one['text'])
        self.assertIn('of a', one['details'][0])

    def test_a_mute_ends_when_it_gets_worse(self) -> None:
        for days, covered in ((29, True), (6, False), (-1, False)):
            one, = health._of_certificates(
                [{'whose': 'x', 'ends_at': days * DAY}], 0.0)
            self.assertEqual(covered, mutes.Mute(
                'CERTIFICATE_EXPIRES', '', 9.0, {'': 1}).covers(one, 1.0))

    def test_once_an_hour(self) -> None:
        self.turn(5)
        self.assertEqual(1, self.asked)
        self.found()
        self.assertEqual(2, self.asked)

    def test_not_in_an_outage(self) -> None:
        self.outage()
        self.turn(2)
        self.assertEqual(0, self.asked)
        self.driver.broken = lambda name, volume: None
        self.turn()
        self.assertEqual(1, self.asked)

    def test_what_was_seen_stays(self) -> None:
        self.ends = {'of a': self.clock.wall() + 9 * DAY}
        self.found()
        self.ends = {}
        self.assertEqual(1, len(self.found()))

    def test_a_driver_that_fails_costs_a_line(self) -> None:
        for error in (base.BadAnswer('no certificate'), ValueError('broken')):
            def fail() -> list[model.Certificate]:
                raise error

            self.driver.certificates = fail  # type: ignore
            self.assertEqual([], self.found())
            self.assertEqual(set(), self.codes())
            self.assertIn(str(error), self.log.output)
        self.driver.certificates = lambda: [1]  # type: ignore
        self.found()
        self.assertIn('no certificate', self.log.output)
