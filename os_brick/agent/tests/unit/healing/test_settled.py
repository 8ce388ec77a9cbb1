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
"""What is kept of a calm volume, and what ends that."""

from __future__ import annotations

import dataclasses
from unittest import mock

from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import settled
from os_brick.agent import model
from os_brick.agent.model import snapshots

A, B, C = ('%s-0000-4000-8000-000000000000' % (8 * letter)
           for letter in 'abc')
VOLUME = model.Volume(C, 'alias', None, tuple(
    model.Replica(uuid, model.ReplicaState.AVAILABLE) for uuid in (A, B)))
ARRAY = model.Array('md127', 'alias', None, 2, 0, 'clean', 'idle', 1, tuple(
    model.Leg('nvme%dn1' % slot, slot, frozenset({'in_sync'}), uuid)
    for slot, uuid in enumerate((A, B))))
HOST = snapshots.HostSnapshot(
    tuple(model.Controller('nvme%d' % number, 'nqn.%d' % number, None, None,
                           'live') for number in range(3)),
    tuple(model.Namespace('nvme%dn1' % number, uuid, 1, ('nvme%d' % number,))
          for number, uuid in enumerate((A, B))), (ARRAY,))
POLICY = decision.HealingPolicy()


class CalmTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.settled: settled.SettledVolumes[str] = settled.SettledVolumes()
        self.settled.keep(VOLUME, ARRAY, HOST, POLICY, 'calm')
        self.settled.forget_unused()

    def test_the_same_values_are_not_looked_at(self) -> None:
        with mock.patch.object(decision, 'around') as around:
            for _pass in range(3):
                self.assertEqual('calm', self.settled.get(
                    VOLUME, ARRAY, HOST, POLICY))
                self.settled.forget_unused()
        around.assert_not_called()

    def test_equal_values_are_as_good(self) -> None:
        equal = (dataclasses.replace(VOLUME), dataclasses.replace(ARRAY),
                 dataclasses.replace(HOST), decision.HealingPolicy())
        with mock.patch.object(decision, 'around',
                               side_effect=decision.around) as around:
            for _pass in range(3):
                self.assertEqual('calm', self.settled.get(*equal))
                self.settled.forget_unused()
        # and the same from then on
        self.assertEqual(1, around.call_count)

    def test_what_does_not_concern_the_volume(self) -> None:
        other = dataclasses.replace(HOST.controllers[2], state='connecting')
        self.assertEqual('calm', self.settled.get(
            VOLUME, ARRAY, dataclasses.replace(
                HOST, controllers=(*HOST.controllers[:2], other)), POLICY))

    def test_anything_that_differs(self) -> None:
        lost = dataclasses.replace(HOST.controllers[0], state='connecting')
        for volume, array, snapshot, policy in (
                (dataclasses.replace(VOLUME, replica_count=3), ARRAY, HOST,
                 POLICY),
                (VOLUME, dataclasses.replace(ARRAY, degraded=1), HOST,
                 POLICY),
                (VOLUME, ARRAY, dataclasses.replace(
                    HOST, controllers=(lost, *HOST.controllers[1:])),
                 POLICY),
                (VOLUME, ARRAY, dataclasses.replace(HOST, namespaces=()),
                 POLICY),
                (VOLUME, ARRAY, HOST, decision.HealingPolicy(grace=1.0)),
                (dataclasses.replace(VOLUME, uuid=A), ARRAY, HOST, POLICY)):
            self.assertIsNone(
                self.settled.get(volume, array, snapshot, policy))

    def test_what_was_not_asked_for_is_forgotten(self) -> None:
        self.settled.forget_unused()
        self.assertIsNone(self.settled.get(VOLUME, ARRAY, HOST, POLICY))

    def test_what_differed_once_is_forgotten(self) -> None:
        other = dataclasses.replace(ARRAY, degraded=1)
        self.assertIsNone(self.settled.get(VOLUME, other, HOST, POLICY))
        self.settled.forget_unused()
        self.assertIsNone(self.settled.get(VOLUME, ARRAY, HOST, POLICY))
