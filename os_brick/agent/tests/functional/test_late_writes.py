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
"""A target that executes a write after its leg was cut (S13)."""

from __future__ import annotations

import pathlib
import sys

from os_brick.agent.host import udev_rule
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import shortened
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

PLACE = 8 << 20
RULES = pathlib.Path('/etc/udev/rules.d')
SHIPPED = pathlib.Path(sys.prefix, 'share/os-brick-nvme-agent/udev/rules.d',
                       udev_rule.NAME)


class LateWriteTest(story.StoryTestCase):

    def test_s13_a_write_that_is_executed_late(self) -> None:
        """It must not replace what was written since.

        The target had received it and was paused below: it reaches the disk
        after the connection has broken, and after the next one was made.
        """
        volume = self.session.attach('vol-late')
        (first, late), (second, other) = volume.replicas
        agent = self.watched(volume, grace=600, start=False)
        del agent.shortened[shortened.HOLD]
        agent.start()
        self.write_block(volume, PLACE, b'old')
        place = self.on_a_leg(volume, PLACE)
        old = late.backing.read(place, story.BLOCK)
        self.assertEqual(b'old.', old[:4])
        first.kill()
        self.write_block(volume, PLACE, b'newer')
        waiting.wait_until(lambda: self.legs(volume) == {self.uuid(second)},
                           'the leg is cut', story.LONG)
        first.revive()
        waiting.wait_until(
            lambda: 'return of replica %s' % self.uuid(first) in agent.log()
            or self.uuid(first) in self.legs(volume),
            'the leg is back, or waits', story.LONG)
        late.backing.spoil(place, old)
        self.wait_whole(volume, first, second)
        self.assertEqual([b'newer...'] * 2, [
            one.backing.read(place, 8) for one in (late, other)])

    def test_udev_is_late_and_means_the_device_before(self) -> None:
        """It has vanished, and a leg in use has got its name meanwhile."""
        volume = self.session.attach('vol-name')
        self.hold_open(volume)
        (first, _one), (second, _other) = volume.replicas
        self.install()
        before = self.device_of(volume, first)
        for leg in self.array(volume).legs:
            process.run('udevadm', 'trigger', '--action=change',
                        '/dev/' + leg.device)
        process.run('udevadm', 'settle')
        agent = self.watched(volume, grace=600)
        process.run('udevadm', 'control', '--stop-exec-queue')
        self.addCleanup(process.run, 'udevadm', 'control',
                        '--start-exec-queue')
        first.kill()
        self.write_block(volume, PLACE, b'now')
        agent.wait_for_log('done: RemoveLeg', story.LONG)
        first.revive()
        self.wait_whole(volume, first, second)
        self.assertEqual(before, self.device_of(volume, first))
        process.run('udevadm', 'control', '--start-exec-queue')
        process.run('udevadm', 'settle', '--timeout=60', limit=70)
        self.assertEqual({self.uuid(first), self.uuid(second)},
                         self.legs(volume))

    def device_of(self, volume: connector.Volume,
                  target: targets.Target) -> str:
        leg = self.array(volume).leg(self.uuid(target))
        assert leg is not None
        return leg.device

    def install(self) -> None:
        """Have udev go by the shipped rule, until the test is over."""
        RULES.mkdir(parents=True, exist_ok=True)
        (RULES / udev_rule.NAME).write_text(SHIPPED.read_text())
        self.addCleanup(self.uninstall)
        process.run('udevadm', 'control', '--reload')

    def uninstall(self) -> None:
        (RULES / udev_rule.NAME).unlink(missing_ok=True)
        process.run('udevadm', 'control', '--reload')

    def test_s10_udev_leaves_the_legs_alone(self) -> None:
        """Without the rule it would start the array of either leg."""
        volume = self.session.attach('vol-udev')
        array = host.array(volume.alias)
        assert array is not None
        devices = ['/dev/' + leg.device for leg in array.legs]
        self.addCleanup(process.attempt, host.stop_arrays)
        # udev is told of each leg when md lets go of it, too
        self.install()
        process.run('mdadm', '--stop', volume.path)
        for installed in (True, False):
            if not installed:
                self.uninstall()
            for device in devices:
                process.run('udevadm', 'trigger', '--action=add', device)
            process.run('udevadm', 'settle')
            self.assertEqual(installed, not host.arrays())
