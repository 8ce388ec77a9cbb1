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
"""How long a part of a pass may take: what is left over is for the next.

Each part is bounded for itself, so that none of them, by being slow, takes
the place of another one (S14).
"""

from __future__ import annotations

from os_brick.agent import clock as clocks

#: Seconds in a pass after which no further connection is begun, no further
#: volume is told of, and no further event is sent.
CONNECTING, TELLING, EVENTS = 30.0, 10.0, 5.0


class Budget:
    """It begins to run when it is made."""

    def __init__(self, clock: clocks.Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    @property
    def spent(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._clock.monotonic() >= self._end
