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
"""What only one leg holds is neither cut nor failed fast (S1, S9)."""

from __future__ import annotations

import unittest

import hypothesis

from os_brick.agent.guard import giving_up
from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.guard import guard_case

HELD = frozenset(range(32))
BAD = ((0, 8),)


def held(leg: model.Leg) -> frozenset[int]:
    if not leg.in_sync:
        return frozenset()
    return HELD.difference(*(range(first, end) for first, end in leg.bad))


def by_good_ones(array: model.Array, snapshot: snapshots.HostSnapshot,
                 but: str = '') -> frozenset[int]:
    return frozenset[int]().union(*(
        held(leg) for leg in array.legs
        if snapshot.good(leg) and leg.device != but))


class PropertyTest(unittest.TestCase):

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(guard_case.hosts(), guard_case.sights())
    def test_S1_what_only_one_leg_holds_is_not_cut(
            self, snapshot: snapshots.HostSnapshot,
            sight: roles.Symptoms) -> None:
        snapshot = giving_up.without_silent(snapshot, sight.silent)
        for name, action in guard_case.decide(snapshot, sight=sight).actions:
            if not isinstance(action, (act.FailLeg, act.Disconnect,
                                       act.ResetConnection)):
                continue
            after = guard_case.apply(snapshot, action)
            for array in snapshot.arrays:
                for leg in array.legs:
                    now = after.array(array.name)
                    assert now is not None
                    if leg.faulty or not self._given_up(
                            array, leg, action, snapshot, after):
                        continue
                    self.assertLessEqual(held(leg), by_good_ones(
                        now, after, leg.device), (name, action))
            snapshot = after

    @staticmethod
    def _given_up(array: model.Array, leg: model.Leg, action: act.Action,
                  before: snapshots.HostSnapshot,
                  after: snapshots.HostSnapshot) -> bool:
        if isinstance(action, act.FailLeg):
            return (array.name, leg.device) == (action.array, action.device)
        namespace = before.behind(leg)
        if namespace is None or array.name not in namespace.holders:
            return False
        behind = after.namespace(leg.device)
        assert behind is not None
        had = {path.name for path in before.paths(namespace) if path.live}
        gone = {path.name for path in before.paths(namespace)} - {
            path.name for path in after.paths(behind)}
        return not after.reachable(behind) and bool(had or gone)


def host(*legs: model.Leg, states: tuple[str, ...] = ('live', 'live'),
         fast: float | None = None) -> snapshots.HostSnapshot:
    """An array md0 with a target of its own for each leg."""
    return snapshots.HostSnapshot(
        tuple(model.Controller(
            'nvme%d' % number, 'nqn.t%d' % number, guard_case.portal(number),
            None, state, fast, True) for number, state in enumerate(states)),
        tuple(model.Namespace(
            leg.device, leg.replica_uuid, 1, ('nvme%d' % number,), ('md0',))
            for number, leg in enumerate(legs)),
        (model.Array('md0', None, None, len(legs), 0, 'active', 'idle', 4096,
                     legs),))


def leg(number: int, bad: tuple[tuple[int, int], ...] = (),
        flags: tuple[str, ...] = ('in_sync',)) -> model.Leg:
    return model.Leg('nvme%dn1' % number, number, frozenset(flags),
                     '%08d-0000-4000-8000-000000000000' % number, bad)


class CaseTest(unittest.TestCase):
    """Leg 0 lacks blocks, leg 1 does not."""

    def decided(self, snapshot: snapshots.HostSnapshot, all_wait: bool = True
                ) -> list[act.Action]:
        """Decide about an array whose I/O stands still where it is cut."""
        stalled = frozenset(['md0'] if all_wait else [])
        sight = roles.Symptoms(
            stalled, stalled, stalled,
            answered=frozenset(['nvme0n1', 'nvme1n1']),
            listening=guard_case.listening(snapshot))
        policy = roles.GuardPolicy(all_wait=all_wait)
        owned = ownership.Owned(frozenset(['md0']), frozenset(
            one.uuid for one in snapshot.namespaces if one.uuid))
        first = roles.decide(snapshot, owned, roles.GuardMemory(), 100.0,
                             policy, sight)
        self.last = roles.decide(snapshot, owned, first.memory, 200.0, policy,
                                 sight)
        return [action for _name, action in self.last.actions]

    def test_the_complete_leg_is_waited_for(self) -> None:
        self.assertEqual([], self.decided(host(
            leg(0, BAD), leg(1), states=('live', 'connecting'))))
        # nor is that an outage, or a reason to ask the other one
        self.assertEqual(({}, frozenset()), (self.last.memory.dark,
                                             self.last.probe))

    def test_the_other_one_is_cut(self) -> None:
        kinds = [type(action) for action in self.decided(host(
            leg(0, BAD), leg(1), states=('connecting', 'live')))]
        self.assertEqual([act.FailLeg, act.Disconnect], kinds)

    def test_as_good_as_each_other(self) -> None:
        kinds = [type(action) for action in self.decided(host(
            leg(0, BAD), leg(1, BAD), states=('live', 'connecting')))]
        self.assertEqual([act.FailLeg, act.Disconnect], kinds)

    def test_what_only_it_holds_does_not_fail_fast(self) -> None:
        """Where one leg waits and the others fail fast: this one waits."""
        snapshot = host(leg(0, BAD), leg(1, flags=('in_sync', 'failfast')),
                        fast=1.0)
        actions = self.decided(snapshot, all_wait=False)
        for action in actions:
            snapshot = guard_case.apply(snapshot, action)
        second = snapshot.controller('nvme1')
        assert second is not None
        self.assertIsNone(second.fast_io_fail_tmo)
        array = snapshot.array('md0')
        assert array is not None
        self.assertFalse(array.legs[1].failfast)
        # and so it stays
        self.assertEqual([], self.decided(snapshot, all_wait=False))
