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
"""What passes are told by the guard, and when they wait for it."""

from __future__ import annotations

from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import observer
from os_brick.agent.host import attributes
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.daemon import guard_loop_case


class TestWaiting(guard_loop_case.GuardianCase):

    def test_passes_wait_until_a_lost_leg_is_cut_off(self) -> None:
        self.looks(1.0)
        self.assertFalse(self.guardian.pressed)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.guardian.wake()
        self.assertTrue(self.guardian.pressed)
        self.time += self.guardian.look()
        while not self.did(act.Disconnect):
            self.assertTrue(self.guardian.pressed)
            self.time += self.guardian.look()
        self.flow = model.IoCounters(1, 0)
        self.looks(0.5)
        self.assertFalse(self.guardian.pressed)

    def test_in_an_outage_passes_wait_for_a_moment(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.lose('B')
        self.looks(0.5)
        self.assertTrue(self.guardian.pressed)
        self.looks(guard_loop.FIRST)
        self.assertFalse(self.guardian.pressed)
        self.host.live['nvme10'] = True
        self.looks(3.0)
        self.host.live['nvme11'] = True
        self.flow = model.IoCounters(1, 0)
        self.looks(3.0)
        self.flow = model.IoCounters(1, 1)
        self.lose('A')
        self.looks(0.3)
        self.assertTrue(self.guardian.pressed)


class TestTold(guard_loop_case.GuardianCase):

    def test_the_passes_are_woken(self) -> None:
        self.looks(1.0)
        self.woken.clear()
        self.lose('B')
        self.looks(3.0)
        self.assertEqual(1, len(self.woken))

    def test_a_loss_is_told_though_it_was_cut_before_a_pass_looked(
            self) -> None:
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        passes.look()
        self.looks(1.0)
        passes.take()
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(10.0)
        self.assertEqual(1, len(self.did(act.Disconnect)))
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_GONE'], [
            event.kind for event in passes.take()
            if ('controller', 'nvme10') in event.names])

    def test_each_loss_is_told_once(self) -> None:
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        passes.look()
        passes.take()
        self.looks(1.0)
        for there in (False, True, False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        passes.look()
        self.looks(0.3)
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_RESTORED'], [
            event.kind for event in passes.take()
            if ('controller', 'nvme10') in event.names])
        self.assertEqual({}, self.guardian.take_lost())

    def test_a_loss_is_not_told_of_what_had_the_name_before(self) -> None:
        """It was detached, and another one attached, between two passes."""
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        self.identities['nvme10'] = 1
        self.looks(0.3)
        passes.look()
        passes.take()
        self.identities['nvme10'] = 2
        for there in (True, False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        passes.look()
        self.assertEqual([], passes.take())

    def test_one_that_is_just_being_made_is_not_lost(self) -> None:
        """It has the name of one that has gone since the last look."""
        self.identities['nvme10'] = 1
        self.looks(0.3)
        self.identities['nvme10'] = 2
        self.host.live['nvme10'] = False
        self.looks(0.3)
        self.assertEqual({}, self.guardian.take_lost())

    def test_a_loss_is_told_after_a_scan_that_failed(self) -> None:
        fails: list[Exception] = []

        def scan() -> snapshots.HostSnapshot:
            if fails:
                raise fails.pop()
            return self.scan()

        passes = observer.Observer(scan, lost=self.guardian.take_lost)
        passes.look()
        self.looks(0.3)
        passes.take()
        for there in (False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        fails.append(attributes.Exhausted('no descriptor is left'))
        self.assertRaises(attributes.Exhausted, passes.look)
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_RESTORED'], [
            event.kind for event in passes.take()])
        passes.look()
        self.assertEqual([], passes.take())

    def test_what_is_let_go_on_purpose_is_not_lost(self) -> None:
        self.looks(1.0)
        for word in ('deleting', 'deleting (no IO)', 'new', 'live'):
            self.words['nvme10'] = word
            self.looks(0.3)
        self.assertEqual({}, self.guardian.take_lost())
        for word in ('fencing', 'resetting', 'connecting'):
            self.words['nvme10'] = 'live'
            self.looks(0.3)
            self.words['nvme10'] = word
            self.looks(0.3)
            self.assertEqual({('nvme10', 0): word},
                             self.guardian.take_lost())
