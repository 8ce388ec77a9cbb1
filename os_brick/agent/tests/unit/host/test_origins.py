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
        self.foreign = b''
        self.lost: set[str] = set()
        effects = mock.Mock()
        effects.superblocks.side_effect = self.read
        self.origins = origins.Origins(evidence.Evidence(mock.Mock(),
                                                         effects))
        self.array = self.of('boot/1', 0, 1)
        patch = mock.patch.object(snapshots.HostSnapshot, 'good',
                                  lambda _self, leg: leg.in_sync
                                  and leg.device not in self.lost)
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
            int(device[4]), self.events + int(device[4])))] + (
                [self.foreign] if self.foreign and device == 'nvme1n1'
                else []) for device in devices if device not in self.silent}

    def test_S10_the_first_count_stays(self) -> None:
        self.origins.look(snapshot(self.array))
        self.events = 90
        self.origins.look(snapshot(self.array))
        self.assertEqual({'boot/1': origin.Origin(13, frozenset([
            'uuid-0', 'uuid-1']), True)}, self.origins.found)
        self.assertEqual([['nvme0n1', 'nvme1n1']], self.asked)

    def test_S10_whatever_was_a_leg_since_is_one_of_its_legs(self) -> None:
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.origins.look(snapshot(self.of('boot/1', 0, 2)))
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.origins.put_in(self.of('boot/1', 0), 'uuid-3')
        self.assertEqual(frozenset(['uuid-0', 'uuid-2', 'uuid-3']),
                         self.origins.found['boot/1'].legs)
        self.assertEqual(12, self.origins.found['boot/1'].events)

    def test_S10_one_that_was_a_leg_between_two_passes(self) -> None:
        """The guard has seen it come and go."""
        self.origins.note_legs(snapshot(self.of('boot/1', 0, 3)))
        self.assertIsNone(self.origins.found['boot/1'].events)
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.origins.note_legs(snapshot(self.of('boot/1', 0, 2)))
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.assertEqual(frozenset(['uuid-0', 'uuid-2', 'uuid-3']),
                         self.origins.found['boot/1'].legs)

    def test_S10_another_instance_is_another_one(self) -> None:
        self.origins.look(snapshot(self.array))
        before = self.origins.found
        self.events = 90
        self.origins.look(snapshot(self.of('boot/2', 0)))
        self.assertEqual(origin.Origin(90, frozenset(['uuid-0']), True),
                         self.origins.found['boot/2'])
        # whoever has taken what was noted looks at it in peace
        self.assertEqual(['boot/1'], list(before))

    def test_S10_one_that_is_not_there_for_once_is_not_forgotten(self
                                                                 ) -> None:
        self.origins.look(snapshot(self.array))
        self.events = 90
        for _look in range(origins.MISSED):
            self.origins.look(snapshot())
        self.origins.look(snapshot(self.array))
        self.assertEqual(13, self.origins.found['boot/1'].events)
        for _look in range(origins.MISSED + 1):
            self.origins.look(snapshot())
        self.assertEqual({}, self.origins.found)

    def test_S10_a_name_may_be_another_arrays_at_once(self) -> None:
        """Where the kernel gives no numbers."""
        array = self.of('', 0)
        self.origins.look(snapshot(array))
        self.assertEqual(1, len(self.origins.found))
        self.origins.look(snapshot())
        self.assertEqual({}, self.origins.found)

    def unwritten(self, *numbers: int, degraded: int = 1) -> model.Array:
        return dataclasses.replace(self.of('boot/1', *numbers),
                                   written=False, degraded=degraded)

    def test_S10_the_count_is_that_of_before_the_first_write(self) -> None:
        """The next pass after it may come half a minute later."""
        self.origins.look(snapshot(self.unwritten(0)))
        self.assertFalse(self.origins.found['boot/1'].written)
        self.events = 42
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.assertEqual(origin.Origin(12, frozenset(['uuid-0']), True),
                         self.origins.found['boot/1'])

    def test_S10_until_then_the_source_of_a_migration_counts_on(self) -> None:
        self.origins.look(snapshot(self.unwritten(0)))
        self.events = 340
        self.origins.look(snapshot(self.unwritten(0)))
        self.assertEqual(340, self.origins.found['boot/1'].events)
        # seen to be written to by the guard, and no more for once
        self.origins.note_legs(snapshot(self.of('boot/1', 0)))
        self.events = 900
        self.origins.look(snapshot(self.unwritten(0)))
        self.assertEqual(340, self.origins.found['boot/1'].events)

    def test_a_whole_array_that_nobody_uses_is_read_once(self) -> None:
        for _look in range(3):
            self.origins.look(snapshot(self.unwritten(0, 1, degraded=0)))
        self.assertEqual(1, len(self.asked))

    def test_S10_one_that_was_a_leg_before_the_first_write_was_one(self
                                                                   ) -> None:
        self.origins.look(snapshot(self.unwritten(0, 1, degraded=0)))
        self.origins.look(snapshot(self.unwritten(0)))
        self.origins.look(snapshot(self.of('boot/1', 0)))
        self.assertIn('uuid-1', self.origins.found['boot/1'].legs)

    def test_S10_a_leg_that_carries_two_where_md_does_not_say_whose(self
                                                                    ) -> None:
        self.array = dataclasses.replace(self.array, uuid=None)
        self.foreign = superblocks.block(superblocks.of(
            7, 5000, array='0d5a1d3e-0000-4000-8000-000000000bad'))
        self.origins.look(snapshot(self.array))
        self.assertEqual(12, self.origins.found['boot/1'].events)

    def test_S10_a_leg_that_is_silent(self) -> None:
        self.silent = {'nvme0n1', 'nvme1n1'}
        self.origins.look(snapshot(self.array))
        self.assertIsNone(self.origins.found['boot/1'].events)
        self.silent = {'nvme1n1'}
        self.origins.look(snapshot(self.array))
        self.assertEqual(12, self.origins.found['boot/1'].events)

    def test_a_leg_whose_target_is_lost_is_not_waited_for(self) -> None:
        self.lost = {'nvme1n1'}
        self.origins.look(snapshot(self.array))
        self.assertEqual([['nvme0n1']], self.asked)

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
