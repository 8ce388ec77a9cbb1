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
"""A state directory that is damaged, full and read-only, one by one."""

from __future__ import annotations

import io
import pwd
import re

from os_brick.agent.store import ledger
from os_brick.agent.tests.functional import kumoscale_story as kumo
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

TROUBLE = r'agent\.sqlite: (.*)\. The agent goes on from memory'
WORKS = r'agent\.sqlite: works again'
NOT_ASKED = (r'HOST_AT_FAULT, volume vol-state: what has to be remembered of '
             r'a request cannot be written')


class StateDirectoryTest(kumo.KumoScaleTestCase):
    """The agent's own disk is in trouble while a replica is."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = self.session.attach('vol-state')
        self.agent = self.serve(self.volume, prepare=self._damage)
        self.flaky, self.survivor = (
            target for target, _ns in self.volume.replicas)
        for one in host.controllers(self.flaky.nqn):
            one.set('reconnect_delay', 1)
        self.writer = self.session.write(self.volume)

    def _damage(self, agent: agent_lib.Agent) -> None:
        user = pwd.getpwnam(connector.USER)
        where = str(agent.state_dir)
        process.run('mount', '-t', 'tmpfs', '-o',
                    'size=1m,mode=0700,uid=%d,gid=%d' % (
                        user.pw_uid, user.pw_gid), 'tmpfs', where)
        self.addCleanup(process.attempt, process.run, 'umount', '-l', where)
        path = agent.state_dir / ledger.FILE
        path.write_bytes(b'not what sqlite has written' * 400)
        path.chmod(0o666)

    def test_s14_guarding_reports_and_re_adds_go_on(self) -> None:
        """A request waits until it can be remembered, and is made once."""
        log = self.agent.log()
        self.assertRegex(log, r'agent\.sqlite is damaged .* put aside as')
        old = self.uuid(self.flaky)
        self._fill()
        self._lose(old)
        self.assertEqual(1, len(self._troubles()), str(self._troubles()))
        self.flaky.revive()
        self.wait_whole(self.volume, self.flaky, self.survivor)
        self._told('Available ' + old, 1)
        (self.agent.state_dir / 'filler').unlink()
        self.agent.wait_for_log(WORKS, story.LONG)
        self._write_protect()
        self._lose(old, 2)
        # each trouble is said once, and not with each pass
        said = self._troubles()
        self.assertGreater(len(said), 1)
        self.assertEqual(len(set(said)), len(said), str(said))
        self.assertNotIn('add', self.provisioner.changes(self.volume))
        self.agent.skip_log()
        process.run('umount', '-l', str(self.agent.state_dir))
        new = self.new_replica(self.volume)
        self.wait_settled(self.volume, self.uuid(self.survivor), new)
        changes = self.provisioner.changes(self.volume)
        self.assertEqual(1, changes.count('add'), str(changes))
        self.agent.wait_for_log(WORKS, story.LONG)
        self.assert_nothing_lost(self.writer, self.volume)

    def _fill(self) -> None:
        """Until the agent finds no room for what it has to remember."""
        self.agent.skip_log()

        def full() -> bool:
            with (self.agent.state_dir / 'filler').open('ab', 0) as filler:
                process.attempt(_write, filler)
            return bool(self._troubles())
        waiting.wait_until(full, 'the agent finds its disk full', story.LONG)

    def _lose(self, uuid: str, times: int = 1) -> None:
        """Its target dies: the writer goes on, it is told, nothing asked."""
        self.agent.skip_log()
        self.flaky.kill()
        self.writer.wait_for_writes(100, story.LONG)
        self._told('Missing ' + uuid, times)
        self.agent.wait_for_log(NOT_ASKED, story.LONG)

    def _told(self, words: str, times: int) -> None:
        waiting.wait_until(
            lambda: self.provisioner.changes(self.volume).count(words)
            >= times, 'the provisioner is told %d times: %s' % (times, words),
            story.LONG)

    def _write_protect(self) -> None:
        """By a mount over it: one with an open file stays writable."""
        where = str(self.agent.state_dir)
        process.run('mount', '--bind', where, where)
        self.addCleanup(process.attempt, process.run, 'umount', '-l', where)
        process.run('mount', '-o', 'remount,bind,ro', where)

    def _troubles(self) -> list[str]:
        """What is said of the file, each time."""
        return re.findall(TROUBLE, self.agent.log())


def _write(filler: io.FileIO) -> None:
    while True:
        filler.write(b'0' * 4096)
