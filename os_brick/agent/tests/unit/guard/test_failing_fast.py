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
"""Which legs fail I/O fast, which one waits, and what is put back."""

from __future__ import annotations

import dataclasses

from os_brick.agent.guard import roles
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.guard import guard_case
from os_brick.agent.tests.unit import scripted_world

apply = guard_case.apply


class FailingFastTest(guard_case.GuardCase):

    def switch_off(self, world: scripted_world.World) -> None:
        """The operator does: the guard leaves the arrays sane."""
        world.mode = 'off'
        world.conf.set_override('io_guard', 'off')
        world.passes(1)

    def test_all_but_one_fail_fast(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))
        self.assertEqual([], world.passes(5))

    def test_another_target_dies(self) -> None:
        """The kernel lets go by itself; its controller goes on trying."""
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[1])
        world.kernel.write(world.raid, 0)
        world.kernel.advance(1.0)
        self.assertIsNone(world.raid.pending)
        world.passes(2)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))

    def test_leg_in_resync_fails_fast_too(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(1)
        world.raid.fault(world.raid.members[2])
        world.passes(5)
        self.assertIn('spare', world.raid.members[2].flags)
        world.passes(1)
        world.kernel.lose(world.targets[2])
        world.kernel.write(world.raid, 0)
        world.kernel.advance(1.0)
        self.assertIsNone(world.raid.pending)

    def test_restore_leaves_no_leg_failing_fast(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(1)
        self.assertIn(1.0, {path.tmo for path
                            in world.kernel.paths.values()})
        self.switch_off(world)
        self.assertEqual({None}, {path.tmo for path
                                  in world.kernel.paths.values()})

    def test_restore_keeps_what_the_operator_set(self) -> None:
        world = scripted_world.world(self)
        world.kernel.paths['nvme7'].tmo = 30.0
        self.assertEqual((), roles.restore(
            world.kernel.scan(), frozenset(['md1']), 1.0))

    def test_what_was_found_is_put_back_and_was_named(self) -> None:
        world = scripted_world.world(self)
        for name in ('nvme7', 'nvme9'):
            world.kernel.paths[name].tmo = 30.0
        world.passes(1)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))
        reasons = [action.reason for action in world.done
                   if isinstance(action, act.SetFastIoFail)]
        self.assertEqual(2, len(reasons))
        for reason in reasons:
            self.assertIn('30 s was set', reason)
        self.switch_off(world)
        self.assertEqual({'nvme7': None, 'nvme9': 30.0}, self.paths(world))

    def test_a_leg_with_several_paths_is_without_failfast(self) -> None:
        """One of them may break: its writes are to take another one."""
        world = scripted_world.world(self)
        world.passes(2)
        snapshot = world.kernel.scan()
        memory = roles.decide(
            snapshot, ownership.Owned(frozenset(['md1'])),
            roles.GuardMemory(), 0.0, roles.GuardPolicy()).memory
        path = snapshot.controller('nvme9')
        assert path is not None
        snapshot = dataclasses.replace(
            snapshot, controllers=snapshot.controllers + (dataclasses.replace(
                path, name='nvme8', state='connecting'),),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme8', 'nvme9'))
                if 'nvme9' in one.controllers else one
                for one in snapshot.namespaces))
        for _time, flags in enumerate(([False], [])):
            actions = [action for _array, action in roles.decide(
                snapshot, ownership.Owned(frozenset(['md1'])),
                memory, 0.0, roles.GuardPolicy()).actions
                if isinstance(action, act.SetFailfast)]
            self.assertEqual(flags, [action.on for action in actions])
            for action in actions:
                snapshot = apply(snapshot, action)

    def test_no_leg_fails_fast_where_none_may(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        snapshot = world.kernel.scan()
        self.assertEqual({None, 1.0}, {
            one.fast_io_fail_tmo for one in snapshot.controllers
            if one.name in ('nvme7', 'nvme9')})
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in snapshot.namespaces if one.uuid))
        policy = roles.GuardPolicy(all_wait=True)
        for _look in range(2):
            decision = roles.decide(snapshot, owned, roles.GuardMemory(), 0.0,
                                    policy)
            for _array, action in decision.actions:
                snapshot = apply(snapshot, action)
        self.assertEqual((), decision.actions)
        array = snapshot.array('md1')
        assert array is not None
        self.assertFalse(any(leg.failfast for leg in array.legs))
        self.assertEqual({None}, {
            one.fast_io_fail_tmo for one in snapshot.controllers
            if one.name in ('nvme7', 'nvme9')})

    def test_fractions_of_a_second_settle(self) -> None:
        """The kernel takes whole seconds only."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()

        def actions() -> list[act.Action]:
            return [action for _array, action in roles.decide(
                snapshot, ownership.Owned(frozenset(['md1'])),
                roles.GuardMemory(), 0.0, roles.GuardPolicy(1.5)).actions]

        for action in actions():
            self.assertEqual(2.0, getattr(action, 'seconds', 2.0))
            snapshot = apply(snapshot, action)
        self.assertEqual([], actions())
