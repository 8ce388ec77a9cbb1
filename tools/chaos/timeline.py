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
"""What is to be done at which time, in one thread."""

from __future__ import annotations

from collections.abc import Callable
import heapq
import itertools
import time

#: Seconds between two looks at how all fare.
LOOK = 0.5


class Timeline:
    """Does each step when it is due, while others wait for conditions."""

    def __init__(self, look: Callable[[], None]) -> None:
        """Make one.

        :param look: called again and again; raises when it is over.
        """
        self._look = look
        self._steps: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, step: Callable[[], None]) -> None:
        """Note a step for a time of the monotonic clock."""
        heapq.heappush(self._steps, (when, next(self._order), step))

    def clear(self) -> None:
        """Forget all steps."""
        self._steps.clear()

    def sleep(self, seconds: float) -> None:
        """Wait that long."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if not self._step(now):
                self._rest(min(end, now + LOOK))

    def wait(self, condition: Callable[[], object], limit: float) -> bool:
        """Wait until all steps are done and a condition holds.

        :returns: whether it did within so many seconds.
        """
        end = time.monotonic() + limit
        while True:
            now = time.monotonic()
            if self._step(now):
                continue
            if not self._steps and condition():
                return True
            if not self._steps and now > end:
                return False
            self._rest(now + LOOK)

    def _step(self, now: float) -> bool:
        if not self._steps or self._steps[0][0] > now:
            return False
        _when, _order, step = heapq.heappop(self._steps)
        step()
        return True

    def _rest(self, until: float) -> None:
        self._look()
        if self._steps:
            until = min(until, self._steps[0][0])
        time.sleep(max(0.0, until - time.monotonic()))
