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
"""What the journal is told beside a line: its priority, and fields.

systemd takes a number in angle brackets at the begin of a line as its
priority (sd-daemon(3)), and each line without one as information.
"""

from __future__ import annotations

import logging
import os
from typing import TextIO

from oslo_log import handlers

from os_brick.agent import log_fields

#: Level of the log, and the priority of syslog(3) from there on.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3),
               (logging.WARNING, 4), (logging.INFO, 6))
_LOWEST = 7


def connected(stream: object) -> bool:
    """Say whether a stream goes to the journal (JOURNAL_STREAM)."""
    wanted = os.environ.get('JOURNAL_STREAM', '')
    if not wanted or not hasattr(stream, 'fileno'):
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return wanted == '%d:%d' % (status.st_dev, status.st_ino)


def marked(text: str, level: int) -> str:
    """Put the priority of a level before each line."""
    priority = next((number for least, number in _PRIORITIES
                     if level >= least), _LOWEST)
    return '\n'.join('<%d>%s' % (priority, line)
                     for line in text.split('\n'))


def say(text: str, level: int, stream: TextIO) -> None:
    """Print a line, with its priority where the journal reads it."""
    print(marked(text, level) if connected(stream) else text, file=stream)


class Once(logging.Formatter):
    """Keeps oslo.log from appending the exception that is being handled.

    What the agent says has it in its words (oslo_log.formatters,
    _get_error_summary: a ValueError that is handled is none of its business).
    """

    _OURS = ('os_brick.agent', 'os_brick.cmd', '__main__')

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        if not record.name.startswith(self._OURS):
            return self._inner.format(record)
        try:
            raise ValueError
        except ValueError:
            return self._inner.format(record)


class _Marked(logging.Formatter):
    """Puts journald's priority before each line of another formatter."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return marked(self._inner.format(record), record.levelno)


def mark_log() -> None:
    """Let the log's lines, once it is set up, have what belongs to them."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Once(handler.formatter or logging.Formatter()))
        if isinstance(handler, handlers.OSJournalHandler):
            ours = (log_fields.PREFIX + name
                    for name in ('event', *log_fields.NAMES))
            # typed as the five that oslo.log has of its own
            handler.custom_fields = (  # type: ignore[assignment]
                *handler.custom_fields, *ours)
        if isinstance(handler, logging.StreamHandler) and connected(
                handler.stream):
            assert handler.formatter is not None
            handler.setFormatter(_Marked(handler.formatter))
