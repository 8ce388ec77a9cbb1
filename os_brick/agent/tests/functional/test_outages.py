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
"""A target of many volumes, or every target, is lost at once."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import threading
from typing import Any

from oslo_concurrency import processutils

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import redundancy
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story
from os_brick import exception

LOCK = connector.LOCK_PATH / 'os-brick-connect_volume'
#: Bytes of a namespace, and of it those that are written.
SIZE, SPAN = 16 * targets.MIB, 2 * targets.MIB
WAITED = r'os-brick\'s lock is (not had within|still held)'


class WideTest(guard_story.GuardTestCase):
    """Two targets with a leg of each volume, and a writer of each."""

    def wide(self, volumes: int, **options: Any
             ) -> tuple[list[connector.Volume], agent_lib.Agent,
                        list[writer_lib.Writer]]:
        """Attach so many volumes, and start a writer of each."""
        self.both = [self.rack.add(namespaces=volumes, size=SIZE)
                     for _ in range(2)]
        made = [connector.Volume('vol-wide-%d' % number, [
            (target, target.namespaces[number]) for target in self.both])
            for number in range(volumes)]
        for volume in made:
            session_lib.attacher().attach(volume)
        agent = self.watched(*made, spares=0, grace=600, **options)
        self.wait_dealt(agent, *made)
        return made, agent, [self.session.write(
            volume, span=SPAN, pause=0.02) for volume in made]

    def whole(self, volumes: list[connector.Volume]) -> None:
        for volume in volumes:
            host.wait_until_whole(volume.alias, len(volume.replicas),
                                  story.LONG)

    def test_an_attach_that_hangs_holds_up_no_writer(self) -> None:
        """os-brick's lock is waited for once, not once for each array.

        The shelf dies: what is attached is on another target of it, and each
        leg that the agent may cut is on the one that all volumes share.
        """
        volumes, agent, writers = self.wide(4)
        late = connector.Volume.on('vol-late', self.rack.add(size=SIZE),
                                   self.rack.add(size=SIZE))
        shelf = late.replicas[0][0]
        shelf.lose_power()
        attach = threading.Thread(target=self._attach, args=(late,))
        attach.start()
        self.addCleanup(attach.join, story.LONG)
        self.addCleanup(shelf.restore_power)
        waiting.wait_until(_locked, 'os-brick holds its lock', story.LONG)
        agent.skip_log()
        self.both[0].kill()
        agent.wait_for_log(WAITED, story.LONG)
        for writer in writers:
            self.goes_on(writer)
        cut = re.findall('done: FailLeg|is faulty', agent.log())
        self.assertGreaterEqual(len(cut), len(volumes))
        waits = re.findall(WAITED, agent.log())
        self.assertLess(len(waits), len(volumes), str(waits))
        shelf.restore_power()
        attach.join(story.LONG)
        self.assertFalse(attach.is_alive())
        self.both[0].revive()
        self.whole(volumes)
        for writer, volume in zip(writers, volumes):
            self.assert_nothing_lost(writer, volume)

    @staticmethod
    def _attach(volume: connector.Volume) -> None:
        """Whether it comes of it in the end is os-brick's affair."""
        with contextlib.suppress(exception.BrickException,
                                 processutils.ProcessExecutionError):
            session_lib.attacher().attach(volume)

    def test_s9_an_outage_of_everything_keeps_every_copy(self) -> None:
        """Whoever returns first: no leg is dropped, and no write fails."""
        volumes, agent, writers = self.wide(
            2, legs_fail_fast='none', reconnect_delay=1)
        with contextlib.ExitStack() as stack:
            watches = [stack.enter_context(redundancy.Watch(volume.alias))
                       for volume in volumes]
            for first, second in (self.both, self.both[::-1]):
                for target in self.both:
                    target.kill()
                for target in self.both:
                    host.wait_for_state(target.nqn, 'connecting', story.LONG)
                for writer in writers:
                    # that all are lost for less than a second is no outage
                    writer.wait_for_stall(4, story.LONG)
                first.revive()
                host.wait_for_state(first.nqn, 'live', story.LONG)
                second.revive()
                for writer in writers:
                    self.goes_on(writer)
        self.assertEqual([0, 0], [watch.worst for watch in watches])
        self.assertNotRegex(agent.log(), guard_story.CUT)
        for writer, volume in zip(writers, volumes):
            self.assert_nothing_lost(writer, volume)

    def test_silence_is_short_with_no_agent_alive(self) -> None:
        """The kernel gives it up by the time that the agent has set."""
        volumes, agent, writers = self.wide(1, keep_alive_timeout=1)
        stranger = self.rack.add(size=SIZE)
        process.run('nvme', 'connect', '-t', 'tcp', '-a',
                    stranger.addresses[0], '-s', str(targets.PORT),
                    '-n', stranger.nqn)
        before = _kato(stranger)
        self._wait_for_kato({'1'})
        self.assertEqual(0, agent.stop())
        self._wait_for_kato(before)
        agent.start()
        self._wait_for_kato({'1'})
        self.assertEqual(before, _kato(stranger))
        agent.kill()
        lost = self.both[0]
        lost.lose_power()
        stranger.lose_power()

        def given_up() -> str | None:
            other = host.controllers(stranger.nqn)[0].state
            return other if host.controllers(lost.nqn)[
                0].state != 'live' else None
        self.assertEqual('live', waiting.wait_until(
            given_up, 'the kernel gives the connection up', story.LONG))
        lost.restore_power()
        stranger.restore_power()
        host.wait_for_state(lost.nqn, 'live', story.LONG)
        self.assertEqual({'1'}, _kato(lost))
        agent.start()
        self.goes_on(writers[0])
        self.whole(volumes)
        self.assert_nothing_lost(writers[0], volumes[0])

    def _wait_for_kato(self, wanted: set[str]) -> None:
        for target in self.both:
            waiting.wait_until(
                lambda: _kato(target) == wanted, 'the keep-alive time of %s '
                'is %s' % (target.name, wanted), story.LONG)


def _kato(target: targets.Target) -> set[str]:
    return {(host.CONTROLLERS / one.name / 'kato').read_text().strip()
            for one in host.controllers(target.nqn)}


def _locked() -> bool:
    """Whether any process has os-brick's lock."""
    found = os.stat(LOCK)
    wanted = '%02x:%02x:%d' % (os.major(found.st_dev), os.minor(found.st_dev),
                               found.st_ino)
    return wanted in pathlib.Path('/proc/locks').read_text().split()
