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

import mmap
import os
import pathlib
import sys
import threading

from os_brick.agent.host import udev_rule
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

BLOCK = 4096
PLACE = 8 << 20
RULES = pathlib.Path('/etc/udev/rules.d')
SHIPPED = pathlib.Path(sys.prefix, 'share/os-brick-nvme-agent/udev/rules.d',
                       udev_rule.NAME)


class LateWriteTest(story.StoryTestCase):

    def write(self, volume: connector.Volume, words: bytes) -> None:
        """Write one block; it is acknowledged when this returns."""
        blocks = mmap.mmap(-1, BLOCK)
        blocks.write(words.ljust(BLOCK, b'.'))
        disk = os.open(volume.path, os.O_WRONLY | os.O_DIRECT)
        try:
            os.pwritev(disk, [blocks], PLACE)
        finally:
            os.close(disk)

    def on(self, volume: connector.Volume, number: int) -> bytes:
        """Return the first words of the block on one replica's device."""
        target, namespace = volume.replicas[number]
        array = host.array(volume.alias)
        assert array is not None
        leg = array.leg(self.uuid(target))
        assert leg is not None
        return namespace.backing.read(leg.data_offset + PLACE, 8)

    def test_s13_a_write_that_is_executed_late(self) -> None:
        """It must not replace what was written since."""
        first, second = self.rack.add(late=True), self.rack.add()
        volume = connector.Volume.on('vol-late', first, second)
        session_lib.attacher().attach(volume)
        agent = self.watched(volume, grace=600)
        agent.wait_for_log('serves host', story.LONG)
        self.write(volume, b'first')
        late = first.namespace.backing.late
        assert late is not None
        late.hold(b'old')
        writer = threading.Thread(target=self.write, args=(volume, b'old'),
                                  daemon=True)
        writer.start()
        self.assertTrue(late.held.wait(story.LONG))
        first.kill()
        writer.join(story.LONG)
        self.assertFalse(writer.is_alive())
        # acknowledged, by the other leg alone
        waiting.wait_until(lambda: self.legs(volume) == {self.uuid(second)},
                           'the leg is cut', story.LONG)
        self.write(volume, b'newer')
        first.revive()
        waiting.wait_until(
            lambda: 'return of replica %s' % self.uuid(first) in agent.log()
            or self.uuid(first) in self.legs(volume),
            'the leg is back, or waits', story.LONG)
        late.release()
        self.wait_whole(volume, first, second)
        self.assertEqual([b'newer...'] * 2,
                         [self.on(volume, number) for number in (0, 1)])

    def test_s10_udev_leaves_the_legs_alone(self) -> None:
        """Without the rule it would start the array of either leg."""
        volume = self.session.attach('vol-udev')
        array = host.array(volume.alias)
        assert array is not None
        devices = ['/dev/' + leg.device for leg in array.legs]
        rule = RULES / udev_rule.NAME
        self.addCleanup(rule.unlink, missing_ok=True)
        self.addCleanup(process.attempt, host.stop_arrays)
        process.run('mdadm', '--stop', volume.path)
        for installed in (True, False):
            if installed:
                RULES.mkdir(parents=True, exist_ok=True)
                rule.write_text(SHIPPED.read_text())
            else:
                rule.unlink()
            process.run('udevadm', 'control', '--reload')
            for device in devices:
                process.run('udevadm', 'trigger', '--action=add', device)
            process.run('udevadm', 'settle')
            self.assertEqual(installed, not host.arrays())
