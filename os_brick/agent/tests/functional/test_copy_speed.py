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
"""How fast md copies: an operator sets it, changes it, and takes it back."""

from __future__ import annotations

import pathlib

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


def limit_of(volume: connector.Volume) -> pathlib.Path:
    array = host.array(volume.alias)
    assert array is not None
    return host.BLOCK / array.name / 'md' / 'sync_speed_max'


class CopySpeedTest(story.StoryTestCase):

    def wait_for_limit(self, volume: connector.Volume, text: str) -> None:
        waiting.wait_until(
            lambda: text in limit_of(volume).read_text(),
            'the limit of %s is %s' % (volume.alias, text), story.LONG)

    def say(self, agent: agent_lib.Agent, mib_per_s: int) -> None:
        """Change the option as an operator does; a pass follows."""
        agent.skip_log()
        agent.options['DEFAULT']['resync_speed_max'] = mib_per_s
        agent.reload()

    def test_a_limit_from_first_to_last(self) -> None:
        volume = self.session.attach('vol-speed')
        other = self.session.attach('vol-other')
        strange = self.session.attach('vol-strange')
        limit_of(strange).write_text('800')
        lost, stays = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, other, grace=2, poll_interval=2,
                             resync_speed_max=50)
        self.wait_for_limit(volume, '51201 (local)')
        # what is set by hand stays, whatever the option says
        limit_of(volume).write_text('900')
        agent.wait_for_log('900 KiB/s, which somebody else has set',
                           story.LONG)
        self.say(agent, 1)
        self.wait_for_limit(other, '1025 (local)')
        self.assertIn('900 (local)', limit_of(volume).read_text())
        limit_of(volume).write_text('system')
        self.wait_for_limit(volume, '1025 (local)')
        # and a copy goes by it
        writer = self.session.write(volume)
        lost.kill()
        shown = waiting.wait_until(
            lambda: self.shown(agent, 'md copies 1 MiB/s at most: option '
                               'resync_speed_max'),
            'status shows the limit', story.LONG)
        self.assertRegex(shown, 'recover')
        self.say(agent, 0)
        self.wait_for_limit(volume, '(system)')
        self.wait_whole(volume, stays, self.spares[0])
        self.assert_nothing_lost(writer, volume)
        # an agent that was killed knows its own again
        self.say(agent, 7)
        self.wait_for_limit(volume, '7169 (local)')
        agent.kill()
        self.assertIn('7169 (local)', limit_of(volume).read_text())
        agent.options['DEFAULT']['resync_speed_max'] = 8
        agent.start()
        self.wait_for_limit(volume, '8193 (local)')
        agent.stop()
        for one in (volume, other):
            self.assertIn('(system)', limit_of(one).read_text())
        self.assertIn('800 (local)', limit_of(strange).read_text())

    def shown(self, agent: agent_lib.Agent, words: str) -> str | None:
        """Return the screen of status once these words are on it."""
        done = agent.ask('status')
        return done.stdout if words in done.stdout else None
