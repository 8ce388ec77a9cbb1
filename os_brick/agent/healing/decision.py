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

What is remembered is defined in ``replica_record`` and brought up to date in
``observing``; what a replica is, and is meant to be, is said in
``volume_view``; what is done on the host, in ``planning``.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from os_brick.agent.healing import blame
from os_brick.agent.healing import connecting
from os_brick.agent.healing import custody
from os_brick.agent.healing import observing
from os_brick.agent.healing import planning
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import farewell
from os_brick.agent.safety import ownership

State = model.ReplicaState
RequestKind = replica_record.RequestKind
ReplicaRecords = replica_record.ReplicaRecords
ReplicaRecord = replica_record.ReplicaRecord
HealingPolicy = replica_record.HealingPolicy
answered = replica_record.answered
asked = replica_record.asked
unusable = replica_record.unusable
diverged = replica_record.diverged
chosen = replica_record.chosen
detached = replica_record.detached
closed = replica_record.closed
put_in = replica_record.put_in
departure = custody.departure
anew = replica_record.anew
unmarked = replica_record.unmarked


@dataclasses.dataclass(frozen=True)
class Report:
    """A replica's state, for the provisioner."""

    replica_uuid: str
    state: State


@dataclasses.dataclass(frozen=True)
class Request:
    """What the provisioner is to be asked, and why."""

    ask: RequestKind
    replica_uuid: str
    reason: str


@dataclasses.dataclass(frozen=True)
class HealingDecision:
    """What to do next for a volume, and what to remember.

    :ivar targets_wanted: replicas whose targets are needed next time.
    :ivar actions: independent of one another: each is to be tried.
    :ivar due_in: seconds after which a replica's grace period ends, None
        where none runs.
    :ivar settled: all is as it should be, for as long as nothing changes; time
        alone changes nothing.
    :ivar alarm: why no copy may be touched, '' where that is not so (S10).
    :ivar held: replica -> seconds for which it is not put back yet (S13).
    :ivar doubt: why the provisioner's word is not acted on, '' if it is (S8).
    :ivar ended: why no replacement is requested any more, '' if one is.
    :ivar observes: why another host does the healing, '' if none does (S12).
    """

    records: ReplicaRecords
    reports: tuple[Report, ...] = ()
    requests: tuple[Request, ...] = ()
    actions: tuple[act.Action, ...] = ()
    targets_wanted: frozenset[str] = frozenset()
    settled: bool = False
    due_in: float | None = None
    alarm: str = ''
    held: Mapping[str, float] = dataclasses.field(default_factory=dict)
    doubt: str = ''
    observes: str = ''
    ended: str = ''


def decide(volume: model.Volume, array: model.Array,
           snapshot: snapshots.HostSnapshot, records: ReplicaRecords,
           now: float, policy: HealingPolicy, staying: frozenset[str],
           owned: ownership.Owned = ownership.Owned(),
           attached: bool = False, owing: bool = False,
           faults: blame.HostFaults = blame.NONE,
           elsewhere: bool = False) -> HealingDecision:
    """Return the next steps for one volume.

    :param now: agent time, which goes on across restarts and never back.
    :param staying: replicas of all volumes that are not to be let go.
    :param owned: a connection that carries anything else is not
        disconnected.
    :param attached: the array has come up since the last decision.
    :param owing: reports of the volume are still to be sent.
    :param faults: what is known to be wrong with this host.
    :param elsewhere: it is not listed for this host: another one may have it.
    """
    view = volume_view.VolumeView(volume, array, snapshot, records, now,
                                  policy, attached, faults, elsewhere)
    view = view.with_records(observing.observe(view))
    if volume.observe:
        return HealingDecision(
            replica_record.standing_still(view.records, records),
            observes='this host only observes it: ' + volume.observe)
    view = view.with_records(custody.follow(view, attached, owing))
    alarm = custody.alarm(view)
    if alarm:
        return _held(view.with_records(replica_record.standing_still(
            view.records, records)), alarm)
    if view.nonsense:
        return HealingDecision(view.records, doubt=view.nonsense)
    plan = planning.Plan(view, staying, owned)
    actions = tuple(plan.all())
    view = view.with_records(replica_record.with_failures(
        view.records, plan.failures()))
    needless = {replica.uuid: connecting.needless(view, replica, staying,
                                                  owned)
                for replica in volume.replicas
                if replica.state is State.TERMINATING}
    adding = {action.replica_uuid for action in actions
              if isinstance(action, act.AddLeg)}
    # what is put in now is not let go of in the same breath (S5)
    requests = (*_replacements(view), *(
        request for request in _farewells(view, needless)
        if request.replica_uuid not in adding))
    records, reports = _reported(view)
    targets_wanted = _targets_wanted(view)
    settled = not (actions or requests or reports or targets_wanted) and all(
        replica.state is State.AVAILABLE
        and view.local(replica) is State.AVAILABLE
        for replica in volume.replicas)
    held = _waiting(view)
    return HealingDecision(
        records, reports, requests, actions, targets_wanted, settled,
        min((*filter(None, map(view.due_in, view.members)), *held.values()),
            default=None), held=held, ended=view.ended)


def _held(view: volume_view.VolumeView, alarm: str) -> HealingDecision:
    """Touch no copy; connect, so that all of them can be looked at.

    Of a current copy that the array lacks nothing is told: for the
    provisioner it is to stay what it was.  A stale one is not AVAILABLE.
    """
    records, reports = _reported(view)
    hidden = {uuid for uuid, record in view.records.items()
              if record.current and uuid not in custody.in_sync(view)
              or record.divergent}
    records = {uuid: view.records[uuid] if uuid in hidden else record
               for uuid, record in records.items()}
    return HealingDecision(
        records, tuple(report for report in reports
                       if report.replica_uuid not in hidden),
        actions=tuple(connecting.connect(view)),
        targets_wanted=_targets_wanted(view), alarm=alarm)


def _waiting(view: volume_view.VolumeView) -> dict[str, float]:
    """Return those that are wanted back, and for how long not yet (S13)."""
    return {replica.uuid: seconds for replica in view.volume.replicas
            if not view.array.filled and replica.state is not State.TERMINATING
            and not view.records[replica.uuid].retired
            and (seconds := view.held(replica))}


def _targets_wanted(view: volume_view.VolumeView) -> frozenset[str]:
    """Replicas to be connected; none where no leg is live from here (S12).

    Then access may have been withdrawn, and is not to be asked for again.
    What is looked for a driver takes to be lost: a leg that lacks a path
    comes after those that are.
    """
    if not view.healthy:
        return frozenset()
    wanted = connecting.wanted(view)
    return frozenset(
        replica.uuid for replica in wanted
        if view.local(replica) is State.MISSING) or frozenset(
        replica.uuid for replica in wanted
        if connecting.paths_had(view, replica))


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


def _reported(view: volume_view.VolumeView
              ) -> tuple[ReplicaRecords, tuple[Report, ...]]:
    """Return the reports that are due, and the records once they are made."""
    records, reports = dict(view.records), []
    for replica in view.volume.replicas:
        record, state = records[replica.uuid], view.local(replica)
        if record.stale:
            state = State.MISSING
        if replica.state is State.TERMINATING:
            continue
        if (state is State.MISSING and not record.joined
                and not record.failed and not view.due(replica)):
            continue    # new, and on its way into the array
        # what the provisioner said before it was told anything need not be
        agreed = record.reported is None and replica.state is state
        overdue = (replica.state is not state and view.now
                   >= record.reported_at + view.policy.repeat)
        if agreed or record.reported is not state or overdue:
            records[replica.uuid] = dataclasses.replace(
                record, reported=state, reported_at=view.now)
            if not agreed:
                reports.append(Report(replica.uuid, state))
    return records, tuple(reports)


def _replacements(view: volume_view.VolumeView) -> Iterator[Request]:
    for replica in view.members:
        record = view.records[replica.uuid]
        patience = view.patience(replica)
        if (view.due(replica) and view.now >= record.retry_at
                and patience is not None and record.down >= patience
                and view.healthy and not view.surplus(replica)
                and not view.excused(replica)):
            yield Request(
                RequestKind.REPLACE, replica.uuid,
                '%s for %d s, longer than the grace period of %d s%s' % (
                    'incomplete (bad blocks)' if view.incomplete(replica)
                    else 'bad', record.down, patience, record.fruitless and
                    ' (doubled for each of %d replacements that were of no '
                    'use)' % record.fruitless or ''))


def _farewells(view: volume_view.VolumeView,
               needless: Mapping[str, list[str]]) -> Iterator[Request]:
    """:param needless: replica that is to go -> controllers to give up.

    A provisioner that goes on listing what it was told of has forgotten it:
    it was restored from a backup, say.  It is told again.

    What came for a leg that lacks blocks may have taken another place: the leg
    leaves the array once it is TERMINATING.
    """
    for replica in view.volume.replicas:
        record = view.records[replica.uuid]
        if view.leg(replica) is not None and (
                replica.state is State.TERMINATING
                or not view.incomplete(replica)):
            continue
        forgotten = view.now >= record.farewell_at + view.policy.repeat
        if replica.state is State.TERMINATING:
            if (forgotten or not record.confirmed) and _let_go(
                    view, needless[replica.uuid], replica):
                yield Request(RequestKind.CONFIRM, replica.uuid,
                              'it has left the array')
        elif record.retired and not forgotten:
            continue
        elif farewell.whole_but_for(
                replica.uuid, view.array, view.volume) and (
                view.doomed(replica) and view.succeeded(replica)
                or view.due(replica) and view.surplus(replica)):
            yield Request(RequestKind.RETIRE, replica.uuid,
                          'the array is whole without it')
        elif view.due(replica) and view.superseded(replica):
            # a provisioner may list no more until this one has gone
            yield Request(RequestKind.RETIRE, replica.uuid,
                          'its replacement is in sync')


def _let_go(view: volume_view.VolumeView, needless: list[str],
            replica: model.Replica) -> bool:
    """Nothing on this host holds on to the replica any more (S5)."""
    owners = {record.device for uuid, record in view.records.items()
              if uuid != replica.uuid}
    if any(leg.replica_uuid is None and leg.device.startswith('nvme')
           and leg.device not in owners for leg in view.array.legs):
        return False    # that leg may be this replica, its device vanished
    namespace = view.snapshot.namespace_of(replica.uuid)
    return (not needless and (
        namespace is None
        or not namespace.holders and not namespace.in_use))
