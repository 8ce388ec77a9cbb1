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
"""When md is to keep what its bitmap marks; pure.

md forgets a write some seconds after that has ended on all legs.  A target
that loses its power may have acknowledged it and not have it.  So what is
marked when a leg leaves is kept until a leg is put back, which is then brought
up to date with that, too.

The laws:

* As soon as a leg that was in sync is so no more, be it that the guard has
  failed it or md by itself.  Of an array that is degraded when it is seen for
  the first time nobody knows since when it is: what it marks is kept where one
  leg is left.  On several md may copy all that from one to the others, and by
  then that may be all of the volume.
* Only while md may still mark what was written before: ``LOOKS``.
* Only an array to which this host writes; the rules ask the same.
* Not while md would wait for a lost leg: that one is cut off first.

By itself md forgets too soon for some losses: of a volume to which nothing is
written, or of a target that falls silent.  So it is made to look less often
what it need mark no longer.  That stays when the agent stops: it costs some
copying after a crash, and what left meanwhile is kept by the next agent.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import rules

#: Looks of md at its marks for which it marks a write at most after that has
#: ended.  One that is not needed any more goes with the third look at the
#: earliest (Linux 6.1: after 9 to 19 s where it looks every 5 s).
LOOKS = 4
#: Seconds of that at least: of an array of which it is not known.
LIFE = 100.0
#: Seconds for which what cannot be done is tried again soon.
SOON = 20.0
LONGER = ('so that what is written stays marked until the loss of a leg is '
          'noticed; it was %g s')
REASON = ('a leg has left: what its target may have acknowledged and lost is '
          'copied to it again')
#: Name and instance of an array.
Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class SeenArray:
    """What is remembered of an array.

    :ivar in_sync: device and replica of each leg that was in sync when it was
        last looked at.
    :ivar since: when a leg was first seen to have left, None where nothing is
        to be done for that any more.
    :ivar delayed: the seconds that it was tried to have md look less often.
    """

    in_sync: Mapping[str, str | None]
    since: float | None = None
    delayed: float = 0.0


@dataclasses.dataclass(frozen=True)
class KeepMemory:
    """What is remembered of arrays."""

    arrays: Mapping[Key, SeenArray] = dataclasses.field(default_factory=dict)

    def pending(self, now: float) -> bool:
        """Something is still to be done: it must not take long."""
        return any(one.since is not None and now - one.since <= SOON
                   for one in self.arrays.values())


def look(arrays: Iterable[model.Array], memory: KeepMemory, now: float,
         leaving: Collection[str] = frozenset()) -> KeepMemory:
    """Take in which legs have left.

    :param arrays: those that this host heals.
    :param now: seconds of a clock that never steps.
    :param leaving: replicas that leave for good.
    """
    return KeepMemory({_key(array): _seen(
        array, memory.arrays.get(_key(array)), now, leaving)
        for array in arrays})


def _seen(array: model.Array, before: SeenArray | None, now: float,
          leaving: Collection[str]) -> SeenArray:
    in_sync = {leg.device: leg.replica_uuid for leg in array.in_sync}
    if before is None:
        since = now if len(in_sync) == 1 else None
    elif any(device not in in_sync and replica not in leaving
             for device, replica in before.in_sync.items()):
        since = now
    else:
        since = before.since
    if array.filled or not array.written or (
            since is not None and now - since > _life(array)):
        since = None
    return SeenArray(in_sync, since, before.delayed if before else 0.0)


def _life(array: model.Array) -> float:
    return max(LIFE, LOOKS * (array.bitmap_delay or 0.0))


def decide(snapshot: snapshots.HostSnapshot, memory: KeepMemory,
           answered: Collection[str]) -> list[tuple[str, act.Action]]:
    """Return what is to be kept, as (array name, action) pairs.

    :param answered: legs that have answered a read just now.
    """
    actions: list[tuple[str, act.Action]] = []
    for array in snapshot.arrays:
        kept = memory.arrays.get(_key(array))
        good = sorted(
            (leg.device not in answered, leg.slot or 0, leg.device)
            for leg in array.legs if snapshot.good(leg))
        if (kept is not None and kept.since is not None and good
                and not (array.read_only or array.broken)
                and not rules.lost_legs(array, snapshot)):
            actions.append((array.name, act.KeepMarked(
                REASON, array.name, good[0][-1])))
    return actions


def settings(snapshot: snapshots.HostSnapshot, memory: KeepMemory,
             delay: float) -> list[tuple[str, act.Action]]:
    """Return what is to be set while all is calm, as the same pairs.

    :param delay: seconds between two looks of md at its marks, at least.
    """
    actions: list[tuple[str, act.Action]] = []
    for array in snapshot.arrays:
        kept, now = memory.arrays.get(_key(array)), array.bitmap_delay
        if (kept is not None and kept.delayed < delay and now is not None
                and now < delay):
            actions.append((array.name, act.SetBitmapDelay(
                LONGER % now, array.name, delay)))
    return actions


def after(memory: KeepMemory, done: Iterable[act.Action],
          tried: Iterable[act.Action]) -> KeepMemory:
    """Return the memory once these were done, or tried at least."""
    kept = {action.array for action in done
            if isinstance(action, act.KeepMarked)}
    delayed = {action.array: action.seconds for action in tried
               if isinstance(action, act.SetBitmapDelay)}
    return KeepMemory({
        (name, instance): dataclasses.replace(
            one, since=None if name in kept else one.since,
            delayed=delayed.get(name, one.delayed))
        for (name, instance), one in memory.arrays.items()})


def _key(array: model.Array) -> Key:
    return array.name, array.instance
