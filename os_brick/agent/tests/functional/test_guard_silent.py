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
"""Targets that fall silent: packets are dropped, and nobody is told."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

GIVEN_UP = 'done: ResetConnection'
NOBODY = 65534


class SilentTest(guard_story.GuardTestCase):
    """The kernel would need some 12 s, or for ever."""

    def test_a_silent_leg(self) -> None:
        """Somebody else's connection to the same portal is left alone (S4)."""
        volume, agent, one, other = self.guarded('vol-silent')
        writer = self.session.write(volume)
        self._connect_as_nobody(one)
        one.lose_power()
        agent.wait_for_log(GIVEN_UP, story.LONG)
        self.assertNotIn('takes a second longer', agent.log())
        self.assertTrue(self._nobody_is_connected())
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.goes_on(writer)
        one.restore_power()
        self.wait_whole(volume, one, other)
        self.wait_dealt(agent, volume)
        self.assert_nothing_lost(writer, volume)

    def test_a_silent_leg_that_fails_fast(self) -> None:
        volume, agent, anchor, other = self.anchored('vol-fast')
        writer = self.session.write(volume)
        other.lose_power()
        agent.wait_for_log(GIVEN_UP, story.LONG)
        self.goes_on(writer)
        other.restore_power()
        self.wait_whole(volume, anchor, other)
        self.assert_nothing_lost(writer, volume)

    def test_a_silent_leg_beside_which_reads_go_on(self) -> None:
        """Each write waits, and no read ever does."""
        volume, agent, silent, other = self.guarded('vol-reads')
        array = host.array(volume.alias)
        assert array is not None
        leg = array.leg(self.uuid(silent))
        assert leg is not None
        (host.BLOCK / array.name / 'md' / ('dev-' + leg.device) / 'state'
         ).write_text('writemostly')
        writer = self.session.write(volume)
        self._read_on(array.name)
        writer.wait_for_writes(50)
        silent.lose_power()
        agent.wait_for_log(GIVEN_UP + '|done: FailLeg|is faulty', story.LONG)
        # and not the kernel, many seconds later
        self.assertIn(GIVEN_UP, agent.log())
        self.goes_on(writer)
        silent.restore_power()
        self.wait_whole(volume, silent, other)
        self.assert_nothing_lost(writer, volume)

    def test_a_leg_falls_silent_while_it_is_copied_to(self) -> None:
        """A write that waits for the copy is counted nowhere as I/O."""
        volume, agent, back, other = self.guarded('vol-copied')
        writer = self.session.write(volume)
        writer.wait_for_writes(20)
        back.kill()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.slow_down(volume)
        back.revive()
        waiting.wait_until(
            lambda: self.array(volume).sync_action == 'recover',
            'md copies to the leg', story.LONG)
        agent.skip_log()
        back.lose_power()
        agent.wait_for_log(GIVEN_UP + '|done: FailLeg|is faulty', story.LONG)
        # and not the kernel, many seconds later
        self.assertIn(GIVEN_UP, agent.log())
        self.goes_on(writer)
        back.restore_power()
        self.wait_whole(volume, back, other)
        self.assert_nothing_lost(writer, volume)

    def _read_on(self, array: str) -> None:
        """Read the disk itself, from one end to the other and again."""
        reader = subprocess.Popen(
            ['bash', '-c', 'while dd if=/dev/%s of=/dev/null bs=64K '
             'iflag=direct status=none; do :; done' % array],
            start_new_session=True)
        self.addCleanup(reader.wait)
        self.addCleanup(os.killpg, reader.pid, signal.SIGKILL)
        stat = host.BLOCK / array / 'stat'
        before = int(stat.read_text().split()[0])
        waiting.wait_until(
            lambda: int(stat.read_text().split()[0]) > before + 100,
            '%s is read' % array)

    def test_s7_killed_while_it_gives_up_a_silent_target(self) -> None:
        volume = self.session.attach('vol-dies')
        agent = self.watched(volume, grace=600, legs_fail_fast='but-one')
        writer = self.session.write(volume)
        members = [target for target, _ns in volume.replicas]
        for step in ('', GIVEN_UP, story.LOST_LEG):
            anchor, _other = self.roles(volume)
            agent.skip_log()
            anchor.lose_power()
            agent.wait_for_log(step, story.LONG)
            agent.kill()
            agent.start()
            self.goes_on(writer)
            anchor.restore_power()
            self.wait_whole(volume, *members)
        self.assert_nothing_lost(writer, volume)

    def test_a_silent_target_of_two_volumes(self) -> None:
        """One connection carries a leg of each."""
        shared = self.rack.add(namespaces=2)
        first, second = self.rack.add(), self.rack.add()
        volumes = [
            connector.Volume(alias, [(shared, namespace),
                                     (other, other.namespace)])
            for alias, namespace, other in zip(
                ('vol-one', 'vol-two'), shared.namespaces, (first, second))]
        for volume in volumes:
            session_lib.attacher().attach(volume)
        agent = self.watched(*volumes, grace=600)
        self.wait_dealt(agent, *volumes)
        writers = [self.session.write(volume) for volume in volumes]
        shared.lose_power()
        agent.wait_for_log(GIVEN_UP, story.LONG)
        for writer in writers:
            self.goes_on(writer)
        shared.restore_power()
        for volume, writer in zip(volumes, writers):
            wanted = {namespace.uuid for _target, namespace
                      in volume.replicas}
            waiting.wait_until(lambda: self.legs(volume) == wanted,
                               '%s is whole' % volume.alias, story.LONG)
            self.assert_nothing_lost(writer, volume)

    def test_one_of_two_paths_falls_silent(self) -> None:
        """I/O takes the other path; the leg stays."""
        volume, agent, anchor, _other = self.guarded(
            'vol-twin', iopolicy='', portals=2)
        self.assertEqual(2, len(host.controllers(anchor.nqn)))
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        used = self._used(anchor)
        anchor.lose_power([used])
        agent.wait_for_log(GIVEN_UP + '.*another path is live', story.LONG)
        self.goes_on(writer)
        self.assertEqual(2, len(self.legs(volume)))
        self.assertNotRegex(agent.log(), 'done: (FailLeg|Disconnect)')
        anchor.restore_power()
        host.wait_for_state(anchor.nqn, 'live', story.LONG)
        self.assert_nothing_lost(writer, volume)

    def test_both_of_two_paths_fall_silent(self) -> None:
        """The idle one is given up together with the one that carries I/O.

        By itself it would be found silent a second later, with a keep-alive
        command of the kernel's under way to it.  Where one is under way by
        now, they may be given up in either order.
        """
        volume, agent, anchor, other = self.guarded(
            'vol-both', iopolicy='', portals=2)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        used = self._used(anchor)
        anchor.lose_power()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        given_up = re.findall(GIVEN_UP + r' .*portal=tcp://([^: ]+).*, and '
                              'another (leg|path)', agent.log())
        self.assertEqual({'leg'}, {who for _address, who in given_up})
        self.assertEqual(2, len(given_up), str(given_up))
        self.assertEqual({True, False}, {
            address == used for address, _who in given_up})
        self.goes_on(writer)
        anchor.restore_power()
        self.wait_whole(volume, anchor, other)
        self.assert_nothing_lost(writer, volume)

    def test_both_of_two_paths_that_carry_io_fall_silent(self) -> None:
        """None is idle, and none has a keep-alive command under way.

        One alone before: what was sent over it goes over the other one.
        """
        volume, agent, one, other = self.guarded('vol-turns', portals=2)
        agent.wait_for_log('done: SetIoPolicy.*nqn=%s policy=round-robin' %
                           one.nqn, story.LONG)
        self.assertEqual('round-robin', host.iopolicy(one.nqn))
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        one.lose_power(one.addresses[:1])
        agent.wait_for_log(GIVEN_UP + '.*another path is live', story.LONG)
        self.goes_on(writer)
        self.assertEqual(2, len(self.legs(volume)))
        one.restore_power()
        host.wait_for_state(one.nqn, 'live', story.LONG)
        writer.wait_for_writes(50)
        agent.skip_log()
        one.lose_power()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        # by the guard, not by the kernel many seconds later
        self.assertEqual(3, len(re.findall(GIVEN_UP, agent.log())))
        self.goes_on(writer)
        one.restore_power()
        self.wait_whole(volume, one, other)
        waiting.wait_until(lambda: host.iopolicy(one.nqn) == 'round-robin',
                           'its next connections take turns, too', story.LONG)
        agent.stop()
        self.assertEqual({'numa'}, {host.iopolicy(target.nqn)
                                    for target in (one, other)})
        self.assert_nothing_lost(writer, volume)

    def _connect_as_nobody(self, target: targets.Target) -> None:
        """An initiator in user space; it is idle, as far as TCP goes."""
        address, port, _transport = target.portals[0]
        initiator = subprocess.Popen(
            ['bash', '-c', 'exec 3<>/dev/tcp/%s/%d && read' % (address, port)],
            stdin=subprocess.PIPE, user=NOBODY)
        self.addCleanup(initiator.wait)
        self.addCleanup(initiator.kill)
        waiting.wait_until(self._nobody_is_connected, 'it is connected')

    def _nobody_is_connected(self) -> bool:
        return any(line.split()[3] == '01' and line.split()[7] == str(NOBODY)
                   for line in pathlib.Path(
                       '/proc/net/tcp').read_text().splitlines()[1:])

    def _used(self, target: targets.Target) -> str:
        """The address through which more is written."""
        written = {}
        for controller in host.controllers(target.nqn):
            for path in (host.CONTROLLERS / controller.name).glob(
                    'nvme*c*n*/stat'):
                written[controller.address] = int(path.read_text().split()[4])
        return max(written, key=lambda address: written[address])
