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
"""Looking at this host, and at how much md copies to legs that come back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

from os_brick.agent import clock as clocks
from os_brick.agent.model import copied
from os_brick.agent.model import snapshots

#: Device -> the controllers that lead to it; device -> its count.
Counting = Callable[[Mapping[str, tuple[str, ...]]],
                    Mapping[str, copied.Count]]


class Copying:
    """Remembers between two looks what was written to which device.

    :param scan: looks at all of this host.
    :param count: reads what was written to devices.
    """

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot],
                 count: Counting, clock: clocks.Clock = clocks.HOST) -> None:
        self._scan = scan
        self._count = count
        self._clock = clock
        self._scanned: snapshots.HostSnapshot | None = None
        self._last = copied.Look()

    def look(self) -> snapshots.HostSnapshot:
        """Look once, as ``scan`` does."""
        snapshot = self._scan()
        if snapshot is self._scanned and not self._last.counts:
            return self._last.snapshot
        self._scanned = snapshot
        wanted = copied.to_count(self._last, snapshot)
        self._last = copied.follow(
            self._last, snapshot, self._clock.boottime(),
            self._count(wanted) if wanted else {})
        return self._last.snapshot
