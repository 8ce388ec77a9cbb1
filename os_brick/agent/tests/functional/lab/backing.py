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
"""The block devices behind the targets: memory, and slow where wanted.

A sparse file on a tmpfs holds the blocks, so that a test can read and spoil
them behind everybody's back; a loop device makes it a block device, and a
device-mapper `delay` device in front of it a slow one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pathlib

from os_brick.agent.tests.functional.lab import process

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/backing')
SECTOR = 512
# linux/loop.h; a program that is started for it takes a tenth of a second
_SET_FD, _CLR_FD, _SET_CAPACITY, _CTL_GET_FREE = (
    0x4C00, 0x4C01, 0x4C07, 0x4C82)


def attached() -> list[str]:
    """Return the file behind each loop device in use."""
    found = []
    for path in pathlib.Path('/sys/block').glob('loop*/loop/backing_file'):
        with contextlib.suppress(OSError):   # it is let go just now
            found.append(path.read_text().strip())
    return found


def _attach(path: pathlib.Path) -> str:
    """Make a block device of a file; return the device's path."""
    with open('/dev/loop-control', 'rb', buffering=0) as control:
        device = '/dev/loop%d' % fcntl.ioctl(control, _CTL_GET_FREE)
    with (path.open('r+b', buffering=0) as blocks,
          open(device, 'r+b', buffering=0) as loop):
        fcntl.ioctl(loop, _SET_FD, blocks.fileno())
    return device


def _detach(device: str) -> None:
    with open(device, 'rb', buffering=0) as loop:
        fcntl.ioctl(loop, _CLR_FD)


class Backing:
    """One block device of a given size in bytes.

    :ivar device: the path that a target exports.
    :ivar path: the file that holds the blocks.
    """

    def __init__(self, name: str, size: int, slow: bool = False) -> None:
        """Create it.

        :param slow: whether ``set_delay``, ``freeze``, ``fail`` or ``refuse``
            will be used.
        """
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.size = size
        self.path = DIRECTORY / name
        with self.path.open('wb') as blocks:
            blocks.truncate(size)
        self.loop = _attach(self.path)
        self.device = self.loop
        self._mapped = 'lab-' + name if slow else None
        if self._mapped:
            process.run('dmsetup', 'create', self._mapped,
                        input_text=self._table(0))
            self.device = '/dev/mapper/' + self._mapped

    def set_delay(self, seconds: float) -> None:
        """Let every read and write take that much longer.

        :raises ValueError: when it was not created as a slow device.
        """
        LOG.info('%s now takes %s s longer', self.device, seconds)
        self._replace(self._table(seconds))

    def fail(self) -> None:
        """Let every read and write end in an error from now on.

        :raises ValueError: when it was not created as a slow device.
        """
        LOG.info('%s fails', self.device)
        self._replace('0 %d error' % (self.size // SECTOR))

    def refuse(self, first: int, length: int) -> None:
        """Let what is written to a range of bytes end in an error from now on.

        So does what is read of it; ``mend`` finds what it held before.  (A
        device of dm-flakey would let reads pass, and fail each flush: md
        takes that for the end of the whole leg.)

        :raises ValueError: when it was not created as a slow device, or the
            range is not of whole sectors.
        """
        if (first | length) % SECTOR:
            raise ValueError('%d bytes at %d are no sectors' % (length, first))
        LOG.info('%s refuses %d bytes at %d', self.device, length, first)
        start, end = first // SECTOR, (first + length) // SECTOR
        linear = '%d %d linear ' + self.loop + ' %d'
        self._replace('\n'.join((
            linear % (0, start, 0), '%d %d error' % (start, end - start),
            linear % (end, self.size // SECTOR - end, end))))

    def mend(self) -> None:
        """Fail and refuse nothing any more; what it held it holds."""
        LOG.info('%s is mended', self.device)
        self._replace(self._table(0))

    def freeze(self) -> None:
        """Let nothing end any more; the target itself goes on answering.

        :raises ValueError: when it was not created as a slow device.
        """
        LOG.info('%s stands still', self.device)
        self._suspend()

    def thaw(self) -> None:
        """Go on, if it was frozen."""
        if self._mapped:
            process.run('dmsetup', 'resume', '--noudevsync', self._mapped)

    def read(self, offset: int, length: int) -> bytes:
        """Read blocks behind the target's back."""
        with self.path.open('rb') as blocks:
            blocks.seek(offset)
            return blocks.read(length)

    def spoil(self, offset: int, content: bytes) -> None:
        """Overwrite blocks behind the target's back."""
        LOG.info('spoiling %s at %d', self.path, offset)
        fd = os.open(self.path, os.O_WRONLY)
        try:
            os.pwrite(fd, content, offset)
        finally:
            os.close(fd)

    def extend(self, size: int) -> None:
        """Become larger.

        :raises ValueError: when it was created as a slow device.
        """
        if self._mapped:
            raise ValueError('%s is a slow device' % self.name)
        LOG.info('%s has %d bytes from now on', self.device, size)
        os.truncate(self.path, size)
        with open(self.loop, 'rb', buffering=0) as loop:
            fcntl.ioctl(loop, _SET_CAPACITY)
        self.size = size

    def remove(self) -> None:
        """Give the device and its memory back."""
        if self._mapped:
            process.attempt(process.run, 'dmsetup', 'remove', '--retry',
                            self._mapped)
        process.attempt(_detach, self.loop)
        self.path.unlink(missing_ok=True)

    def _replace(self, table: str) -> None:
        process.run('dmsetup', 'reload', self._slow(), input_text=table)
        self._suspend()
        # udev would read it at its new speed, and be waited for.
        process.run('dmsetup', 'resume', '--noudevsync', self._slow())

    def _suspend(self) -> None:
        """Neither flush nor freeze: I/O under way ends with the old delay."""
        process.run('dmsetup', 'suspend', '--noflush', '--nolockfs',
                    self._slow())

    def _slow(self) -> str:
        if not self._mapped:
            raise ValueError('%s was not created with slow=True' % self.name)
        return self._mapped

    def _table(self, seconds: float) -> str:
        return '0 %d delay %s 0 %d' % (
            self.size // SECTOR, self.loop, round(seconds * 1000))
