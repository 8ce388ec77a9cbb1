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
"""What the guard sets of connections and targets while all is calm; pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
import dataclasses

from os_brick.agent.guard import spreading
from os_brick.agent.guard import tuning
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the operator wants.

    :ivar iopolicy: the kernel's word; '': as it is found.
    """

    times: tuning.Times = tuning.Times()
    iopolicy: str = ''


@dataclasses.dataclass(frozen=True)
class SettingsMemory:
    """What is remembered of what was set."""

    times: tuning.TuningMemory = tuning.TuningMemory()
    spread: spreading.SpreadMemory = spreading.SpreadMemory()

    def without(self, names: Collection[str]) -> SettingsMemory:
        """Forget connections: what gets their names is another one."""
        return dataclasses.replace(self, times=self.times.without(names))


def decide(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
           subsystems: spreading.Subsystems, memory: SettingsMemory,
           wanted: Wanted) -> list[tuple[str, act.Action]]:
    """Return what is to be set, as (array name, action) pairs."""
    return [
        *tuning.decide(snapshot, owned, memory.times, wanted.times),
        *spreading.decide(snapshot, owned, subsystems, memory.spread,
                          wanted.iopolicy)]


def after(snapshot: snapshots.HostSnapshot, memory: SettingsMemory,
          tried: Iterable[act.Action]) -> SettingsMemory:
    """Return the memory once these were tried."""
    tried = tuple(tried)
    return SettingsMemory(
        tuning.after(snapshot, memory.times, tried),
        spreading.after(snapshot, memory.spread, tried))


def restore(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
            subsystems: spreading.Subsystems, memory: SettingsMemory,
            wanted: Wanted) -> list[tuple[str, act.Action]]:
    """Return what puts back what was found: the agent stops."""
    return [
        *tuning.restore(snapshot, owned, memory.times, wanted.times),
        *spreading.restore(snapshot, owned, subsystems, memory.spread)]
