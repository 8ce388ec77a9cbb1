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
"""The inventory file on disk: read at start, read again when it changes.

An edit that cannot be used is reported once, with its line and reason, and
what was last good stays in force; so does it when the file vanishes.  An
editor that writes in place leaves a half-written file for a moment, which may
even be valid YAML that lists too little, so that a file modified within the
last second is left for the next turn.
"""

from __future__ import annotations

from collections.abc import Callable
import errno
import logging
import os
import stat
import time

from os_brick.agent.vendors import base
from os_brick.agent.vendors.inventory import inventory_file

LOG = logging.getLogger(__name__)

SETTLE = 1.0


class Source:
    """The inventory in force.

    :ivar content: the bytes that say so, to be kept for the next start.
    :param clock: the wall clock that also stamps files, in seconds.
    """

    def __init__(self, path: str, option: str,
                 clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._option = option
        self._clock = clock
        self._seen: tuple[int, ...] | None = None
        self._trouble = ''
        self.content = b''
        self.inventory = inventory_file.Inventory((), ())

    def start(self, last_good: bytes | None) -> None:
        """Read the file for the first time.

        :param last_good: what was in force before a restart, if anything.
        :raises base.ConfigurationError: there is no file, or it is wrong and
            nothing good is known.
        """
        try:
            self._seen, content = self._read()
        except OSError as error:
            raise base.ConfigurationError(
                'option %s: the inventory file %s cannot be read: %s' % (
                    self._option, self._path, error.strerror)) from error
        try:
            self._use(content)
        except inventory_file.InventoryError as error:
            if last_good is None or not self._fall_back(last_good):
                raise base.ConfigurationError('option %s: %s' % (
                    self._option, error)) from error
            self._complain(str(error))

    def refresh(self) -> bool:
        """Look at the file; return True when another one came into force."""
        try:
            status = os.stat(self._path)
            if _signature(status) == self._seen:
                return False
            if 0 <= self._clock() - status.st_mtime < SETTLE:
                return False
            seen, content = self._read()
            if seen is None:
                return False    # being written; the next turn sees it whole
            self._seen = seen
            changed = content != self.content
            if changed:
                self._use(content)
        except OSError as error:
            self._seen = None
            self._complain('%s: %s' % (self._path, error.strerror))
            return False
        except inventory_file.InventoryError as error:
            # a new edit: worth a line also when the mistake is the same
            self._trouble = ''
            self._complain(str(error))
            return False
        self._trouble = ''
        LOG.info('inventory %s is in force: %d volumes, %d spares',
                 self._path, len(self.inventory.volumes),
                 len(self.inventory.spares))
        return changed

    def _use(self, content: bytes) -> None:
        self.inventory = inventory_file.parse(self._path, content)
        self.content = content

    def _fall_back(self, last_good: bytes) -> bool:
        try:
            self._use(last_good)
        except inventory_file.InventoryError as error:
            # written by another release, whose rules were others
            LOG.warning('the inventory kept from before the restart cannot '
                        'be used: %s', error)
            return False
        return True

    def _complain(self, reason: str) -> None:
        if reason != self._trouble:
            LOG.error('%s; the last good inventory stays in force until the '
                      'file is mended', reason)
        self._trouble = reason

    def _read(self) -> tuple[tuple[int, ...] | None, bytes]:
        """Return signature and content; no signature: it changed meanwhile.

        :raises OSError: it cannot be read.
        """
        # a FIFO that nobody writes to must not be waited for
        with open(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK),
                  'rb') as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise OSError(errno.EINVAL, 'it is no regular file')
            content = stream.read(inventory_file.MAX_BYTES + 1)
            after = os.fstat(stream.fileno())
        same = _signature(before) == _signature(after)
        return _signature(after) if same else None, content


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size,
            status.st_mtime_ns, status.st_ctime_ns)
