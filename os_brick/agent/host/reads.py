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

from collections.abc import Iterable
import mmap
import os
import threading
import time

#: Bytes; a multiple of every logical block size in use.
LENGTH = 4096
#: Seconds after which a read that was asked for once is too old to count.
AGE = 5.0
DEVICES = '/dev/'


class _Read:
    """One read, in a thread of its own.

    :ivar succeeded: whether it did; None while it is under way.
    """

    def __init__(self, device: str) -> None:
        self.succeeded: bool | None = None
        self._device = device
        self._begun = time.monotonic()
        self._thread = threading.Thread(
            target=self._run, name='reading ' + device, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._thread.join(max(0.0, seconds))

    @property
    def old(self) -> bool:
        """It has ended, and its answer may be of another time."""
        return (self.succeeded is not None
                and time.monotonic() - self._begun >= AGE)

    def _run(self) -> None:
        try:
            self.succeeded = read(DEVICES + self._device)
        except OSError:
            # no path, no device: that is no answer
            self.succeeded = False


class Reads:
    """Those under way; for one thread at a time."""

    def __init__(self) -> None:
        self._reads: dict[str, _Read] = {}

    def answering(self, devices: Iterable[str],
                  seconds: float) -> list[str]:
        """Return those devices whose read has succeeded by then.

        One that is still under way is not begun again: the next call for the
        same device waits for it.
        """
        end = time.monotonic() + seconds
        wanted = list(devices)
        for device in wanted:
            if device not in self._reads or self._reads[device].old:
                self._reads[device] = _Read(device)
        found = []
        for device in wanted:
            self._reads[device].wait(end - time.monotonic())
            succeeded = self._reads[device].succeeded
            if succeeded is not None:
                del self._reads[device]
            if succeeded:
                found.append(device)
        return found


def read(path: str) -> bool:
    """Read the first blocks past every cache; True when they came.

    :raises OSError: they cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        # O_DIRECT wants memory that is aligned
        with mmap.mmap(-1, LENGTH) as blocks:
            return os.preadv(descriptor, [blocks], 0) == LENGTH
    finally:
        os.close(descriptor)
