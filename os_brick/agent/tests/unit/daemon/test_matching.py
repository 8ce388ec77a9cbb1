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
"""Which volume an array is: by its legs, also by those it once had."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world


class TestMatching(healing_loop_case.CycleCase):

    def find(self, arrays, volumes, before=(), remembered=()):
        return ownership.match(
            snapshots.HostSnapshot(arrays=tuple(arrays)),
            {volume.uuid: volume for volume in volumes}, dict(before),
            dict(remembered))

    def test_S8_a_truncated_list_does_not_lose_the_array(self):
        volume = self.driver.volumes[1]
        array = self.host.array(1)
        legs = frozenset(leg.replica_uuid for leg in array.legs)
        foreign = dataclasses.replace(volume, alias='other', replicas=(
            model.Replica(small_world.uuid(9, 'f')),))
        self.assertEqual({}, self.find([array], [foreign]).arrays)
        found = self.find([array], [foreign],
                          remembered={volume.uuid: legs})
        self.assertEqual({array.name: volume.uuid}, found.arrays)

    def test_S8_a_leg_that_no_list_has_had_keeps_the_array(self):
        """Also when the only one that was listed has left, and later on."""
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes]
        self.turn(2)
        del self.host.legs[1]['A']
        for _time in range(2):
            self.turn(2)
            self.assertEqual({'md1': self.driver.volumes[1].uuid}, {
                **self.claimed[-1].match(self.host.scan(), {}).arrays})
            self.restart()

    def test_an_array_that_two_volumes_claim_is_left_alone(self):
        one = self.driver.volumes[1]
        other = dataclasses.replace(one, uuid=small_world.uuid(9, 'f'))
        found = self.find([self.host.array(1)], [one, other])
        self.assertEqual({}, found.arrays)
        self.assertIn(other.uuid, found.doubts['array volume1 (md1)'])

    def test_of_two_arrays_the_one_with_a_good_leg(self):
        array = self.host.array(1)
        stale = dataclasses.replace(array, name='md9', legs=tuple(
            dataclasses.replace(leg, flags=frozenset())
            for leg in array.legs[1:]))
        volume = self.driver.volumes[1]
        found = self.find([stale, array], [volume])
        self.assertEqual({'md1': volume.uuid}, found.arrays)
        found = self.find([dataclasses.replace(array, name='md9'), array],
                          [volume])
        self.assertEqual({}, found.arrays)
        self.assertIn('md1, md9', found.doubts['volume volume1'])

    def test_a_doubt_about_an_array_that_is_served_is_said_once(self):
        scan = self.cycle._observer._scan

        def with_another() -> snapshots.HostSnapshot:
            found: snapshots.HostSnapshot = scan()
            stale = dataclasses.replace(
                found.arrays[0], name='md9', legs=tuple(
                    dataclasses.replace(leg, flags=frozenset())
                    for leg in found.arrays[0].legs[1:]))
            return dataclasses.replace(found, arrays=(*found.arrays, stale))

        self.cycle._observer._scan = with_another
        self.turn(4)
        self.assertEqual(1, len(self.lines('md1, md9 all look like')))

    def test_an_array_whose_legs_have_vanished_stays_what_it_was(self):
        volume = self.driver.volumes[1]
        array = dataclasses.replace(
            self.host.array(1), alias=None, legs=tuple(
                dataclasses.replace(leg, replica_uuid=None)
                for leg in self.host.array(1).legs))
        self.assertEqual({}, self.find([array], [volume]).arrays)
        self.assertEqual({'md1': volume.uuid}, self.find(
            [array], [volume], {'md1': volume.uuid}).arrays)
