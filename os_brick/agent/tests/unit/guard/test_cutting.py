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
"""A target is lost: which leg is cut off, and for which other one."""

from __future__ import annotations

import dataclasses

from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.guard import guard_case
from os_brick.agent.tests.unit import scripted_world

listening = guard_case.listening
decide = guard_case.decide
apply = guard_case.apply
refused = guard_case.refused


class CuttingTest(guard_case.GuardCase):

    def test_the_anchors_target_dies(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.kernel.write(world.raid, 0)
        self.assertIsNotNone(world.raid.pending)
        done = [type(action) for action in world.passes(1)]
        self.assertEqual(
            [act.SetFastIoFail, act.FailLeg, act.Disconnect], done[:3])
        self.assertIn(act.SetFailfast, done)
        self.assertIsNone(world.raid.pending)
        self.assertEqual({'nvme9': None}, self.paths(world))

    def test_S9_outage_of_the_hosts_network(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.cut()
        world.passes(24)
        world.kernel.mend()
        world.passes(20)
        self.assertEqual([], world.raid.errors)
        self.assertEqual(2, len(world.judge.good(world.raid)))

    def test_a_lost_leg_is_cut_for_one_that_answers(self) -> None:
        """Be the loss short or long, and TCP or RDMA: live is a belief."""
        plain = scripted_world.world(self).kernel.scan()
        other = [one.device for one in plain.namespaces
                 if 'nvme9' in one.controllers]
        ours = frozenset(['md1'])
        for transport in ('tcp', 'rdma'):
            snapshot = dataclasses.replace(plain, controllers=tuple(
                dataclasses.replace(
                    one, state='connecting' if one.name == 'nvme7'
                    else one.state, portal=one.portal and dataclasses.replace(
                        one.portal, transport=transport))
                for one in plain.controllers))
            for sight in (roles.Symptoms(ours), roles.Symptoms()):
                silent = decide(snapshot, sight=sight, ours=ours)
                self.assertEqual([], [
                    action for _array, action in silent.actions
                    if isinstance(action, (act.FailLeg, act.Disconnect))])
                self.assertEqual(frozenset(other), silent.probe)
                heard = decide(snapshot, ours=ours, sight=dataclasses.replace(
                    sight, answered=frozenset(other)))
                self.assertEqual([act.FailLeg, act.Disconnect], [
                    type(action) for _array, action in heard.actions
                    if isinstance(action, (act.FailLeg, act.Disconnect))])
                self.assertEqual(frozenset(), heard.probe)

    def outage(self, returning: str, all_wait: bool, seconds: float,
               after: float) -> list[type[act.Action]]:
        """What is cut when a leg is back for so long after an outage."""
        plain = scripted_world.world(self).kernel.scan()
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in plain.namespaces if one.uuid))
        policy = roles.GuardPolicy(all_wait=all_wait)
        memory = roles.GuardMemory()

        def look(live: set[str], now: float) -> roles.GuardDecision:
            snapshot = dataclasses.replace(plain, controllers=tuple(
                dataclasses.replace(
                    one, state='live' if one.name in live else 'connecting')
                for one in plain.controllers))
            return roles.decide(
                snapshot, owned, memory, now, policy, roles.Symptoms(
                    owned.arrays, answered=frozenset(
                        one.device for one in snapshot.namespaces
                        if snapshot.reachable(one)),
                    listening=listening(snapshot)))

        memory = look({'nvme7', 'nvme9'}, 100.0).memory
        memory = look(set(), 101.0).memory
        memory = look(set(), 101.0 + seconds).memory
        begun = look({returning}, 101.1 + seconds)
        memory = begun.memory
        self.assertEqual(frozenset(), begun.probe)
        later = look({returning}, 101.1 + seconds + after)
        if not later.actions:
            self.assertIsNotNone(later.again_at)
        return [type(action) for _array, action in later.actions
                if isinstance(action, act.FailLeg | act.Disconnect)]

    def test_after_an_outage_of_all_the_others_may_return(self) -> None:
        cut = [act.FailLeg, act.Disconnect]
        for returning in ('nvme7', 'nvme9'):
            self.assertEqual([], self.outage(returning, True, 20.0, 3.5))
            self.assertEqual(cut, self.outage(returning, True, 20.0, 4.1))
            # a moment without either is no outage
            self.assertEqual(cut, self.outage(returning, True, 0.5, 0.6))

    def test_who_waits_before_what_is_cut_where_none_may_fail_fast(
            self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        snapshot = world.kernel.scan()
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in snapshot.namespaces if one.uuid))
        memory = roles.GuardMemory()
        for now in (0.0, 1.0):
            decision = roles.decide(
                snapshot, owned, memory, now,
                roles.GuardPolicy(all_wait=True), roles.Symptoms(
                    owned.arrays, answered=frozenset(
                        one.device for one in snapshot.namespaces),
                    listening=listening(snapshot)))
            memory = decision.memory
        self.assertEqual(
            [act.SetFastIoFail, act.FailLeg, act.Disconnect],
            [type(action) for _array, action in decision.actions][:3])
        for name, action in decision.actions:
            self.assertFalse(refused(name, action, snapshot,
                                     frozenset([name])), action)
            snapshot = apply(snapshot, action)

    def test_a_dead_path_is_not_cut_from_another_arrays_last_hope(
            self) -> None:
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        other = model.Namespace('nvme99n1', scripted_world.uuid_of(99), 1,
                                ('nvme7',), ('md2',))
        last = model.Array('md2', 'w', None, 1, 0, 'active', 'idle', 1, (
            model.Leg('nvme99n1', 0, frozenset(['in_sync']), other.uuid),))
        snapshot = dataclasses.replace(
            snapshot, namespaces=snapshot.namespaces + (other,),
            arrays=snapshot.arrays + (last,),
            controllers=tuple(
                dataclasses.replace(controller, state='connecting')
                if controller.name == 'nvme7' else controller
                for controller in snapshot.controllers))
        ours = frozenset(['md1', 'md2'])
        actions = [action for _array, action in decide(
            snapshot, sight=roles.Symptoms(ours, answered=frozenset(
                one.device for one in snapshot.namespaces)),
            ours=ours).actions]
        self.assertIn(act.FailLeg, [type(action) for action in actions])
        self.assertNotIn(act.Disconnect,
                         [type(action) for action in actions])
