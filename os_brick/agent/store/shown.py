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
"""Small files of values that one process replaces and others read."""

from __future__ import annotations

import json
import os
from typing import Any

#: Bytes above which a file is not read.
MAX_BYTES = 64 << 20


class Unreadable(Exception):
    """Why a file says nothing; the text names it."""


def write(path: str, content: object, mode: int = 0o644) -> None:
    """Replace a file by plain values, as JSON; see ``write_text``."""
    write_text(path, json.dumps(content, separators=(',', ':')) + '\n', mode)


def write_text(path: str, text: str, mode: int = 0o644) -> None:
    """Replace the file: whoever reads it finds the old or the new one.

    It is not waited for the disk.

    :raises OSError: it could not be written; the old one stays.
    """
    beside = '%s.%d' % (path, os.getpid())
    try:
        at = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                     | os.O_NOFOLLOW, mode)
        with open(at, 'w', encoding='utf-8') as stream:
            os.fchmod(at, mode)
            stream.write(text)
        os.replace(beside, path)
    except BaseException:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise


def read(path: str) -> Any:
    """Return the content; None where there is no such file.

    :raises Unreadable: it cannot be read, or is something else.
    """
    try:
        at = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable('%s cannot be read: %s' % (
            path, error.strerror)) from error
    try:
        with open(at, 'rb') as stream:
            content = stream.read(MAX_BYTES)
        return json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable('%s cannot be used: %s' % (path, error)) from error
