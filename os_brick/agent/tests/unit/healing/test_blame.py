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
"""A copy is replaced for its own faults only, and not again and again."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from oslotest import base

from os_brick.agent.healing import blame
from os_brick.agent.healing import decision
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import snapshots

State = model.ReplicaState
SIZE = 1 << 30
HOUR = 3600.0
PASS = 60.0


def uuid(number: int) -> str:
    return '%08d-0000-4000-8000-000000000000' % number


def portal(number: int) -> model.Portal:
    return model.Portal('192.0.2.%d' % number, 4420, 'tcp')


class History:
    """A volume of two replicas; 1 is good, 2 is lost, spares begin with 3.

    :ivar here: the replicas whose targets answer.
    :ivar synced: those that are legs.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.here = {1}
        self.legs = {1}
        self.listed = [1, 2]
        self.records: decision.ReplicaRecords = {}
        self.requests: list[tuple[float, int]] = []
        self.faults = blame.NONE
        self.read_only = ''
        self.written = True
        self.assigns: Callable[[History], object] = History.assign
        self.decided = decision.HealingDecision({})

    def assign(self) -> None:
        self.listed.append(len(self.records) + 1)

    def snapshot(self) -> snapshots.HostSnapshot:
        array = model.Array(
            'md1', 'volume1', uuid(99), 2, 2 - len(self.legs),
            self.read_only or 'active', 'idle', SIZE // 2, tuple(
                model.Leg('nvme%dn1' % number, slot, frozenset(['in_sync']),
                          uuid(number))
                for slot, number in enumerate(sorted(self.legs))),
            written=self.written)
        return snapshots.HostSnapshot(
            tuple(model.Controller('nvme%d' % number, 'nqn.%d' % number,
                                   portal(number), 'nqn.host', 'live')
                  for number in self.here),
            tuple(model.Namespace('nvme%dn1' % number, uuid(number), SIZE,
                                  ('nvme%d' % number,),
                                  ('md1',) if number in self.legs else ())
                  for number in self.here), (array,))

    def volume(self) -> model.Volume:
        return model.Volume(uuid(77), 'volume1', SIZE // 2, tuple(
            model.Replica(uuid(number), State.AVAILABLE, None, model.Target(
                'nqn.%d' % number, (portal(number),)))
            for number in self.listed), replica_count=2)

    def turn(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += PASS
            self.once()

    def once(self) -> None:
        snapshot = self.snapshot()
        array = snapshot.array('md1')
        assert array is not None
        volume = self.volume()
        decided = self.decided = decision.decide(
            volume, array, snapshot, self.records, self.now,
            decision.HealingPolicy(), frozenset(uuid(number) for number
                                                in self.listed),
            faults=self.faults)
        self.records = dict(decided.records)
        for request in decided.requests:
            if request.ask is decision.RequestKind.REPLACE:
                record = decision.asked(self.records[request.replica_uuid],
                                        request.ask, volume, self.now)
                self.records = {
                    **self.records, request.replica_uuid: decision.answered(
                        record, request.ask, self.now)}
                self.requests.append((self.now, int(
                    request.replica_uuid[:8])))
                self.assigns(self)


class TestChain(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.world = History()

    def test_replacements_that_fail_are_requested_ever_later_and_end(self):
        self.world.turn(4 * HOUR)
        self.assertEqual([2, 3, 4, 5],
                         [number for _when, number in self.world.requests])
        times = [when for when, _number in self.world.requests]
        gaps = [after - before for before, after in zip(times, times[1:])]
        for gap, least in zip(gaps, (1200, 2400, 4800)):
            self.assertTrue(least <= gap <= least + 3 * PASS, gaps)
        self.assertIn('4 replacements in a row were of no use, replica %s'
                      % uuid(6), self.world.decided.ended)
        self.world.turn(5 * HOUR)
        self.assertEqual(4, len(self.world.requests))

    def test_the_next_moment_is_known_in_advance(self):
        self.world.turn(HOUR)
        self.assertEqual(2, len(self.world.requests))
        self.world.turn(HOUR / 6)
        due = self.world.decided.due_in
        self.assertIsNotNone(due)
        self.assertTrue(0 < due <= 2400, due)

    def test_it_begins_anew_after_a_pause(self):
        self.world.turn(4 * HOUR)
        self.world.records = decision.anew(self.world.records)
        self.world.once()
        self.assertEqual('', self.world.decided.ended)
        self.assertEqual(6, self.world.requests[-1][1])

    def test_it_begins_anew_after_a_detach(self):
        self.world.turn(4 * HOUR)
        self.world.records = decision.detached(self.world.records,
                                               self.world.now)
        self.world.turn(HOUR)
        self.assertEqual(6, self.world.requests[4][1])

    def test_one_that_proved_itself_ends_the_chain(self):
        for age, next_after in ((600.0, 1200), (2 * HOUR, 600)):
            world = History()
            world.turn(HOUR / 3)
            self.assertEqual([2], [one for _when, one in world.requests])
            world.here.add(3)
            world.legs.add(3)
            world.turn(age)
            world.here.discard(3)
            world.legs.discard(3)
            lost = world.now
            world.turn(HOUR)
            when = world.requests[1][0] - lost
            self.assertTrue(next_after <= when <= next_after + 3 * PASS,
                            (age, when))

    def test_what_is_listed_and_taken_back_again_and_again_ends(self):
        """A provisioner that lists a spare, and then no longer."""
        self.world.assigns = lambda world: world.listed.append(
            3 + len(world.requests))
        for _turn in range(60):
            self.world.turn(HOUR / 6)
            self.world.listed = [1, 2]
        self.assertTrue(len(self.world.requests) <= 5,
                        len(self.world.requests))
        self.assertIn('in a row were of no use', self.world.decided.ended)

    def test_one_that_comes_back_is_the_end_of_it(self):
        self.world.turn(4 * HOUR)
        self.world.here.add(6)
        self.world.legs.add(6)
        self.world.once()
        self.assertEqual('', self.world.decided.ended)


class TestExcused(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.world = History()
        self.world.turn(300.0)

    def stands_still(self) -> None:
        down = self.world.records[uuid(2)].down
        self.world.turn(HOUR)
        self.assertEqual([], self.world.requests)
        self.assertLessEqual(self.world.records[uuid(2)].down, down + PASS)

    def goes_on(self) -> None:
        self.world.turn(200.0)
        self.assertEqual([], self.world.requests)
        self.world.turn(300.0)
        self.assertEqual(1, len(self.world.requests))

    def test_a_host_that_can_take_nothing_in(self):
        self.world.faults = blame.HostFaults('mdadm cannot be run')
        self.stands_still()
        self.world.faults = blame.NONE
        self.goes_on()

    def test_a_replica_that_this_host_has_no_way_to(self):
        self.world.faults = blame.NONE.along_with({uuid(2): 'no network'})
        self.stands_still()
        self.world.faults = blame.NONE.along_with({uuid(1): 'no network'})
        self.goes_on()

    def test_an_array_that_is_read_only(self):
        for word in ('readonly', 'read-auto'):
            self.world.read_only = word
            self.stands_still()
        self.world.read_only = ''
        self.goes_on()

    def test_S15_an_array_that_nobody_here_has_written_to(self):
        """What were assigned could not be put in; a spare is not used up."""
        self.world.written = False
        self.stands_still()
        self.world.written = True
        self.goes_on()

    def test_what_was_due_before_is_not_requested_meanwhile(self):
        self.world.turn(250.0)
        self.world.faults = blame.HostFaults('mdadm cannot be run')
        self.world.records = {
            one: dataclasses.replace(record, down=1e6) if one == uuid(2)
            else record for one, record in self.world.records.items()}
        self.world.turn(HOUR)
        self.assertEqual([], self.world.requests)

    def test_only_lost_replicas_are_asked_about(self):
        volume, snapshot = self.world.volume(), self.world.snapshot()
        self.assertEqual({uuid(2): frozenset([portal(2)])},
                         blame.lost_portals(volume, snapshot))
        self.world.here.add(2)
        self.assertEqual({}, blame.lost_portals(volume,
                                                self.world.snapshot()))


class TestPatience(base.BaseTestCase):

    def test_it_doubles_up_to_a_bound(self):
        world = History()
        world.turn(60.0)
        snapshot = world.snapshot()
        replica = world.volume().replicas[1]
        for grace, fruitless, expected in (
                (600.0, 0, 600.0), (600.0, 3, 4800.0), (600.0, 4, None),
                (0.0, 0, 0.0), (0.0, 2, 240.0), (7200.0, 3, 21600.0),
                (86400.0, 2, 86400.0)):
            view = volume_view.VolumeView(
                world.volume(), snapshot.arrays[0], snapshot, {
                    replica.uuid: replica_record.ReplicaRecord(
                        joined=True, fruitless=fruitless)}, world.now,
                decision.HealingPolicy(grace))
            self.assertEqual(expected, view.patience(replica),
                             (grace, fruitless))
