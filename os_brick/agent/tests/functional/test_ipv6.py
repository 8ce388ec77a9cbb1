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
"""Targets that are reached over IPv6."""

from __future__ import annotations

import ipaddress

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional import story


class IPv6Test(guard_story.GuardTestCase):

    def test_a_silent_target_is_given_up_and_replaced_over_ipv6(self) -> None:
        """The guard finds its connections, and the spare is connected.

        Both have to compare addresses that can be spelt in several ways: the
        inventory names them in another one than the kernel.
        """
        self.rack.family = 'ipv6'
        volume, agent, one, other = self.guarded('vol-six', 5)
        writer = self.session.write(volume)
        one.lose_power()
        agent.wait_for_log('done: ResetConnection', story.LONG)
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.goes_on(writer)
        agent.wait_for_log('provisioner to replace replica %s' % self.uuid(
            one), story.LONG)
        self.wait_whole(volume, other, self.spares[0])
        self.assertEqual({6}, {
            ipaddress.ip_address(path.address).version
            for path in host.controllers()})
        self.assert_nothing_lost(writer, volume)
