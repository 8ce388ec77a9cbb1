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
"""When the next pass begins."""

from __future__ import annotations

from collections.abc import Callable
import random

from oslo_config import cfg

#: Seconds between two passes at least: where one asks for the next or
#: wake-ups are a storm, and where they are not.
SOON, GAP = 1.0, 0.2


class Pace:
    """All times are seconds, by a clock that never steps.

    :param uniform: returns a random number between two.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 uniform: Callable[[float, float], float]
                 = random.uniform) -> None:
        self._conf = conf
        self._uniform = uniform
        self._ended = -SOON
        self._gap = GAP

    def first(self) -> float:
        """Return how long to wait for the first pass: hosts take turns."""
        return self._uniform(0, self._conf.poll_jitter)

    def after(self, began: float, ended: float,
              wanted: float | None) -> float:
        """Return how long to wait after a pass, if nothing wakes.

        :param wanted: in how many seconds the pass wants another one.
        """
        self._ended = ended
        delay = (float(self._conf.poll_interval)
                 + self._uniform(0, self._conf.poll_jitter)
                 - (ended - began))
        if wanted is not None:
            delay = min(delay, wanted)
        return max(SOON, delay)

    def rest(self, now: float) -> float:
        """Return how long to wait all the same.

        No storm of wake-ups may flood the provisioner.  The first ones of a
        fault are followed at once; while they come one upon the other, ever
        later, up to once in ``SOON``.
        """
        rest = self._ended + self._gap - now
        if rest <= 0.0:
            self._gap = GAP
            return 0.0
        self._gap = min(2.0 * self._gap, SOON)
        return rest
