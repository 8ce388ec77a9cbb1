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
"""A leg with bad blocks is replaced, and is never said to be AVAILABLE."""

from __future__ import annotations

import dataclasses
import logging
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent.healing import connecting
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
A, B, C = (scripted_world.uuid_of(number) for number in range(3))
HERE, THERE = ((0, 8),), ((100, 108),)


class BadBlocksTest(base.BaseTestCase):
    """:ivar bad: what md says that the leg of a replica lacks."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.bad: dict[str | None, bad_blocks.Ranges] = {}
        self.live_in(scripted_world.world(self))

    def live_in(self, world: scripted_world.World) -> None:
        self.world, plain = world, world.kernel.scan

        def scan() -> snapshots.HostSnapshot:
            found = plain()
            return dataclasses.replace(found, arrays=tuple(
                dataclasses.replace(array, legs=tuple(
                    dataclasses.replace(leg, bad=self.bad.get(
                        leg.replica_uuid, ())) for leg in array.legs))
                for array in found.arrays))
        patched = mock.patch.object(world.kernel, 'scan', scan)
        patched.start()
        self.addCleanup(patched.stop)
        world.passes(2)

    def told(self, what: str) -> list[str]:
        return [uuid for word, uuid in self.world.vendor.log if word == what]

    def legs(self) -> set[str | None]:
        array = self.world.kernel.scan().array('md1')
        assert array is not None
        return {leg.replica_uuid for leg in array.in_sync}

    def test_it_is_told_and_then_replaced(self) -> None:
        self.bad[A] = HERE
        self.world.passes(3)
        self.assertEqual([A], self.told('report SYNCHRONIZING'))
        self.assertEqual([], self.told('replace'))
        self.world.until(lambda: C in self.legs(), 600.0)
        self.assertEqual([A], self.told('replace'))
        self.world.until(lambda: A in self.told('retire'), 600.0)
        self.assertEqual({B, C}, self.legs())
        self.assertEqual([A], self.told('replace'))

    def test_it_stays_until_another_one_is_in_sync(self) -> None:
        self.bad[A] = HERE
        fails = []
        for _time in range(60):
            for action in self.world.passes(1):
                if isinstance(action, (act.FailLeg, act.RemoveLeg)):
                    fails.append((action, set(self.legs())))
        self.assertNotEqual([], fails)
        for _action, legs in fails:
            self.assertIn(C, legs)

    def test_what_is_written_again_in_time_stays(self) -> None:
        self.bad[A] = HERE
        self.world.passes(6)
        self.bad.clear()
        self.world.passes(30)
        self.assertEqual([], self.told('replace'))
        # the next time the grace period begins anew
        self.bad[A] = HERE
        self.world.passes(6)
        self.assertEqual([], self.told('replace'))

    def test_what_no_leg_holds_another_copy_would_not_either(self) -> None:
        self.bad[A] = self.bad[B] = HERE
        self.world.passes(60)
        self.assertEqual([], self.told('replace'))
        self.assertEqual({A, B}, set(self.told('report SYNCHRONIZING')))
        self.assertNotIn(None, [self.world.records[uuid].bad_since
                                for uuid in (A, B)])
        # one of them lacks more than the other
        self.bad[A] = (*HERE, *THERE)
        self.world.passes(30)
        self.assertEqual([A], self.told('replace'))

    def test_S11_a_lost_copy_is_not_let_go_for_it(self) -> None:
        """B is lost for good; what comes in its place lacks blocks, too."""
        self.bad[A] = HERE
        self.world.raid.fault(next(
            member for member in self.world.raid.members
            if member.medium.uuid == B))
        self.world.kernel.lose(self.world.targets[1])
        self.world.passes(4)
        self.bad[C] = HERE
        self.world.passes(120)
        self.assertEqual([B], self.told('replace'))
        self.assertEqual({A, C}, self.legs())
        self.assertEqual([], self.told('retire'))
        # back, it stays connected, for it alone holds them, and is kept out
        self.world.kernel.restore(self.world.targets[1])
        done = self.world.passes(30)
        self.assertEqual([], [action for action in done if isinstance(
            action, (act.AddLeg, act.Disconnect))])
        path, = [path for path in self.world.kernel.scan().controllers
                 if path.nqn.endswith(':t1')]
        view = test_observing.view(self.world, self.world.records)
        replica = view.volume.replica(B)
        assert replica is not None
        self.assertTrue(path.live)
        self.assertIn(replica, connecting.wanted(view))
        # they hold it all, from whatever disk
        self.bad.clear()
        self.world.passes(60)
        self.assertEqual([B], self.told('retire'))

    def test_who_is_waited_for_is_not_failed_after_the_grace_period(
            self) -> None:
        self.bad[A] = HERE
        self.world.passes(2)
        self.world.kernel.lose(self.world.targets[1])
        self.world.passes(40, writing=False)
        self.assertEqual({A, B}, self.legs())
        self.assertNotIn('FailLeg', self.log.output)

    def test_S10_a_lost_copy_is_not_put_back_into_what_lacks_blocks(
            self) -> None:
        self.bad[A] = HERE
        self.world.raid.fault(next(
            member for member in self.world.raid.members
            if member.medium.uuid == B))
        done = self.world.passes(11)
        self.assertEqual([], [action for action in done
                              if isinstance(action, act.AddLeg)])
        self.bad.clear()
        self.world.passes(10)
        self.assertEqual({A, B}, self.legs())

    def test_what_is_to_be_replaced(self) -> None:
        self.bad[A] = HERE
        view = test_observing.view(self.world, self.world.records)
        replica = view.volume.replica(A)
        assert replica is not None
        self.assertIs(State.SYNCHRONIZING, view.local(replica))
        self.assertTrue(view.incomplete(replica))
        self.bad[B] = HERE
        view = test_observing.view(self.world, self.world.records)
        self.assertFalse(view.incomplete(replica))
        self.assertFalse(view.bad(replica))
