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
"""Whether a copy that is to be given up holds what its array lacks; S10, pure.

A copy is asked to be replaced, retired or confirmed, or its connection closed,
because it is surplus, too small, in use elsewhere, or on its way out.  None of
that says that the array has all of what it holds: it may have been in charge
itself since it left.  One that can still be read is read first; of one that is
lost, or whose disk fails every read, only the records know (custody).  One
that takes its time is waited for: a busy target is no broken disk.
"""

from __future__ import annotations

from collections.abc import Mapping

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import copies
from os_brick.agent.safety import laws
from os_brick.agent.safety import origin

Law = laws.Law
Standing = copies.Standing
#: Of one that is lost or given up.
NOTHING_FOUND = copies.Judgement(Standing.BEHIND)


def to_be_read(replica_uuid: str, array: model.Array, volume: model.Volume,
               snapshot: snapshots.HostSnapshot) -> frozenset[str]:
    """Return the namespaces whose superblocks tell what the copy holds.

    None of them where the copy is lost, or is the array's own.
    """
    device = _device(replica_uuid, array, snapshot)
    if device is None:
        return frozenset()
    return copies.to_be_read(device, array, volume, snapshot)


def judged(replica_uuid: str, array: model.Array,
           snapshot: snapshots.HostSnapshot,
           contents: Mapping[str, superblock.Content],
           past: origin.Background = origin.Background(),
           left: act.Departure = act.Departure()) -> copies.Judgement:
    """Return what the copy is to the array, UNREADABLE where reads fail.

    :param contents: namespace -> what was read from it just now.
    :param past: see ``copies.judge``; ``left``, too.
    """
    device = _device(replica_uuid, array, snapshot)
    if device is None:
        return NOTHING_FOUND
    return copies.judge_among(device, array, contents, past, left,
                              replica_uuid)


def objection(found: copies.Judgement, asked: bool = False,
              joined: bool = False) -> str | None:
    """Return why the copy is to stay, None where it may be given up.

    :param asked: only that another one be assigned: this one stays meanwhile,
        and nothing less than that it is ahead stands against that.
    :param joined: it was a leg.  What carries another array's superblock and
        never was one is a namespace that was used before, not a copy.
    """
    if found.usable or found.standing is Standing.UNREADABLE:
        return None
    if found.standing is not Standing.DIVERGENT and asked:
        return None
    if found.standing is Standing.FOREIGN and not joined:
        return None
    return Law.S10.refuses('%s', found.why)


def objections(found: Mapping[str, copies.Judgement]) -> str | None:
    """Return why one of these copies is to stay; replica -> what it is."""
    for judgement in found.values():
        why = objection(judgement)
        if why is not None:
            return why
    return None


def _device(replica_uuid: str, array: model.Array,
            snapshot: snapshots.HostSnapshot) -> str | None:
    """Return where the copy is that could still be fallen back on."""
    namespace = snapshot.namespace_of(replica_uuid)
    leg = array.leg_of(replica_uuid)
    if (namespace is None or not snapshot.reachable(namespace)
            or leg is not None and leg.in_sync):
        return None
    return namespace.device
