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
"""Direct reads of namespaces that may never end.

One that hangs in the kernel cannot be ended: it keeps a thread until its
target is back or its connection is given up.  No program is started for it:
while I/O stands still, what is not in memory yet may be what cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import errno
import mmap
import os
import threading
import time
from typing import Generic
from typing import TypeVar

from os_brick.agent.model import intent_bitmap
from os_brick.agent.model import superblock

T = TypeVar('T')
#: Bytes; a multiple of every logical block size in use.
LENGTH = superblock.LENGTH
#: Seconds for which the answer to a read counts that was asked for earlier.
AGE = 1.0
#: Seconds before a call from which on what is begun is read just before it.  A
#: slow disk takes longer for a few blocks than a call waits for them.
RECENT = 10.0
#: What a disk's own failure reads as (block/blk-core.c, blk_errors: I/O error,
#: medium, target, protection).  Whatever else fails, the way to the disk or
#: this process, says nothing of it.
OF_THE_DISK = (errno.EIO, errno.ENODATA, errno.EREMOTEIO, errno.EILSEQ)
DEVICES = '/dev/'


class _Read(Generic[T]):
    """One read of a device.

    :ivar begun: when, by the monotonic clock; None: it waits for its turn.
    :ivar ended: whether it has, with or without success.
    :ivar result: what was read; None while it is under way, and where it
        could not be read.
    :ivar error: why the disk could not be read, '' where it was, and where
        something else than the disk failed.
    :ivar following: the one whose turn comes when this one has ended.
    """

    def __init__(self) -> None:
        self.begun: float | None = None
        self.result: T | None = None
        self.error = ''
        self.following: _Read[T] | None = None
        self._ended_at = 0.0
        self._end = threading.Event()

    def wait(self, seconds: float) -> None:
        self._end.wait(max(0.0, seconds))

    @property
    def ended(self) -> bool:
        return self._end.is_set()

    @property
    def old(self) -> bool:
        """It has ended, and its answer is of another time."""
        return self.ended and time.monotonic() - self._ended_at >= AGE

    def begun_before(self, moment: float) -> bool:
        return self.begun is not None and self.begun < moment

    def run(self, body: Callable[[str], T], path: str) -> None:
        self.begun = time.monotonic()
        try:
            self.result = body(path)
        except OSError as error:
            # no path, no device: that is no answer
            if error.errno in OF_THE_DISK:
                self.error = error.strerror or str(error)

    def end(self) -> None:
        self._ended_at = time.monotonic()
        self._end.set()


class Reads(Generic[T]):
    """The reads of one kind that are under way; for any thread.

    A device has one thread at most, however many calls ask for it while its
    reads hang.

    :param body: reads what is wanted from the device of that path.
    :param recent: seconds before a call.  A read that was begun earlier does
        not count, however late it ends: it is waited for, and another one
        follows it in its thread.  None: its end is an answer, for the device
        can be read now.
    """

    def __init__(self, body: Callable[[str], T],
                 recent: float | None = None) -> None:
        self._body = body
        self._recent = recent
        self._reads: dict[str, _Read[T]] = {}
        self._lock = threading.Lock()

    def of(self, devices: Iterable[str], seconds: float) -> dict[str, T]:
        """Return device -> what was read, for those that answer by then.

        One that is still under way is not begun again: the next call for the
        same device waits for it.
        """
        return {device: read_.result
                for device, read_ in self._ended(devices, seconds).items()
                if read_.result is not None}

    def or_why_not(self, devices: Iterable[str], seconds: float
                   ) -> dict[str, T | str]:
        """Return the same, and the error of those whose disk failed."""
        return {device: read_.error if read_.result is None else read_.result
                for device, read_ in self._ended(devices, seconds).items()
                if read_.result is not None or read_.error}

    def _ended(self, devices: Iterable[str], seconds: float
               ) -> dict[str, _Read[T]]:
        now = time.monotonic()
        end = now + seconds
        reads = {device: self._begin(device, now) for device in devices}
        found = {}
        for device, read_ in reads.items():
            read_.wait(end - time.monotonic())
            if not read_.ended:
                continue
            with self._lock:
                if self._reads.get(device) is read_:
                    del self._reads[device]
            found[device] = read_
        return found

    def _begin(self, device: str, now: float) -> _Read[T]:
        """Return the read that counts for a call of this moment."""
        with self._lock:
            read_ = self._reads.get(device)
            of_before = read_ is not None and (
                read_.old if self._recent is None
                else read_.begun_before(now - self._recent))
            if read_ is None or of_before and read_.ended:
                return self._start(device)
            if not of_before:
                return read_
            if read_.following is None:
                read_.following = _Read()
            return read_.following

    def _start(self, device: str) -> _Read[T]:
        read_ = _Read[T]()
        threading.Thread(target=self._run, args=(device, read_),
                         name='reading ' + device, daemon=True).start()
        self._reads[device] = read_
        return read_

    def _run(self, device: str, read_: _Read[T]) -> None:
        """Read, and go on with what was asked for meanwhile."""
        turn: _Read[T] | None = read_
        try:
            while turn is not None:
                turn.run(self._body, DEVICES + device)
                turn = self._end(device, turn)
        except BaseException:
            # whoever asks next must not wait for what nobody reads any more
            with self._lock:
                self._reads.pop(device, None)
            raise

    def _end(self, device: str, read_: _Read[T]) -> _Read[T] | None:
        """Return the one whose turn it is now."""
        with self._lock:
            read_.end()
            if read_.following is not None:
                self._reads[device] = read_.following
            return read_.following


def first_block(path: str) -> bool | None:
    """Read the first blocks past every cache; True when they came.

    :raises OSError: they cannot be read.
    """
    with _Device(path) as device:
        return len(device.read(0)) == LENGTH or None


def superblocks(path: str) -> list[bytes]:
    """Return the blocks of a device in which md may have a superblock.

    Those that do not begin like one are left out: they are the business of
    whoever uses the device.  One that has a list of bad blocks is followed by
    it.

    :raises OSError: they cannot be read.
    """
    with _Device(path) as device:
        return [block + _log(device, block, place)
                for place in superblock.places(device.size)
                if superblock.is_one(block := device.read(place))]


def _log(device: _Device, block: bytes, place: int) -> bytes:
    log = superblock.log_place(block, place)
    if log is None or not 0 <= log <= device.size - LENGTH or log % 512:
        return b''
    return device.read(log)


def bitmaps(path: str) -> dict[int, tuple[bytes, bytes]]:
    """Return the minor version of each superblock -> its block, and a bitmap.

    That is read as far as its header is understood; b'' where there is none.

    :raises OSError: they cannot be read.
    """
    with _Device(path) as device:
        return {superblock.minor(place): (block, _bitmap(device, block, place))
                for place in superblock.places(device.size)
                if superblock.is_one(block := device.read(place))}


def _bitmap(device: _Device, block: bytes, place: int) -> bytes:
    begin = superblock.bitmap_place(block, place)
    if begin is None or not 0 <= begin <= device.size - LENGTH or begin % 512:
        return b''
    content = device.read(begin)
    try:
        length = intent_bitmap.header(content).length
    except intent_bitmap.NotUnderstood:
        return content
    while content and len(content) < length and (
            more := device.read(begin + len(content))):
        content += more
    return content


class _Device:
    """A block device that is open for direct reads."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(
            path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        # O_DIRECT wants memory that is aligned
        self._blocks = mmap.mmap(-1, LENGTH)

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._blocks.close()
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self, place: int) -> bytes:
        length = os.preadv(self._descriptor, [self._blocks], place)
        return self._blocks[:length]
