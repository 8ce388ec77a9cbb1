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
"""A target dies, and has lost what it had acknowledged just before."""

from __future__ import annotations

import re

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

#: Where on the array the write is that is forgotten: behind what the writer
#: writes, in a chunk of the bitmap that is its own.
PLACE = 40 * targets.MIB
SPAN = 8 * targets.MIB


class ForgettingTest(guard_story.GuardTestCase):

    def attached(self, alias: str, replicas: int = 2) -> connector.Volume:
        """A volume of which the bitmap has chunks of a MiB."""
        volume = self.session.attach(alias, replicas=replicas)
        for bitmap in ('none', 'internal'):
            process.run('mdadm', '--grow', volume.path, '--bitmap=' + bitmap,
                        '--bitmap-chunk=1M')
        waiting.wait_until(
            lambda: not self.marked(volume, volume.replicas[0][0]),
            'a bitmap that is new marks all of it no longer', story.LONG)
        return volume

    def marked(self, volume: connector.Volume, target: targets.Target) -> int:
        """How many chunks the bitmap on a leg marks."""
        leg = self.array(volume).leg(self.uuid(target))
        assert leg is not None
        said = re.search(r'(\d+) dirty', process.run(
            'mdadm', '--examine-bitmap', '/dev/' + leg.device))
        assert said is not None
        return int(said[1])

    def test_what_it_has_lost_is_copied_to_it_again(self) -> None:
        volume, agent, forgets, stays = self.prepared('vol-forgets')
        writer = self.session.write(volume, span=SPAN)
        self.write_block(volume, PLACE, b'acknowledged')
        self.forgets(volume, forgets)
        forgets.kill()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        agent.wait_for_log('done: KeepMarked', story.LONG)
        self.goes_on(writer)
        self.assertEqual(0, writer.stop().errors)
        self.assertLess(self.marked(volume, stays), 30)
        forgets.revive()
        self.is_equal_again(volume, agent, forgets)
        read = writer.verify(alias=volume.alias)
        self.assertTrue(read.ok, str(read))

    def test_it_falls_silent_and_nothing_is_written(self) -> None:
        """Its loss is noticed by the kernel's keep-alive."""
        volume, agent, forgets, _stays = self.prepared('vol-silent')
        self.write_block(volume, PLACE, b'acknowledged')
        self.forgets(volume, forgets)
        forgets.lose_power()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        agent.wait_for_log('done: KeepMarked', story.LONG)
        forgets.restore_power()
        self.is_equal_again(volume, agent, forgets)

    def test_one_of_three(self) -> None:
        """The two that stay are in sync all the while."""
        volume, agent, forgets, stays = self.prepared('vol-three', 3)
        self.write_block(volume, PLACE, b'acknowledged')
        self.forgets(volume, forgets)
        forgets.kill()
        agent.wait_for_log('done: KeepMarked', story.LONG)
        self.assertEqual(2, len(self.legs(volume)))
        forgets.revive()
        self.is_equal_again(volume, agent, forgets)

    def prepared(self, alias: str, replicas: int = 2
                 ) -> tuple[connector.Volume, agent_lib.Agent,
                            targets.Target, targets.Target]:
        """Who forgets, and who does not, of a volume that is guarded."""
        volume = self.attached(alias, replicas)
        agent = self.watched(volume, grace=600)
        self.hold_open(volume)
        agent.wait_for_log('done: SetBitmapDelay', story.LONG)
        forgets, stays, *_more = [target for target, _ns in volume.replicas]
        return volume, agent, forgets, stays

    def forgets(self, volume: connector.Volume,
                target: targets.Target) -> None:
        """Let its disk not have what it has acknowledged."""
        backing, place = target.namespace.backing, self.on_a_leg(volume, PLACE)
        self.assertEqual(b'acknowledged', backing.read(place, 12))
        backing.spoil(place, bytes(story.BLOCK))

    def is_equal_again(self, volume: connector.Volume,
                       agent: agent_lib.Agent,
                       target: targets.Target) -> None:
        self.wait_whole(volume, *(one for one, _ns in volume.replicas))
        self.assertEqual(b'acknowledged', target.namespace.backing.read(
            self.on_a_leg(volume, PLACE), 12))
        # what it costs is not all of the volume
        copied = agent.wait_for_log(
            r'at most ([0-9.]+) MiB of .* were copied', story.LONG)
        self.assertLess(float(copied[1]), 30.0)
        self.assert_legs_equal(volume)
