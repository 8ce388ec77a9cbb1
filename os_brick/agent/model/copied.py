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
"""How much was copied to a leg until it was in sync, and in what time; pure.

md does not say it: the sectors of ``sync_completed`` are a place on the legs,
and a recovery by the bitmap passes over most of them without copying.  What is
copied is written, and the kernel counts what is written to each block device.
What whoever uses the array wrote meanwhile went to the leg as well, and is
counted for the array, too: the difference is what md has copied, and with it
its superblocks and bitmap.  Hence "at most", but for what is in flight in the
moment of the last look: up to Linux 6.3 an array counts a write when it begins
(block/blk-core.c, bio_start_io_acct), its legs when it has ended.  A leg that
another look has not seen before it was added has no figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from os_brick.agent.model import devices
from os_brick.agent.model import snapshots


@dataclasses.dataclass(frozen=True)
class Count:
    """What was written to a block device, as the kernel has counted it.

    With native multipath Linux counts for a namespace itself from 6.2 on;
    before, only its paths have counts.

    :ivar own: what tells the device from another that gets its name, and
        the bytes that were written to it since it was made.
    :ivar paths: the same of each path to it.
    """

    own: tuple[int, int]
    paths: tuple[tuple[int, int], ...] = ()

    def since(self, before: Count | None) -> int | None:
        """Return the bytes that were written since; None: it is not known."""
        if before is None:
            return None
        one, other = ((before.paths, self.paths)
                      if self.paths and not self.own[1]
                      else ((before.own,), (self.own,)))
        if [device for device, _bytes in one] != [
                device for device, _bytes in other]:
            return None
        return sum(written for _device, written in other) - sum(
            written for _device, written in one)


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the host, and what has been counted until then.

    :ivar at: when it was, in seconds since the boot.
    :ivar counts: device -> what was written to it, where that was read.
    :ivar copied: (array, device of a leg) -> what was copied to it, and when
        it was first seen.
    :ivar degraded: array -> since when it has lacked a leg, where known.
    """

    snapshot: snapshots.HostSnapshot = snapshots.HostSnapshot()
    at: float = 0.0
    counts: Mapping[str, Count] = dataclasses.field(default_factory=dict)
    copied: Mapping[tuple[str, str], tuple[int | None, float]] = (
        dataclasses.field(default_factory=dict))
    degraded: Mapping[str, float] = dataclasses.field(default_factory=dict)


def to_count(last: Look, snapshot: snapshots.HostSnapshot
             ) -> dict[str, tuple[str, ...]]:
    """Return whose writes have to be read: device -> the ways to it.

    Of a host whose arrays are whole that is nothing.
    """
    arrays = {*_recovering(last.snapshot), *_recovering(snapshot)}
    found: dict[str, tuple[str, ...]] = {
        name: () for name in arrays if snapshot.array(name) is not None}
    for device in {*_out(last.snapshot), *_out(snapshot)}:
        namespace = snapshot.namespace(device)
        if namespace is not None:
            found[device] = namespace.controllers
    return found


def _recovering(snapshot: snapshots.HostSnapshot) -> Iterator[str]:
    """The arrays to a leg of which md may be copying."""
    for array in snapshot.arrays:
        if any(not leg.faulty and not leg.in_sync for leg in array.legs):
            yield array.name


def _out(snapshot: snapshots.HostSnapshot) -> Iterator[str]:
    """The namespaces that are no leg in sync, and may become one."""
    for namespace in snapshot.namespaces:
        if not namespace.holders and not namespace.in_use:
            yield namespace.device
    for array in snapshot.arrays:
        for leg in array.legs:
            if not leg.in_sync:
                yield leg.device


def follow(last: Look, snapshot: snapshots.HostSnapshot, at: float,
           counts: Mapping[str, Count]) -> Look:
    """Return the next look; its snapshot says what has come to its end."""
    copied: dict[tuple[str, str], tuple[int | None, float]] = {}
    degraded: dict[str, float] = {}
    for array in snapshot.arrays:
        was = last.snapshot.array(array.name)
        if was is not None and was.uuid != array.uuid:
            was = None
        if was is not None and not array.whole:
            since = at if was.whole else last.degraded.get(array.name)
            if since is not None:
                degraded[array.name] = since
        for leg, found in _legs(last, was, array, at, counts):
            copied[array.name, leg.device] = found
    healed = {array.name: at - last.degraded[array.name]
              for array in snapshot.arrays
              if array.whole and array.name in last.degraded}
    shown = {key: snapshots.Copied(most, at - since)
             for key, (most, since) in copied.items()}
    if shown or healed:
        snapshot = dataclasses.replace(snapshot, copied=shown, healed=healed)
    return Look(snapshot, at, counts, copied, degraded)


def _legs(last: Look, was: devices.Array | None, array: devices.Array,
          at: float, counts: Mapping[str, Count]
          ) -> Iterable[tuple[devices.Leg, tuple[int | None, float]]]:
    """Yield the legs that are being copied to, or were until now."""
    if was is None:
        # nobody has seen how it began
        return
    for leg in array.legs:
        before = was.leg(leg.device)
        if before is not None and before.replica_uuid != leg.replica_uuid:
            before = None
        if leg.faulty or (leg.in_sync and before is not None
                          and before.in_sync):
            continue
        grown = None
        if leg.device in counts:
            grown = counts[leg.device].since(last.counts.get(leg.device))
        if before is None or before.faulty or before.in_sync:
            # it is new
            yield leg, (grown, at)
        elif (array.name, leg.device) in last.copied:
            most, since = last.copied[array.name, leg.device]
            if most is not None:
                own = _own(last, array.name, counts)
                most = None if grown is None else most + max(0, grown - own)
            yield leg, (most, since)


def _own(last: Look, array: str, counts: Mapping[str, Count]) -> int:
    """Return what was written by whoever uses the array; 0: not known."""
    if array not in counts:
        return 0
    return max(0, counts[array].since(last.counts.get(array)) or 0)
