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
"""A target with two portals falls silent, and I/O goes through one of them."""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from oslotest import base

from os_brick.agent.guard import roles
from os_brick.agent.guard import siblings
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership

USED = model.Portal('192.0.2.1', 4420)
IDLE = model.Portal('192.0.2.2', 4420)
OTHER = model.Portal('192.0.2.3', 4420)
A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'
OURS = frozenset(['md0'])


def host(idle: model.Portal = IDLE,
         state: str = 'live') -> snapshots.HostSnapshot:
    """An array, and a leg with two paths."""
    return snapshots.HostSnapshot(
        (model.Controller('nvme0', 'nqn.a', USED, None, 'live'),
         model.Controller('nvme1', 'nqn.a', idle, None, state),
         model.Controller('nvme2', 'nqn.b', OTHER, None, 'live')),
        (model.Namespace('nvme0n1', A, 1, ('nvme0', 'nvme1'), ('md0',)),
         model.Namespace('nvme2n1', B, 1, ('nvme2',), ('md0',))),
        (model.Array('md0', 'vol', None, 2, 0, 'active', 'idle', 1, tuple(
            model.Leg(device, slot, frozenset(['in_sync']), uuid)
            for slot, (device, uuid) in enumerate([
                ('nvme0n1', A), ('nvme2n1', B)]))),))


def symptoms(silent: Collection[model.Portal] = (),
             doubted: Collection[model.Portal] = (USED,),
             standing: frozenset[str] = OURS,
             **listening: bool) -> roles.Symptoms:
    return roles.Symptoms(
        standing, standing, standing, frozenset(doubted) | set(silent),
        frozenset(silent), frozenset(['nvme2n1']),
        listening={{'idle': IDLE}[name]: there
                   for name, there in listening.items()})


def decide(memory: roles.GuardMemory, now: float, seen: roles.Symptoms,
           snapshot: snapshots.HostSnapshot | None = None
           ) -> roles.GuardDecision:
    return roles.decide(
        snapshot or host(), ownership.Owned(OURS, frozenset([A, B])), memory,
        now, roles.GuardPolicy(all_wait=True), seen)


def resets(decision: roles.GuardDecision) -> list[model.Portal | None]:
    return [action.portal for _name, action in decision.actions
            if isinstance(action, act.ResetConnection)]


class SiblingsTest(base.BaseTestCase):

    def look(self, seen: roles.Symptoms, now: float = 10.0,
             snapshot: snapshots.HostSnapshot | None = None,
             **asked: tuple[float, bool]) -> siblings.Siblings:
        snapshot = snapshot or host()
        return siblings.look(
            snapshot.arrays, snapshot, seen, roles.GuardMemory(asked={
                {'idle': IDLE}[name]: found
                for name, found in asked.items()}), now)

    def test_it_is_asked_as_soon_as_the_first_is_doubted(self) -> None:
        found = self.look(symptoms())
        self.assertEqual({IDLE}, found.ask)
        self.assertEqual(frozenset(), found.silent)

    def test_nobody_is_asked_for_nothing(self) -> None:
        for seen in (symptoms(doubted=()), symptoms(standing=frozenset()),
                     symptoms([USED, IDLE])):
            self.assertEqual(frozenset(), self.look(seen).ask)
        for snapshot in (
                host(dataclasses.replace(IDLE, transport='rdma')),
                host(state='connecting'), host(USED)):
            self.assertEqual(frozenset(), self.look(
                symptoms(), snapshot=snapshot).ask)

    def test_it_is_silent_with_the_first_and_not_before(self) -> None:
        deaf = symptoms(idle=False)
        self.assertEqual(frozenset(), self.look(deaf).silent)
        found = self.look(symptoms([USED]), idle=(9.5, False))
        self.assertEqual({IDLE}, found.silent)
        self.assertEqual(frozenset(), found.ask)

    def test_one_that_listens_lives(self) -> None:
        found = self.look(symptoms([USED]), idle=(9.5, True))
        self.assertEqual(frozenset(), found.silent)
        found = self.look(symptoms([USED], idle=True), idle=(9.5, False))
        self.assertEqual(frozenset(), found.silent)
        self.assertEqual((10.0, True), found.asked[IDLE])

    def test_an_old_answer_counts_no_longer(self) -> None:
        found = self.look(symptoms([USED]), idle=(8.0, False))
        self.assertEqual(frozenset(), found.silent)
        self.assertEqual({IDLE}, found.ask)

    def test_nothing_is_kept_when_nobody_is_in_doubt(self) -> None:
        self.assertEqual({}, self.look(symptoms(doubted=()),
                                       idle=(9.9, False)).asked)


class GivenUpTest(base.BaseTestCase):

    def test_both_are_given_up_at_once_the_idle_one_first(self) -> None:
        doubt = decide(roles.GuardMemory(), 10.0, symptoms(idle=False))
        self.assertEqual([], resets(doubt))
        decision = decide(doubt.memory, 10.5, symptoms([USED]))
        self.assertEqual([IDLE, USED], resets(decision))
        self.assertEqual(frozenset(), decision.ask)

    def test_one_that_listens_carries_on(self) -> None:
        doubt = decide(roles.GuardMemory(), 10.0, symptoms(idle=True))
        decision = decide(doubt.memory, 10.5, symptoms([USED]))
        self.assertEqual([USED], resets(decision))

    def test_S1_another_leg_has_to_answer(self) -> None:
        doubt = decide(roles.GuardMemory(), 10.0, symptoms(idle=False))
        decision = decide(doubt.memory, 10.5, dataclasses.replace(
            symptoms([USED]), answered=frozenset()))
        self.assertEqual([], resets(decision))
        self.assertEqual({'nvme2n1'}, decision.probe)
