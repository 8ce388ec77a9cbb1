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
"""Over which of its paths the kernel sends a target's I/O; pure.

With the kernel's own policy one path carries all I/O, and the others carry
keep-alive commands only.  When the target falls silent such a command may be
under way on one of them, for which the kernel waits (see doc, guard).  A path
that carries I/O has none.

The laws:

* Only what the kernel does by itself (``numa``) is changed, and what was
  changed here: any other policy is somebody's wish.
* Only for namespaces that are reached by several paths, and only targets each
  connection of which carries replicas of this provisioner's volumes and
  nothing else (S4).
* What the kernel refuses is asked for again only when the wish is another, or
  the connections are.
* What was changed is put back when the agent stops, or it is wanted no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership

#: What the kernel does where nobody says otherwise.
DEFAULT = 'numa'
#: Target (NQN) -> what the kernel does.
Subsystems = Mapping[str, model.Subsystem]


@dataclasses.dataclass(frozen=True)
class Tried:
    """The last policy that was set, or tried.

    :ivar paths: the connections at that time, by name and identity.
    """

    policy: str
    paths: frozenset[tuple[str, int]]


@dataclasses.dataclass(frozen=True)
class SpreadMemory:
    """Target (NQN) -> what was tried."""

    tried: Mapping[str, Tried] = dataclasses.field(default_factory=dict)

    def changed(self, nqn: str, subsystem: model.Subsystem) -> bool:
        """Its policy is what was set here."""
        tried = self.tried.get(nqn)
        return (tried is not None and tried.policy == subsystem.policy
                and subsystem.policy != DEFAULT)


def matters(snapshot: snapshots.HostSnapshot, memory: SpreadMemory) -> bool:
    """Whether anything may be to set: else nobody need look how it is."""
    return bool(memory.tried) or any(
        len(namespace.controllers) > 1 for namespace in snapshot.namespaces)


def decide(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
           subsystems: Subsystems, memory: SpreadMemory,
           policy: str) -> list[tuple[str, act.Action]]:
    """Return what is to be set, as (array name, action) pairs.

    :param policy: what is wanted; '': as it is found.
    """
    actions: list[tuple[str, act.Action]] = []
    for array, nqn, subsystem in _ours(snapshot, owned, subsystems):
        if not memory.changed(nqn, subsystem) and (
                subsystem.policy != DEFAULT or not _several(snapshot, nqn)):
            continue
        wanted = policy or DEFAULT
        if subsystem.policy != wanted and memory.tried.get(nqn) != Tried(
                wanted, _paths(snapshot, nqn)):
            actions.append((array, act.SetIoPolicy(
                'so that no path is idle; it was %s' % subsystem.policy
                if policy else 'nothing else is wanted any more',
                subsystem.name, nqn, wanted)))
    return actions


def after(snapshot: snapshots.HostSnapshot, memory: SpreadMemory,
          tried: Iterable[act.Action]) -> SpreadMemory:
    """Return the memory once these were tried."""
    return SpreadMemory({
        **{nqn: one for nqn, one in memory.tried.items()
           if _paths(snapshot, nqn)},
        **{action.nqn: Tried(action.policy, _paths(snapshot, action.nqn))
           for action in tried if isinstance(action, act.SetIoPolicy)}})


def restore(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
            subsystems: Subsystems, memory: SpreadMemory
            ) -> list[tuple[str, act.Action]]:
    """Return what puts back what was found."""
    return [(array, act.SetIoPolicy('the agent stops', subsystem.name, nqn,
                                    DEFAULT))
            for array, nqn, subsystem in _ours(snapshot, owned, subsystems)
            if memory.changed(nqn, subsystem)]


def _ours(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
          subsystems: Subsystems
          ) -> Iterator[tuple[str, str, model.Subsystem]]:
    """Each target that serves arrays alone, with the first of these."""
    for nqn, subsystem in sorted(subsystems.items()):
        names = [path.name for path in snapshot.connected(nqn)]
        arrays = [holder for namespace in snapshot.through(*names)
                  for holder in namespace.holders if holder in owned.arrays]
        if arrays and all(
                connections.foreign_use(name, snapshot, owned) is None
                for name in names):
            yield arrays[0], nqn, subsystem


def _several(snapshot: snapshots.HostSnapshot, nqn: str) -> bool:
    """The kernel has a choice; without native multipath it never has."""
    return any(len(namespace.controllers) > 1 for namespace
               in snapshot.through(*(
                   path.name for path in snapshot.connected(nqn))))


def _paths(snapshot: snapshots.HostSnapshot,
           nqn: str) -> frozenset[tuple[str, int]]:
    return frozenset((path.name, path.identity)
                     for path in snapshot.connected(nqn))
