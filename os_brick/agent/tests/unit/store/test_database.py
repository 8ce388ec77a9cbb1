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
"""A state directory that is full, read-only, locked, gone or damaged."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import tempfile

import fixtures
from oslotest import base
from testtools import content

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.store import ledger
from os_brick.agent.store import tables
from os_brick.agent.tests.unit import small_world

State = model.ReplicaState
VOLUME = small_world.uuid(1, 'f')
A, B = small_world.uuid(1, 'a'), small_world.uuid(1, 'b')
BAD = decision.ReplicaRecord(bad_since=5.0)
ASKED = decision.ReplicaRecord(bad_since=5.0, requested_at=6.0)


class DatabaseCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        # many small transactions: not on a disk
        folder = tempfile.TemporaryDirectory(
            dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, 'agent.sqlite')
        self.clock = small_world.Clock()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.store.database.BUSY', 0.0))

    def open(self) -> ledger.Ledger:
        book = ledger.Ledger(self.path, self.clock)
        self.addCleanup(book.close)
        return book

    def reopened(self, book: ledger.Ledger) -> ledger.Ledger:
        """As after a kill: nothing of what was in memory is left."""
        book.close()
        return self.open()

    def states(self, book: ledger.Ledger) -> list[State]:
        return [one.state for one in book.pending(VOLUME)]

    def lines(self) -> list[str]:
        return [line for line in self.log.output.splitlines()
                if self.path in line]


class TestTrouble(DatabaseCase):
    """Another process that has the file stands for a full disk here."""

    @contextlib.contextmanager
    def locked(self):
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute('BEGIN EXCLUSIVE')
        try:
            yield
        finally:
            other.close()

    def test_reports_and_records_go_on_from_memory(self):
        book = self.open()
        with self.locked():
            book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
            book.save(VOLUME, {}, [decision.Report(A, State.AVAILABLE)])
            self.assertEqual(BAD, book.records(VOLUME)[A])
            self.assertEqual([State.MISSING, State.AVAILABLE],
                             self.states(book))
            book.delivered(book.pending()[0])
            before = book.now()
            self.clock.advance(3)
            self.assertEqual(3.0, book.now() - before)
            self.assertTrue(book.trouble)
        # said once, naming the file
        (line,) = self.lines()
        self.assertIn('goes on from memory', line)

    def test_all_of_it_is_written_when_that_is_possible_again(self):
        book = self.open()
        book.save(VOLUME, {B: BAD}, [decision.Report(B, State.MISSING)])
        with self.locked():
            book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
            book.delivered(book.pending()[0])
        book.now()
        self.assertFalse(book.trouble)
        self.assertIn('works again', self.lines()[-1])
        book = self.reopened(book)
        self.assertEqual({A: BAD, B: BAD}, book.records(VOLUME))
        (left,) = book.pending()
        self.assertEqual(A, left.replica)

    def test_s6_nothing_overtakes_what_a_restart_would_send_again(self):
        book = self.open()
        book.save(VOLUME, {}, [decision.Report(A, State.MISSING)])
        with self.locked():
            book.delivered(book.pending()[0])
            book.save(VOLUME, {}, [decision.Report(A, State.AVAILABLE),
                                   decision.Report(B, State.MISSING)])
            fresh, other = book.pending()
            self.assertTrue(book.overtakes(fresh))
            self.assertFalse(book.overtakes(other))
            # what never was in the file is in nobody's way
            book.delivered(other)
            book.save(VOLUME, {}, [decision.Report(B, State.AVAILABLE)])
            self.assertFalse(book.overtakes(book.pending()[-1]))
        book.now()
        self.assertFalse(book.overtakes(fresh))
        self.assertEqual([State.AVAILABLE, State.AVAILABLE],
                         self.states(self.reopened(book)))

    def test_s7_what_must_be_on_the_disk_first_waits(self):
        book = self.open()
        book.save(VOLUME, {A: BAD})
        with self.locked():
            self.assertRaises(ledger.NotKept, book.save, VOLUME, {A: ASKED},
                              durable=True)
            # not in memory either: it was not done
            self.assertEqual(BAD, book.records(VOLUME)[A])
        book.save(VOLUME, {A: ASKED}, durable=True)
        self.assertEqual(ASKED, self.reopened(book).records(VOLUME)[A])

    def test_a_number_is_never_used_again(self):
        book = self.open()
        with self.locked():
            book.save(VOLUME, {}, [decision.Report(A, State.MISSING)])
            (first,) = book.pending()
            book.delivered(first)
        book.now()
        book = self.reopened(book)
        book.save(VOLUME, {}, [decision.Report(A, State.AVAILABLE)])
        self.assertGreater(book.pending()[0].seq, first.seq)

    def test_a_file_that_vanished_is_written_anew(self):
        book = self.open()
        book.save(VOLUME, {A: BAD})
        os.unlink(self.path)
        book.save(VOLUME, {B: BAD})
        self.assertEqual({A: BAD, B: BAD},
                         self.reopened(book).records(VOLUME))

    def test_a_file_that_was_replaced_is_written_over(self):
        book = self.open()
        book.save(VOLUME, {A: BAD})
        os.rename(self.path, self.path + '.old')
        ledger.Ledger(self.path, self.clock).close()
        book.save(VOLUME, {B: BAD})
        self.assertEqual({A: BAD, B: BAD},
                         self.reopened(book).records(VOLUME))

    def test_a_choice_is_taken_in_both_or_neither(self):
        book = self.open()
        with contextlib.closing(ledger.Ledger(
                self.path, self.clock, visiting=True)) as visitor:
            visitor.choose(VOLUME, B)
        self.assertEqual({VOLUME: B}, book.choices())
        with self.locked():
            self.assertRaises(ledger.NotKept, book.take_in, VOLUME, {B: BAD})
            self.assertEqual({}, book.records(VOLUME))
        book.take_in(VOLUME, {B: BAD})
        self.assertEqual({}, book.choices())
        self.assertEqual({B: BAD}, self.reopened(book).records(VOLUME))

    def test_a_choice_outlives_that_all_is_written_anew(self):
        book = self.open()
        with self.locked():
            book.save(VOLUME, {A: BAD})
        with contextlib.closing(ledger.Ledger(
                self.path, self.clock, visiting=True)) as visitor:
            visitor.choose(VOLUME, B)
        book.now()
        self.assertEqual({VOLUME: B}, book.choices())


class TestVisitor(DatabaseCase):

    def test_it_makes_no_file(self):
        error = self.assertRaises(ledger.LedgerError, ledger.Ledger,
                                  self.path, self.clock, visiting=True)
        self.assertIn(self.path, str(error))
        self.assertEqual([], os.listdir(self.folder))

    def test_it_puts_nothing_aside(self):
        with open(self.path, 'w', encoding='ascii') as notes:
            notes.write('not a database, ' * 100)
        error = self.assertRaises(ledger.LedgerError, ledger.Ledger,
                                  self.path, self.clock, visiting=True)
        self.assertIn('not a database', str(error))
        self.assertEqual(['agent.sqlite'], os.listdir(self.folder))

    def test_locked(self):
        self.open().close()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN EXCLUSIVE')
        error = self.assertRaises(ledger.LedgerError, ledger.Ledger,
                                  self.path, self.clock, visiting=True)
        self.assertIn('locked', str(error))


class TestStart(DatabaseCase):

    def aside(self) -> list[str]:
        return [name for name in os.listdir(self.folder) if 'damaged' in name]

    def test_what_is_no_ledger_is_put_aside(self):
        text = 'not a database, ' * 100
        with open(self.path, 'w', encoding='ascii') as notes:
            notes.write(text)
        book = self.open()
        book.save(VOLUME, {A: ASKED}, durable=True)
        self.assertEqual(ASKED, self.reopened(book).records(VOLUME)[A])
        (name,) = self.aside()
        self.assertIn(name, self.log.output)
        with open(os.path.join(self.folder, name), encoding='ascii') as kept:
            self.assertEqual(text, kept.read())

    def test_any_damage_is_no_reason_not_to_start(self):
        seed = random.randrange(2 ** 32)
        self.addDetail('seed', content.text_content(str(seed)))
        chance = random.Random(seed)
        for _round in range(60):
            with contextlib.closing(ledger.Ledger(self.path,
                                                  self.clock)) as book:
                for number in range(20):
                    book.save(small_world.uuid(number, 'f'), {A: BAD},
                              [decision.Report(A, State.MISSING)])
            with open(self.path, 'r+b') as file:
                size = os.path.getsize(self.path)
                for _byte in range(chance.choice((1, 10, 1000))):
                    file.seek(chance.randrange(size))
                    file.write(bytes([chance.randrange(256)]))
                if chance.random() < 0.3:
                    file.truncate(chance.randrange(size))
            with contextlib.closing(ledger.Ledger(self.path,
                                                  self.clock)) as book:
                book.save(VOLUME, {A: ASKED}, durable=True)
                book.now()
                self.assertFalse(book.trouble)
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))

    def test_a_later_release_is_named(self):
        self.open().close()
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute('PRAGMA user_version=%d' % (tables.VERSION + 1))
            other.execute('PRAGMA application_id=%d' % (
                tables.APPLICATION + tables.VERSION + 1))
        error = self.assertRaises(ledger.LedgerError, self.open)
        for words in (self.path, 'later release', 'move the file away'):
            self.assertIn(words, str(error))
        self.assertEqual([], self.aside())

    def test_a_damaged_version_is_no_later_release(self):
        self.open().close()
        with open(self.path, 'r+b') as file:
            # where sqlite's header has user_version
            file.seek(63)
            file.write(bytes([180]))
        book = self.open()
        self.assertEqual(1, len(self.aside()))
        book.save(VOLUME, {A: ASKED}, durable=True)
        self.assertEqual(ASKED, self.reopened(book).records(VOLUME)[A])

    def test_damage_that_only_a_write_finds(self):
        self.open().close()
        with contextlib.closing(sqlite3.connect(self.path)) as other, other:
            other.execute('DROP TABLE clock')
            other.execute('CREATE TABLE clock (id INTEGER, boot TEXT)')
        book = self.open()
        self.assertEqual([], self.aside())
        book.save(VOLUME, {A: ASKED}, durable=True)
        now = book.now()
        self.assertFalse(book.trouble)
        self.assertEqual(1, len(self.aside()))
        book = self.reopened(book)
        self.assertEqual(ASKED, book.records(VOLUME)[A])
        self.assertLessEqual(now, book.now())

    def test_an_earlier_release_has_no_version(self):
        book = self.open()
        book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
        book.close()
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute('PRAGMA user_version=0')
            other.execute('DROP TABLE choice')
            other.execute('DROP TABLE set_back')
            source = sqlite3.connect(':memory:')
            self.addCleanup(source.close)
            source.executescript(tables.OWN)
            # on a disk that cannot be written it cannot be made either
            tables.copy(other, source)
            self.assertEqual(1, len(source.execute(
                'SELECT * FROM memory').fetchall()))
        book = self.open()
        self.assertEqual({A: BAD}, book.records(VOLUME))
        self.assertEqual({}, book.choices())
        self.assertEqual([State.MISSING], self.states(book))
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(tables.VERSION, other.execute(
                'PRAGMA user_version').fetchone()[0])

    def test_what_could_not_be_read_is_not_written_over(self):
        book = self.open()
        book.save(VOLUME, {A: ASKED})
        book.close()
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute('BEGIN EXCLUSIVE')
        book = self.open()
        other.close()
        book.save(VOLUME, {A: BAD})
        self.assertRaises(ledger.NotKept, book.save, VOLUME, {B: ASKED},
                          durable=True)
        self.assertIn('restarted', self.lines()[0])
        self.assertEqual({A: ASKED}, self.reopened(book).records(VOLUME))


class TestSmallDisk(DatabaseCase):
    """A file system of its own, full or read-only."""

    def setUp(self) -> None:
        super().setUp()
        self.mount('size=256k')
        self.addCleanup(subprocess.run, ['umount', '-l', self.folder])

    def mount(self, options: str) -> None:
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'none',
                               self.folder], capture_output=True, text=True)
        if done.returncode:
            self.skipTest('needs root: %s' % done.stderr.strip())

    def fill(self) -> None:
        with contextlib.suppress(OSError), open(
                os.path.join(self.folder, 'big'), 'wb', 0) as big:
            while True:
                big.write(bytes(4096))

    def test_full_in_the_middle_and_room_again(self):
        book = self.open()
        self.fill()
        for number in range(200):
            book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
        self.assertTrue(book.trouble)
        self.assertRaises(ledger.NotKept, book.save, VOLUME, {A: ASKED},
                          durable=True)
        os.unlink(os.path.join(self.folder, 'big'))
        book.save(VOLUME, {A: ASKED}, durable=True)
        self.assertEqual(200, len(self.reopened(book).pending()))

    def test_full_at_the_first_start(self):
        self.fill()
        book = self.open()
        book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
        self.assertEqual([State.MISSING], self.states(book))
        self.assertRaises(ledger.NotKept, book.save, VOLUME, {A: ASKED},
                          durable=True)
        os.unlink(os.path.join(self.folder, 'big'))
        book.save(VOLUME, {A: ASKED}, durable=True)
        self.assertEqual(ASKED, self.reopened(book).records(VOLUME)[A])

    def test_read_only_at_the_start_and_mended(self):
        book = self.open()
        book.save(VOLUME, {A: ASKED}, [decision.Report(A, State.MISSING)])
        book.close()
        self.remount('ro')
        book = self.open()
        self.assertEqual(ASKED, book.records(VOLUME)[A])
        book.save(VOLUME, {B: BAD})
        self.assertRaises(ledger.NotKept, book.save, VOLUME, {B: ASKED},
                          durable=True)
        self.remount('rw')
        book.save(VOLUME, {B: ASKED}, durable=True)
        self.assertEqual({A: ASKED, B: ASKED},
                         self.reopened(book).records(VOLUME))

    def test_read_only_in_the_middle(self):
        book = self.open()
        book.save(VOLUME, {A: BAD})
        book.close()
        book = self.open()
        # a descriptor that is open for writing keeps the mount busy
        book._db._let_go()
        self.remount('ro')
        book.save(VOLUME, {B: BAD})
        self.assertTrue(book.trouble)
        self.remount('rw')
        book.now()
        self.assertEqual({A: BAD, B: BAD},
                         self.reopened(book).records(VOLUME))

    def remount(self, mode: str) -> None:
        subprocess.run(['mount', '-o', 'remount,%s' % mode, self.folder],
                       check=True)
