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
"""A lost connection is not removed while the kernel may reconnect it."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.guard import cutoff
from os_brick.agent.guard import roles
from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reconnecting
from os_brick.agent.tests.unit import scripted_world

DELAY = 2.0
CUT = [act.FailLeg, act.Disconnect]


class ReturningTest(base.BaseTestCase):
    """The anchor's target is lost between two looks, at 99.5 and 100."""

    def setUp(self) -> None:
        super().setUp()
        plain = scripted_world.world(self).kernel.scan()
        self.owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in plain.namespaces if one.uuid))
        self.plain = dataclasses.replace(plain, controllers=tuple(
            dataclasses.replace(one, reconnect_delay=DELAY)
            for one in plain.controllers))
        self.memory = roles.GuardMemory()
        self.before = 0.0
        self.seen = self.plain
        lost = self.plain.controller('nvme7')
        assert lost is not None and lost.portal is not None
        self.portal = lost.portal

    def lost(self, **changed: object) -> snapshots.HostSnapshot:
        return dataclasses.replace(self.plain, controllers=tuple(
            dataclasses.replace(one, **{  # type: ignore[arg-type]
                'state': 'connecting', **changed})
            if one.name == 'nvme7' else one
            for one in self.plain.controllers))

    def decide(self, snapshot: snapshots.HostSnapshot, now: float,
               listens: bool | None = None, heard: bool = True
               ) -> roles.GuardDecision:
        """Decide as one look does; whatever is written waits."""
        decision = roles.decide(
            snapshot, self.owned, self.memory, now,
            roles.GuardPolicy(all_wait=True), roles.Symptoms(
                self.owned.arrays, answered=frozenset(
                    one.device for one in snapshot.namespaces
                    if heard and snapshot.reachable(one)),
                before=self.before,
                listening={} if listens is None else {self.portal: listens}))
        if listens is not None or not decision.ask:
            self.memory, self.before = decision.memory, now
        return decision

    def cut(self, decision: roles.GuardDecision) -> list[type[act.Action]]:
        return [type(action) for _array, action in decision.actions
                if isinstance(action, act.FailLeg | act.Disconnect)]

    def test_shortly_after_the_loss_nobody_is_asked(self) -> None:
        self.decide(self.plain, 99.5)
        self.assertEqual([], self.cut(self.decide(self.lost(), 100.0)))
        decision = self.decide(self.lost(), 100.5)
        self.assertEqual((CUT, frozenset()),
                         (self.cut(decision), decision.ask))

    def late(self, listens: bool) -> roles.GuardDecision:
        """An attempt may be under way when the cut is due."""
        self.decide(self.plain, 99.5)
        self.decide(self.lost(), 100.0)
        now = 99.5 + DELAY - reconnecting.MARGIN
        asked = self.decide(self.lost(), now)
        self.assertEqual(([], frozenset([self.portal])),
                         (self.cut(asked), asked.ask))
        return self.decide(self.lost(), now, listens)

    def test_later_the_target_is_asked(self) -> None:
        self.assertEqual(CUT, self.cut(self.late(False)))

    def test_one_that_listens_is_given_an_attempt(self) -> None:
        decision = self.late(True)
        begun = self.before
        over = begun + DELAY + reconnecting.ATTEMPT
        self.assertEqual(([], over), (self.cut(decision),
                                      decision.again_at))
        self.assertEqual([], self.cut(self.decide(
            self.lost(), over - 0.1, True)))
        # the attempt has failed, though somebody listens
        self.assertEqual(CUT, self.cut(self.decide(self.lost(), over, True)))

    def test_one_that_listens_no_more_is_cut(self) -> None:
        self.late(True)
        self.assertEqual(CUT, self.cut(self.decide(
            self.lost(), self.before + 0.1, False)))
        # and what it did before counts no more
        self.assertEqual([], self.cut(self.decide(
            self.lost(), self.before + 0.1, True)))

    def slowly(self, listens: bool) -> float:
        """Seconds until the cut, where each read takes the survivor 3 s."""
        self.decide(self.plain, 99.5)
        now = 100.0
        while now < 200.0:
            # an answer counts for a second
            heard = (now - 100.0) % 4.0 >= 3.0
            decision = self.decide(self.lost(), now, heard=heard)
            if decision.ask:
                decision = self.decide(self.lost(), now, listens, heard)
            if self.cut(decision):
                return now - 100.0
            now += 0.25
        return now

    def test_a_survivor_that_answers_slowly_is_heard_in_the_end(self) -> None:
        """It looks like an outage of all, but once only."""
        self.assertLessEqual(self.slowly(False), 3.0 + cutoff.RETURN + 4.0)

    def test_the_time_of_who_listens_does_not_begin_anew(self) -> None:
        self.assertLessEqual(self.slowly(True), 3.0 + cutoff.RETURN + 4.0
                             + DELAY + reconnecting.ATTEMPT + 4.0)

    def test_a_loss_that_was_found_is_of_any_age(self) -> None:
        """The agent has only just begun."""
        decisions = [self.decide(self.lost(), now) for now in (100.0, 100.5)]
        self.assertEqual([[], []], [self.cut(one) for one in decisions])
        self.assertEqual(frozenset([self.portal]), decisions[1].ask)

    def test_a_connection_that_was_back_is_lost_anew(self) -> None:
        for start in (100.0, 200.0):
            self.decide(self.plain, start - 0.5)
            self.decide(self.lost(), start)
            self.assertEqual(CUT, self.cut(self.decide(
                self.lost(), start + 0.5)))

    def test_no_delay_that_is_known_is_ten_seconds(self) -> None:
        self.decide(self.plain, 99.5)
        for now in (100.0, 108.0):
            decision = self.decide(self.lost(reconnect_delay=None), now)
        self.assertEqual((CUT, frozenset()),
                         (self.cut(decision), decision.ask))

    def test_rdma_has_nobody_to_ask(self) -> None:
        portal = dataclasses.replace(self.portal, transport='rdma')
        for now in (100.0, 110.0):
            decision = self.decide(self.lost(portal=portal), now)
        self.assertEqual((CUT, frozenset()),
                         (self.cut(decision), decision.ask))

    def test_each_path_has_its_own_loss(self) -> None:
        """The first of two was lost long ago."""
        other = self.lost().controller('nvme7')
        assert other is not None
        second = dataclasses.replace(other, name='nvme70', portal=model.Portal(
            '192.0.2.70', 4420))
        first = self.portal
        self.plain = dataclasses.replace(
            self.plain, controllers=(*self.plain.controllers, second),
            namespaces=tuple(
                dataclasses.replace(one, controllers=(
                    *one.controllers, 'nvme70'))
                if 'nvme7' in one.controllers else one
                for one in self.plain.namespaces))
        self.decide(self.plain, 90.0)
        self.decide(self.plain, 99.5)
        for now in (100.0, 100.5):
            decision = self.decide(self.lost(), now)
        self.assertEqual(frozenset([second.portal]), decision.ask)
        self.assertNotIn(first, decision.ask)
        self.assertEqual([], self.cut(decision))
        self.assertEqual(sight.NEVER, self.memory.away['nvme70'])
