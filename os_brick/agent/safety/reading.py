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
"""What an action depends on that only a superblock tells; pure (S10)."""

from __future__ import annotations

from collections.abc import Mapping

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import copies
from os_brick.agent.safety import farewell
from os_brick.agent.safety import origin
from os_brick.agent.safety import ownership
from os_brick.agent.safety import superfluous


def to_be_read(action: act.Action, volume: model.Volume,
               snapshot: snapshots.HostSnapshot,
               owned: ownership.Owned) -> frozenset[str]:
    """Return the namespaces whose superblocks an action depends on."""
    match action:
        case act.AddLeg():
            array = snapshot.array(action.array)
            if array is None:
                return frozenset()
            return copies.to_be_read(action.device, array, volume, snapshot)
        case act.Disconnect():
            array = farewell.array_of(volume, snapshot, owned)
            if array is None:
                return frozenset()
            return frozenset().union(*(
                superfluous.to_be_read(uuid, array, volume, snapshot)
                for uuid in _let_go(action, volume, snapshot)))
        case _:
            return frozenset()


def judged(action: act.Action, volume: model.Volume,
           snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
           contents: Mapping[str, superblock.Content],
           past: origin.Background = origin.Background()
           ) -> dict[str, copies.Judgement]:
    """Return replica -> what its copy is to the array.

    Those which the action puts in or lets go, and nothing else.
    """
    match action:
        case act.AddLeg():
            array = snapshot.array(action.array)
            if array is None:
                return {}
            return {action.replica_uuid: copies.judge_among(
                action.device, array, contents, past, action.left,
                action.replica_uuid)}
        case act.Disconnect():
            array = farewell.array_of(volume, snapshot, owned)
            if array is None:
                return {}
            return {uuid: superfluous.judged(uuid, array, snapshot, contents,
                                             past, left)
                    for uuid, left in _let_go(action, volume,
                                              snapshot).items()}
        case _:
            return {}


def never_copies(action: act.Disconnect,
                 found: Mapping[str, copies.Judgement]) -> frozenset[str]:
    """Return those that are no copies, and have never been."""
    left = dict(action.left)
    return frozenset(
        uuid for uuid, judgement in found.items()
        if copies.never_one(judgement,
                            left.get(uuid, act.Departure()).was_leg))


def _let_go(action: act.Disconnect, volume: model.Volume,
            snapshot: snapshots.HostSnapshot) -> dict[str, act.Departure]:
    """The replicas behind a live connection that the operator did not give up.

    With how each left its array.
    """
    left = dict(action.left)
    return {uuid: left.get(uuid, act.Departure()) for uuid in sorted(
        farewell.released(action.controller, volume, snapshot))
        if not left.get(uuid, act.Departure()).given_up}
