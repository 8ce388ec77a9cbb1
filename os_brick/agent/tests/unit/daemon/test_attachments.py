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
"""What a detach does to what is remembered, and a boot with it."""

from __future__ import annotations

import dataclasses

from os_brick.agent.daemon import attachments
from os_brick.agent.healing import decision
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base

State = model.ReplicaState
WEEK = 7 * 86400.0
MONTH = 31 * 86400.0
B = small_world.uuid(1, 'b')


class DetachCase(healing_loop_case.CycleCase):
    """The grace period is 40 s, a report is repeated after 600 s."""

    def setUp(self) -> None:
        super().setUp()
        self.turn()

    def detach(self) -> None:
        self.kept = self.host.legs.pop(1)

    def attach(self) -> None:
        self.host.legs[1] = self.kept

    def record(self) -> replica_record.ReplicaRecord:
        return self.book.records(small_world.uuid(1, 'f'))[B]

    def bad_for(self, seconds: int) -> None:
        self.lose()
        self.turn(seconds // 10 + 1)
        self.assertEqual(seconds, self.record().down)


class DetachTest(DetachCase):

    def test_its_grace_begins_anew(self):
        self.bad_for(30)
        self.detach()
        self.turn(1, WEEK)
        self.attach()
        self.turn(4)
        self.assertEqual([], self.said('replace'))
        self.turn(2)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_restart_is_no_detach(self):
        self.bad_for(30)
        self.restart()
        self.turn(2)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_detach_while_the_agent_is_stopped(self):
        self.bad_for(30)
        self.detach()
        self.restart()
        self.turn()
        self.attach()
        self.turn(2)
        self.assertEqual([], self.said('replace'))

    def test_a_boot_with_the_clock_in_the_future(self):
        """Also where the array is there again before the agent is."""
        self.bad_for(30)
        self.clock.boot_id, self.clock.since_boot = 'another', 5.0
        self.clock.time += 10 * 365 * 86400.0
        self.restart()
        self.turn(4)
        self.assertEqual([], self.said('replace'))
        self.clock.time -= 10 * 365 * 86400.0
        self.turn(2)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_boot_with_the_clock_in_the_past(self):
        self.bad_for(30)
        self.clock.boot_id, self.clock.since_boot = 'another', 5.0
        self.clock.time = 0.0
        self.restart()
        self.turn(4)
        self.assertEqual([], self.said('replace'))
        self.turn(2)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_look_that_failed_is_no_detach(self):
        """Nor an array whose legs nobody knows."""
        scan = self.host.scan
        self.bad_for(20)
        bare = snapshots.HostSnapshot(problems=('md1 cannot be read',))
        nobodys = snapshots.HostSnapshot(arrays=(dataclasses.replace(
            self.host.array(1), name='md7', alias=None, legs=()),))
        for seen in (bare, nobodys):
            self.host.scan = lambda seen=seen: seen
            self.restart()
            self.turn(1, 0.0)
            self.assertEqual(20, self.record().down)
        self.host.scan = scan
        self.restart()
        self.turn(3)
        self.assertEqual(1, len(self.said('replace')))

    def test_what_was_true_of_the_copies_stays(self):
        record = replica_record.ReplicaRecord(
            joined=True, device='nvme1n1', reported=State.MISSING,
            reported_at=1.0, bad_since=2.0, down=3.0, counted_at=4.0,
            requested_at=5.0, known=('a',), retry_at=6.0, attempts=1,
            retired=True, confirmed=True, failed='no', current=True,
            stale=True, divergent='ahead', given_up=True, left_at=7.0)
        after = replica_record.detached({B: record}, 9.0)[B]
        self.assertEqual(replica_record.ReplicaRecord(
            joined=True, retired=True, confirmed=True, current=True,
            stale=True, divergent='ahead', given_up=True, left_at=7.0,
            detached_at=9.0), after)
        # an exchange goes on where it was
        record = dataclasses.replace(record, successor='c')
        after = replica_record.detached({B: record}, 9.0)[B]
        self.assertEqual(('c', 5.0, ('a',)), (
            after.successor, after.requested_at, after.known))

    def test_it_is_asked_again_for_the_next_fault(self):
        """The request of before had been accepted, and nothing came."""
        self.driver.request_replacement = lambda volume, replica: (
            self.driver.said.append(('replace', volume.alias)))
        self.bad_for(40)
        self.detach()
        self.turn(1, WEEK)
        self.attach()
        self.turn(100)
        self.assertEqual(2, len(self.said('replace')))


class ReportsTest(DetachCase):

    def setUp(self) -> None:
        super().setUp()
        self.refuse('report')
        self.lose()
        self.turn()
        self.detach()
        self.driver.said.clear()

    def test_S6_they_are_sent_soon_after_the_detach(self):
        self.turn(10)
        self.mend()
        self.turn()
        self.assertEqual([('volume1', 'b', 'MISSING')], self.said('report'))
        self.turn(3)
        self.assertEqual(1, len(self.said('report')))
        self.assertEqual([], self.book.pending())

    def test_S6_they_are_sent_where_the_volume_is_no_longer_listed(self):
        self.driver.volumes = {}
        self.restart()
        self.turn()
        self.mend()
        taken = []
        self.driver.report_replica_state = lambda *words: taken.append(words)
        self.turn()
        (volume, replica, state), = taken
        self.assertEqual((small_world.uuid(1, 'f'), B, State.MISSING), (
            volume.uuid, replica.uuid, state))

    def test_S6_nothing_old_is_sent_a_week_later(self):
        self.turn(1, WEEK)
        self.mend()
        self.turn()
        self.assertEqual([], self.said('report'))
        self.attach()
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(3)
        # it is listed as AVAILABLE, and it is
        self.assertEqual([], self.said('report'))
        self.assertEqual([], self.book.pending())
        self.assertEqual(1, len(self.lines(
            'volume volume1: 1 reports of before it was detached')))

    def test_S6_the_present_state_is_told_at_the_next_attach(self):
        self.turn(1, WEEK)
        self.attach()
        self.mend()
        self.turn()
        self.assertEqual([('volume1', 'b', 'MISSING')], self.said('report'))
        self.assertIsNone(self.record().detached_at)

    def test_an_outage_costs_one_call_for_all_of_them(self):
        calls = []

        def broken(name: str, alias: str) -> None:
            calls.append(name)
            raise base.Unavailable('nobody answers')
        self.driver.broken = broken
        self.turn()
        self.assertNotIn('report', calls)


class ForgottenTest(healing_loop_case.ComingAndGoingCase):

    def setUp(self) -> None:
        super().setUp()
        self.put(attachments, 'MOST', 3)

    def go(self, seconds: float = MONTH) -> None:
        super().go(seconds)

    def remembered(self) -> set[int]:
        """After a restart, too."""
        now = set(self.cycle._knowledge.remembered)
        self.restart()
        self.assertEqual(now, set(self.cycle._knowledge.remembered))
        return {int(uuid[:8]) for uuid in now}

    def test_those_that_went_first_where_there_are_many(self):
        for _volume in range(200):
            self.come()
            self.go()
        self.turn()
        self.assertEqual({198, 199, 200}, self.remembered())
        self.assertEqual(197, len(self.lines(
            '1 volumes that were detached long ago are forgotten')))

    def test_all_of_this_month_are_remembered(self):
        for _volume in range(10):
            self.come()
            self.go(86400.0)
        self.assertEqual(set(range(1, 11)), self.remembered())

    def test_S10_one_of_which_a_copy_was_out_is_remembered(self):
        out = self.come()
        self.lose(number=out)
        self.host.legs[out]['B'] = (None, {'faulty'})
        self.turn()
        for _volume in range(10):
            self.go()
            self.come()
        self.assertIn(out, self.remembered())
        self.assertEqual(5, len(self.remembered()))

    def test_S8_one_that_is_listed_is_remembered(self):
        first = self.come()
        self.listed = dict(self.driver.volumes)
        for _volume in range(10):
            self.go()
            self.come()
        self.assertIn(first, self.remembered())

    def test_S6_reports_that_are_too_old_to_be_sent_go_with_it(self):
        self.refuse('report')
        for _volume in range(10):
            number = self.come()
            self.book.save(small_world.uuid(number, 'f'), {}, [
                decision.Report(small_world.uuid(number, 'b'),
                                State.MISSING)])
            self.go()
        self.turn()
        self.assertEqual({8, 9, 10}, self.remembered())
        self.assertEqual(3, len(self.book.pending()))

    def test_while_the_provisioner_is_silent_none_is_forgotten(self):
        for _volume in range(10):
            self.come()
            self.go(60.0)
        self.refuse('volumes', 'heartbeat')
        self.turn(3, MONTH)
        self.assertEqual(10, len(self.remembered()))
        self.mend()
        self.turn(2, MONTH)
        self.assertEqual(3, len(self.remembered()))

    def test_an_exchange_that_was_under_way_is_no_obstacle(self):
        """Another host goes on with it as well."""
        for _volume in range(10):
            number = self.come()
            volume, b, c = (small_world.uuid(number, letter)
                            for letter in 'fbc')
            self.book.save(volume, {
                b: dataclasses.replace(self.book.records(volume)[b],
                                       requested_at=1.0, successor=c),
                c: decision.ReplicaRecord(seen_at=2.0)})
            self.go()
        self.turn()
        self.assertEqual({8, 9, 10}, self.remembered())
