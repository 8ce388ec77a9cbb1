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
"""What to report, request and do for one volume; pure.

``decide`` is given the volume as the provisioner has it, the host as the
kernel shows it, and what was remembered; it returns what to do next and what
to remember.  It is called in every pass and emits one step at a time: each
step's precondition is read off the host, so that a step done twice, or an
agent killed between two steps, changes nothing.

A replica is *doomed* when the provisioner marked it TERMINATING, or when the
replacement that was requested for it has been assigned; the others are
*members* and belong into the array.  A replica that is merely no longer
listed is neither: unknown is not gone (S8).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

from os_brick.agent import action as act
from os_brick.agent import model
from os_brick.agent import rules

State = model.ReplicaState


class Ask(enum.Enum):
    """What the provisioner is asked to do."""

    REPLACE = 'replace'
    RETIRE = 'retire'
    CONFIRM = 'confirm'


@dataclasses.dataclass(frozen=True)
class Policy:
    """Seconds; see the options of the same names."""

    grace: float = 600.0
    repeat: float = 600.0


@dataclasses.dataclass(frozen=True)
class Memory:
    """What is remembered of a replica across passes and restarts.

    :ivar joined: it has been a leg of the array.
    :ivar reported: the state last put into the queue to the provisioner.
    :ivar bad_since: agent time since which it has not been a good leg.
    :ivar requested_at: agent time of the last request for a replacement.
    :ivar known: the replicas that were listed when it was first requested.
    :ivar retry_at: agent time before which it is not requested again.
    :ivar successor: the replica that was assigned in its place.
    :ivar failed: why its target or namespace cannot be used, '' if it can.
    """

    joined: bool = False
    reported: State | None = None
    reported_at: float = 0.0
    bad_since: float | None = None
    requested_at: float | None = None
    known: tuple[str, ...] = ()
    retry_at: float = 0.0
    attempts: int = 0
    successor: str | None = None
    retired: bool = False
    confirmed: bool = False
    failed: str = ''


Memories = Mapping[str, Memory]


@dataclasses.dataclass(frozen=True)
class Report:
    replica_uuid: str
    state: State


@dataclasses.dataclass(frozen=True)
class Request:
    ask: Ask
    replica_uuid: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Decision:
    """:ivar targets_for: replicas whose targets are needed next time."""

    memories: Memories
    reports: tuple[Report, ...] = ()
    requests: tuple[Request, ...] = ()
    actions: tuple[act.Action, ...] = ()
    targets_for: frozenset[str] = frozenset()


def decide(volume: model.Volume, array: model.Array,
           snapshot: model.HostSnapshot, memories: Memories, now: float,
           policy: Policy, wanted: frozenset[str]) -> Decision:
    """Return the next step for one volume.

    :param now: agent time, which goes on across restarts and never back.
    :param wanted: replicas of all volumes that are not to be let go.
    """
    turn = _Turn(volume, array, snapshot, dict(memories), now, policy,
                 wanted)
    turn.remember(first=not memories)
    return Decision(turn.memories, tuple(turn.reports()),
                    tuple(turn.requests()), tuple(turn.actions()[:1]),
                    frozenset(turn.targets_for()))


class _Turn:
    """One call of ``decide``: the arguments, and the questions to them."""

    def __init__(self, volume: model.Volume, array: model.Array,
                 snapshot: model.HostSnapshot, memories: dict[str, Memory],
                 now: float, policy: Policy, wanted: frozenset[str]) -> None:
        self.volume = volume
        self.array = array
        self.snapshot = snapshot
        self.memories = memories
        self.now = now
        self.policy = policy
        self.wanted = wanted

    # what is

    def local(self, replica: model.Replica) -> State:
        """The replica's state as this host sees it."""
        leg = self.array.leg_of(replica.uuid)
        namespace = self.snapshot.namespace(leg.device) if leg else None
        if (leg is None or leg.faulty or namespace is None
                or not self.snapshot.reachable(namespace)):
            return State.MISSING
        return State.AVAILABLE if leg.in_sync else State.SYNCHRONIZING

    def doomed(self, replica: model.Replica) -> bool:
        successor = self.memories[replica.uuid].successor
        return (replica.state is State.TERMINATING
                or self.volume.replica(successor) is not None)

    @property
    def members(self) -> list[model.Replica]:
        return [replica for replica in self.volume.replicas
                if not self.doomed(replica)]

    @property
    def leaving(self) -> list[model.Replica]:
        return [replica for replica in self.volume.replicas
                if self.doomed(replica)]

    @property
    def goal(self) -> int:
        """How many legs the array is meant to have."""
        return self.volume.replica_count or len(self.members)

    @property
    def healthy(self) -> bool:
        return any(self.snapshot.good(leg) for leg in self.array.legs)

    def grace(self) -> float | None:
        """Seconds a replica may be bad; None: no replacement, ever."""
        down_time = self.volume.max_replica_down_time
        if down_time is None:
            return self.policy.grace
        return down_time or None

    # what is remembered

    def remember(self, first: bool) -> None:
        for replica in self.volume.replicas:
            memory = self.memories.get(replica.uuid, Memory(joined=first))
            state = self.local(replica)
            if state is not State.MISSING:
                memory = dataclasses.replace(
                    memory, joined=True, bad_since=None, failed='')
            elif memory.bad_since is None and (memory.joined
                                               or memory.failed):
                memory = dataclasses.replace(memory, bad_since=self.now)
            if memory.requested_at is not None and not memory.successor:
                memory = dataclasses.replace(
                    memory, successor=self._successor(memory))
            if state is State.AVAILABLE and not memory.successor:
                # it came back before anything was assigned in its place
                memory = dataclasses.replace(
                    memory, requested_at=None, known=(), attempts=0,
                    retry_at=0.0)
            self.memories[replica.uuid] = memory

    def _successor(self, memory: Memory) -> str | None:
        taken = {other.successor for other in self.memories.values()}
        for replica in self.volume.replicas:
            if replica.uuid not in memory.known + tuple(
                    uuid for uuid in taken if uuid):
                return replica.uuid
        return None

    # what is told

    def reports(self) -> list[Report]:
        reports = []
        for replica in self.volume.replicas:
            memory = self.memories[replica.uuid]
            state = self.local(replica)
            if replica.state is State.TERMINATING or memory.confirmed:
                continue
            if state is State.MISSING and memory.bad_since is None:
                continue    # new, and on its way into the array
            if memory.reported is None and replica.state is state:
                self.memories[replica.uuid] = dataclasses.replace(
                    memory, reported=state, reported_at=self.now)
                continue
            overdue = (replica.state is not state and self.now
                       >= memory.reported_at + self.policy.repeat)
            if memory.reported is not state or overdue:
                reports.append(Report(replica.uuid, state))
                self.memories[replica.uuid] = dataclasses.replace(
                    memory, reported=state, reported_at=self.now)
        return reports

    def requests(self) -> list[Request]:
        requests = []
        grace = self.grace()
        for replica in self.members:
            memory = self.memories[replica.uuid]
            if (grace is None or memory.bad_since is None
                    or self.now < memory.bad_since + grace
                    or self.now < memory.retry_at or not self.healthy
                    or self._surplus(replica)):
                continue
            requests.append(Request(
                Ask.REPLACE, replica.uuid,
                'bad for %d s, longer than the grace period of %d s' % (
                    self.now - memory.bad_since, grace)))
        for replica in self.volume.replicas:
            memory = self.memories[replica.uuid]
            if self.array.leg_of(replica.uuid) is not None:
                continue
            if replica.state is State.TERMINATING:
                if not memory.confirmed and not self._connections(replica):
                    requests.append(Request(
                        Ask.CONFIRM, replica.uuid,
                        'it has left the array'))
            elif not memory.retired and (
                    self.doomed(replica) or self._surplus(replica)) and (
                    self.array.whole and self._succeeded(memory)):
                requests.append(Request(
                    Ask.RETIRE, replica.uuid,
                    'the array is whole without it'))
        return requests

    def _surplus(self, replica: model.Replica) -> bool:
        """All places are taken by other replicas, and this one is bad."""
        others = [other for other in self.members
                  if self.local(other) is State.AVAILABLE]
        return (self.local(replica) is State.MISSING
                and self.volume.replica_count is not None
                and len(others) >= self.volume.replica_count)

    def _succeeded(self, memory: Memory) -> bool:
        successor = self.volume.replica(memory.successor)
        return (successor is None
                or self.local(successor) is State.AVAILABLE)

    # what is done

    def actions(self) -> list[act.Action]:
        return (self._remove_faulty() or self._exchange() or self._add()
                or self._grow() or self._let_go() or self._shrink()
                or self._connect() or self._disconnect())

    def _remove_faulty(self) -> list[act.Action]:
        return [act.RemoveLeg('md dropped it', self.array.name, leg.device)
                for leg in self.array.legs
                if leg.faulty and 'blocked' not in leg.flags]

    def _spares(self) -> list[model.Leg]:
        return [leg for leg in self.array.legs
                if leg.slot is None and not leg.faulty and not leg.in_sync
                and self.volume.replica(leg.replica_uuid) in self.members]

    def _doomed_legs(self) -> list[tuple[model.Replica, model.Leg]]:
        pairs = [(replica, self.array.leg_of(replica.uuid))
                 for replica in self.leaving]
        return [(replica, leg) for replica, leg in pairs
                if leg is not None and leg.in_sync]

    def _exchange(self) -> list[act.Action]:
        if self.array.sync_action != 'idle' or not self.array.whole:
            return []
        return [act.ReplaceLeg(
            'replica %s takes the place of %s' % (
                spare.replica_uuid, replica.uuid),
            self.array.name, leg.device, spare.device)
            for (replica, leg), spare in zip(self._doomed_legs(),
                                             self._spares())
            if 'want_replacement' not in leg.flags]

    def _free_places(self) -> int:
        """Empty slots, doomed legs to exchange, and slots to grow by."""
        working = [leg for leg in self.array.legs if not leg.faulty]
        return (max(self.array.raid_disks, self.goal) - len(working)
                + len(self._doomed_legs()))

    def _add(self) -> list[act.Action]:
        if self._free_places() <= 0 or not self.healthy:
            return []
        actions: list[act.Action] = []
        for replica in self.members:
            namespace = self.snapshot.namespace_of(replica.uuid)
            if (self.array.leg_of(replica.uuid) is not None
                    or namespace is None
                    or not self.snapshot.reachable(namespace)):
                continue
            why = rules.unusable(namespace, self.array)
            memory = self.memories[replica.uuid]
            if why != (memory.failed or None):
                self.memories[replica.uuid] = dataclasses.replace(
                    memory, failed=why or '')
            if why is None:
                verb = 'came back' if memory.joined else 'is assigned'
                actions.append(act.AddLeg(
                    'replica %s %s' % (replica.uuid, verb), self.array.name,
                    namespace.device, replica.uuid, memory.joined))
        return actions

    def _grow(self) -> list[act.Action]:
        if (self._spares() and self.array.whole and not self._doomed_legs()
                and self.array.raid_disks < self.goal
                and self.array.sync_action == 'idle'):
            return [act.Resize(
                'the volume has %d replicas' % self.goal, self.array.name,
                self.array.raid_disks + 1)]
        return []

    def _let_go(self) -> list[act.Action]:
        """Drop a TERMINATING leg that nothing will take the place of."""
        coming = [replica for replica in self.members
                  if self.local(replica) is not State.AVAILABLE]
        if coming or self.array.sync_action != 'idle':
            return []
        if self.goal > len(self.members):
            return []   # its successor has not been assigned yet
        return [act.FailLeg(
            'replica %s is to be terminated' % replica.uuid,
            self.array.name, leg.device)
            for replica, leg in self._doomed_legs()
            if replica.state is State.TERMINATING
            and rules.other_good(self.array, leg, self.snapshot)]

    def _shrink(self) -> list[act.Action]:
        if (self.goal < self.array.raid_disks
                and len(self.array.in_sync) == self.goal
                and len(self.array.legs) == self.goal
                and self.array.sync_action == 'idle'):
            return [act.Resize(
                'the volume has %d replicas' % self.goal, self.array.name,
                self.goal)]
        return []

    def targets_for(self) -> list[str]:
        return [replica.uuid for replica in self.members
                if self.local(replica) is State.MISSING]

    def _connect(self) -> list[act.Action]:
        actions: list[act.Action] = []
        for replica in self.members:
            target = replica.target
            namespace = self.snapshot.namespace_of(replica.uuid)
            if target is None or (namespace is not None and
                                  self.snapshot.reachable(namespace)):
                continue
            connected = {controller.portal
                         for controller in self.snapshot.controllers
                         if controller.nqn == target.nqn}
            portals = tuple(portal for portal in target.portals
                            if portal not in connected)
            if portals:
                actions.append(act.Connect(
                    'replica %s is not connected' % replica.uuid,
                    replica.uuid, target, portals))
        return actions

    def _connections(self, replica: model.Replica) -> list[str]:
        """Controllers of a doomed replica that nobody needs any more."""
        namespace = self.snapshot.namespace_of(replica.uuid)
        if namespace is None or self.array.leg_of(replica.uuid):
            return []
        needless = []
        for path in self.snapshot.paths(namespace):
            behind = [other for other in self.snapshot.namespaces
                      if path.name in other.controllers]
            if not any(other.holders or other.in_use
                       or other.uuid in self.wanted for other in behind):
                needless.append(path.name)
        return needless

    def _disconnect(self) -> list[act.Action]:
        return [act.Disconnect(
            'replica %s was let go' % replica.uuid, controller)
            for replica in self.leaving
            if replica.state is State.TERMINATING
            for controller in self._connections(replica)]


def asked(memory: Memory, ask: Ask, volume: model.Volume,
          now: float) -> Memory:
    """Return the memory to save *before* the provisioner is asked (S7)."""
    if ask is Ask.REPLACE:
        return dataclasses.replace(
            memory, requested_at=now, attempts=memory.attempts + 1,
            known=memory.known or tuple(
                replica.uuid for replica in volume.replicas),
            retry_at=now + min(30.0 * 2 ** memory.attempts, 3600.0))
    return memory


def answered(memory: Memory, ask: Ask) -> Memory:
    """Return the memory to save after the provisioner has accepted."""
    if ask is Ask.RETIRE:
        return dataclasses.replace(memory, retired=True)
    if ask is Ask.CONFIRM:
        return dataclasses.replace(memory, confirmed=True)
    # accepted: never again for this fault, however long it takes
    return dataclasses.replace(memory, retry_at=float('inf'))


def unusable(memory: Memory, why: str) -> Memory:
    """Return the memory to save after its target could not be connected."""
    return dataclasses.replace(memory, failed=why)
