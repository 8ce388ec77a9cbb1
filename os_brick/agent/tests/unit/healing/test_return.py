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
"""A leg that comes back early waits until its target is done with it (S13)."""

from __future__ import annotations

import dataclasses
from unittest import mock

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import late_writes
from os_brick.agent.store import encoding
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

State = model.ReplicaState
HOLD = late_writes.HOLD
A, B, C = (scripted_world.uuid_of(number) for number in range(3))


class ReturnTest(base.BaseTestCase):
    """A is dropped and back at once; a pass every second."""

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self, poll=1.0)
        self.world.passes(2)

    def drop(self) -> None:
        """Md drops A; its target answers."""
        for member in self.world.raid.members:
            if member.medium.uuid == A:
                self.world.raid.fault(member)

    def added_after(self, seconds: int = 60) -> int:
        """Live until it is put back; return after how many seconds."""
        for passed in range(1, seconds + 1):
            if any(isinstance(action, act.AddLeg) and action.replica_uuid == A
                   for action in self.world.passes(1, 1.0)):
                return passed
        self.fail('it was not put back in %d s' % seconds)

    def assert_waits(self, seconds: float) -> None:
        """It is put back then, or when the next passes see that."""
        self.assertIn(self.added_after() - seconds, (0.0, 1.0, 2.0))

    def decide(self, records: replica_record.ReplicaRecords,
               attached: bool = False, later: float = 0.0
               ) -> decision.HealingDecision:
        view = test_observing.view(self.world, records)
        return decision.decide(
            view.volume, view.array, view.snapshot, records,
            view.now + later, view.policy, frozenset(), attached=attached)

    @property
    def records(self) -> decision.ReplicaRecords:
        return self.world.records

    def test_S13_it_waits_until_the_target_is_done(self) -> None:
        self.drop()
        self.assert_waits(HOLD)

    def test_it_is_copied_whole_where_targets_forget(self) -> None:
        for option, returning in (('bitmap', True), ('whole', False)):
            self.world.conf.set_override('returning_copies', option)
            self.drop()
            self.assert_waits(HOLD)
            added = [action for action in self.world.done
                     if isinstance(action, act.AddLeg)][-1]
            self.assertEqual((returning, False),
                             (added.returning, added.erase))
            self.assertEqual(not returning, 'returning_copies'
                             in added.reason)
            self.world.passes(30)
            self.assertTrue(self.world.whole)

    def test_S13_it_waits_for_as_long_as_its_target_does(self) -> None:
        """Its connection had a longer keep-alive time, as a leg."""
        world = self.world = scripted_world.world(self, poll=1.0)
        plain, keep_alive = world.kernel.scan, 8.0

        def snapshot() -> snapshots.HostSnapshot:
            found = plain()
            return dataclasses.replace(found, controllers=tuple(
                dataclasses.replace(one, keep_alive=keep_alive)
                for one in found.controllers))
        with mock.patch.object(world.kernel, 'scan', snapshot):
            world.passes(2, 1.0)
            self.drop()
            world.passes(3, 1.0)
            # it is connected anew by somebody with the usual one
            keep_alive = 5.0
            self.assert_waits(2 * 8 + 2 - 3)

    def test_S13_it_need_not_wait_where_it_was_away_for_longer(self) -> None:
        self.world.kernel.lose(self.world.targets[0])
        self.world.passes(4)
        self.world.kernel.restore(self.world.targets[0])
        done: list[act.Action] = []
        while not any(isinstance(action, act.Connect) for action in done):
            self.assertLess(self.world.baton.now, 100.0)
            done = self.world.passes(1, 1.0)
        if act.AddLeg not in map(type, done):
            self.assertEqual(1, self.added_after())

    def test_S13_a_restart_does_not_forget_it(self) -> None:
        """Nor does it know whether it was back: it counts from the start."""
        self.drop()
        self.world.passes(4, 1.0)
        self.world.restart()
        self.assert_waits(HOLD)
        self.world.passes(50, 1.0)
        self.drop()
        self.world.passes(4, 1.0)
        self.world.forget()
        self.assert_waits(HOLD)

    def test_S13_a_record_of_before_is_read(self) -> None:
        old = encoding.load_record('{"joined": true, "down": 7.0}')
        self.assertEqual(replica_record.ReplicaRecord(joined=True, down=7.0),
                         old)
        new = replica_record.ReplicaRecord(joined=True, left_at=12.5)
        self.assertEqual(new, encoding.load_record(
            encoding.dump_record(new)))

    def test_S13_the_pass_is_wanted_when_the_wait_is_over(self) -> None:
        self.drop()
        self.world.passes(3, 1.0)
        decided = self.decide(self.records)
        wait = decided.held[A]
        self.assertLess(HOLD - 3.1, wait)
        self.assertEqual(({A: wait}, wait, ()),
                         (decided.held, decided.due_in, decided.actions))
        decided = self.decide(self.records, later=wait + 0.001)
        self.assertEqual({}, decided.held)
        self.assertEqual([act.AddLeg], list(map(type, decided.actions)))

    def test_S13_an_attach_lets_it_count_anew(self) -> None:
        """It may have been a leg in between, and cut again."""
        self.drop()
        self.world.passes(12, 1.0)
        self.assertEqual({A: HOLD}, self.decide(self.records, True).held)

    def test_S13_it_was_a_leg_while_it_was_not_listed(self) -> None:
        """By the provisioner; udev put it back, and it was cut again."""
        self.drop()
        self.world.passes(3, 1.0)
        self.world.vendor.hides = {A}
        self.world.kernel.incremental(self.world.raid)
        self.world.passes(2, 30.0)
        self.drop()
        self.world.passes(2, 1.0)
        self.world.vendor.hides = set()
        self.assertLess(HOLD - 2, self.added_after())

    def test_who_was_exchanged_is_not_waited_for(self) -> None:
        self.world.vendor.give(self.world.volume)
        self.world.vendor.terminate(self.world.volume, A)
        gone = False
        for _pass in range(200):
            self.world.passes(1, 0.5)
            self.assertEqual({}, self.decide(self.records).held)
            gone = gone or self.records[A].left_at is not None
        self.assertTrue(gone)

    def test_the_wait_is_not_counted_against_it(self) -> None:
        """With a grace period that is shorter nothing is replaced."""
        self.world.conf.set_override('replacement_grace_period', 3.0)
        self.drop()
        self.added_after()
        self.world.passes(60)
        self.assertNotIn('replace', self.world.asked)
        self.assertEqual({A, B}, {member.medium.uuid for member
                                  in self.world.judge.good(self.world.raid)})

    def test_one_that_is_back_after_its_grace_is_not_replaced(self) -> None:
        """No request was made meanwhile: the provisioner was silent."""
        self.world.vendor.silent = True
        self.world.kernel.lose(self.world.targets[1])
        self.world.passes(30)
        self.world.kernel.restore(self.world.targets[1])
        self.world.vendor.silent = False
        decided = self.decide(self.records, True)
        self.assertEqual(({B: HOLD}, ()), (decided.held, decided.requests))
        decided = self.decide(decided.records, later=HOLD)
        self.assertEqual(({}, ()), (decided.held, decided.requests))
        self.assertEqual([act.AddLeg], list(map(type, decided.actions)))

    def test_a_new_replica_has_nothing_to_wait_for(self) -> None:
        self.world.kernel.lose(self.world.targets[0])
        done: list[act.Action] = []
        while not any(isinstance(action, act.Connect) for action in done):
            self.assertLess(self.world.baton.now, 100.0)
            done += self.world.passes(1, 1.0)
        done += self.world.passes(1, 1.0)
        self.assertEqual([C], [action.replica_uuid for action in done
                               if isinstance(action, act.AddLeg)])
