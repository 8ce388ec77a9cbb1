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
"""The agent in a container of its own."""

from __future__ import annotations

import os
import pathlib

from os_brick.agent.tests.functional import base
from os_brick.agent.tests.functional.lab import contained
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional import story


class ContainerTest(story.StoryTestCase):

    @base.by_console_script
    def test_heals_from_a_container(self) -> None:
        """Reported, exchanged, let go; the host's files are not there."""
        volume = self.session.attach('vol-box')
        dead, survivor = [target for target, _ns in volume.replicas]
        self.spares = [self.rack.add()]
        agent = contained.Contained(
            {'DEFAULT': {'replacement_grace_period': 3}}, 'contained',
            inventory.text([volume], self.spares))
        self.session.agents.append(agent)
        agent.start()
        self._assert_walls(agent)
        writer = self.session.write(volume)
        dead.kill()
        self.wait_whole(volume, survivor, self.spares[0])
        agent.wait_for_log(story.CONFIRM % self.uuid(dead), story.LONG)
        self.assertFalse(self.connected(dead))
        self.assert_nothing_lost(writer, volume)

    def _assert_walls(self, agent: contained.Contained) -> None:
        pid = agent.helper_pid()
        for kind in ('mnt', 'pid', 'ipc'):
            self.assertNotEqual(os.readlink('/proc/self/ns/' + kind),
                                os.readlink('/proc/%d/ns/%s' % (pid, kind)))
        inside = pathlib.Path('/proc/%d/root' % pid)
        self.assertFalse((inside / 'run' / 'udev').exists())
        self.assertFalse((inside / 'home').exists())
