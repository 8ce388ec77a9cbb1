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
"""The times of a connection that are shorter with a guard; pure.

The laws:

* Only live connections are set, and only such as carry replicas of this
  provisioner's volumes and nothing else (S4).
* What the operator has set shorter is kept.
* What a target refuses is not asked for again.
* When the agent stops, what was found is put back; where that is not known
  any more, what the kernel has by default, with which os-brick connects.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership

#: Seconds: NVMF_DEF_KATO + NVME_KATO_GRACE, and NVMF_DEF_RECONNECT_DELAY
#: (drivers/nvme/host/fabrics.h).
DEFAULTS = {'keep_alive': 5.0, 'reconnect_delay': 10.0}
Setting = tuple[str, str]
_KINDS = {'keep_alive': act.SetKeepAlive,
          'reconnect_delay': act.SetReconnectDelay}


@dataclasses.dataclass(frozen=True)
class Times:
    """What the operator wants; seconds, 0: as it is found."""

    keep_alive: float = 0.0
    reconnect_delay: float = 0.0


@dataclasses.dataclass(frozen=True)
class TuningMemory:
    """What is remembered of connections, by name and what is set.

    :ivar found: seconds that were set before.
    :ivar tried: seconds that were tried, be it that they were refused.
    """

    found: Mapping[Setting, float] = dataclasses.field(default_factory=dict)
    tried: Mapping[Setting, float] = dataclasses.field(default_factory=dict)

    def without(self, names: Collection[str]) -> TuningMemory:
        """Forget connections: what gets their names is another one."""
        if not names:
            return self
        return TuningMemory(*(
            {key: seconds for key, seconds in kept.items()
             if key[0] not in names} for kept in (self.found, self.tried)))


def decide(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
           memory: TuningMemory, times: Times) -> list[tuple[str, act.Action]]:
    """Return what is to be set, as (array name, action) pairs."""
    actions: list[tuple[str, act.Action]] = []
    for array, path in _ours(snapshot, owned):
        for name, wanted in dataclasses.asdict(times).items():
            now = getattr(path, name)
            if (wanted and now is not None and not 0.0 < now <= wanted
                    and memory.tried.get((path.name, name)) != wanted):
                actions.append((array, _KINDS[name](
                    'so that a loss and its end are noticed sooner; %g s was '
                    'set' % now, path.name, float(round(wanted)))))
    return actions


def after(snapshot: snapshots.HostSnapshot, memory: TuningMemory,
          tried: Iterable[act.Action]) -> TuningMemory:
    """Return the memory once these were tried."""
    found, done = dict(memory.found), dict(memory.tried)
    for action in tried:
        for name, kind in _KINDS.items():
            path = snapshot.controller(getattr(action, 'controller', ''))
            if path is not None and isinstance(
                    action, kind) and isinstance(
                    action, act.SetKeepAlive | act.SetReconnectDelay):
                found.setdefault((path.name, name), getattr(path, name))
                done[path.name, name] = action.seconds
    return TuningMemory(found, done)


def restore(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
            memory: TuningMemory, times: Times
            ) -> list[tuple[str, act.Action]]:
    """Return what puts back what was found."""
    actions: list[tuple[str, act.Action]] = []
    for array, path in _ours(snapshot, owned):
        for name, ours in dataclasses.asdict(times).items():
            before = memory.found.get((path.name, name), DEFAULTS[name])
            if ours and getattr(path, name) == ours and before != ours:
                # 0 cannot be set again: it would be no bound
                actions.append((array, _KINDS[name](
                    'the agent stops', path.name,
                    before or DEFAULTS[name])))
    return actions


def _ours(snapshot: snapshots.HostSnapshot, owned: ownership.Owned
          ) -> Iterator[tuple[str, model.Controller]]:
    """Each connection once, with the first array that it serves."""
    for path in snapshot.controllers:
        arrays = [holder for namespace in snapshot.through(path.name)
                  for holder in namespace.holders if holder in owned.arrays]
        if arrays and path.live and connections.foreign_use(
                path.name, snapshot, owned) is None:
            yield arrays[0], path
