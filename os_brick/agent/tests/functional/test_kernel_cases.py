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
"""What the kernel's own tests do to a namespace, done to a leg under I/O.

The numbers are those of blktests (``nvme/``); contributor/kernel-cases says
which of them have a counterpart where.
"""

from __future__ import annotations

import uuid as uuid_lib

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class KernelCasesTest(guard_story.GuardTestCase):

    def test_rescanned_reset_and_with_fewer_queues(self) -> None:
        """005, 022, 027, 040, 048 and 053: nothing of that costs a copy."""
        volume, agent, one, other = self.guarded('vol-cases')
        writer = self.session.write(volume)
        for _time in range(3):
            for target in (one, other):
                self.controller(target).set('rescan_controller', 1)
        self.goes_on(writer)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.controller(one).set('reset_controller', 1)
        self.goes_on(writer)
        self.wait_whole(volume, one, other)
        for most in (1, 128):
            other.limit_queues(most)
            self.goes_on(writer)
            self.wait_connected(volume, one, other)
        self.assertNotIn('provisioner to replace', agent.log())
        self.assert_nothing_lost(writer, volume)

    def test_another_namespace_gets_the_number_of_a_leg(self) -> None:
        """051, 052 and 058: who bears the name is looked at, not the name."""
        volume, agent, one, other = self.guarded('vol-remap')
        writer = self.session.write(volume)
        itself = self.uuid(one)
        for _time in range(3):
            stranger = str(uuid_lib.uuid4())
            one.namespace.become(stranger)
            one.namespace.remove()
            one.namespace.restore()
        waiting.wait_until(lambda: self.legs(volume) == {self.uuid(other)},
                           'the leg has left', story.LONG)
        waiting.wait_until(lambda: host.namespace(stranger),
                           'the stranger is here', story.LONG)
        self.goes_on(writer)
        for _pass in range(2):
            agent.skip_log()
            agent.wait_for_log('looping call .* sleeping', story.LONG)
        self.assertNotIn('done: AddLeg', agent.log())
        one.namespace.become(itself)
        self.wait_whole(volume, one, other)
        self.assert_nothing_lost(writer, volume)
        self.assertNotIn(stranger, str(self.legs(volume)))

    def controller(self, target: targets.Target) -> host.Controller:
        found, = host.controllers(target.nqn)
        return found

    def wait_connected(self, volume: connector.Volume,
                       *members: targets.Target) -> None:
        """Wait until all are connected, and legs in sync."""
        waiting.wait_until(lambda: all(
            one.state == 'live' for target in members
            for one in host.controllers(target.nqn)) and all(
            host.controllers(target.nqn) for target in members),
            'all are connected', story.LONG)
        self.wait_whole(volume, *members)
