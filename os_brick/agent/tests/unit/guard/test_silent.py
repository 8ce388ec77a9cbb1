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
"""A target falls silent: which of its connections are given up."""

from __future__ import annotations

import dataclasses

from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.guard import guard_case
from os_brick.agent.tests.unit import scripted_world

OURS = guard_case.OURS
portal = guard_case.portal
decide = guard_case.decide


class SilentTest(guard_case.GuardCase):

    def test_a_silent_leg_is_given_up_for_a_stall_only(self) -> None:
        """The kernel's keep-alive has the time that a writer has not."""
        snapshot = scripted_world.world(self).kernel.scan()
        answered = frozenset(namespace.device for namespace
                             in snapshot.namespaces)
        array = snapshot.array('md1')
        assert array is not None
        namespace = snapshot.behind(array.legs[1])
        assert namespace is not None
        silent = frozenset(path.portal for path in snapshot.paths(namespace)
                           if path.portal is not None)
        ours = frozenset(['md1'])
        for standing, given_up in ((frozenset[str](), 0), (ours, 1)):
            sight = roles.Symptoms(ours, standing, frozenset(), silent, silent,
                                   answered)
            self.assertEqual(given_up, len([
                action for _array, action in decide(
                    snapshot, sight=sight, ours=ours).actions
                if isinstance(action, act.ResetConnection)]))

    def test_one_of_two_paths_falls_silent(self) -> None:
        """The other one is live: no other leg has to answer for it."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme7')
        assert path is not None and path.portal is not None
        snapshot = dataclasses.replace(
            snapshot, controllers=snapshot.controllers + (
                dataclasses.replace(path, name='nvme8', portal=portal(8)),),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme7', 'nvme8'))
                if 'nvme7' in one.controllers else one
                for one in snapshot.namespaces))
        ours, silent = frozenset(['md1']), frozenset([path.portal])
        decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
            ours, ours, ours, silent, silent))
        cuts = [action for _array, action in decision.actions if isinstance(
            action, (act.ResetConnection, act.FailLeg, act.Disconnect))]
        self.assertEqual([('nvme7', path.portal)], [
            (getattr(cut, 'controller'), getattr(cut, 'portal'))
            for cut in cuts])
        self.assertEqual(frozenset(), decision.probe)
        # S1: live, but it does not answer either
        decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
            ours, ours, ours, silent | {portal(8)}, silent))
        self.assertEqual([], [
            action for _array, action in decision.actions if isinstance(
                action, (act.ResetConnection, act.FailLeg, act.Disconnect))])
        self.assertEqual({'nvme10n1'}, decision.probe)

    def test_S1_everything_behind_a_silent_path_has_a_substitute(
            self) -> None:
        """One leg has another path; of another array it is the only one."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme7')
        assert path is not None and path.portal is not None
        legs = [model.Namespace('nvme%dn1' % number,
                                scripted_world.uuid_of(number), 1,
                                ('nvme%d' % through,), ('md2',))
                for number, through in ((50, 7), (51, 11))]
        array = model.Array('md2', 'w', None, 2, 0, 'active', 'idle', 1, tuple(
            model.Leg(one.device, slot, frozenset(['in_sync']), one.uuid)
            for slot, one in enumerate(legs)))
        snapshot = dataclasses.replace(
            snapshot, arrays=snapshot.arrays + (array,),
            controllers=snapshot.controllers + tuple(
                dataclasses.replace(path, name='nvme%d' % number,
                                    portal=portal(number))
                for number in (8, 11)),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme7', 'nvme8'))
                if 'nvme7' in one.controllers else one
                for one in snapshot.namespaces) + tuple(legs))
        ours, silent = frozenset(['md1', 'md2']), frozenset([path.portal])
        for answered, given_up in ((set[str](), 0), ({'nvme51n1'}, 1)):
            decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
                ours, ours, ours, silent, silent, frozenset(answered)))
            self.assertEqual(given_up, len([
                action for _array, action in decision.actions
                if isinstance(action, act.ResetConnection)]))
            self.assertEqual({'nvme51n1'} - answered, decision.probe)
        # a leg that md has dropped needs none
        dropped = dataclasses.replace(array, legs=(dataclasses.replace(
            array.legs[0], flags=frozenset(['faulty'])), array.legs[1]))
        decision = decide(dataclasses.replace(
            snapshot, arrays=snapshot.arrays[:-1] + (dropped,)), ours=ours,
            sight=roles.Symptoms(ours, ours, ours, silent, silent))
        self.assertEqual(1, len([
            action for _array, action in decision.actions
            if isinstance(action, act.ResetConnection)]))
        self.assertEqual(frozenset(), decision.probe)

    def test_a_silent_target_of_rdma_is_asked(self) -> None:
        """Nobody says what it has acknowledged; its leg does not answer."""
        snapshot = scripted_world.world(self).kernel.scan()
        path = snapshot.controller('nvme9')
        assert path is not None and path.portal is not None
        snapshot = dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(one, portal=dataclasses.replace(
                one.portal, transport='rdma')) if one.portal else one
            for one in snapshot.controllers))
        (dead,) = [one.device for one in snapshot.namespaces
                   if 'nvme9' in one.controllers]
        array = snapshot.array('md1')
        assert array is not None
        legs = {leg.device for leg in array.legs}
        ours = frozenset(['md1'])
        for stalled, answered, probe, asked in (
                (frozenset[str](), set[str](), set[str](), []),
                (ours, set[str](), legs, []),
                (ours, {dead}, set[str](), ['nvme7']),
                (ours, legs - {dead}, set[str](), ['nvme9']),
                (ours, legs, set[str](), [])):
            decision = roles.decide(
                snapshot, ownership.Owned(ours, frozenset(
                    leg.replica_uuid for leg in array.legs
                    if leg.replica_uuid)), roles.GuardMemory(), 0.0,
                roles.GuardPolicy(), roles.Symptoms(
                    ours, ours, stalled, answered=frozenset(answered)))
            resets = [action for _array, action in decision.actions
                      if isinstance(action, act.ResetConnection)]
            self.assertEqual(asked, [reset.controller for reset in resets])
            for reset in resets:
                self.assertIn('another leg does', reset.reason)
            self.assertEqual(probe, decision.probe)

    def test_two_connections_to_a_silent_portal(self) -> None:
        """One of them is not ours: only the other one is given up."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme9')
        assert path is not None and path.portal is not None
        answered = frozenset(one.device for one in snapshot.namespaces)
        ours, silent = frozenset(['md1']), frozenset([path.portal])
        for uuid, closed in ((None, None),
                             (scripted_world.uuid_of(5), path.portal)):
            other = dataclasses.replace(path, name='nvme8')
            host = dataclasses.replace(
                snapshot, controllers=snapshot.controllers + (other,),
                namespaces=snapshot.namespaces + (model.Namespace(
                    'nvme8n1', uuid, 1, ('nvme8',)),))
            decision = roles.decide(
                host, ownership.Owned(ours, frozenset([
                    scripted_world.uuid_of(5), *(
                        leg.replica_uuid for array in host.arrays
                        for leg in array.legs if leg.replica_uuid)])),
                roles.GuardMemory(), 0.0, roles.GuardPolicy(),
                roles.Symptoms(ours, ours, ours, silent, silent, answered))
            self.assertEqual([('nvme9', closed)], [
                (action.controller, action.portal)
                for _array, action in decision.actions
                if isinstance(action, act.ResetConnection)])
            # what is closed with it is not closed again
            self.assertEqual({'nvme9', 'nvme8'} if closed else {'nvme9'},
                             set(decision.memory.resets))

    def test_all_arrays_behind_a_silent_connection_have_one_that_waits(
            self) -> None:
        """It is given up once, for whichever array asks first (S9)."""
        controllers = tuple(model.Controller(
            'nvme%d' % number, 'nqn.t%d' % number, portal(number), None,
            'live', None if number == 0 else 1.0, True)
            for number in range(3))
        namespaces, arrays = [], []
        for number in (0, 1):
            legs = []
            for slot, path in enumerate((0, number + 1)):
                device = 'nvme%dn%d' % (100 + path, number + 1)
                uuid = scripted_world.uuid_of(10 * number + slot)
                namespaces.append(model.Namespace(
                    device, uuid, 1, ('nvme%d' % path,),
                    ('md%d' % number,)))
                legs.append(model.Leg(device, slot, frozenset(
                    ['in_sync'] + ['failfast'] * slot), uuid))
            arrays.append(model.Array(
                'md%d' % number, None, None, 2, 0, 'active', 'idle', 1,
                tuple(legs)))
        snapshot = snapshots.HostSnapshot(
            controllers, tuple(namespaces), tuple(arrays))
        quiet = frozenset([portal(0)])
        actions = decide(snapshot, sight=roles.Symptoms(
            OURS, OURS, OURS, quiet, quiet, frozenset(
                one.device for one in namespaces))).actions
        kinds = [type(action) for _array, action in actions]
        reset = kinds.index(act.ResetConnection)
        self.assertEqual({('md0', 'nvme1'), ('md1', 'nvme2')}, {
            (array, action.controller) for array, action in actions[:reset]
            if isinstance(action, act.SetFastIoFail)
            and action.seconds is None})
