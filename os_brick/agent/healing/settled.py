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
"""Which volumes need no second thought while nothing changes."""

from __future__ import annotations

import dataclasses
import operator
from typing import Generic
from typing import TypeVar

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import snapshots

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class _Kept(Generic[T]):
    """What was found of a volume, and what it was found in.

    :ivar asked: the very values that were asked about the last time.
    :ivar basis: and ``policy``: all that ``found`` was read off; while they
        stay, so does that.
    """

    asked: tuple[object, ...]
    policy: decision.HealingPolicy
    basis: object
    found: T


class SettledVolumes(Generic[T]):
    """The volumes for which there was nothing to do, report or remember."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept[T]] = {}
        self._used: dict[str, _Kept[T]] = {}

    def get(self, volume: model.Volume, array: model.Array,
            snapshot: snapshots.HostSnapshot, policy: decision.HealingPolicy
            ) -> T | None:
        """Return what was kept of a volume, None where anything differs."""
        kept = self._kept.get(volume.uuid)
        if kept is None:
            return None
        asked = (volume, array, snapshot)
        # the same values say the same
        if not (kept.policy == policy
                and all(map(operator.is_, kept.asked, asked))):
            if (kept.policy, kept.basis) != (policy, _basis(*asked)):
                return None
            kept = dataclasses.replace(kept, asked=asked)
        self._used[volume.uuid] = kept
        return kept.found

    def keep(self, volume: model.Volume, array: model.Array,
             snapshot: snapshots.HostSnapshot, policy: decision.HealingPolicy,
             found: T) -> None:
        """Keep what was found of a volume that is settled."""
        asked = (volume, array, snapshot)
        self._used[volume.uuid] = _Kept(asked, policy, _basis(*asked), found)

    def forget_unused(self) -> None:
        """Drop what was neither asked for nor kept since the last call."""
        self._kept, self._used = self._used, {}


def _basis(volume: model.Volume, array: model.Array,
           snapshot: snapshots.HostSnapshot) -> tuple[object, ...]:
    return volume, array, decision.around(volume, array, snapshot)
