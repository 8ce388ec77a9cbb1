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
"""Which arrays stand still, and whose silence is why; pure.

The laws:

* An array is *stalled* when I/O has been under way and none has ended for
  ``io_stall_timeout``, in look after look.  A look that comes late proves
  nothing: the agent itself, or all of the virtual machine, was paused.
* A target is *silent* when what was sent to it has been unacknowledged, and
  sent again in vain, for ``SILENCE`` seconds.  A slow target is not silent:
  its TCP acknowledges at once what its disks take seconds for.

Neither is enough to act upon: ``guard`` wants both, and another leg that
answers.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model

#: Seconds, from the first look at which something was sent again.  Longer
#: than a round trip that has just become one and a half seconds long.  Not
#: much longer: a live host sends a keep-alive 2.5 to 5 s after the last
#: answer, and a connection that is given up while one is under way waits
#: for its time-out of 5 s (Linux 6.1, nvme_stop_keep_alive).
SILENCE = 1.5
#: Seconds between two looks, beyond which the first one proves nothing.
LATE = 1.5
#: Seconds after which an array is looked at more often.
SUSPICIOUS = 0.25


@dataclasses.dataclass(frozen=True)
class Flow:
    """An array's I/O, from /sys/block/mdX/stat.

    :ivar ended: how many reads, writes and flushes have ended so far.
    :ivar under_way: how many have not.
    """

    ended: int
    under_way: int


@dataclasses.dataclass(frozen=True)
class Watched:
    """What is remembered of the looks so far.

    :ivar standing: array -> (I/Os ended so far, since when it stands still).
    :ivar quiet: portal -> since when it has acknowledged nothing.
    :ivar looked_at: when the last look was.
    """

    standing: Mapping[str, tuple[int, float]] = dataclasses.field(
        default_factory=dict)
    quiet: Mapping[model.Portal, float] = dataclasses.field(
        default_factory=dict)
    looked_at: float = 0.0

    def stalled(self, now: float, timeout: float) -> frozenset[str]:
        """The arrays that have stood still for so many seconds."""
        return frozenset(name for name, (_ended, since)
                         in self.standing.items() if now - since >= timeout)

    def silent(self, now: float) -> frozenset[model.Portal]:
        """The portals that have been silent for long enough."""
        return frozenset(portal for portal, since in self.quiet.items()
                         if now - since >= SILENCE)


def look(before: Watched, flows: Mapping[str, Flow], now: float) -> Watched:
    """Take in the arrays' flows; the portals' silence stays as it was."""
    late = now - before.looked_at > LATE
    standing = {}
    for name, flow in flows.items():
        if not flow.under_way:
            continue
        ended, since = before.standing.get(name, (flow.ended, now))
        if late or ended != flow.ended:
            since = now
        standing[name] = (flow.ended, since)
    return Watched(standing, {} if late else before.quiet, now)


def listen(before: Watched,
           unanswered: Collection[model.Portal]) -> Watched:
    """Take in which portals leave unacknowledged what is sent to them."""
    return dataclasses.replace(before, quiet={
        portal: before.quiet.get(portal, before.looked_at)
        for portal in unanswered})
