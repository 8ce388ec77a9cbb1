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
"""When a lost leg is cut off, and what hurries it."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.guard import cutoff
from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit import scripted_world

OURS = ownership.Owned(frozenset(['md1']))


class CutoffTest(base.BaseTestCase):
    """Leg nvme8n1 is lost; the other one answers, and there is no I/O."""

    #: Seconds after which the kernel ends the leg's I/O by itself.
    tmo: float | None = None
    #: Of its connection; live: but there is no access to the leg over it.
    state = 'connecting'

    def cuts(self, seconds: float, *flags: str, **array: str) -> list[str]:
        """Return what is failed and disconnected so long after its loss."""
        plain = scripted_world.world(self).kernel.scan()
        snapshot = dataclasses.replace(
            plain, controllers=tuple(
                dataclasses.replace(one, state=self.state,
                                    fast_io_fail_tmo=self.tmo)
                if one.name == 'nvme7' else one for one in plain.controllers),
            namespaces=tuple(dataclasses.replace(one, barred=frozenset(
                ['nvme7'] if self.state == 'live'
                and one.device == 'nvme8n1' else []))
                for one in plain.namespaces),
            arrays=tuple(dataclasses.replace(one, legs=tuple(
                dataclasses.replace(leg, flags=frozenset(flags))
                if flags and leg.device == 'nvme8n1' else leg
                for leg in one.legs), **array)  # type: ignore[arg-type]
                for one in plain.arrays))
        symptoms = roles.Symptoms(
            answered=frozenset(['nvme10n1']), before=100.0,
            listening={one.portal: False for one in plain.controllers
                       if one.portal is not None})
        owned = dataclasses.replace(OURS, replicas=frozenset(
            one.uuid for one in plain.namespaces if one.uuid))
        memory = self._at(100.0, snapshot, roles.GuardMemory(), symptoms,
                          owned).memory
        return [getattr(action, 'device', '') or getattr(action, 'controller')
                for _array, action in self._at(
                    100.0 + seconds, snapshot, memory, symptoms,
                    owned).actions
                if isinstance(action, act.FailLeg | act.Disconnect)]

    def _at(self, now: float, snapshot: snapshots.HostSnapshot,
            memory: roles.GuardMemory, symptoms: roles.Symptoms,
            owned: ownership.Owned) -> roles.GuardDecision:
        return roles.decide(snapshot, owned, memory, now,
                            roles.GuardPolicy(1.0, True), symptoms)

    def test_an_array_without_io_is_in_no_hurry(self) -> None:
        self.assertEqual([], self.cuts(cutoff.PATIENCE - 1.0))
        self.assertEqual(['nvme8n1', 'nvme7'], self.cuts(cutoff.PATIENCE))
        self.assertEqual([], self.cuts(100.0, 'faulty'))

    def test_the_kernel_was_to_end_what_md_waits_for(self) -> None:
        """It was told so after the loss, and does not."""
        self.tmo = 1.0
        self.assertEqual([], self.cuts(100.0))
        self.assertEqual([], self.cuts(1.9, sync_action='recover'))
        self.assertEqual(['nvme8n1', 'nvme7'],
                         self.cuts(2.1, sync_action='recover'))

    def test_what_md_itself_reads_or_writes_is_io(self) -> None:
        """It is counted nowhere, and holds up what follows."""
        for word in ('check', 'repair', 'recover', 'resync', 'reshape'):
            self.assertEqual([], self.cuts(0.4, sync_action=word))
            self.assertEqual(['nvme8n1', 'nvme7'], self.cuts(
                0.6, sync_action=word))
            # md goes on holding one that was failed
            self.assertEqual(['nvme7'], self.cuts(0.6, 'faulty',
                                                  sync_action=word))
        for word in ('idle', 'frozen'):
            self.assertEqual([], self.cuts(5.0, sync_action=word))

    def test_a_target_that_lives_and_gives_no_access(self) -> None:
        self.state = 'live'
        self.assertEqual([], self.cuts(cutoff.PATIENCE - 1.0))
        self.assertEqual(['nvme8n1', 'nvme7'], self.cuts(cutoff.PATIENCE))
        self.assertEqual([], self.cuts(0.4, sync_action='recover'))
        self.assertEqual(['nvme8n1', 'nvme7'],
                         self.cuts(0.6, sync_action='recover'))
        self.assertEqual(['nvme7'], self.cuts(0.6, 'faulty', 'blocked'))

    def test_the_kernel_ends_nothing_on_a_connection_that_lives(self) -> None:
        """A leg that fails fast waits like any: its path is not lost."""
        self.state, self.tmo = 'live', 1.0
        self.assertEqual([], self.cuts(0.4, sync_action='recover'))
        self.assertEqual(['nvme8n1', 'nvme7'],
                         self.cuts(0.6, sync_action='recover'))
        self.assertEqual(['nvme8n1', 'nvme7'], self.cuts(cutoff.PATIENCE))


class SharedPathsTest(base.BaseTestCase):
    """Two paths lead to a leg of md1, and to a working one of md2."""

    def _given_up(self, barred: str) -> list[str]:
        def leg(slot: int, device: str, number: int) -> model.Leg:
            return model.Leg(device, slot, frozenset(['in_sync']),
                             scripted_world.uuid_of(number))

        def namespace(device: str, number: int, holder: str,
                      controllers: tuple[str, ...],
                      *without: str) -> model.Namespace:
            return model.Namespace(device, scripted_world.uuid_of(number), 1,
                                   controllers, (holder,),
                                   barred=frozenset(without))
        both = ('nvme1', 'nvme2')
        namespaces = (namespace('nvme1n1', 1, 'md1', both, *both),
                      namespace('nvme1n2', 2, 'md2', both, *barred.split()),
                      namespace('nvme3n1', 3, 'md1', ('nvme3',)),
                      namespace('nvme3n2', 4, 'md2', ('nvme3',)))
        snapshot = snapshots.HostSnapshot(
            tuple(model.Controller(
                'nvme%d' % number, 'nqn.t%d' % (number // 3),
                model.Portal('192.0.2.%d' % number, 4420), None, 'live')
                for number in (1, 2, 3)), namespaces, tuple(
                    model.Array(name, name, None, 2, 0, 'active', 'idle', 1,
                                legs, written=True) for name, legs in (
                        ('md1', (leg(0, 'nvme1n1', 1), leg(1, 'nvme3n1', 3))),
                        ('md2', (leg(0, 'nvme1n2', 2), leg(1, 'nvme3n2', 4)))
                    )))
        owned = ownership.Owned(frozenset(['md1', 'md2']), frozenset(
            one.uuid for one in namespaces if one.uuid))
        symptoms = roles.Symptoms(busy=frozenset(['md1', 'md2']), before=99.0,
                                  answered=frozenset(['nvme3n1', 'nvme3n2']))
        memory = roles.GuardMemory()
        for now in (100.0, 101.0):
            decision = roles.decide(snapshot, owned, memory, now,
                                    roles.GuardPolicy(1.0, True), symptoms)
            memory = decision.memory
        return sorted(action.controller
                      for _array, action in decision.actions
                      if isinstance(action, act.Disconnect))

    def test_S3_no_path_of_a_working_leg_ends_in_vain(self) -> None:
        """With the other one left to it, the I/O waits all the same."""
        self.assertEqual([], self._given_up(''))
        self.assertEqual([], self._given_up('nvme1'))
        self.assertEqual(['nvme1', 'nvme2'], self._given_up('nvme1 nvme2'))
