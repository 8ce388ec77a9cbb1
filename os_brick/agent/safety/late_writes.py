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
"""When a leg that md let go of may be put back: the late write (S13); pure.

A target may execute a write long after its connection broke: it had received
it, and was itself paused, or its queue was.  Once the leg was put back and
brought up to date, such a write replaces newer data, and nobody notices.  The
host cannot call it back (Linux and NVM Express work on that: TP4129, TP8028).
A target ends an association, and what it still holds of it, when it has heard
nothing for the keep-alive time.  So a leg is not put back before that time is
over, with a margin.

The time is counted from when md no longer lists the leg.  A leg that is
listed, be it faulty, may have I/O under way, which is sent again when its path
returns; md removes it only when all of its I/O has ended for this host, and
sends nothing any more.
"""

from __future__ import annotations

#: Seconds; what the kernel asks for where nobody says otherwise (NVME_DEFAULT_
#: KATO), and os-brick does not.
KEEP_ALIVE = 5.0
MARGIN = 2.0
#: Seconds.  The target's clock starts with the last command that it saw, and
#: it may look at it only as often as that time itself.
HOLD = 2 * KEEP_ALIVE + MARGIN


def hold(keep_alive: float) -> float:
    """Return for how many seconds a former leg is kept out.

    :param keep_alive: seconds, of its connection when it was a leg; 0: not
        known, or none: nothing says when such a target ends an association.
    """
    return HOLD if keep_alive <= KEEP_ALIVE else 2 * keep_alive + MARGIN


def left_at(before: float | None, listed: bool, came_up: bool,
            now: float) -> float | None:
    """Return since when md lists a leg no longer, None while it does.

    :param before: the same, as it was remembered.
    :param came_up: the array has come up since, or this is the first look
        after a start: the leg may have been back meanwhile.
    """
    if listed:
        return None
    return now if before is None or came_up else before


def remaining(left: float | None, now: float,
              keep_alive: float = 0.0) -> float:
    """Return for how many seconds a former leg must not be put back.

    :param keep_alive: see ``hold``.
    """
    return 0.0 if left is None else max(0.0, left + hold(keep_alive) - now)
