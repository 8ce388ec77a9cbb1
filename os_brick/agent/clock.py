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
"""This host's clocks, and all that waits for them.

What needs the time or waits is handed one of these: a simulated world hands
in its own.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

_BOOT_ID = '/proc/sys/kernel/random/boot_id'


class Event(Protocol):
    """What one thread waits for and another one sets.

    See threading.Event.
    """

    def set(self) -> None:
        """Let those go on that wait."""

    def clear(self) -> None:
        """Let it be waited for again."""

    def is_set(self) -> bool:
        """Return whether it is set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; return False when time ran out."""


class Lock(Protocol):
    """What one thread holds at a time; see threading.Lock."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; return False when it was not free in time."""

    def release(self) -> None:
        """Let it go."""


class Clock:
    """All times are seconds."""

    def monotonic(self) -> float:
        """Return a time that never steps; it stands still in a suspend."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return the time since the host has booted, suspends included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Return the time since the epoch; the operator may set it."""
        return time.time()

    def boot(self) -> str:
        """Return what is another one after each boot.

        :raises OSError: it cannot be read.
        """
        with open(_BOOT_ID, encoding='ascii') as boot_id:
            return boot_id.read().strip()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Event:
        return threading.Event()

    def lock(self) -> Lock:
        return threading.Lock()


#: That of this host.
HOST = Clock()
