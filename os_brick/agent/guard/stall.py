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

* An array *stands still* when reads, or writes, have been under way and none
  of them has ended for a moment, in look after look; when that has lasted for
  ``io_stall_timeout`` it is *stalled*.  Reads go on from a leg that is well
  while every write waits for the other one.  A look that comes late proves
  nothing: the agent itself, or all of the virtual machine, was paused.
* A write that waits for what md copies, or compares, is not counted as under
  way (Linux 6.1, raid1.c: ``wait_barrier`` comes first).  Where md is at work
  on an array of which I/O has ended a moment ago, and none does any more, it
  stands still as well.  One that had none is not in a hurry: what is copied is
  not begun anew for a silence that nobody waits for.
* A target is *silent* when what was sent to it has been unacknowledged, and
  sent again in vain, for ``io_stall_timeout`` by the kernel's own count.  A
  slow target is not silent: its TCP acknowledges at once what its disks take
  seconds for.

Neither is enough to act upon: ``cutoff`` wants both, and another leg that
answers.

A silent target should be given up within 1.25 seconds: that long after the
last answer, and 2.5 seconds at most, the kernel sends it a keep-alive
command, and when it then gives the connection up it first waits for that
command's time-out of 5 seconds (Linux 6.1, nvme_keep_alive_work_period and
nvme_stop_keep_alive).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import math

from os_brick.agent import model

#: Seconds between two looks, beyond which the first one proves nothing.
LATE = 1.5
#: Seconds that the kernel's count of a silence lacks: a tail loss probe comes
#: before the first retransmission (net/ipv4/tcp_output.c,
#: tcp_schedule_loss_probe), and is not counted.
UNCOUNTED = 0.2
#: Seconds after which an array stands still, and is looked at more often.
MOMENT = 0.25
#: Seconds for which an array on which md is at work counts as in use after
#: the last of its I/O has ended: the kernel's keep-alive takes no longer.
IN_USE = 10.0
#: Seconds of standing still that are told of.
PAUSE = 0.5
#: An array, and 'read' or 'write'.
Flow = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class IoHistory:
    """What is remembered of the looks so far.

    :ivar standing: array, and what of it stands still -> (I/Os ended so far,
        since when it does).
    :ivar looked_at: when the last look was.
    :ivar ended: array -> (I/Os ended so far, when one last has; never, where
        that has not been seen).
    """

    standing: Mapping[Flow, tuple[int, float]] = dataclasses.field(
        default_factory=dict)
    looked_at: float = 0.0
    ended: Mapping[str, tuple[int, float]] = dataclasses.field(
        default_factory=dict)

    def waiting(self, now: float, at_work: Collection[str]) -> frozenset[str]:
        """Return those that are in use, and of which no I/O ends.

        :param at_work: the arrays on which md itself is at work.
        """
        return frozenset(
            name for name, (_ended, when) in self.ended.items()
            if name in at_work and MOMENT <= now - when <= IN_USE)

    def since(self) -> dict[str, float]:
        """Return since when each array stands still."""
        found: dict[str, float] = {}
        for (name, _kind), (_ended, since) in self.standing.items():
            found[name] = min(since, found.get(name, since))
        return found

    def stalled(self, now: float, timeout: float) -> frozenset[str]:
        """The arrays that have stood still for so many seconds."""
        return frozenset(name for name, since in self.since().items()
                         if now - since >= timeout)


def look(before: IoHistory, counters: Mapping[str, model.IoCounters],
         now: float) -> IoHistory:
    """Take in the arrays' counters."""
    late = now - before.looked_at > LATE
    standing = {}
    for name, io in counters.items():
        for kind, (ended, under_way) in io.directions.items():
            if not under_way:
                continue
            then, since = before.standing.get((name, kind), (ended, now))
            if late or then != ended:
                since = now
            standing[name, kind] = (ended, since)
    return IoHistory(standing, now, {
        name: _last(before.ended.get(name), io.ended, now)
        for name, io in counters.items()})


def _last(before: tuple[int, float] | None, ended: int,
          now: float) -> tuple[int, float]:
    """Return how many have ended, and when the last one has."""
    if before is None:
        return ended, -math.inf
    return before if before[0] == ended else (ended, now)


def pauses(before: IoHistory, after: IoHistory) -> dict[str, float]:
    """Return the pauses that ended between two looks: array -> seconds.

    Only what was seen in look after look counts; what is shorter than
    ``PAUSE`` may be a slow target's usual.
    """
    if after.looked_at - before.looked_at > LATE:
        return {}
    found: dict[str, float] = {}
    for flow, (_ended, since) in before.standing.items():
        lasted = after.looked_at - since
        if lasted >= PAUSE and after.standing.get(
                flow, (0, None))[1] != since:
            found[flow[0]] = max(lasted, found.get(flow[0], 0.0))
    return found


def with_zones(unanswered: Mapping[model.Portal, float],
               portals: Iterable[model.Portal]
               ) -> dict[model.Portal, float]:
    """Give link-local addresses the zone that the kernel's table lacks.

    Where one address is a portal on two links, the table does not tell which
    of them is silent: then none is.

    :param portals: those of all connections.
    """
    zoned: dict[model.Portal, set[model.Portal]] = {}
    for portal in portals:
        plain, zone, _name = portal.address.partition('%')
        if zone:
            zoned.setdefault(dataclasses.replace(portal, address=plain),
                             set()).add(portal)
    found = {portal: seconds for portal, seconds in unanswered.items()
             if portal not in zoned}
    for plain_portal, ones in zoned.items():
        if plain_portal in unanswered and len(ones) == 1:
            found[ones.pop()] = unanswered[plain_portal]
    return found


def silent(unanswered: Mapping[model.Portal, float],
           timeout: float) -> frozenset[model.Portal]:
    """The portals that have been silent for so many seconds.

    :param unanswered: portal -> for how many seconds it has not answered.
    """
    return frozenset(portal for portal, seconds in unanswered.items()
                     if seconds + UNCOUNTED >= timeout)


def silent_in(unanswered: Mapping[model.Portal, float],
              timeout: float) -> float:
    """Seconds until the next portal has been silent for long enough."""
    left = (timeout - UNCOUNTED - seconds for seconds in unanswered.values())
    return min((rest for rest in left if rest > 0.0), default=timeout)
