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
"""What must never happen, tried on a real kernel."""

from __future__ import annotations

import re
import time

from os_brick.agent.host import reads
from os_brick.agent.tests.functional.lab import backing
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story


class SafetyTest(story.StoryTestCase):
    """Refusals, foreign property, and sudden death."""

    def test_s1_no_leg_is_dropped_while_no_other_one_answers(self) -> None:
        """The kernel calls the other one live; its disk stands still.

        Without the guard: what is dropped here is healing's doing.
        """
        volume = self.session.attach('vol-mute', slow=True)
        writer_lib.touch(volume.path)
        lost, mute = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=10, io_guard='off')
        agent.wait_for_log('starts on host', story.LONG)
        # what md writes to a disk that stands still costs it that leg
        host.wait_until_settled(volume.alias, story.LONG)
        lost.kill()
        agent.wait_for_log('replica %s is MISSING' % self.uuid(lost),
                           story.LONG)
        self.addCleanup(mute.namespace.backing.thaw)
        mute.namespace.backing.freeze()
        found = agent.wait_for_log(
            'done: FailLeg|S1: no other leg of md[0-9]+ answered', story.LONG)
        self.assertIn('S1', found.group())
        self.assertEqual({self.uuid(lost), self.uuid(mute)},
                         self.legs(volume))
        mute.namespace.backing.thaw()
        self.wait_whole(volume, mute, self.spares[0])

    def test_s10_a_read_that_fails_is_not_one_that_takes_its_time(
            self) -> None:
        """What a copy is given up on: its disk's own word, not silence."""
        volume = self.session.attach('vol-disks', slow=True)
        broken, slow = [target for target, _ns in volume.replicas]
        array = host.array(volume.alias)
        assert array is not None
        device = {leg.uuid: leg.device for leg in array.legs}
        one, other = (device[self.uuid(target)] for target in (broken, slow))
        reading = reads.Reads(reads.superblocks)
        self.assertEqual({one: 1, other: 1}, {
            name: len(blocks) for name, blocks
            in reading.or_why_not([one, other], story.LONG).items()})
        broken.namespace.backing.fail()
        slow.namespace.backing.set_delay(10)
        found = waiting.wait_until(
            lambda: reading.or_why_not([one, other], 2.0),
            'the broken one says so', story.LONG)
        self.assertEqual({one: 'Input/output error'}, found)
        slow.namespace.backing.set_delay(0)
        found = waiting.wait_until(
            lambda: reading.or_why_not([other], 2.0), 'the slow one answers',
            story.LONG)
        self.assertEqual(1, len(found[other]))

    def test_s15_nothing_is_put_in_before_the_first_write(self) -> None:
        """Another host may be the one that writes to it."""
        volume = self.session.attach('vol-unwritten')
        members = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=2)
        agent.wait_for_log('starts on host', story.LONG)
        leg = self.array(volume).leg(self.uuid(members[0]))
        assert leg is not None
        process.run('mdadm', '--manage', volume.path, '--fail',
                    '/dev/' + leg.device)
        agent.wait_for_log('put off: S15: nobody on this host', story.LONG)
        waiting.wait_until(
            lambda: 'the first write to the volume on this host' in agent.ask(
                'status', volume.alias).stdout, 'status says it', story.LONG)
        # for longer than the grace period
        time.sleep(10)
        self.assertEqual({self.uuid(members[1])}, self.legs(volume))
        writer_lib.touch(volume.path)
        self.wait_whole(volume, *members)
        self.assertNotIn('asking the provisioner', agent.log())
        self.assert_legs_equal(volume)

    def test_s2_spare_too_small(self) -> None:
        """Refused by its true size, whatever the inventory claims."""
        volume = self.session.attach('vol-small')
        self.hold_open(volume)
        dead, survivor = [target for target, _ns in volume.replicas]
        small = self.rack.add(size=32 * 1024 * 1024)
        agent = self.session.agent(
            {'DEFAULT': {'replacement_grace_period': 1}},
            inventory.text([volume], [small],
                           spare_size=survivor.namespace.size))
        dead.kill()
        agent.wait_for_log('is too small: %d bytes' % (32 * 1024 * 1024),
                           story.LONG)
        self.assertEqual({self.uuid(survivor)}, self.legs(volume))

    def test_s2_spare_in_use_by_another_array(self) -> None:
        volume = self.session.attach('vol-mine')
        self.hold_open(volume)
        other = self.session.attach('vol-other')
        dead, survivor = [target for target, _ns in volume.replicas]
        taken = other.replicas[0][0]
        agent = self.session.agent(
            {'DEFAULT': {'replacement_grace_period': 1}},
            inventory.text([volume], [taken]))
        dead.kill()
        agent.wait_for_log('is in use by md', story.LONG)
        self.assertEqual({self.uuid(survivor)}, self.legs(volume))
        self.assertEqual({self.uuid(target) for target, _ns
                          in other.replicas}, self.legs(other))

    def test_s4_foreign_array_and_connection(self) -> None:
        """A local RAID1 and another product's connection stay untouched."""
        disks = [backing.Backing('foreign-%d' % number, 32 * 1024 * 1024)
                 for number in (0, 1)]
        for disk in disks:
            self.addCleanup(disk.remove)
        process.run('mdadm', '--create', '/dev/md/foreign', '--run',
                    '--level=1', '--raid-devices=2', '--assume-clean',
                    '--metadata=1.2', *[disk.device for disk in disks])
        self.addCleanup(process.run, 'mdadm', '--stop', '/dev/md/foreign')
        stranger = self.rack.add()
        process.run('nvme', 'connect', '-t', 'tcp', '-a',
                    stranger.addresses[0], '-s', '4420', '-n', stranger.nqn)
        before = host.array('foreign')
        volume = self.session.attach('vol-near')
        self.hold_open(volume)
        dead, survivor = [target for target, _ns in volume.replicas]
        self.watched(volume, grace=1)
        dead.kill()
        stranger.kill()
        self.wait_whole(volume, survivor, self.spares[0])
        self.assertEqual(before, host.array('foreign'))
        self.assertTrue(self.connected(stranger))

    def test_s7_killed_at_each_step_of_an_exchange(self) -> None:
        """Started again, it carries on: one replacement, nothing left."""
        volume = self.session.attach('vol-killed')
        dead, survivor = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, spares=2, grace=2)
        writer = self.session.write(volume)
        dead.kill()
        for step in ('is MISSING', 'done: FailLeg|done: Disconnect',
                     'provisioner to replace', 'done: Connect',
                     'done: AddLeg|is SYNCHRONIZING', 'is AVAILABLE',
                     'provisioner to retire'):
            # one that was killed late may have gone further already
            waiting.wait_until(
                lambda: re.search(step, agent.log()),
                'an agent logs %r' % step, story.LONG)
            agent.kill()
            agent.start()
        self.wait_whole(volume, survivor, self.spares[0])
        self.assertFalse(self.connected(self.spares[1]))
        waiting.wait_until(lambda: not self.connected(dead),
                           'the lost target is let go', story.LONG)
        self.assert_nothing_lost(writer, volume)
