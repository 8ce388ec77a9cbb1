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
"""On any host: what the guard never does, and that it settles."""

from __future__ import annotations

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st

from os_brick.agent.guard import giving_up
from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.tests.unit.guard import guard_case

OURS = guard_case.OURS
hosts = guard_case.hosts
sights = guard_case.sights
decide = guard_case.decide
apply = guard_case.apply
patient = guard_case.patient
waiting = guard_case.waiting
refused = guard_case.refused


class PropertyTest(unittest.TestCase):

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_S9_at_every_step_a_good_leg_waits(
            self, snapshot: snapshots.HostSnapshot,
            sight: roles.Symptoms) -> None:
        # for what is silent is as good as lost
        snapshot = giving_up.without_silent(snapshot, sight.silent)
        for kind in (waiting, patient):
            now = snapshot
            had = {array.name for array in now.arrays if kind(array, now)}
            for name, action in decide(snapshot, sight=sight).actions:
                if refused(name, action, now):
                    continue
                now = apply(now, action)
                for array in now.arrays:
                    if array.name in had:
                        self.assertTrue(kind(array, now), action)
                    elif kind(array, now):
                        had.add(array.name)

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_S1_S4_what_is_done(self, snapshot: snapshots.HostSnapshot,
                                sight: roles.Symptoms) -> None:
        foreign = {name for namespace in snapshot.namespaces
                   if 'md7' in namespace.holders
                   for name in namespace.controllers}
        dim = giving_up.without_silent(snapshot, sight.silent)
        for name, action in decide(snapshot, sight=sight).actions:
            self.assertIn(name, OURS)
            if isinstance(action, act.ResetConnection):
                self._justified(name, action, dim, sight)
            snapshot = dim
            if isinstance(action, act.FailLeg):
                array = snapshot.array(action.array)
                assert array is not None
                self.assertTrue([leg for leg in array.legs
                                 if snapshot.good(leg)
                                 and leg.device != action.device], 'S1')
                leg = array.leg(action.device)
                assert leg is not None
                self.assertFalse(snapshot.good(leg), 'S3')
                self._vouched(array, leg, snapshot, sight)
            elif isinstance(action, (
                    act.Disconnect, act.ResetConnection)) or (
                    isinstance(action, act.SetFastIoFail)
                    and action.seconds is not None):
                self.assertNotIn(getattr(action, 'controller'), foreign)
                if isinstance(action, act.Disconnect):
                    self._spared(action, snapshot, sight)
                for controller in snapshot.controllers:
                    if controller.portal == getattr(action, 'portal', 0):
                        self.assertNotIn(controller.name, foreign)

    def _vouched(self, array: model.Array, leg: model.Leg,
                 snapshot: snapshots.HostSnapshot,
                 sight: roles.Symptoms) -> None:
        """Another leg does what is asked of it, just now."""
        self.assertTrue([
            other for other in array.legs if snapshot.good(other)
            and other.device != leg.device
            and other.device in sight.answered], 'S1')

    def _spared(self, action: act.Disconnect,
                snapshot: snapshots.HostSnapshot,
                sight: roles.Symptoms) -> None:
        """So it is with every array whose I/O it ends."""
        for one in snapshot.namespaces:
            array = snapshot.array(one.holders[0])
            leg = array.leg(one.device) if array else None
            if (action.controller in one.controllers and array and leg
                    and not leg.faulty and not snapshot.reachable(one)):
                self._vouched(array, leg, snapshot, sight)

    def _justified(self, name: str, action: act.ResetConnection,
                   snapshot: snapshots.HostSnapshot,
                   sight: roles.Symptoms) -> None:
        """Only a silent connection, of an array that can spare it.

        Its I/O stands still, or goes to another path of the same leg.
        """
        controller = snapshot.controller(action.controller)
        assert controller is not None and controller.portal is not None
        if controller.portal.transport == 'tcp':
            self.assertTrue(
                name in sight.standing or name in sight.busy
                and self._beside_a_live_one(controller, snapshot, sight))
            self.assertTrue(controller.portal in sight.silent
                            or self._deaf_beside_a_silent_one(
                                controller, snapshot, sight))
        else:
            # a question, and nothing is closed
            self.assertIsNone(action.portal)
            self.assertIn(name, sight.stalled)
            self.assertTrue([
                one for one in snapshot.namespaces
                if controller.name in one.controllers
                and one.device not in sight.answered])
        for namespace in snapshot.namespaces:
            if controller.name not in namespace.controllers or any(
                    path.live and path.name != controller.name
                    for path in snapshot.open_paths(namespace)):
                continue
            for holder in namespace.holders:
                array = snapshot.array(holder)
                leg = array.leg(namespace.device) if array else None
                if array is not None and leg is not None and not leg.faulty:
                    self.assertTrue([
                        other for other in array.legs if snapshot.good(other)
                        and other.device in sight.answered], 'S1')
        # be it with all that is connected to the same portal
        after = apply(snapshot, action)
        for had in snapshot.arrays:
            array = after.array(had.name)
            assert array is not None
            if any(map(snapshot.good, had.legs)):
                self.assertTrue(any(map(after.good, array.legs)), 'S1')

    def _beside_a_live_one(self, controller: model.Controller,
                           snapshot: snapshots.HostSnapshot,
                           sight: roles.Symptoms) -> bool:
        return any(
            path.live and path.name != controller.name
            and path.portal not in sight.doubted
            for namespace in snapshot.through(controller.name)
            for path in snapshot.paths(namespace))

    def _deaf_beside_a_silent_one(self, controller: model.Controller,
                                  snapshot: snapshots.HostSnapshot,
                                  sight: roles.Symptoms) -> bool:
        assert controller.portal is not None
        return sight.listening.get(controller.portal) is False and any(
            path.portal in sight.silent
            for namespace in snapshot.through(controller.name)
            for path in snapshot.paths(namespace))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts())
    def test_it_settles(self, snapshot: snapshots.HostSnapshot) -> None:
        memory = roles.GuardMemory()
        for _pass in range(8):
            decision = decide(snapshot, memory)
            self.assertEqual(
                {}, {name: device for name, device in memory.anchors.items()
                     if name in decision.memory.anchors
                     and decision.memory.anchors[name] != device},
                'an anchor changed for no reason')
            memory = decision.memory
            todo = [action for name, action in decision.actions
                    if not refused(name, action, snapshot)]
            if not todo:
                return
            for action in todo:
                snapshot = apply(snapshot, action)
        self.fail('still changing: %s' % (todo,))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_what_the_kernel_calls_by_an_unknown_word_is_not_cut(
            self, snapshot: snapshots.HostSnapshot,
            sight: roles.Symptoms) -> None:
        unknown = {controller.name for controller in snapshot.controllers
                   if controller.state == 'fencing'}
        for _name, action in decide(snapshot, sight=sight).actions:
            if isinstance(action, act.Disconnect):
                self.assertNotIn(action.controller, unknown)
            elif isinstance(action, act.ResetConnection):
                self.assertFalse(unknown & connections.given_up(
                    action, snapshot))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts(), st.booleans())
    def test_a_living_host_is_left_alone(
            self, snapshot: snapshots.HostSnapshot, stalled: bool) -> None:
        """However slow: nothing is cut while nothing is lost or silent."""
        snapshot = dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(controller, state='live')
            for controller in snapshot.controllers), namespaces=tuple(
            dataclasses.replace(namespace, barred=frozenset())
            for namespace in snapshot.namespaces))
        still = OURS if stalled else frozenset()
        sight = roles.Symptoms(OURS, still, still, answered=frozenset(
            namespace.device for namespace in snapshot.namespaces))
        self.assertEqual([], [
            action for _name, action in decide(snapshot, sight=sight).actions
            if isinstance(action, (act.FailLeg, act.Disconnect,
                                   act.ResetConnection))])
