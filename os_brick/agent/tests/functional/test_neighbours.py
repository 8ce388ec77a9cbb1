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
"""What else runs on such a host, and what os-brick does in the middle."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import lvm
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

MIB = targets.MIB
MULTIPATH = pathlib.Path('/etc/multipath.conf')
#: It takes every device of which it is not said that it must not.
GREEDY = 'defaults {\n find_multipaths no\n polling_interval 5\n}\n'
CRYPT = 'lab-crypt'
#: Volume groups: on the volume, and on a spare.
GUEST, OLD = 'lab-guest', 'lab-old'


class NeighboursTest(story.StoryTestCase):

    def test_heals_beside_what_else_runs_on_a_host(self) -> None:
        """md's monitor and its monthly check; dm-crypt on top.

        And LVM, where it is installed, between the two: it has activated what
        the guest made, and what a spare carries, which becomes no leg until an
        operator lets it go.  And multipathd: with native multipath it takes no
        namespace, whatever its configuration says.
        """
        volume = self.session.attach('vol-beside')
        dead, survivor = [target for target, _ns in volume.replicas]
        multipathd = self.greedy() if shutil.which('multipathd') else None
        self.beside('mdadm', '--monitor', '--scan', '--delay=1',
                    '--program=/bin/true')
        agent = self.watched(volume, start=False)
        device = volume.path
        if lvm.there():
            device = self.logical(volume, self.spares[0])
        device = self.encrypted(device)
        agent.start()
        writer = self.session.write_to(device)
        self.addCleanup(writer.kill)
        writer.wait_for_writes(50)
        self.checked(volume)
        if lvm.there():
            self.assertIn('LVM of this host has activated lab--guest-data',
                          agent.ask('check').stdout)
        dead.kill()
        agent.wait_for_log(story.REPLACE % self.uuid(dead), story.LONG)
        if lvm.there():
            agent.wait_for_log(
                r'S2: nvme\S+ is in use by dm-\d+ \(lab--old-data of LVM\)',
                story.LONG)
            lvm.let_go(OLD)
        self.wait_whole(volume, survivor, self.spares[0])
        agent.wait_for_log(story.CONFIRM % self.uuid(dead), story.LONG)
        writer.wait_for_writes(20, story.LONG)
        self.assertEqual(0, writer.stop().errors)
        result = writer.verify({device: 0})
        self.assertTrue(result.ok, str(result))
        self.assert_legs_equal(volume)
        if multipathd is not None:
            self.assertIsNone(multipathd.poll())
            self.assertEqual('', process.run('multipath', '-ll').strip())

    def greedy(self) -> subprocess.Popen[bytes]:
        """Have multipathd take whatever it can."""
        process.run('modprobe', 'dm-multipath')
        MULTIPATH.write_text(GREEDY)
        self.addCleanup(MULTIPATH.unlink)
        return self.beside('multipathd', '-d', '-v2')

    def beside(self, *command: str) -> subprocess.Popen[bytes]:
        """Have a program run until the test is over."""
        other = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        return other

    def logical(self, volume: connector.Volume,
                spare: targets.Target) -> str:
        """Have the host's LVM take the volume, and a spare.

        :returns: the logical volume that a guest made on the volume.
        """
        lvm.hide_the_disks_of_others()
        self.addCleanup(lvm.show_them)
        spare.namespace.backing.spoil(0, lvm.made(OLD, spare.namespace.size))
        self.addCleanup(process.attempt, lvm.let_go, OLD)
        # the agent would be faster than udev, and md have it
        process.run('nvme', 'connect', '-t', 'tcp', '-a', spare.addresses[0],
                    '-s', str(targets.PORT), '-n', spare.nqn)
        content = lvm.made(GUEST, self.array(volume).size)
        self.addCleanup(process.attempt, lvm.let_go, GUEST)
        with open(volume.path, 'r+b', buffering=0) as disk:
            disk.write(content)
        lvm.wait_until_taken(OLD)
        return lvm.wait_until_taken(GUEST)

    def encrypted(self, device: str) -> str:
        """Return a device that encrypts what is written to another."""
        sectors = int((host.BLOCK / pathlib.Path(device).resolve().name
                       / 'size').read_text())
        process.run('dmsetup', 'create', CRYPT, input_text=(
            '0 %d crypt aes-xts-plain64 %s 0 %s 0' % (
                sectors, '5a' * 32 + 'a5' * 32, device)))
        self.addCleanup(process.attempt, process.run, 'dmsetup', 'remove',
                        '--retry', CRYPT)
        return '/dev/mapper/' + CRYPT

    def checked(self, volume: connector.Volume) -> None:
        """Have md compare the legs, as a timer does each month."""
        array = host.BLOCK / self.array(volume).name / 'md'
        (array / 'sync_speed_max').write_text(str(story.SPEED))
        (array / 'sync_action').write_text('check')
        waiting.wait_until(
            lambda: self.array(volume).sync_action == 'check',
            'md compares the legs')

    def test_os_brick_extends_it_in_the_middle_of_an_exchange(self) -> None:
        """What was put in before is as large as the others; the next, too."""
        volume = self.session.attach('vol-grows')
        dead, survivor = [target for target, _ns in volume.replicas]
        self.spares = [self.rack.add(size=96 * MIB) for _ in range(2)]
        agent = self.session.agent(
            {'DEFAULT': {'replacement_grace_period': 3.0}},
            inventory.text([volume], self.spares[:1]))
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        self.slow_down(volume)
        dead.kill()
        agent.wait_for_log('done: AddLeg', story.LONG)
        for _target, namespace in volume.replicas:
            namespace.extend(96 * MIB)
        before = self.array(volume).size
        waiting.wait_until(lambda: self.extended(volume) > before,
                           '%s is larger' % volume.alias, story.LONG)
        self.wait_whole(volume, survivor, self.spares[0])
        agent.wait_for_log(story.CONFIRM % self.uuid(dead), story.LONG)
        self.assertGreater(self.array(volume).size, 64 * MIB)
        self.assert_nothing_lost(writer, volume)
        self.assert_legs_equal(volume)

    def extended(self, volume: connector.Volume) -> int:
        """Have os-brick extend the volume; return its array's bytes."""
        process.attempt(session_lib.attacher().extend, volume)
        return self.array(volume).size
