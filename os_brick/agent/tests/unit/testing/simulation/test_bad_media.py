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
"""md's bad blocks in the simulated world, as they were measured on Linux 6.1.

And what the judge sees where the agent takes no notice of them.
"""

from __future__ import annotations

from unittest import mock

from oslotest import base

from os_brick.agent import model
from os_brick.agent.testing.simulation import assembly
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import judge
from os_brick.agent.testing.simulation import kinds as kinds_lib
from os_brick.agent.testing.simulation import md
from os_brick.agent.tests.unit import scripted_world

BLOCK = 3


class BadBlocksCase(base.BaseTestCase):
    """Two legs, of which none fails fast; the first one refuses a block."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self)
        self.kernel, self.raid = self.world.kernel, self.world.raid
        self.bad, self.good = self.raid.members
        for member in self.raid.members:
            member.flags -= {'failfast'}
        self.write()
        self.bad.medium.refuses[BLOCK] = False
        self.write()

    def write(self, block: int = BLOCK) -> None:
        self.kernel.write(self.raid, block)
        self.kernel.touched()

    def leg(self, member: md.Member) -> model.Leg:
        found = self.raid.array().leg(member.device)
        assert found is not None
        return found

    def drop(self, member: md.Member) -> None:
        self.raid.fail(member)
        self.raid.remove(member)

    def put_back(self, member: md.Member) -> md.Member:
        back = self.raid.join(member.device, member.medium, True, False)
        self.kernel.advance(60.0)
        return back


class BadBlocksTest(BadBlocksCase):

    def test_a_refused_write_is_noted_and_acknowledged(self) -> None:
        leg = self.leg(self.bad)
        self.assertTrue(leg.in_sync)
        self.assertFalse(leg.complete)
        self.assertLessEqual({'write_error', 'want_replacement'}, leg.flags)
        # sectors of the device, behind one MiB
        self.assertEqual('26624 8192\n', self.raid.bad_blocks(self.bad))
        self.assertEqual(((24576, 32768),), leg.bad)
        self.assertEqual(2, self.raid.acknowledged[BLOCK])
        self.assertEqual(0, self.raid.refused)
        self.assertIn(BLOCK, self.raid.dirty)

    def test_with_failfast_the_leg_is_dropped(self) -> None:
        self.good.medium.refuses[0] = True
        self.good.flags |= {'failfast'}
        self.write(0)
        self.assertTrue(self.good.faulty)

    def test_what_no_leg_takes_is_an_error(self) -> None:
        self.drop(self.good)
        told, version = list(self.raid.acknowledged), self.raid.version
        self.write()
        self.assertEqual(told, self.raid.acknowledged)
        self.assertEqual(1, self.raid.refused)
        self.write(BLOCK + 1)
        self.assertEqual(version + 2, self.raid.acknowledged[BLOCK + 1])

    def test_a_recovery_marks_what_nobody_holds(self) -> None:
        self.drop(self.good)
        back = self.put_back(self.good)
        self.assertTrue(back.in_sync)
        self.assertIn(BLOCK, back.bad)
        self.assertEqual({BLOCK}, self.raid.lacks())

    def test_a_recovery_is_refused_in_part(self) -> None:
        self.bad.medium.refuses.clear()
        self.drop(self.bad)
        self.good.medium.refuses.clear()
        self.bad.medium.refuses[BLOCK] = True
        back = self.put_back(self.bad)
        self.assertTrue(back.in_sync)
        self.assertEqual({BLOCK}, set(back.bad))

    def test_the_list_outlives_an_array(self) -> None:
        self.write()
        self.assertIn(BLOCK, self.bad.bad)     # it is not tried
        self.bad.medium.refuses.clear()
        self.write()
        self.assertIn(BLOCK, self.bad.bad)
        legs = [(member.device, member.medium)
                for member in self.raid.members]
        assembly.stop(self.raid)
        assembly.assemble(self.raid, legs)
        bad = self.raid.members[0]
        self.assertEqual({BLOCK}, set(bad.bad))
        self.assertNotIn('write_error', bad.flags)
        self.write()
        self.assertFalse(bad.bad)

    def test_a_spare_takes_the_place_of_the_leg_that_lacks_a_block(self
                                                                   ) -> None:
        spare = self.kernel.media[self.world.volume.spares[0]]
        added = self.raid.join('spare', spare, False, False)
        with mock.patch.object(self.raid, 'answer', lambda device: 'ok'):
            self.raid.run(0.0)
            self.assertIn('replacement', added.flags)
            self.raid.run(100.0)
        self.assertTrue(self.leg(added).complete)
        self.assertTrue(self.bad.faulty)

    def test_the_last_disk_that_takes_nothing_breaks_the_array(self) -> None:
        self.good.medium.read_only = True
        self.write(0)
        self.assertTrue(self.good.faulty)
        self.bad.medium.read_only = True
        self.write(0)
        self.assertIn('failed', self.raid.array().broken)
        refused = self.raid.refused
        self.write(1)
        self.assertEqual(refused + 1, self.raid.refused)


class JudgeTest(BadBlocksCase):

    def setUp(self) -> None:
        super().setUp()
        self.kernel.advance(60.0)
        self.world.vendor.shown.update(self.world.volume.replicas)

    def broken(self, body: object, *words: object) -> str:
        try:
            body(*words)    # type: ignore[operator]
        except judge.Violation as error:
            return str(error)
        return ''

    def test_s1_the_leg_that_alone_holds_a_block(self) -> None:
        self.world.vendor.terminate(self.world.volume, self.good.medium.uuid)
        self.assertIn('S1: ', self.broken(self.world.judge.fail, self.raid,
                                          self.good))
        path = self.kernel.through(self.good.medium.uuid)[0]
        self.kernel.lose_path(path, True)
        self.kernel.advance(3.0)
        self.assertIn('leads to what no other leg', self.broken(
            self.world.judge.give_up, path))

    def test_s9_it_may_not_fail_fast(self) -> None:
        for member in self.raid.members:
            member.flags -= {'failfast'}
        self.assertIn('S9: ', self.broken(
            self.world.judge.failfast, self.raid, self.good, True))
        self.assertEqual('', self.broken(
            self.world.judge.failfast, self.raid, self.bad, True))

    def test_s6_what_lacks_a_block_is_not_available(self) -> None:
        state = model.ReplicaState.AVAILABLE
        for member, why in ((self.good, ''), (self.bad, 'S6: ')):
            self.assertIn(why, self.broken(
                self.world.judge.reported, member.medium.uuid, state) or why)
        self.assertIn('S6: ', self.broken(
            self.world.judge.reported, self.bad.medium.uuid, state))

    def test_s10_s11_what_alone_holds_a_block_is_kept(self) -> None:
        self.drop(self.good)
        self.kernel.touched()
        medium = self.good.medium
        self.assertIn('S10: ', self.broken(self.world.judge.add, self.raid,
                                           medium))
        self.assertIn('S11: ', self.broken(self.world.judge.give_away,
                                           medium.uuid, True))

    def test_s9_what_could_be_read_still_can(self) -> None:
        self.world.judge.guarded = True
        self.world.judge.after()
        self.world.judge.excused_until = 0.0
        self.drop(self.good)
        self.assertIn('can be read no more', self.broken(
            self.world.judge.after))


class HistoryTest(base.BaseTestCase):

    def test_that_blocks_are_lacking_is_seen(self) -> None:
        """A copy that held them is put back beside one that lacks them."""
        def broken() -> set[str]:
            return {history.play(seed, steps=30, kinds=kinds).broken
                    for seed in range(kinds_lib.BAD_MEDIA_FROM,
                                      kinds_lib.BAD_MEDIA_FROM + 4)}

        kinds = ('sectors_fail_and_another_leg_dies', 'time_passes',
                 'medium_fails', 'media_take_writes_again')
        self.assertEqual({''}, broken())
        with mock.patch.object(model.Array, 'lacks', ()):
            self.assertIn('S10: ', str(broken()))
