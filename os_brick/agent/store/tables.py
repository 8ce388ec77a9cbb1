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
"""The tables of the ledger, and their version."""

from __future__ import annotations

import sqlite3
from urllib import parse

#: PRAGMA user_version; 0 is what was written before there was one, with the
#: same tables; 1 had no pauses, 2 did not know of a clock that was set back.
#: An early 3 lacks pause_clock: see ``complete``.
VERSION = 3
#: PRAGMA application_id is this and the version.
APPLICATION = 0x6e760000
#: What the agent alone writes.
OWN = """
CREATE TABLE IF NOT EXISTS clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot TEXT, boottime REAL, wall REAL, agent REAL);
CREATE TABLE IF NOT EXISTS memory (
    volume TEXT, replica TEXT, content TEXT, PRIMARY KEY (volume, replica));
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    volume TEXT, replica TEXT, state TEXT);
CREATE TABLE IF NOT EXISTS volume (
    uuid TEXT PRIMARY KEY, boot TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS set_back (
    id INTEGER PRIMARY KEY CHECK (id = 1), wall REAL);
CREATE INDEX IF NOT EXISTS outbox_volume ON outbox (volume, seq);
"""
#: With what others leave for it.
ALL = """
BEGIN;
%s
CREATE TABLE IF NOT EXISTS choice (
    volume TEXT PRIMARY KEY, replica TEXT);
CREATE TABLE IF NOT EXISTS pause (
    volume TEXT PRIMARY KEY, until REAL, why TEXT);
CREATE TABLE IF NOT EXISTS pause_clock (
    volume TEXT PRIMARY KEY, boot TEXT, until REAL, length REAL);
PRAGMA user_version=%d;
PRAGMA application_id=%d;
COMMIT;
""" % (OWN, VERSION, APPLICATION + VERSION)
_NAMES = ('clock', 'memory', 'outbox', 'volume', 'set_back',
          'sqlite_sequence')
_LEFT_BY_OTHERS = ('choice', 'pause', 'pause_clock')


def open_to_read(path: str) -> sqlite3.Connection:
    """Open a file that is there; nothing can be written to it.

    :raises sqlite3.Error: it cannot be opened.
    """
    return sqlite3.connect('file:%s?mode=ro' % parse.quote(path), uri=True,
                           check_same_thread=False)


def complete(disk: sqlite3.Connection) -> bool:
    """Whether it has each of the tables.

    Those of an earlier version lack some; and so does whatever was made by an
    agent of this version's first day.
    """
    return {*_NAMES, *_LEFT_BY_OTHERS} <= {name for (name,) in disk.execute(
        'SELECT name FROM sqlite_master')}


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Make the agent's own tables of one database those of another."""
    there = {name for (name,) in source.execute(
        'SELECT name FROM sqlite_master')}
    for table in _NAMES:
        if table not in there:
            # of an earlier release, on a disk that cannot be written
            continue
        rows = source.execute('SELECT * FROM %s' % table).fetchall()
        target.execute('DELETE FROM %s' % table)
        if rows:
            target.executemany('INSERT INTO %s VALUES (%s)' % (
                table, ', '.join('?' * len(rows[0]))), rows)
