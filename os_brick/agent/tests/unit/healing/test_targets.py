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
"""Where a copy that was cut off is found again, with nobody to ask."""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import decision
from os_brick.agent.healing import targets
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.store import encoding
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world

A, B = (small_world.uuid(1, letter) for letter in 'ab')


class AwayTest(healing_loop_case.CycleCase):
    """The guard has cut B off; what B holds is behind what A holds."""

    def setUp(self) -> None:
        super().setUp()
        self.turn(2)

    def cut(self, letter: str = 'B') -> None:
        del self.host.legs[1][letter]
        del self.host.live[self.host.name(1, letter)]

    def connected(self) -> list[model.Target]:
        return [action.target for action in self.host.did
                if isinstance(action, act.Connect)]

    def test_it_is_reconnected_with_the_provisioner_away(self):
        self.refuse('heartbeat', 'volumes', 'report', 'event')
        self.cut()
        self.turn(8)
        self.assertEqual([model.Target(
            'nqn.2024-01.test:' + self.host.name(1, 'B'),
            (small_world.portal(1, 'B'),))], self.connected())
        self.assertEqual({'A', 'B'}, self.legs())

    def test_a_restart_forgets_nothing_of_it(self):
        self.refuse('heartbeat', 'volumes', 'report', 'event')
        self.cut()
        self.restart()
        self.turn(8)
        self.assertEqual({'A', 'B'}, self.legs())

    def test_a_provisioner_that_answers_is_believed(self):
        """What it does not name, this host may not have any more."""
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=tuple(
                dataclasses.replace(replica, target=None)
                for replica in volume.replicas)) for volume in volumes]
        self.cut()
        self.turn(3)
        self.assertEqual([], self.connected())

    def test_a_host_without_a_live_leg_takes_no_old_word(self):
        """Its access may have been withdrawn."""
        self.refuse('heartbeat', 'volumes', 'report', 'event')
        self.cut()
        self.lose('A')
        self.turn(3)
        self.assertEqual([], self.connected())
        self.host.live[self.host.name(1, 'A')] = True
        self.turn(8)
        self.assertEqual({'A', 'B'}, self.legs())

    def test_another_attachment_knows_nothing_of_it(self):
        records = decision.detached(self.book.records(
            self.driver.volumes[1].uuid), 1.0)
        self.assertEqual({A: None, B: None}, {
            uuid: record.target for uuid, record in records.items()})

    def test_paths_that_are_lost_do_not_make_it_forget(self):
        known = self.record().target
        assert known is not None
        self.lose('B')
        self.turn(1)
        self.assertEqual(known, self.record().target)

    def test_it_is_remembered_as_it_was_in_the_file(self):
        record = self.record()
        self.assertIsNotNone(record.target)
        self.assertEqual(record, encoding.load_record(
            encoding.dump_record(record)))

    def record(self) -> decision.ReplicaRecord:
        return self.book.records(self.driver.volumes[1].uuid)[B]


class ReachedTest(healing_loop_case.CycleCase):

    def reached(self, **controller: object) -> model.Target | None:
        snapshot = self.host.scan()
        snapshot = dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(one, **controller)  # type: ignore[arg-type]
            for one in snapshot.controllers))
        return targets.reached(snapshot.arrays[0], B, snapshot)

    def test_by_all_its_paths(self):
        self.assertEqual((small_world.portal(1, 'B'),),
                         self.reached().portals)

    def test_not_where_it_is_not_known(self):
        self.assertIsNone(self.reached(portal=None))
        self.assertIsNone(self.reached(state='connecting'))
        del self.host.legs[1]['B']
        self.assertIsNone(self.reached())
