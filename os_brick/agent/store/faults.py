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
"""What the ledger may meet, and where its file is."""

from __future__ import annotations

import os
import sqlite3


class LedgerError(Exception):
    """The file cannot be used; the text names it."""


class LaterRelease(LedgerError):
    """A later release has written it, and this one cannot read it."""


class NotKept(LedgerError):
    """What had to be on the disk first could not be written."""


#: What a disk or a file may do; a defect of this program is none of these.
TROUBLES = (sqlite3.DatabaseError, OSError, UnicodeError, LedgerError)


def identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
