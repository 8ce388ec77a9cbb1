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
"""What is damage of the ledger's file, and what is its disk's trouble."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sqlite3
from typing import Any
from unittest import mock

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.store import database
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit.store import test_database

VOLUME, A, B = test_database.VOLUME, test_database.A, test_database.B
BAD, ASKED = test_database.BAD, test_database.ASKED
State = model.ReplicaState


class DamageCase(test_database.DatabaseCase):

    def aside(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder)
                      if 'damaged' in name)


class TestDamage(DamageCase):

    def whole(self) -> int:
        """Make a file with reports and free pages; return its page size."""
        book = self.open()
        book.save(VOLUME, {A: BAD}, [decision.Report(A, State.MISSING)])
        book.close()
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute('CREATE TABLE big (content TEXT)')
            other.execute('INSERT INTO big VALUES (?)', ('x' * 50000,))
            other.commit()
            other.execute('DROP TABLE big')
            other.commit()
            (size,) = other.execute('PRAGMA page_size').fetchone()
        return int(size)

    def overwrite(self, place: int, content: bytes) -> None:
        with open(self.path, 'r+b') as file:
            file.seek(place)
            file.write(content)

    def still_read(self) -> None:
        """What the agent keeps can be read: only a check finds it."""
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            self.assertEqual(1, len(other.execute(
                'SELECT * FROM outbox').fetchall()))
            self.assertEqual(1, len(other.execute(
                'SELECT * FROM memory').fetchall()))

    def test_a_damaged_index(self) -> None:
        size = self.whole()
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            (page,) = other.execute(
                'SELECT rootpage FROM sqlite_master '
                "WHERE name='outbox_volume'").fetchone()
        self.overwrite((page - 1) * size, bytes(size))
        self.still_read()
        self.open()
        self.assertEqual(1, len(self.aside()))

    def test_a_damaged_list_of_free_pages(self) -> None:
        self.whole()
        # where sqlite's header has the first one
        self.overwrite(32, (1 << 20).to_bytes(4, 'big'))
        self.still_read()
        self.open()
        self.assertEqual(1, len(self.aside()))

    def test_its_journal_goes_with_it(self) -> None:
        """It is of no other file."""
        pathlib.Path(self.path).write_text('not a database, ' * 100)
        # one that begins like this is not played
        journal = bytes(512) + b'of the damaged file'
        pathlib.Path(self.path + '-journal').write_bytes(journal)
        book = self.open()
        book.save(VOLUME, {A: ASKED}, durable=True)
        file, beside = self.aside()
        self.assertEqual(file + '-journal', beside)
        self.assertEqual(journal, pathlib.Path(
            self.folder, beside).read_bytes())
        self.assertEqual(ASKED, self.reopened(book).records(VOLUME)[A])


class TestOfTheDisk(DamageCase):

    def test_what_sqlite_says_of_the_disk_is_no_damage(self) -> None:
        for words in ('database is locked', 'database table is locked',
                      'attempt to write a readonly database',
                      'database or disk is full', 'disk I/O error',
                      'unable to open database file', 'out of memory'):
            book = self.open()
            book.save(VOLUME, {A: BAD})
            with mock.patch.object(
                    database.Database, '_write',
                    side_effect=sqlite3.OperationalError(words)):
                book.save(VOLUME, {B: BAD})
            self.assertEqual([], self.aside(), words)
            book.now()
            self.assertEqual({A: BAD, B: BAD},
                             self.reopened(book).records(VOLUME))
            os.unlink(self.path)

    def failing(self, number: int) -> Any:
        """Let the disk refuse to open the file for writing."""
        opened = os.open

        def refuse(path: Any, *words: Any, **options: Any) -> int:
            if path == self.path:
                raise OSError(number, os.strerror(number), path)
            return opened(path, *words, **options)

        return mock.patch.object(os, 'open', refuse)

    def test_the_agent_starts_with_a_disk_that_takes_no_more(self) -> None:
        for number in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            with self.failing(number):
                book = self.open()
                book.save(VOLUME, {A: BAD})
                self.assertTrue(book.trouble)
            book.save(VOLUME, {A: ASKED}, durable=True)
            book.close()
            # what is there is read
            with self.failing(number):
                book = self.open()
                self.assertEqual(ASKED, book.records(VOLUME)[A])
            book.close()
            self.assertEqual([], self.aside())
            os.unlink(self.path)

    def test_it_does_not_start_where_it_may_not_write(self) -> None:
        with self.failing(errno.EACCES):
            error = self.assertRaises(ledger.LedgerError, self.open)
        self.assertIn(self.path, str(error))


class TestSynchronous(test_database.DatabaseCase):

    def test_it_is_on_the_disk_whatever_is_usual_here(self) -> None:
        """SQLITE_DEFAULT_SYNCHRONOUS is chosen where sqlite is built."""
        connect = sqlite3.connect

        def hasty(*words: Any, **options: Any) -> sqlite3.Connection:
            made: sqlite3.Connection = connect(*words, **options)
            made.execute('PRAGMA synchronous=OFF')
            return made

        with mock.patch.object(sqlite3, 'connect', hasty):
            book = self.open()
        disk = book._db._disk
        assert disk is not None
        # FULL
        self.assertEqual((2,), disk.execute('PRAGMA synchronous').fetchone())
