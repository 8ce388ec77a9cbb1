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
"""With how many events an array came up is noted once (S10)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from unittest import mock

from oslotest import base

from os_brick.agent.host import evidence
from os_brick.agent.host import not_done
from os_brick.agent.host import origins
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.safety import origin
from os_brick.agent.tests.unit import superblocks


def snapshot(*arrays: model.Array) -> snapshots.HostSnapshot:
    return snapshots.HostSnapshot(arrays=arrays, namespaces=tuple(
        model.Namespace('nvme%dn1' % number, 'uuid-%d' % number, 1 << 30,
                        ()) for number in range(4)))


class OriginsTest(base.BaseTestCase):
    """The array md1 of nvme0n1 and nvme1n1, which is written to."""

    def setUp(self) -> None:
        super().setUp()
        self.events = 12
        self.asked: list[list[str]] = []
        self.silent: set[str] = set()
        effects = mock.Mock()
        effects.superblocks.side_effect = self.read
        self.origins = origins.Origins(evidence.Evidence(mock.Mock(),
                                                         effects))
        self.array = self.of('boot/1', 0, 1)
        patch = mock.patch.object(snapshots.HostSnapshot, 'good',
                                  lambda _self, leg: leg.in_sync)
        patch.start()
        self.addCleanup(patch.stop)

    def of(self, instance: str, *numbers: int) -> model.Array:
        return model.Array(
            'md1', 'v', superblocks.ARRAY, 2, 0, 'clean', 'idle', 1 << 20,
            tuple(model.Leg('nvme%dn1' % number, slot, frozenset(
                ['in_sync']), 'uuid-%d' % number)
                for slot, number in enumerate(numbers)),
            instance=instance, written=True)

    def read(self, devices: Sequence[str], _within: int
             ) -> dict[str, list[bytes] | str]:
        self.asked.append(list(devices))
        return {device: [superblocks.block(superblocks.of(
            int(device[4]), self.events + int(device[4])))]
            for device in devices if device not in self.silent}

    def test_S10_the_first_count_stays(self) -> None:
        self.origins.look(snapshot(self.array))
        self.events = 90
        self.origins.look(snapshot(self.array))
        self.assertEqual({'boot/1': origin.Origin(13, frozenset([
            'uuid-0', 'uuid-1']))}, self.origins.found)
        self.assertEqual([['nvme0n1', 'nvme1n1']], self.asked)

    def test_S10_whatever_was_a_leg_since_is_one_of_its_legs(self) -> None:
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.origins.look(snapshot(self.of('boot/1', 0, 2)))
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.origins.put_in(self.of('boot/1', 0), 'uuid-3')
        self.assertEqual(frozenset(['uuid-0', 'uuid-2', 'uuid-3']),
                         self.origins.found['boot/1'].legs)
        self.assertEqual(12, self.origins.found['boot/1'].events)

    def test_S10_another_instance_is_another_one(self) -> None:
        self.origins.look(snapshot(self.array))
        before = self.origins.found
        self.events = 90
        self.origins.look(snapshot(self.of('boot/2', 0)))
        self.assertEqual({'boot/2': origin.Origin(90, frozenset([
            'uuid-0']))}, self.origins.found)
        # whoever has taken what was noted looks at it in peace
        self.assertEqual(['boot/1'], list(before))
        self.origins.put_in(self.array, 'uuid-3')
        self.assertEqual(['boot/2'], list(self.origins.found))

    def test_S10_nobody_on_this_host_has_written_to_it(self) -> None:
        """The source of a migration may, and counts on."""
        self.origins.look(snapshot(dataclasses.replace(self.array,
                                                       written=False)))
        self.assertEqual({}, self.origins.found)

    def test_S10_a_leg_that_is_silent(self) -> None:
        self.silent = {'nvme0n1', 'nvme1n1'}
        self.origins.look(snapshot(self.array))
        self.assertEqual({}, self.origins.found)
        self.silent = {'nvme1n1'}
        self.origins.look(snapshot(self.array))
        self.assertEqual(12, self.origins.found['boot/1'].events)

    def test_S10_the_helper_is_away(self) -> None:
        self.origins.look(snapshot(self.of('boot/1', 0)))
        other = dataclasses.replace(self.of('boot/2', 2), name='md2')
        with mock.patch.object(evidence.Evidence, 'superblocks',
                               side_effect=not_done.NotDone('away')):
            self.assertRaises(
                not_done.NotDone, self.origins.look,
                snapshot(self.array, other))
        self.assertEqual(frozenset(['uuid-0', 'uuid-1']),
                         self.origins.found['boot/1'].legs)
