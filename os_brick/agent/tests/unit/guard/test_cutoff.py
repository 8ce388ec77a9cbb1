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
