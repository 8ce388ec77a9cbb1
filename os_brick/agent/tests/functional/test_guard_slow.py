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
"""Slow but living targets: none of them may be taken for dead."""

from __future__ import annotations

import os
import signal
import subprocess

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class SlowTest(guard_story.GuardTestCase):
    """Whatever is cut off here is a false alarm, but for a dead target."""

    def test_slow_targets_are_left_alone(self) -> None:
        """Seconds for each write, and a network that turns slow."""
        volume, agent, anchor, other = self.guarded('vol-slow', slow=True)
        writer = self.session.write(volume)
        anchor.namespace.backing.set_delay(3)
        for target, delay in ((anchor, 0.0), (other, 0.4), (other, 0.8)):
            target.delay(delay)
            # the first one may have begun before
            writer.wait_for_writes(2, story.LONG)
        self.assertGreater(writer.status().longest_pause, 2.0)
        anchor.namespace.backing.set_delay(0)
        other.delay(0)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.assertEqual(2, len(self.legs(volume)))
        self.assert_nothing_lost(writer, volume)

    def test_a_target_dies_beside_a_slow_one(self) -> None:
        """Each read of the leg that is left takes its time."""
        volume, agent, lost, left = self.guarded('vol-left', slow=True)
        writer = self.session.write(volume, burst=20, gap=2.0)
        writer.wait_for_gap(story.LONG)
        lost.kill()
        left.namespace.backing.set_delay(3)
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        left.namespace.backing.set_delay(0)
        self.goes_on(writer)
        lost.revive()
        self.wait_whole(volume, lost, left)
        self.assert_nothing_lost(writer, volume)

    def test_an_array_that_grows_on_slow_disks(self) -> None:
        volume, agent, anchor, other = self.guarded('vol-grow', slow=True)
        writer = self.session.write(volume)
        third = self.rack.add(slow=True)
        for target in (anchor, other, third):
            target.namespace.backing.set_delay(0.5)
        agent.write_inventory(inventory.text([connector.Volume(
            volume.alias, [*volume.replicas, (third, third.namespace)],
            volume.uuid)]))
        agent.wait_for_log('done: Resize', story.LONG)
        for target in (anchor, other, third):
            target.namespace.backing.set_delay(0)
        self.wait_whole(volume, anchor, other, third)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.assert_nothing_lost(writer, volume)

    def test_saturated_queues_and_a_check_at_full_speed(self) -> None:
        # md reads a MiB in a second while there are writes
        volume, agent, anchor, other = self.guarded(
            'vol-busy', slow=True, size=32 * targets.MIB)
        array = host.array(volume.alias)
        assert array is not None
        writers = [self.session.write(volume)]
        for target in (anchor, other):
            target.namespace.backing.set_delay(0.3)
        md = host.BLOCK / array.name / 'md'
        (md / 'sync_speed_max').write_text('1000000')
        (md / 'sync_action').write_text('check')
        # behind what the writer writes, for it is read back
        many = [subprocess.Popen(
            ['dd', 'if=/dev/zero', 'of=' + volume.path, 'bs=512k',
             'count=6', 'seek=%d' % (32 + 6 * number), 'conv=notrunc',
             'oflag=direct', 'status=none']) for number in range(4)]
        for one in many:
            self.addCleanup(process.attempt, one.kill)
            waiting.wait_until(lambda: one.poll() is not None,
                               'the many writes end', story.LONG)
            self.assertEqual(0, one.returncode)
        waiting.wait_until(
            lambda: (md / 'sync_action').read_text().strip() == 'idle',
            'the check ends', story.LONG)
        for target in (anchor, other):
            target.namespace.backing.set_delay(0)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        for writer in writers:
            self.assert_nothing_lost(writer, volume)

    def test_an_agent_that_was_paused(self) -> None:
        """A write hangs on a slow disk when it looks again, as before."""
        volume, agent, anchor, _other = self.guarded('vol-pause', slow=True)
        writer = self.session.write(volume)
        anchor.namespace.backing.set_delay(3)
        for _time in range(2):
            os.kill(agent.pid, signal.SIGSTOP)
            writer.wait_for_writes(2, story.LONG)
            os.kill(agent.pid, signal.SIGCONT)
            writer.wait_for_writes(1, story.LONG)
        anchor.namespace.backing.set_delay(0)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.assert_nothing_lost(writer, volume)
