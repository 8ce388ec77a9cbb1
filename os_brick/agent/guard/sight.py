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
"""What the guard is told at a look, and what it remembers; pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
from typing import TypeVar

from os_brick.agent import model

T = TypeVar('T')
#: Before anything that the guard has seen.
NEVER = float('-inf')


@dataclasses.dataclass(frozen=True)
class GuardPolicy:
    """What the operator wants of the guard.

    :ivar fail_timeout: seconds; see the option ``io_fail_timeout``.
    :ivar all_wait: no leg fails fast; see the option ``legs_fail_fast``.
    """

    fail_timeout: float = 1.0
    all_wait: bool = False

    @property
    def timeout(self) -> float:
        """The kernel takes whole seconds; 0 would fail I/O at every blip."""
        return float(max(1, round(self.fail_timeout)))


@dataclasses.dataclass(frozen=True)
class Symptoms:
    """What was seen besides the snapshot.

    :ivar busy: arrays that have I/O under way.
    :ivar standing: of these, such of which no read, or no write, has ended
        for a moment.
    :ivar stalled: of these, such of which none ends (see ``stall``).
    :ivar doubted: portals that have not acknowledged anything for a while.
    :ivar silent: of these, such that are taken for silent (see ``stall``).
    :ivar answered: devices that have answered a read within a second.
    :ivar before: when nothing of what is new had been seen yet.
    :ivar listening: portals that were asked just now -> whether anybody
        listens there.
    """

    busy: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()
    stalled: frozenset[str] = frozenset()
    doubted: frozenset[model.Portal] = frozenset()
    silent: frozenset[model.Portal] = frozenset()
    answered: frozenset[str] = frozenset()
    before: float = NEVER
    listening: Mapping[model.Portal, bool] = dataclasses.field(
        default_factory=dict)


@dataclasses.dataclass(frozen=True)
class GuardMemory:
    """What the guard remembers from one decision to the next.

    :ivar anchors: array name -> device of its anchor.
    :ivar lost: (array name, device) -> since when all its paths are lost.
    :ivar resets: controller -> when the kernel was asked to give it up.
    :ivar found: controller -> the ``fast_io_fail_tmo`` that was set before.
    :ivar dark: array -> since when no good leg of it has answered.
    :ivar light: array -> when one did after an outage of all.
    :ivar away: controller -> since when it is lost at the earliest, None: it
        is not.
    :ivar listening: portal of a lost connection -> since when it listens.
    :ivar asked: portal of a live one -> when it was asked, and whether
        anybody listened; see ``siblings``.
    """

    anchors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lost: Mapping[tuple[str, str], float] = dataclasses.field(
        default_factory=dict)
    resets: Mapping[str, float] = dataclasses.field(default_factory=dict)
    found: Mapping[str, float | None] = dataclasses.field(
        default_factory=dict)
    dark: Mapping[str, float] = dataclasses.field(default_factory=dict)
    light: Mapping[str, float] = dataclasses.field(default_factory=dict)
    away: Mapping[str, float | None] = dataclasses.field(
        default_factory=dict)
    listening: Mapping[model.Portal, float] = dataclasses.field(
        default_factory=dict)
    asked: Mapping[model.Portal, tuple[float, bool]] = dataclasses.field(
        default_factory=dict)

    def without(self, names: Collection[str]) -> GuardMemory:
        """Forget connections: what gets their names is another one."""
        if not names:
            return self
        return dataclasses.replace(
            self, resets=_others(self.resets, names),
            found=_others(self.found, names), away=_others(self.away, names))


def _others(known: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: value for name, value in known.items() if name not in names}
