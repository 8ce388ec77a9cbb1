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
"""What a target says of the access to its namespaces (ANA).

Its connections live, its administrative commands are answered, and the kernel
keeps the I/O to such a namespace waiting for as long as a connection lives.
"""

from __future__ import annotations

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional import story


class AccessTest(guard_story.GuardTestCase):

    def test_a_namespace_that_becomes_inaccessible(self) -> None:
        volume, agent, closed, _other = self.guarded('vol-ana')
        writer = self.session.write(volume)
        closed.give_access('inaccessible')
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        agent.wait_for_log('done: Disconnect', story.LONG)
        self.goes_on(writer)
        closed.give_access('optimized')
        self.wait_whole(volume, *(one for one, _ns in volume.replicas))
        self.assert_nothing_lost(writer, volume)

    def test_another_path_stays_optimized(self) -> None:
        volume, agent, target, _other = self.guarded('vol-ana2', portals=2)
        writer = self.session.write(volume)
        target.give_access('inaccessible', target.addresses[:1])
        self.goes_on(writer)
        target.give_access('optimized', target.addresses[:1])
        target.give_access('inaccessible', target.addresses[1:])
        self.goes_on(writer)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.assertEqual(2, len(self.legs(volume)))
        self.assert_nothing_lost(writer, volume)
