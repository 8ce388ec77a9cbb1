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
"""What the provisioner leaves out of its answers, or does not answer."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.vendors import base


class TestSilence(healing_loop_case.CycleCase):
    """S8: what the provisioner does not say is unknown, never gone."""

    volumes = 2

    def untouched(self) -> None:
        self.turn(3)
        self.assertEqual([], self.host.did)
        self.assertEqual({'A', 'B'}, self.legs(1))
        self.assertEqual({'A', 'B'}, self.legs(2))
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))

    def answers(self, answer) -> None:
        self.turn()
        self.driver.answer = answer
        self.untouched()

    def test_s8_empty_list(self):
        self.answers(lambda volumes: [])

    def test_s8_a_replica_that_two_volumes_list(self):
        """It is unknown for both: not replaced, retired or confirmed."""
        self.turn()
        self.driver.answer = lambda volumes: [
            volumes[0], dataclasses.replace(
                volumes[1], replicas=volumes[1].replicas + (
                    volumes[0].replicas[1],))]
        self.lose()
        self.turn(20)
        self.assertEqual([], [action for action in self.host.did
                              if isinstance(action, (act.AddLeg,
                                                     act.FailLeg))])
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))
        self.assertEqual({'A', 'B'}, self.legs(2))

    def test_s8_a_volume_left_out(self):
        self.answers(lambda volumes: volumes[:1])

    def test_s8_volumes_without_replicas(self):
        self.answers(lambda volumes: [
            dataclasses.replace(volume, replicas=()) for volume in volumes])

    def test_s8_volumes_with_one_replica(self):
        self.answers(lambda volumes: [
            dataclasses.replace(volume, replicas=volume.replicas[:1])
            for volume in volumes])

    def test_s8_no_list_at_all(self):
        self.answers(lambda volumes: None)

    def test_s8_nonsense_in_the_list(self):
        self.answers(lambda volumes: ['volume1', None])

    def test_s8_an_answer_that_breaks_off(self):
        def half(volumes):
            yield dataclasses.replace(volumes[0],
                                      replicas=volumes[0].replicas[:1])
            raise base.BadAnswer('truncated')
        self.answers(half)

    def test_s8_every_error(self):
        for error in (base.Unavailable('a'), base.Unauthorized('b'),
                      base.BadAnswer('c'), base.Rejected('d'),
                      ValueError('e')):
            self.build()
            self.turn()
            self.refuse('volumes', error=error)
            self.untouched()

    def test_s8_silent_from_the_first_pass_on(self):
        self.refuse('volumes', 'heartbeat')
        self.untouched()

    def test_nothing_is_requested_on_the_word_of_yesterday(self):
        self.turn()
        self.refuse('volumes', error=base.BadAnswer('<html>'))
        self.lose()
        self.turn(8)
        self.assertEqual([], self.said('replace'))
        self.assertEqual([('volume1', 'b', 'MISSING')], self.said('report'))

    def test_a_volume_that_left_this_host_claims_nothing_later(self):
        self.turn()
        del self.host.legs[2]
        for letter in 'AB':
            del self.host.live[self.host.name(2, letter)]
        first = self.driver.volumes.pop(2)
        self.turn()
        # its namespaces serve another volume now
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1],
            replicas=self.driver.volumes[1].replicas + first.replicas[:1])
        self.turn(2)
        self.assertEqual([], self.lines('all claim it'))
        self.assertEqual('md1', next(iter(self.cycle._knowledge.arrays)))
