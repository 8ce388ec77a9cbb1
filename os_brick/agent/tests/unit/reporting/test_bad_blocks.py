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
"""What an operator is shown of legs that lack blocks, and of their volume."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.reporting import health
from os_brick.agent.tests.unit.reporting import shown_case

A, B = shown_case.A, shown_case.B
HERE = ((0, 8),)


class BadBlocksTest(shown_case.ShownCase):
    """:ivar bad: what md says that the leg of a replica lacks.

    :ivar state: the array's, where it is not what it would be.
    """

    def setUp(self) -> None:
        super().setUp()
        self.bad: dict[str | None, bad_blocks.Ranges] = {}
        self.state = ''
        plain = self.host.scan

        def scan() -> snapshots.HostSnapshot:
            found = plain()
            return dataclasses.replace(found, arrays=tuple(
                dataclasses.replace(
                    array, array_state=self.state or array.array_state,
                    legs=tuple(dataclasses.replace(leg, bad=self.bad.get(
                        leg.replica_uuid, ())) for leg in array.legs))
                for array in found.arrays))
        self.host.scan = scan  # type: ignore[method-assign]
        self.restart()
        self.turn()

    def finding(self, code: str) -> health.Finding:
        found, = [one for one in health.findings(self.shown())
                  if one.code == code]
        return found

    def test_one_leg(self) -> None:
        self.assertEqual(set(), self.codes())
        self.bad[B] = HERE
        self.turn()
        self.assertEqual({'ARRAY_DEGRADED', 'BAD_BLOCKS'}, self.codes())
        found = self.finding('BAD_BLOCKS')
        self.assertEqual(('warning', 'volume1', 1),
                         (found.severity, found.volume, found.weight))
        self.assertEqual(('replica %s: %s lacks 4 KiB' % (
            B, self.host.name(1, 'B') + 'n1'),), found.details)
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual('SYNCHRONIZING', replica['here'])
        self.assertIn('it lacks 4 KiB, though md calls it in sync',
                      replica['why'])
        self.assertIn('grace period', replica['waits_for'])
        status, text = self.look()
        self.assertIn('1 of 2 copies good', text)
        self.assertIn('it lacks 4 KiB', text)
        self.assertEqual(1, status)
        self.bad.clear()
        self.turn()
        self.assertEqual(set(), self.codes())

    def test_a_replacement_that_is_missed(self) -> None:
        self.bad[B] = HERE
        self.turn()
        shown = self.shown()
        shown['volumes'][0]['replicas'][1].update(requested_at=1.0,
                                                  accepted=False)
        found = {one.code: one for one in health.findings(shown)}
        self.assertIn(B, found['NO_SPARE'].details[0])

    def test_no_leg_holds_them(self) -> None:
        self.bad[A] = self.bad[B] = HERE
        self.turn()
        found = self.finding('BLOCKS_LOST')
        self.assertEqual('critical', found.severity)
        self.assertIn('no leg in sync holds 4 KiB of it', found.text)
        self.assertNotIn('NO_GOOD_LEG', self.codes())
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertIn('the operator', replica['waits_for'])
        self.assertEqual(2, self.look()[0])

    def test_who_holds_them_is_away(self) -> None:
        self.bad[A] = HERE
        self.host.live[self.host.name(1, 'B')] = False
        self.turn()
        found = self.finding('BLOCKS_LOST')
        self.assertIn('its I/O waits for them', found.text)
        self.host.live[self.host.name(1, 'B')] = True
        self.turn()
        self.assertNotIn('BLOCKS_LOST', self.codes())

    def test_all_are_away(self) -> None:
        """Then it is not because of the blocks."""
        self.bad[A] = HERE
        for letter in 'AB':
            self.host.live[self.host.name(1, letter)] = False
        self.turn()
        self.assertIn('NO_GOOD_LEG', self.codes())
        self.assertNotIn('BLOCKS_LOST', self.codes())

    def test_an_array_that_refuses_all_writes(self) -> None:
        self.state = 'broken'
        self.turn()
        found = self.finding('ARRAY_BROKEN')
        self.assertEqual('critical', found.severity)
        self.assertIn('stopped and assembled again', found.text)
        self.state = ''
        self.turn()
        self.assertEqual(set(), self.codes())
