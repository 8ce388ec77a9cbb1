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
"""Copies of which md cannot say who is ahead: on a real kernel (S10)."""

from __future__ import annotations

import re

from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import shortened
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

HELD = 'No copy of it is added, replaced or let go'


class CopiesInDoubtTest(story.StoryTestCase):
    """A is dropped, B goes on; then the array comes up on A alone."""

    def fill(self, volume: connector.Volume, at: int) -> None:
        """Write a MiB; it is acknowledged when this returns."""
        process.run('dd', 'if=/dev/urandom', 'of=' + volume.path, 'bs=64k',
                    'count=16', 'seek=%d' % at, 'oflag=direct',
                    'conv=fsync,notrunc')

    def device(self, volume: connector.Volume,
               target: targets.Target) -> str:
        leg = self.array(volume).leg(self.uuid(target))
        assert leg is not None
        return '/dev/' + leg.device

    def test_s10_a_copy_that_was_in_charge_is_not_taken_in(self) -> None:
        """mdadm would: it copies A's dirty bits only, and calls it whole."""
        volume = self.session.attach('vol-fork')
        first, second = [target for target, _ns in volume.replicas]
        first_device = self.device(volume, first)
        self.part(volume, first_device)
        agent = self.watched(volume, grace=2)
        agent.wait_for_log('may hold acknowledged writes', story.LONG)
        # lost again, for longer than the grace period, and over a restart
        second.kill()
        agent.wait_for_log('was lost', story.LONG)
        agent.kill()
        agent.skip_log()
        agent.start()
        agent.wait_for_log(HELD, story.LONG)
        second.revive()
        agent.wait_for_log('is live again', story.LONG)
        self.assertEqual({self.uuid(first)}, self.legs(volume))
        self.assertNotIn('asking the provisioner', agent.log())
        # the operator says which one it is: the other is copied anew
        said = agent.ask('use', volume.alias, self.uuid(first))
        self.assertEqual(0, said.returncode, said.stderr)
        self.assertIn('taken for the one', said.stdout)
        self.wait_whole(volume, first, second)
        self.assert_legs_equal(volume)

    def part(self, volume: connector.Volume, device: str) -> None:
        """Let the other copy go on, and then this one, each alone."""
        self.fill(volume, 0)
        process.run('mdadm', '--manage', volume.path, '--fail', device)
        self.drop(volume, device)
        self.fill(volume, 16)
        process.run('mdadm', '--stop', volume.path)
        process.run('mdadm', '--assemble', '--run', volume.path, device)
        self.fill(volume, 64)
        self.fill(volume, 128)

    def test_s10_a_copy_in_use_is_read_before_it_is_replaced(self) -> None:
        """What cannot be put in is never read on its way in."""
        volume = self.session.attach('vol-held')
        first, second = [target for target, _ns in volume.replicas]
        first_device, second_device = (
            self.device(volume, target) for target in (first, second))
        self.part(volume, first_device)
        # an operator looks at it, say
        process.run('dmsetup', 'create', 'lab-held', '--table',
                    '0 2048 linear %s 0' % second_device)
        self.addCleanup(process.run, 'dmsetup', 'remove', '--retry',
                        'lab-held')
        agent = self.watched(volume, grace=2, start=False)
        # no agent has seen it in the array: it might have to arrive first
        agent.shortened[shortened.ARRIVAL] = 5.0
        agent.start()
        agent.wait_for_log('%s|asking the provisioner' % HELD, story.LONG)
        self.assertNotIn('asking the provisioner', agent.log())
        self.assertIn('may hold acknowledged writes', agent.log())
        self.assertEqual({self.uuid(first)}, self.legs(volume))

    def test_s10_an_array_that_never_was_away(self) -> None:
        """Who is in charge has changed while no agent looked: md knows."""
        volume = self.session.attach('vol-same')
        first, second = [target for target, _ns in volume.replicas]
        first_device, second_device = (
            self.device(volume, target) for target in (first, second))
        agent = self.watched(volume, grace=600)
        agent.wait_for_log('starts on host', story.LONG)
        self.fill(volume, 0)
        process.run('mdadm', '--manage', volume.path, '--fail', first_device)
        agent.wait_for_log('replica %s is MISSING' % self.uuid(first),
                           story.LONG)
        agent.kill()
        self.drop(volume, first_device)
        process.run('mdadm', '--manage', volume.path, '--add', first_device)
        host.wait_until_whole(volume.alias, 2, story.LONG)
        process.run('mdadm', '--manage', volume.path, '--fail', second_device)
        self.drop(volume, second_device)
        self.fill(volume, 32)
        agent.skip_log()
        agent.start()
        self.wait_whole(volume, first, second)
        self.assertNotIn(HELD, agent.log())
        self.assert_legs_equal(volume)

    def test_s10_a_copy_whose_counts_were_overtaken(self) -> None:
        """A came up on a host that knows nothing, and wrote on and on.

        B, which was in charge last, has no higher count any more, and lists
        the number that was A's, and was given to C.
        """
        volume = self.session.attach('vol-count', replicas=3)
        old, newest, beside = [target for target, _ns in volume.replicas]
        devices = [self.device(volume, target)
                   for target in (old, newest, beside)]
        self.renumber(volume, devices[0])
        self.drop_by_hand(volume, devices[0])
        self.fill(volume, 16)
        self.renumber(volume, devices[2])
        self.fill(volume, 32)
        process.run('mdadm', '--stop', volume.path)
        newest.kill()
        beside.kill()
        process.run('mdadm', '--assemble', '--run', volume.path, devices[0])
        self.fill(volume, 64)
        agent = self.watched(volume, grace=600)
        agent.wait_for_log('replica %s is MISSING' % self.uuid(newest),
                           story.LONG)
        before = self.events(devices[0])
        self.count_up(volume, 60)
        self.assertLess(before + 30, self.events(devices[0]))
        # it knows with how many events A came up
        newest.revive()
        agent.wait_for_log(HELD, story.LONG)
        self.assertIn('when this host began to write to it', agent.log())
        self.assertEqual({self.uuid(old)}, self.legs(volume))
        # another one, which does not, sees whose number B lists
        agent.kill()
        for path in agent.state_dir.iterdir():
            path.unlink()
        agent.skip_log()
        beside.revive()
        host.wait_for_state(beside.nqn, 'live', story.LONG)
        agent.start()
        agent.wait_for_log('replica %s.*was in charge without any of the legs'
                           % self.uuid(newest), story.LONG)
        self.assertEqual({self.uuid(old)}, self.legs(volume))

    def renumber(self, volume: connector.Volume, device: str) -> None:
        """Have a leg leave, and come in as if it were a new one."""
        self.drop_by_hand(volume, device)
        process.run('mdadm', '--zero-superblock', device)
        process.run('mdadm', '--manage', volume.path, '--add', device)
        waiting.wait_until(
            lambda: any('/dev/' + leg.device == device and leg.in_sync
                        for leg in self.array(volume).legs),
            '%s is in sync' % device, story.LONG)

    def drop_by_hand(self, volume: connector.Volume, device: str) -> None:
        process.run('mdadm', '--manage', volume.path, '--fail', device)
        self.drop(volume, device)

    def events(self, device: str) -> int:
        found = re.search(r'Events : (\d+)', process.run(
            'mdadm', '--examine', device))
        assert found is not None
        return int(found.group(1))

    def count_up(self, volume: connector.Volume, times: int) -> None:
        """Have md write down again and again that it is clean, or not."""
        state = host.BLOCK / self.array(volume).name / 'md/array_state'
        for number in range(times):
            self.write_block(volume, number * story.BLOCK, b'on')
            state.write_text('clean')

    def test_s10_an_array_that_came_up_on_an_old_copy(self) -> None:
        volume = self.session.attach('vol-stale')
        first, second = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=600)
        agent.wait_for_log('starts on host', story.LONG)
        self.fill(volume, 0)
        first.kill()
        self.fill(volume, 16)
        agent.wait_for_log('replica %s is MISSING' % self.uuid(first),
                           story.LONG)
        waiting.wait_until(lambda: self.legs(volume) == {self.uuid(second)},
                           'only B is in sync', story.LONG)
        self.session.detach(volume)
        agent.wait_for_log('was stopped', story.LONG)
        second.kill()
        first.revive()
        agent.skip_log()
        before = len(agent.log())
        session_lib.attacher().attach(volume)
        self.assertEqual({self.uuid(first)}, self.legs(volume))
        agent.wait_for_log('came up on an old copy, replica %s; replica %s'
                           % (self.uuid(first), self.uuid(second)),
                           story.LONG)
        second.revive()
        waiting.wait_until(lambda: self.connected(second),
                           'the agent connects B', story.LONG)
        agent.wait_for_log(self.uuid(second), story.LONG)
        self.assertEqual({self.uuid(first)}, self.legs(volume))
        self.assertNotIn('asking the provisioner', agent.log())
        self.assertNotIn('replica %s is AVAILABLE' % self.uuid(first),
                         agent.log()[before:])
