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
"""Targets that are reached over RDMA: soft RoCE, the kernel's own."""

from __future__ import annotations

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional import story


class RdmaTest(guard_story.GuardTestCase):

    def test_heals_and_returns_over_rdma(self) -> None:
        """A leg is lost and comes back; another one is exchanged."""
        volume, agent, one, other = self.guarded('vol-roce', 20, 'rdma')
        writer = self.session.write(volume)
        one.kill()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.goes_on(writer)
        one.revive()
        self.wait_whole(volume, one, other)
        other.kill()
        agent.wait_for_log('provisioner to replace replica %s' % self.uuid(
            other), story.LONG)
        self.wait_whole(volume, one, self.spares[0])
        self.assertEqual({'rdma'}, {
            (host.CONTROLLERS / one.name / 'transport').read_text().strip()
            for one in host.controllers()})
        self.assert_nothing_lost(writer, volume)

    def test_a_target_that_falls_silent_over_rdma(self) -> None:
        volume, agent, one, other = self.guarded('vol-dumb', 600, 'rdma')
        writer = self.session.write(volume)
        one.lose_power()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.goes_on(writer)
        one.restore_power()
        self.wait_whole(volume, one, other)
        self.assert_nothing_lost(writer, volume)
