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
"""How fast md copies within an array at most; pure.

The laws:

* A limit that somebody else has set for an array stays: who sets one by hand,
  be it higher or lower, knows why.  An array that has none of its own (md
  calls that ``system``) is free for the agent.
* The agent knows its own limits by the number: it is one more than whole MiB.
  So it knows them also after it was killed, whatever the option says by then.
* What it has set follows the option, and is put back when it stops.
* A limit only delays.  md copies on however low it is, and whatever is done
  to an array ends its waiting.
"""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import actions as act

#: In a MiB.
KIB = 1024
MARK = 1


def decide(array: model.Array, mib_per_s: int
           ) -> act.SetSyncSpeedMax | None:
    """Return what sets the limit of an array, None where it is as wanted.

    :param mib_per_s: what the operator wants; 0: nothing.
    """
    now = array.sync_speed_max
    wanted = mib_per_s * KIB + MARK if mib_per_s else 0
    if now is None or now == wanted or by_hand(array):
        return None
    return act.SetSyncSpeedMax(
        'option resync_speed_max: %s' % (
            '%d MiB/s' % mib_per_s if mib_per_s else '0, no limit of its own'),
        array.name, wanted, now)


def restore(array: model.Array) -> act.SetSyncSpeedMax | None:
    """Return what puts back the limit of all arrays where ours is set."""
    return act.SetSyncSpeedMax(
        'the agent stops', array.name, 0, array.sync_speed_max or 0) if (
            ours(array)) else None


def ours(array: model.Array) -> bool:
    """Whether the agent has set the limit that the array has."""
    now = array.sync_speed_max or 0
    return now > KIB and now % KIB == MARK


def by_hand(array: model.Array) -> bool:
    """Whether somebody else has."""
    return bool(array.sync_speed_max) and not ours(array)
