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
"""What is not ours, or others use as well, is not touched (S4, S8)."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests.unit.safety import rules_case

A, B, C, X = rules_case.A, rules_case.B, rules_case.C, rules_case.X
IN_SYNC, FAULTY = rules_case.IN_SYNC, rules_case.FAULTY
State = rules_case.State
leg = rules_case.leg
namespace = rules_case.namespace


class OthersTest(rules_case.RulesCase):

    def test_S4_how_the_io_of_a_target_is_spread(self) -> None:
        nqn = self.controllers[0].nqn
        spread = act.SetIoPolicy('', 'nvme-subsys0', nqn, 'round-robin')
        self.assert_allowed(spread)
        # the other path of the target carries somebody else's
        self.controllers[3] = dataclasses.replace(self.controllers[3],
                                                  nqn=nqn)
        self.assert_refused('S4', spread)
        self.assert_refused('S4', dataclasses.replace(
            spread, nqn=self.controllers[1].nqn), ours=('md7',))
        self.assert_refused('the controller is gone', dataclasses.replace(
            spread, nqn='nqn.nobody'))

    def test_S4_other_arrays_are_not_touched(self) -> None:
        for action in (self.drop, self.add, act.Resize('', 'md1', 3),
                       act.RemoveLeg('', 'md1', 'nvme0n1'),
                       act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme1n1', B)):
            self.assert_refused('S4', action, ours=())
        self.volume = model.Volume(
            self.volume.uuid, 'w', None,
            (model.Replica(X, State.TERMINATING),))
        self.assert_refused('S4', self.drop)

    def test_S4_stranger_is_not_connected(self) -> None:
        target = model.Target('nqn.t3', ())
        self.assert_refused('S4', act.Connect('', X, target, ()))
        self.assert_allowed(act.Connect('', C, target, ()))

    def test_S4_controllers_that_others_use_stay(self) -> None:
        self.legs[0] = leg(0, FAULTY, None)
        for action in (act.Disconnect('', 'nvme0'),
                       act.SetFastIoFail('', 'nvme0', 1.0),
                       act.SetFastIoFail('', 'nvme0', None)):
            self.namespaces[2:] = []
            self.assert_allowed(action)
            for other in (namespace(3, 'md7'), namespace(3, 'dm-0'),
                          namespace(3, ''),
                          dataclasses.replace(namespace(2, ''),
                                              in_use='mounted')):
                self.namespaces[2:] = [dataclasses.replace(
                    other, controllers=('nvme0',))]
                self.assert_refused('S4', action)

    def test_S4_unused_replica_of_another_volume_may_share(self) -> None:
        self.legs[0] = leg(0, FAULTY, None)
        self.namespaces.append(dataclasses.replace(
            namespace(3, ''), controllers=('nvme0',)))
        self.known = frozenset([X])
        self.assert_allowed(act.Disconnect('', 'nvme0'))

    def test_S4_idle_connection_of_another_product_stays(self) -> None:
        self.assert_refused('S4', act.Disconnect('', 'nvme3'))
        self.assert_refused('S4', act.SetFastIoFail('', 'nvme3', 1.0))


class OwnersTest(base.BaseTestCase):
    """Whose array it is."""

    volume = model.Volume(targets.uuid_of(99), 'v', None, (
        model.Replica(A), model.Replica(B)))

    def array(self, alias: str | None, *uuids: str | None) -> model.Array:
        return model.Array('md1', alias, None, 2, 0, 'active', 'idle', 1,
                           tuple(model.Leg('nvme%dn1' % number, number,
                                           IN_SYNC, uuid)
                                 for number, uuid in enumerate(uuids)))

    def test_by_its_legs(self) -> None:
        for alias in ('v', 'v_0', None):
            self.assertTrue(model.belongs(self.array(alias, A, B),
                                          self.volume))
        self.assertTrue(model.belongs(self.array('v', A, C), self.volume))

    def test_by_its_name_only_without_a_leg(self) -> None:
        self.assertTrue(model.belongs(self.array('v', None), self.volume))
        self.assertFalse(model.belongs(self.array('w', None), self.volume))
        self.assertFalse(model.belongs(self.array('v', C, X), self.volume))

    def test_S4_an_assigned_replica_in_use_elsewhere(self) -> None:
        self.assertFalse(model.belongs(self.array('w', A, X), self.volume))

    def test_S8_truncated_list_abandons_no_array(self) -> None:
        volumes = {self.volume.uuid: dataclasses.replace(
            self.volume, replicas=(model.Replica(C),))}
        array = self.array('v', A, B)
        self.assertEqual([], ownership.owners(array, volumes, {}))
        self.assertEqual([self.volume.uuid], ownership.owners(
            array, volumes, {self.volume.uuid: [A, B]}))
        self.assertEqual([], ownership.owners(
            self.array('w', A, X), volumes, {self.volume.uuid: [A, B]}))
