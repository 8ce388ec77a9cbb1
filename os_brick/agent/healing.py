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
to remember.  It is called in every pass.  Each step's precondition is read
off the host, so that a step done twice, or an agent killed between two
steps, changes nothing.

What a replica is, and is meant to be, is said in ``outlook``; what is
remembered, in ``memory``; what is done on the host, in ``steps``.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from os_brick.agent import action as act
from os_brick.agent import memory as remembered
from os_brick.agent import model
from os_brick.agent import outlook
from os_brick.agent import snapshots
from os_brick.agent import steps

State = model.ReplicaState
Ask = remembered.Ask
Memories = remembered.Memories
Memory = remembered.Memory
Policy = remembered.Policy
answered = remembered.answered
asked = remembered.asked
unusable = remembered.unusable


@dataclasses.dataclass(frozen=True)
class Report:
    """A replica's state, for the provisioner."""

    replica_uuid: str
    state: State


@dataclasses.dataclass(frozen=True)
class Request:
    """What the provisioner is to be asked, and why."""

    ask: Ask
    replica_uuid: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Decision:
    """:ivar targets_for: replicas whose targets are needed next time.

    :ivar actions: independent of one another: each is to be tried.
    :ivar due_in: seconds after which a replica's grace period ends, None
        where none runs.
    :ivar calm: all is as it should be, for as long as nothing changes; time
        alone changes nothing.
    """

    memories: Memories
    reports: tuple[Report, ...] = ()
    requests: tuple[Request, ...] = ()
    actions: tuple[act.Action, ...] = ()
    targets_for: frozenset[str] = frozenset()
    calm: bool = False
    due_in: float | None = None


def decide(volume: model.Volume, array: model.Array,
           snapshot: snapshots.HostSnapshot, memories: Memories, now: float,
           policy: Policy, wanted: frozenset[str],
           known: frozenset[str] = frozenset()) -> Decision:
    """Return the next steps for one volume.

    :param now: agent time, which goes on across restarts and never back.
    :param wanted: replicas of all volumes that are not to be let go.
    :param known: all replicas of all volumes; a connection that carries
        anything else is not disconnected.
    """
    view = outlook.Outlook(volume, array, snapshot, memories, now, policy)
    plan = steps.Steps(view, wanted, known)
    actions = tuple(plan.all())
    steps.save_failures(view, plan)
    requests = tuple(_replacements(view)) + tuple(_farewells(view, plan))
    reports = tuple(_reports(view))
    targets_for = frozenset(
        replica.uuid for replica in view.members
        if view.local(replica) is State.MISSING)
    calm = not (actions or requests or reports or targets_for) and all(
        replica.state is State.AVAILABLE
        and view.local(replica) is State.AVAILABLE
        for replica in volume.replicas)
    return Decision(view.memories, reports, requests, actions, targets_for,
                    calm, min(filter(None, map(view.due_in, view.members)),
                              default=None))


def around(volume: model.Volume, array: model.Array,
           snapshot: snapshots.HostSnapshot) -> tuple[object, ...]:
    """Return what of the host, beside the array, a decision looks at.

    That is all if every replica is a leg that is AVAILABLE.
    """
    found: list[object] = []
    for uuid in [leg.replica_uuid for leg in array.legs] + [
            replica.uuid for replica in volume.replicas]:
        namespace = snapshot.namespace_of(uuid) if uuid else None
        found.append(namespace)
        if namespace is not None:
            found += snapshot.paths(namespace)
    return tuple(found)


def _reports(view: outlook.Outlook) -> Iterator[Report]:
    for replica in view.volume.replicas:
        memory = view.memories[replica.uuid]
        state = view.local(replica)
        if replica.state is State.TERMINATING:
            continue
        if (state is State.MISSING and not memory.joined
                and not memory.failed and not view.due(replica)):
            continue    # new, and on its way into the array
        told = dataclasses.replace(memory, reported=state,
                                   reported_at=view.now)
        if memory.reported is None and replica.state is state:
            view.memories[replica.uuid] = told
            continue
        overdue = (replica.state is not state and view.now
                   >= memory.reported_at + view.policy.repeat)
        if memory.reported is not state or overdue:
            view.memories[replica.uuid] = told
            yield Report(replica.uuid, state)


def _replacements(view: outlook.Outlook) -> Iterator[Request]:
    for replica in view.members:
        memory = view.memories[replica.uuid]
        if (view.due(replica) and view.now >= memory.retry_at
                and view.healthy and not view.surplus(replica)):
            yield Request(
                Ask.REPLACE, replica.uuid,
                'bad for %d s, longer than the grace period of %d s' % (
                    memory.down, view.grace() or 0))


def _farewells(view: outlook.Outlook,
               plan: steps.Steps) -> Iterator[Request]:
    for replica in view.volume.replicas:
        memory = view.memories[replica.uuid]
        if view.leg(replica) is not None:
            continue
        if replica.state is State.TERMINATING:
            if not memory.confirmed and _let_go(view, plan, replica):
                yield Request(Ask.CONFIRM, replica.uuid,
                              'it has left the array')
        elif memory.retired:
            continue
        elif view.array.whole and (
                view.doomed(replica) and view.succeeded(replica)
                or view.due(replica) and view.surplus(replica)):
            yield Request(Ask.RETIRE, replica.uuid,
                          'the array is whole without it')
        elif view.due(replica) and view.superseded(replica):
            # a provisioner may list no more until this one has gone
            yield Request(Ask.RETIRE, replica.uuid,
                          'its replacement is in sync')


def _let_go(view: outlook.Outlook, plan: steps.Steps,
            replica: model.Replica) -> bool:
    """Nothing on this host holds on to the replica any more (S5)."""
    owners = {memory.device for uuid, memory in view.memories.items()
              if uuid != replica.uuid}
    if any(leg.replica_uuid is None and leg.device.startswith('nvme')
           and leg.device not in owners for leg in view.array.legs):
        return False    # that leg may be this replica, its device vanished
    namespace = view.snapshot.namespace_of(replica.uuid)
    return (not plan.needless(replica) and (
        namespace is None
        or not namespace.holders and not namespace.in_use))
