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
"""A target refuses writes: md notes bad blocks and says in sync (S1, S10)."""

from __future__ import annotations

import json
import pathlib

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story

LACKS = r'leg %s .* ?lacks .*, though md calls it in sync'
#: Bytes of the array: where the target refuses, within what is written.
HOLE, LENGTH = 4 * targets.MIB, 64 * 1024
SPAN = 8 * targets.MIB


class BadBlocksTest(guard_story.GuardTestCase):
    """A lacks blocks that B holds, or nobody does."""

    agent: agent_lib.Agent

    def leg(self, volume: connector.Volume, target: targets.Target
            ) -> host.Leg:
        leg = self.array(volume).leg(self.uuid(target))
        assert leg is not None
        return leg

    def md(self, volume: connector.Volume, leg: host.Leg) -> pathlib.Path:
        return (host.BLOCK / self.array(volume).name / 'md'
                / ('dev-' + leg.device))

    def bad(self, volume: connector.Volume, target: targets.Target) -> str:
        return (self.md(volume, self.leg(volume, target)) / 'bad_blocks'
                ).read_text()

    def prepared(self, alias: str, grace: float, *more: connector.Volume
                 ) -> tuple[connector.Volume, targets.Target, targets.Target,
                            writer_lib.Writer]:
        """A volume, A, B and a writer; A has bad blocks, and it is told.

        A has the first slot.
        """
        volume = self.session.attach(alias, slow=True)
        first, second = sorted(
            (target for target, _ns in volume.replicas),
            key=lambda one: self.leg(volume, one).slot != 0)
        self.agent = self.watched(volume, *more, grace=grace)
        # with md's failfast flag one write that fails would cost the leg
        self.wait_dealt(self.agent, volume)
        leg = self.leg(volume, first)
        first.namespace.backing.refuse(leg.data_offset + HOLE, LENGTH)
        writer = self.session.write(volume, span=SPAN)
        self.agent.wait_for_log(LACKS % leg.device, story.LONG)
        self.assertNotEqual('', self.bad(volume, first))
        self.assertEqual(0, writer.status().errors)
        return volume, first, second, writer

    def health(self) -> dict[str, str]:
        """The codes, and of each its severity and what is said."""
        return {one['code']: '%s: %s' % (one['severity'], one['text'])
                for one in json.loads(
                    self.agent.ask('health', '--json').stdout)}

    def until_health(self, code: str, words: str = '') -> None:
        waiting.wait_until(lambda: words in self.health().get(code, 'none'),
                           'health says %s %s' % (code, words), story.LONG)

    def until_healthy(self) -> None:
        waiting.wait_until(lambda: not self.health(), 'health is clean',
                           story.LONG)

    def drop_good(self, volume: connector.Volume,
                  target: targets.Target) -> None:
        """Have md drop a leg that is good, as an operator may."""
        device = '/dev/' + self.leg(volume, target).device
        process.run('mdadm', '--manage', volume.path, '--fail', device)
        self.drop(volume, device)

    def fill(self, volume: connector.Volume, offset: int) -> bool:
        """Write there; return whether all of it was acknowledged."""
        return process.succeeds(
            'dd', 'if=/dev/urandom', 'of=' + volume.path, 'bs=%d' % LENGTH,
            'count=1', 'seek=%d' % offset, 'oflag=direct,seek_bytes',
            'conv=fsync,notrunc')

    def test_a_leg_with_bad_blocks_is_replaced(self) -> None:
        volume, first, second, writer = self.prepared('vol-bad', 20)
        uuid = self.uuid(first)
        self.agent.wait_for_log('replica %s is SYNCHRONIZING' % uuid,
                                story.LONG)
        self.until_health('BAD_BLOCKS', 'warning')
        self.assertEqual({uuid, self.uuid(second)}, self.legs(volume))
        self.agent.wait_for_log(story.REPLACE % uuid, story.LONG)
        self.wait_whole(volume, second, self.spares[0])
        self.agent.wait_for_log(story.CONFIRM % uuid, story.LONG)
        log = self.agent.log()
        self.assertLess(log.index('replica %s is AVAILABLE' % self.uuid(
            self.spares[0])), log.index(story.CONFIRM % uuid))
        self.until_healthy()
        self.assertEqual('', self.bad(volume, self.spares[0]))
        self.assertFalse(self.connected(first))
        self.assert_nothing_lost(writer, volume)
        self.assert_legs_equal(volume)

    def test_s1_the_only_complete_leg_is_waited_for(self) -> None:
        """What the guard does to another volume's leg tells when to look."""
        other = self.session.attach('vol-other')
        lost, _stays = [target for target, _ns in other.replicas]
        beside = self.session.write(other)
        volume, first, second, writer = self.prepared(
            'vol-only', 600, other)
        for end, back in (('kill', 'revive'),
                          ('lose_power', 'restore_power')):
            self.agent.skip_log()
            getattr(second, end)()
            getattr(lost, end)()
            self.agent.wait_for_log('vol-other.*(done: FailLeg|is faulty)',
                                    story.LONG)
            self.goes_on(beside)
            self.until_health('BLOCKS_LOST', 'its I/O waits')
            self.assertEqual({self.uuid(first), self.uuid(second)},
                             self.legs(volume))
            self.assertGreater(writer.status().under_way, 0.0)
            getattr(second, back)()
            getattr(lost, back)()
            self.goes_on(writer)
            waiting.wait_until(lambda: 'BLOCKS_LOST' not in self.health(),
                               'health is free of it', story.LONG)
            self.wait_whole(other, *(one for one, _ns in other.replicas))
        self.assertNotRegex(self.agent.log(), 'vol-only.*' + guard_story.CUT)
        self.assertEqual(0, writer.stop().errors)
        leg = self.leg(volume, second)
        read = writer.verify({'/dev/' + leg.device: leg.data_offset,
                              volume.path: 0})
        self.assertTrue(read.ok, str(read))
        self.assert_nothing_lost(beside, other)

    def test_s10_what_holds_the_blocks_is_not_put_back_beside_it(
            self) -> None:
        """md would mark them bad there, too, though they are not."""
        # A's slot is before the empty one: md itself would put what is added
        # in the place of a leg that has refused a write
        volume, first, second, writer = self.prepared('vol-hole', 600)
        self.assertEqual(0, writer.stop().errors)
        good = self.leg(volume, second)
        self.agent.kill()
        self.drop_good(volume, second)
        self.agent.start()
        self.agent.wait_for_log('not done: .*lack blocks', story.LONG)
        self.until_health('BLOCKS_LOST', 'critical')
        self.assertIsNone(self.array(volume).leg(self.uuid(second)))
        held = {'/dev/' + good.device: good.data_offset}
        read = writer.verify(held)
        self.assertTrue(read.ok, str(read))
        # the operator does without them
        said = self.agent.ask('use', volume.alias, self.uuid(first))
        self.assertEqual(0, said.returncode, said.stderr)
        self.wait_whole(volume, first, second)
        self.assertEqual(self.bad(volume, first), self.bad(volume, second))
        # mended, and written anew
        first.namespace.backing.mend()
        (self.md(volume, self.leg(volume, first)) / 'state').write_text(
            '-write_error')
        self.assertTrue(self.fill(volume, HOLE))
        self.agent.wait_for_log('has all of its data again', story.LONG)
        self.until_healthy()
        self.assert_legs_equal(volume)

    def test_an_array_that_is_broken(self) -> None:
        volume = self.session.attach('vol-broken', slow=True)
        first, second = [target for target, _ns in volume.replicas]
        self.agent = self.watched(volume, grace=600)
        self.wait_dealt(self.agent, volume)
        self.assertTrue(self.fill(volume, 0))
        said = self.agent.ask('pause', volume.alias, '--for', '2h',
                              '--reason', 'drill')
        self.assertEqual(0, said.returncode, said.stderr)
        self.agent.wait_for_log('paused by the operator', story.LONG)
        self.drop_good(volume, second)
        first.namespace.backing.fail()
        self.assertFalse(self.fill(volume, HOLE))
        self.agent.wait_for_log(r'(CRITICAL|FATAL).* takes no writes: a '
                                'write to its last leg', story.LONG)
        self.until_health('ARRAY_BROKEN', 'critical')
        self.agent.ask('resume', volume.alias)
        first.namespace.backing.mend()
        self.assertFalse(self.fill(volume, HOLE))
        self.session.detach(volume)
        self.agent.wait_for_log('was stopped', story.LONG)
        session_lib.attacher().attach(volume)
        self.assertTrue(self.fill(volume, HOLE))
        self.wait_whole(volume, first, second)
        self.until_healthy()
        self.assert_legs_equal(volume)
