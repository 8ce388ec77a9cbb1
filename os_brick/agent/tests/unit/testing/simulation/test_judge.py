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
"""The judge of the simulation sees what histories seldom show it."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent import model
from os_brick.agent.testing.simulation import agent
from os_brick.agent.testing.simulation import assembly
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import judge
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import migration
from os_brick.agent.testing.simulation import world as worlds
from os_brick.agent.vendors import base as base_driver


class WorldCase(base.BaseTestCase):
    """In a world of the first seed."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = worlds.World(random.Random(1), agent.configuration(),
                                  folder.name)


class TruncatedListTest(base.BaseTestCase):
    """One of three replicas is lost, one is to go, one stays."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = next(filter(
            lambda world: len(world.volume.replicas) == 3,
            (worlds.World(random.Random(seed), agent.configuration(),
                          folder.name) for seed in range(100))))
        self.world.volume.count = None
        self.world.vendor.shown.update(self.world.volume.replicas)
        self.raid = self.world.raid
        self.leaving, self.lost = self.raid.members[:2]
        self.world.judge.after()
        self.raid.fault(self.lost)
        self.raid.remove(self.lost)
        self.world.vendor.terminate(self.world.volume,
                                    self.leaving.medium.uuid)

    def broken(self) -> str:
        for act in (lambda: self.world.judge.resize(self.raid, 2),
                    lambda: self.world.judge.fail(self.raid, self.leaving)):
            try:
                act()
            except judge.Violation as error:
                return str(error)
        return ''

    def test_what_follows_from_a_whole_list_is_right(self) -> None:
        self.assertEqual('', self.broken())

    def test_s8_nothing_follows_from_a_truncated_one(self) -> None:
        self.world.vendor.hides = {self.lost.medium.uuid}
        self.assertIn('S8: resized', self.broken())
        self.raid.raid_disks = 2
        self.assertIn('S8: nvme', self.broken())

    def test_one_that_seems_to_be_replaced_may_be_gone(self) -> None:
        vendor, volume = self.world.vendor, self.world.volume
        vendor.hides = {self.lost.medium.uuid}
        vendor.others[self.lost.medium.uuid] = frozenset(volume.ever)
        self.assertIn('S8: ', self.broken())
        vendor.give(volume)
        self.assertEqual('', self.broken())

    def test_one_that_was_to_go_when_it_was_listed_last_may_be_gone(
            self) -> None:
        """A provisioner restored from its backup has forgotten that."""
        vendor = self.world.vendor
        vendor.hides = {self.lost.medium.uuid}
        vendor.shown[self.lost.medium.uuid] = model.ReplicaState.TERMINATING
        self.assertEqual('', self.broken())

    def begin_anew(self) -> None:
        """The agent is killed, and started again; its disk may be full."""
        self.addCleanup(self.world.agent.kill)
        self.world.agent.start()
        self.world.live(6.0)
        self.world.agent.kill()
        self.world.agent.start()
        self.world.vendor.hides = {self.lost.medium.uuid}

    def test_s8_what_was_written_down_is_missed(self) -> None:
        self.begin_anew()
        self.assertIn('S8: ', self.broken())

    def test_what_the_disk_did_not_take_cannot_be_missed(self) -> None:
        """An agent that begins anew does not know that it was a leg."""
        self.addCleanup(disk.works)
        disk.Disk.trouble_is = disk.FULL
        self.begin_anew()
        self.assertEqual('', self.broken())


class AskedAgainTest(WorldCase):
    """A replacement is requested a second time."""

    def setUp(self) -> None:
        super().setUp()
        self.vendor, self.volume = self.world.vendor, self.world.volume
        self.copy = self.world.raid.members[0]
        self.uuid = self.copy.medium.uuid

    def broken(self) -> str:
        try:
            self.world.double(self.uuid, self.vendor)
        except judge.Violation as error:
            return str(error)
        return ''

    def test_s7_while_it_is_still_owed(self) -> None:
        self.vendor.noted, self.vendor.owed = {self.uuid}, [self.uuid]
        self.assertIn('S7: ', self.broken())

    def test_a_strangers_copy_seemed_to_be_what_was_owed(self) -> None:
        self.vendor.noted, self.vendor.owed = {self.uuid}, [self.uuid]
        dice = random.Random(1)
        with mock.patch.object(dice, 'choice', lambda kinds: kinds[-1]):
            faults.provisioner_lies(self.world, dice)
        self.vendor.lie = None
        self.assertEqual('', self.broken())

    def replaced(self) -> None:
        heir = self.vendor.give(self.volume)
        self.vendor.asked = {self.uuid}
        self.vendor.shown[heir] = model.ReplicaState.AVAILABLE
        self.volume.successors[self.uuid] = heir
        self.world.kernel.media[heir].size = 64 * md.MIB

    def test_s7_although_it_was_replaced(self) -> None:
        self.replaced()
        self.assertIn('S7: ', self.broken())

    def test_it_had_been_let_go_of_and_is_listed_again(self) -> None:
        self.replaced()
        self.world.judge.after()
        self.world.raid.fault(self.copy)
        self.world.raid.remove(self.copy)
        self.vendor.confirm_replica_removed(
            model.Volume(self.volume.uuid, 'v'), model.Replica(self.uuid))
        self.volume.replicas[self.uuid] = model.ReplicaState.MISSING
        self.assertEqual('', self.broken())


class ReportedTest(WorldCase):
    """A state is on its way to the provisioner."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.world.agent.kill)
        self.world.agent.start()
        self.world.live(6.0)
        self.world.vendor.silent = True
        self.world.kernel.lose(self.world.targets[0])
        self.world.live(12.0)
        self.store = self.world.agent._store
        self.report = self.store.pending(self.world.volume.uuid)[0]

    def test_s6_it_has_not_arrived(self) -> None:
        self.assertIn('S6: ', str(self.assertRaises(
            judge.Violation, self.store.delivered, self.report)))

    def test_it_has_arrived_though_nobody_was_told_so(self) -> None:
        self.world.vendor.silent = False
        self.world.vendor.deaf = True
        self.assertRaises(base_driver.Unavailable,
                          self.world.vendor.report_replica_state,
                          model.Volume(self.report.volume, 'v'),
                          model.Replica(self.report.replica),
                          self.report.state)
        self.store.delivered(self.report)


class DetachedTest(WorldCase):
    """A copy is given up of a volume that is no longer attached."""

    def setUp(self) -> None:
        super().setUp()
        self.world.judge.after()
        del self.world.kernel.raids[self.world.raid.name]
        self.world.judge.after()
        self.copy = next(iter(self.world.volume.replicas))

    def test_just_now_it_was_there(self) -> None:
        self.world.kernel.now += judge.REACTION
        self.world.judge.give_away(self.copy, False)

    def test_it_has_been_gone_for_long(self) -> None:
        self.world.kernel.now += judge.REACTION + 0.1
        self.assertIn('S11: ', str(self.assertRaises(
            judge.Violation, self.world.judge.give_away, self.copy, False)))


class UnwrittenTest(WorldCase):
    """Nobody has written to the array since it was put together."""

    def test_s15_nothing_is_put_in(self) -> None:
        raid = self.world.raid
        member = raid.members[1]
        puts_in = (lambda: self.world.judge.add(raid, member.medium),
                   lambda: self.world.judge.replace(raid, member),
                   lambda: self.world.judge.resize(raid, raid.raid_disks + 1))
        self.assertFalse(raid.written)
        for effect in puts_in:
            self.assertIn('S15: ', str(self.assertRaises(judge.Violation,
                                                         effect)))
        self.world.judge.resize(raid, raid.raid_disks)
        self.world.kernel.write(raid, 0)
        for effect in puts_in:
            effect()


class CountedTest(WorldCase):
    """What md writes down with a write of the application."""

    def test_a_degraded_array_counts_its_writes(self) -> None:
        """Else a copy that holds them is not seen to be ahead."""
        raid = self.world.raid
        before = raid.events
        self.world.kernel.write(raid, 0)
        self.assertEqual(before, raid.events)
        lost = raid.members[0]
        raid.fault(lost)
        before = raid.events
        for number in (1, 2):
            self.world.kernel.write(raid, number)
            self.assertEqual(before + number, raid.events)
        for member in raid.members[1:]:
            assert member.medium.written is not None
            self.assertEqual(raid.events, member.medium.written.events)
        assert lost.medium.written is not None
        self.assertLess(lost.medium.written.events, before)


class LimitedTest(WorldCase):
    """How fast md copies, and who may say so."""

    def setUp(self) -> None:
        super().setUp()
        self.raid = self.world.raid

    def test_a_strangers_array_is_not_limited(self) -> None:
        self.world.judge.speed(self.raid)
        self.assertIn('S4: md9', str(self.assertRaises(
            judge.Violation, self.world.judge.speed,
            self.world.kernel.raids['md9'])))

    def test_a_limit_set_by_hand_is_not_replaced(self) -> None:
        self.raid.by_hand = self.world.kernel.now
        self.world.kernel.now += judge.JUST_NOW
        self.world.judge.speed(self.raid)
        self.world.kernel.now += 0.1
        self.assertIn('by hand', str(self.assertRaises(
            judge.Violation, self.world.judge.speed, self.raid)))

    def test_a_limit_delays_a_copy_and_ends_with_the_array(self) -> None:
        def copied(limit: int) -> int:
            self.raid.sync_speed_max = limit
            member = self.raid.members[1]
            member.flags, member.left = {'spare'}, 0.0
            member.todo = set(range(md.BLOCKS))
            for _second in range(20):
                self.raid._recover(1.0)
            return md.BLOCKS - len(member.todo)
        # 32 MiB in all
        self.assertEqual((md.BLOCKS, True), (
            copied(0), 0 < copied(1024) < md.BLOCKS))
        self.raid.by_hand = 1.0
        assembly.stop(self.raid)
        self.assertEqual((0, None), (self.raid.sync_speed_max,
                                     self.raid.by_hand))


class KilledTest(base.BaseTestCase):

    def test_one_that_was_killed_where_it_stood_guards_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = worlds.World(random.Random(1), agent.configuration(),
                                 folder)
            world.agent.start()
            world.live(6.0)
            self.assertTrue(world.judge.dealt)
            world.agent.doom()
            world.live(1.0)
            self.assertTrue(world.agent.alive)
            self.assertFalse(world.judge.guarded or world.judge.dealt)
            world.agent.kill()

    def test_one_whose_disk_took_nothing_knows_nothing(self) -> None:
        """What it was told it kept in memory, and that ends with it."""
        with tempfile.TemporaryDirectory() as folder:
            world = worlds.World(random.Random(1), agent.configuration(),
                                 folder)
            self.addCleanup(disk.works)
            world.agent.start()
            world.live(6.0)
            disk.Disk.trouble_is = disk.FULL
            world.kernel.lose(world.targets[0])
            world.live(6.0)
            world.agent.kill()
            disk.works()
            world.vendor.silent = True
            world.agent.start()
            self.assertFalse(world.agent.knows)
            world.vendor.silent = False
            world.live(12.0)
            self.assertTrue(world.agent.knows)
            world.agent.kill()


class TwoHostsTest(WorldCase):
    """The volume is migrated, and its virtual machine with it."""

    def setUp(self) -> None:
        super().setUp()
        self.source = self.world.here
        self.world.agent.start()
        self.addCleanup(self.world.close)
        self.world.live(6.0)

    def migrate(self) -> None:
        dice = random.Random(1)
        with mock.patch.object(dice, 'randrange', lambda most: 0):
            migration.volume_is_migrated(self.world, dice)
        self.assertIsNot(self.source.kernel, self.world.kernel)

    def test_one_host_has_not_asked_for_what_the_other_one_has(self) -> None:
        """A request may be under way when the virtual machine changes."""
        uuid = next(iter(self.world.volume.replicas))
        self.migrate()
        self.source.vendor.asked.add(uuid)
        self.assertEqual(set(), self.world.vendor.asked)

    def test_the_one_that_writes_says_which_legs_it_has(self) -> None:
        """Whatever the other one has written to them last."""
        def meddle(world: worlds.World) -> None:
            leave(world)
            for member in world.raid.members:
                assert member.medium.written is not None
                member.medium.written = dataclasses.replace(
                    member.medium.written, roles=())

        leave = migration.leave
        with mock.patch.object(migration, 'leave', meddle):
            self.migrate()
        for member in self.world.raid.members:
            assert member.medium.written is not None
            self.assertEqual(len(self.world.raid.members),
                             len(member.medium.written.roles))


class MixedTest(base.BaseTestCase):
    """A was in charge when the host died; now the array runs on B."""

    def setUp(self) -> None:
        super().setUp()
        self.media = [md.Medium(kernels.uuid_of(number))
                      for number in range(2)]
        self.kernel = kernels.Kernel()
        self.targets = [self.kernel.target(number, medium)
                        for number, medium in enumerate(self.media)]
        self.raid = self.kernel.attach('md1', 'v', *(
            medium.uuid for medium in self.media))
        self.a, self.b = self.media

    def drop(self, medium: md.Medium) -> None:
        """md drops it, and its target has gone."""
        self.raid.fault(next(member for member in self.raid.members
                             if member.medium is medium))
        self.kernel.write(self.raid, 0)

    def boot(self, *media: md.Medium) -> None:
        self.kernel.stop()
        self.kernel.assemble('md1', [medium.uuid for medium in media])
        self.raid = self.kernel.raids['md1']

    def test_udev_does_not_mix_two_that_were_in_charge(self) -> None:
        self.drop(self.b)
        self.boot(self.b)
        self.kernel.write(self.raid, 1)
        self.raid.beyond.clear()     # it lacks a write, as good as
        self.assertTrue(self.raid.would_mix(self.a))
        self.kernel.connect(self.targets[0].nqn, self.targets[0].portals[0])
        self.kernel.incremental(self.raid)
        self.assertEqual([self.b], [member.medium for member
                                    in self.raid.members])

    def test_udev_puts_back_one_that_lacks_writes(self) -> None:
        self.drop(self.b)
        self.raid.remove(self.raid.members[1])
        self.assertFalse(self.raid.would_mix(self.b))
        self.kernel.incremental(self.raid)
        self.assertEqual([self.a, self.b], [member.medium for member
                                            in self.raid.members])
