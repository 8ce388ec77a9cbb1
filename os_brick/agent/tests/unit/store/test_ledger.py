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
"""What outlives a restart: records, reports in order, and agent time."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import sqlite3
import stat
import tempfile
from unittest import mock
import weakref

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import pauses
from os_brick.agent.store import encoding
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit import small_world

State = model.ReplicaState
VOLUME, OTHER = small_world.uuid(1, 'f'), small_world.uuid(2, 'f')
A, B = small_world.uuid(1, 'a'), small_world.uuid(1, 'b')


class LedgerCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, 'agent.sqlite')
        self.clock = small_world.Clock()
        self.boot('first')
        self.book = ledger.Ledger(self.path, self.clock)
        self.addCleanup(lambda: self.book.close())

    def boot(self, name: str) -> None:
        self.clock.boot_id = name

    def reopen(self) -> None:
        self.book.close()
        self.book = ledger.Ledger(self.path, self.clock)


class TestTime(LedgerCase):

    def test_goes_with_the_boot_clock(self):
        first = self.book.now()
        self.clock.since_boot += 12.5
        self.assertEqual(12.5, self.book.now() - first)

    def test_does_not_jump_with_the_wall_clock(self):
        first = self.book.now()
        for jump in (1e9, -2e9, 3600.0):
            self.clock.time += jump
            self.assertEqual(first, self.book.now())
            self.reopen()
            self.assertEqual(first, self.book.now())

    def test_goes_on_over_a_restart(self):
        first = self.book.now()
        self.clock.advance(30)
        self.reopen()
        self.clock.advance(30)
        self.assertEqual(60.0, self.book.now() - first)

    def test_over_a_reboot_the_wall_clock_is_the_witness(self):
        first = self.book.now()
        self.boot('second')
        self.clock.since_boot, self.clock.time = 1.0, self.clock.time + 90
        self.assertEqual(90.0, self.book.now() - first)
        self.clock.advance(5)
        self.assertEqual(95.0, self.book.now() - first)

    def test_a_clock_that_lost_its_battery_does_not_turn_time_back(self):
        self.clock.advance(1000)
        first = self.book.now()
        self.boot('second')
        self.clock.since_boot, self.clock.time = 1.0, 0.0
        self.assertEqual(first, self.book.now())
        # NTP sets it right within the boot
        self.clock.time = 2e9
        self.clock.since_boot += 7
        self.assertEqual(7.0, self.book.now() - first)

    def paused(self):
        return set(self.book.pauses())

    def test_a_pause_lasts_as_long_as_was_said(self):
        """Whichever way the wall clock is set meanwhile."""
        for step in (-1.5e8, 1.5e8):
            self.book.pause('v', pauses.Pause(self.clock.wall() + 3600, 'x'))
            self.clock.time += step
            until = self.book.pauses()['v'].until
            self.assertAlmostEqual(self.clock.wall() + 3600, until, places=3)
            # and that is said once, not anew in each pass
            self.clock.advance(1.7)
            self.assertEqual(until, self.book.pauses()['v'].until)
            self.clock.advance(3590)
            self.reopen()
            self.assertEqual({'v'}, self.paused())
            self.clock.advance(10)
            self.assertEqual(set(), self.paused())

    def test_a_pause_of_a_boot_with_the_clock_in_the_future(self):
        self.clock.time = 2e9
        self.book.pause('v', pauses.Pause(2e9 + 3600, 'x'))
        self.boot('second')
        self.clock.since_boot, self.clock.time = 1.0, 1.7e9
        self.assertEqual({'v'}, self.paused())
        self.clock.advance(3590)
        self.reopen()
        self.assertEqual({'v'}, self.paused())
        self.clock.advance(20)
        self.assertEqual(set(), self.paused())

    def test_a_pause_over_a_boot_with_a_good_clock(self):
        self.book.pause('v', pauses.Pause(self.clock.wall() + 3600, 'x'))
        self.clock.advance(3000)
        self.boot('second')
        self.clock.since_boot = 1.0
        self.assertEqual({'v'}, self.paused())
        self.clock.advance(610)
        self.assertEqual(set(), self.paused())

    def test_a_pause_of_the_release_before(self):
        with sqlite3.connect(self.path) as other:
            other.execute('INSERT INTO pause VALUES (?, ?, ?)',
                          ('v', self.clock.wall() + 60, 'x'))
        other.close()
        self.assertEqual({'v'}, self.paused())
        self.clock.advance(61)
        self.assertEqual(set(), self.paused())

    def test_a_clock_that_was_set_back_is_known_for_good(self):
        self.book.now()
        self.clock.advance(30)
        self.book.now()
        self.assertIsNone(self.book.set_back())
        # a boot with the clock in the future, and NTP sets it right
        self.boot('second')
        self.clock.since_boot, self.clock.time = 1.0, 2e9
        self.book.now()
        self.assertIsNone(self.book.set_back())
        self.clock.since_boot, self.clock.time = 61.0, 1.7e9
        self.book.now()
        self.assertEqual(2e9 + 60, self.book.set_back())
        self.reopen()
        self.assertEqual(2e9 + 60, self.book.set_back())
        # the latest one counts
        self.clock.time -= 1e6
        self.book.now()
        self.assertEqual(2e9 + 60, self.book.set_back())

    def test_small_corrections_are_none(self):
        self.book.now()
        self.clock.advance(30)
        self.clock.time -= 0.5
        self.book.now()
        self.assertIsNone(self.book.set_back())

    def test_a_boot_with_a_clock_that_is_behind(self):
        self.book.now()
        before = self.clock.time
        self.boot('second')
        self.clock.since_boot, self.clock.time = 1.0, 0.0
        self.book.now()
        self.assertEqual(before, self.book.set_back())

    def test_never_back_whatever_the_clocks_do(self):
        moves = strategies.lists(strategies.tuples(
            strategies.floats(-1e10, 1e10), strategies.floats(-1e6, 1e6),
            strategies.booleans()), max_size=8)

        @settings(max_examples=30, deadline=None, database=None)
        @given(moves)
        def check(steps):
            for wall, boottime, reboots in steps:
                before = self.book.now()
                self.clock.time += wall
                self.clock.since_boot += boottime
                if reboots:
                    self.boot('boot %r' % (wall,))
                self.assertGreaterEqual(self.book.now(), before)

        check()


class TestMemories(LedgerCase):

    def test_every_field_outlives_a_restart(self):
        record = decision.ReplicaRecord(
            joined=True, reported=State.MISSING, reported_at=1.5,
            bad_since=2.5, requested_at=3.5, known=(A, B),
            retry_at=float('inf'), attempts=4, successor=B, retired=True,
            failed='no portal of "nqn" answers: é')
        self.book.save(VOLUME, {A: record, B: decision.ReplicaRecord()})
        self.reopen()
        self.assertEqual({A: record, B: decision.ReplicaRecord()},
                         self.book.records(VOLUME))
        self.assertEqual({}, self.book.records(OTHER))

    def test_what_another_version_remembered_is_no_obstacle(self):
        content = json.loads(encoding.dump_record(
            decision.ReplicaRecord(joined=True)))
        content['of_a_later_version'] = 1
        del content['failed']
        self.assertEqual(decision.ReplicaRecord(joined=True),
                         encoding.load_record(json.dumps(content)))

    def test_records_and_reports_are_kept_both_or_neither(self):
        reports = [decision.Report(A, State.MISSING),
                   mock.Mock(replica_uuid=B, state=mock.Mock(
                       value=object()))]
        self.assertRaises(Exception, self.book.save,  # noqa: H202
                          VOLUME, {A: decision.ReplicaRecord(joined=True)},
                          reports)
        self.reopen()
        self.assertEqual({}, self.book.records(VOLUME))
        self.assertEqual([], self.book.pending())


class TestReadOnce(LedgerCase):
    """What was made of a text is kept while the text stays, and no longer."""

    def read(self, volume: str = VOLUME, **fields: object
             ) -> weakref.ref[decision.ReplicaRecord]:
        """Save a record, read it as passes do, and do not keep it."""
        self.book.save(volume, {A: decision.ReplicaRecord(
            **fields)})    # type: ignore[arg-type]
        return weakref.ref(self.book.records(volume)[A])

    def alive(self, read: list[weakref.ref[decision.ReplicaRecord]]) -> int:
        gc.collect()
        return sum(one() is not None for one in read)

    def test_one_that_stays_is_the_same(self):
        self.read(joined=True)
        self.assertIs(self.book.records(VOLUME)[A],
                      self.book.records(VOLUME)[A])

    def test_one_that_changes_with_each_fault_is_there_once(self):
        self.assertEqual(1, self.alive([
            self.read(seen_at=float(time)) for time in range(1000)]))

    def test_volumes_that_were_detached_leave_nothing(self):
        read = []
        for number in range(1000):
            volume = small_world.uuid(number, 'f')
            read += [self.read(volume)]
            self.book.save(volume, {A: decision.ReplicaRecord(
                detached_at=1.0)})
        self.assertEqual(0, self.alive(read))
        read += [self.read(volume, detached_at=2.0)]
        self.assertEqual(0, self.alive(read))


class TestVolumes(LedgerCase):
    """The provisioner's last word."""

    volume = model.Volume(VOLUME, 'alias', 64, (
        model.Replica(A, State.AVAILABLE, 1.7e9, model.Target('nqn.test', (
            model.Portal('192.0.2.1', 4420),
            model.Portal('2001:db8::1', 4421, 'rdma')))),
        model.Replica(B, State.TERMINATING)), 2, 60.0)

    def test_it_outlives_a_restart(self):
        other = model.Volume(OTHER, 'other')
        self.book.keep_volumes([self.volume, other])
        self.book.keep_volumes([self.volume])
        self.reopen()
        kept = self.book.volumes()
        self.assertEqual([VOLUME], list(kept))
        # but for the time since when a replica is in its state
        replicas = tuple(dataclasses.replace(replica, state_since=None)
                         for replica in self.volume.replicas)
        self.assertEqual(dataclasses.replace(
            self.volume, replicas=replicas), kept[VOLUME])

    def test_what_is_refused_by_now_costs_that_volume_alone(self):
        self.book.keep_volumes([self.volume, model.Volume(OTHER, 'other')])
        self.book._db.change([(
            'UPDATE volume SET content = replace(content, "other", "a/b")',
            ())])
        self.reopen()
        self.assertEqual([VOLUME], list(self.book.volumes()))

    def test_it_does_not_outlive_a_reboot(self):
        self.book.keep_volumes([self.volume])
        self.boot('another')
        self.assertEqual({}, self.book.volumes())

    def test_the_same_word_costs_no_write(self):
        self.book.keep_volumes([self.volume])
        with mock.patch.object(self.book._db, 'change') as change:
            self.book.keep_volumes([dataclasses.replace(
                self.volume, replicas=self.volume.replicas)])
        change.assert_not_called()

    def test_a_later_versions_word_is_no_obstacle(self):
        content = json.loads(encoding.dump_volume(self.volume))
        content['later'] = content['replicas'][0]['later'] = 1
        self.assertEqual('alias', encoding.load_volume(
            json.dumps(content)).alias)

    def test_who_has_been_a_leg(self):
        self.book.save(VOLUME, {A: decision.ReplicaRecord(joined=True),
                                B: decision.ReplicaRecord()})
        self.assertEqual({VOLUME: frozenset([A])}, self.book.legs())
        # no list has had it
        self.book.save(VOLUME, {B: decision.ReplicaRecord(device='nvme1n1')})
        self.assertEqual({VOLUME: frozenset([A, B])}, self.book.legs())


class TestInbox(LedgerCase):
    """What was left for the agent, in a file that was damaged since."""

    def test_a_word_that_is_none_puts_the_file_aside(self):
        bad = decision.ReplicaRecord(bad_since=1.0)
        for sql in ("UPDATE pause SET until = 'x'",
                    'UPDATE pause SET until = NULL',
                    'UPDATE pause SET why = NULL',
                    'UPDATE pause_clock SET until = NULL',
                    "UPDATE pause_clock SET length = 'x'",
                    'UPDATE choice SET replica = NULL',
                    'UPDATE choice SET volume = NULL'):
            self.book.pause(VOLUME, pauses.Pause(
                self.clock.wall() + 100.0, 'why'))
            self.book.choose(VOLUME, A)
            self.book.save(VOLUME, {A: bad})
            with contextlib.closing(sqlite3.connect(self.path)) as disk, disk:
                disk.execute(sql)
            self.book.pauses()
            self.assertEqual({}, self.book.choices(), sql)
            self.assertEqual({}, self.book.pauses(), sql)
            self.book.now()
            self.reopen()
            self.assertEqual({A: bad}, self.book.records(VOLUME), sql)
            self.clock.advance(1.0)


class TestOutbox(LedgerCase):

    def test_s6_reports_stay_in_order_until_they_are_delivered(self):
        states = [State.MISSING, State.SYNCHRONIZING, State.AVAILABLE,
                  State.MISSING]
        for state in states:
            self.book.save(VOLUME, {}, [decision.Report(A, state)])
            self.book.save(OTHER, {}, [decision.Report(B, state)])
            self.reopen()
        self.assertEqual(states, [
            one.state for one in self.book.pending(VOLUME)])
        self.assertEqual(8, len(self.book.pending()))
        self.assertEqual({VOLUME, OTHER}, self.book.owing())
        first = self.book.pending(VOLUME)[0]
        self.book.delivered(first)
        self.reopen()
        self.assertEqual(states[1:], [
            one.state for one in self.book.pending(VOLUME)])
        self.assertEqual(states, [
            one.state for one in self.book.pending(OTHER)])
        for pending in self.book.pending(OTHER):
            self.book.delivered(pending)
        self.assertEqual({VOLUME}, self.book.owing())

    def test_s6_a_number_is_never_used_again(self):
        self.book.save(VOLUME, {}, [decision.Report(A, State.MISSING)])
        (first,) = self.book.pending()
        self.book.delivered(first)
        self.reopen()
        self.book.save(VOLUME, {}, [decision.Report(A, State.AVAILABLE)])
        (second,) = self.book.pending()
        self.assertGreater(second.seq, first.seq)

    def test_a_count_that_is_damaged_stops_no_report(self):
        """It costs neither the file nor the reports that are in it."""
        for count in (0, None, 'x'):
            self.book.save(VOLUME, {}, [decision.Report(A, State.MISSING)])
            before = len(self.book.pending())
            self.book.close()
            with contextlib.closing(sqlite3.connect(self.path)) as disk, disk:
                disk.execute('UPDATE sqlite_sequence SET seq = ?', (count,))
            self.reopen()
            self.book.save(VOLUME, {}, [decision.Report(A, State.AVAILABLE)])
            self.reopen()
            self.assertEqual(before + 1, len(self.book.pending()))
            self.assertEqual(['agent.sqlite'], os.listdir(self.folder))


class TestFile(LedgerCase):

    def test_nobody_else_may_read_it(self):
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.path).st_mode))

    def test_a_missing_directory_is_named(self):
        path = os.path.join(self.folder, 'missing', 'agent.sqlite')
        error = self.assertRaises(ledger.LedgerError, ledger.Ledger, path)
        self.assertIn(path, str(error))
        self.assertIn('No such file', str(error))
