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

#: PRAGMA user_version; 0 is what was written before there was one, with the
#: same tables.
VERSION = 1
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
CREATE INDEX IF NOT EXISTS outbox_volume ON outbox (volume, seq);
"""
#: With what others leave for it.
ALL = """
BEGIN;
%s
CREATE TABLE IF NOT EXISTS choice (
    volume TEXT PRIMARY KEY, replica TEXT);
PRAGMA user_version=%d;
COMMIT;
""" % (OWN, VERSION)
_NAMES = ('clock', 'memory', 'outbox', 'volume', 'sqlite_sequence')


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Make the agent's own tables of one database those of another."""
    for table in _NAMES:
        rows = source.execute('SELECT * FROM %s' % table).fetchall()
        target.execute('DELETE FROM %s' % table)
        if rows:
            target.executemany('INSERT INTO %s VALUES (%s)' % (
                table, ', '.join('?' * len(rows[0]))), rows)
