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
"""What to do next for one volume on this host; pure.

Each step's precondition is read off the host.  What is returned together is
independent: a step that fails, in this pass and every pass, does not keep
the others from being taken.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules

State = model.ReplicaState


class Plan:
    """The steps that one outlook asks for.

    :ivar failed: replica -> why its namespace cannot be used, '' if it can.
    """

    def __init__(self, view: volume_view.VolumeView, staying: frozenset[str],
                 owned: ownership.Owned) -> None:
        self.view = view
        self.volume = view.volume
        self.array = view.array
        self.snapshot = view.snapshot
        self.staying = staying
        self.owned = owned.and_of(view.volume)
        self.failed: dict[str, str] = {}

    def all(self) -> list[act.Action]:
        """What can be done at once, the array before the connections."""
        steps: list[act.Action] = []
        steps += self._fail_dead()
        steps += self._release()
        steps += self._remove()
        steps += (self._add() or self._exchange() or self._grow()
                  or self._let_go()[:1] or self._shrink())
        steps += self._disconnect()
        steps += self._connect()
        return steps

    # legs that are lost

    def _fail_dead(self) -> list[act.Action]:
        """Have md drop what it has not noticed to be dead.

        An idle array learns of a dead leg with the next write only, and a
        busy one waits for it; until then the leg holds a place.
        """
        steps: list[act.Action] = []
        for replica in self.volume.replicas:
            leg = self.view.leg(replica)
            if (leg is None or leg.faulty
                    or self.view.local(replica) is not State.MISSING
                    or not rules.other_good(self.array, leg, self.snapshot)):
                continue
            if self.snapshot.behind(leg) is None:
                why = 'its device has vanished'
            elif self.view.doomed(replica) or self.view.due(replica):
                why = 'its target is lost and it is to be replaced'
            else:
                continue
            steps.append(act.FailLeg(
                'replica %s: %s' % (replica.uuid, why), self.array.name,
                leg.device))
        return steps

    def _release(self) -> list[act.Action]:
        """End the I/O that hangs on a leg which will not be waited for."""
        steps: list[act.Action] = []
        for replica in self.volume.replicas:
            leg = self.view.leg(replica)
            namespace = self.snapshot.behind(leg) if leg else None
            if (leg is None or namespace is None
                    or not {'faulty', 'blocked'} <= leg.flags
                    or self.snapshot.reachable(namespace)
                    or not (self.view.doomed(replica)
                            or self.view.due(replica))):
                continue
            for path in self.snapshot.paths(namespace):
                # what other arrays wait for is not this volume's to end
                mine = dataclasses.replace(self.owned, arrays=frozenset(
                    [self.array.name]))
                step = act.Disconnect(
                    'I/O to the lost replica %s hangs' % replica.uuid,
                    path.name)
                if path.state == 'connecting' and rules.refusal(
                        step, self.volume, self.snapshot, mine) is None:
                    steps.append(step)
        return steps

    def _remove(self) -> list[act.Action]:
        steps: list[act.Action] = [
            act.RemoveLeg('md dropped it', self.array.name, leg.device)
            for leg in self.array.legs
            if leg.faulty and 'blocked' not in leg.flags]
        return steps + [
            act.RemoveLeg('the array is whole without it', self.array.name,
                          leg.device) for leg in self._needless_spares()]

    # legs that wait

    def _spares(self, uuids: list[str]) -> list[model.Leg]:
        """Those that are listed by md and in no slot."""
        return [leg for leg in self._legs(uuids) if leg.slot is None
                and not leg.faulty and not leg.in_sync]

    def _legs(self, uuids: list[str]) -> list[model.Leg]:
        legs = [self.array.leg_of(uuid) for uuid in uuids]
        return [leg for leg in legs if leg is not None]

    def _successors(self) -> list[model.Leg]:
        """Spares that are to get a place."""
        return self._spares([replica.uuid for replica in self.view.members
                             if self.view.reachable(replica)])

    def _needless_spares(self) -> list[model.Leg]:
        """Spares that have no place: udev put them back, say."""
        if not self._settled() or any(
                self.volume.replica(leg.replica_uuid) is None
                and leg.replica_uuid not in self.view.departed
                for leg in self.array.legs if leg.slot is not None):
            return []
        doomed = self._spares(self._doomed())
        if self._doomed_legs() or self.array.raid_disks < self.view.goal:
            return doomed
        return doomed + self._spares([replica.uuid for replica
                                      in self.view.members])

    def _doomed(self) -> list[str]:
        return [replica.uuid for replica in self.view.leaving
                ] + self.view.departed

    def _doomed_legs(self) -> list[model.Leg]:
        return [leg for leg in self._legs(self._doomed()) if leg.in_sync]

    def _settled(self) -> bool:
        return self.array.sync_action == 'idle' and self.array.whole

    # legs that come

    def _free_places(self) -> int:
        """Empty slots, doomed legs to exchange, and slots to grow by."""
        return (max(self.array.raid_disks, self.view.goal)
                - len(self._working()) + len(self._doomed_legs()))

    def _working(self) -> list[model.Leg]:
        """Legs that have, or can take, a place."""
        return [leg for leg in self.array.legs if not leg.faulty and (
            leg.slot is not None or self.snapshot.behind(leg) is not None)]

    def _add(self) -> list[act.Action]:
        if not self.view.healthy:
            return []
        steps = [step for replica in self.view.members
                 for step in self._add_replica(replica)]
        steps = steps[:max(self._free_places(), 0)]
        if not steps and len(self._working()) < self.array.raid_disks:
            # a copy that came back is worth more than one still to come
            steps = [step for replica in self.view.leaving
                     if replica.state is not State.TERMINATING
                     and not self.view.records[replica.uuid].retired
                     for step in self._add_replica(replica)][:1]
        return steps

    def _add_replica(self, replica: model.Replica) -> list[act.Action]:
        namespace = self.snapshot.namespace_of(replica.uuid)
        if (self.view.leg(replica) is not None or namespace is None
                or not self.snapshot.reachable(namespace)):
            return []
        why = rules.unusable(namespace, self.array)
        self.failed[replica.uuid] = why or ''
        if why is not None:
            return []
        joined = self.view.records[replica.uuid].joined
        return [act.AddLeg(
            'replica %s %s' % (replica.uuid,
                               'came back' if joined else 'is assigned'),
            self.array.name, namespace.device, replica.uuid, joined)]

    def _exchange(self) -> list[act.Action]:
        if not self._settled():
            return []
        steps: list[act.Action] = [
            act.ReplaceLeg('replica %s takes the place of %s' % (
                spare.replica_uuid, leg.replica_uuid),
                self.array.name, leg.device, spare.device)
            for leg, spare in zip(self._doomed_legs(), self._successors())
            if 'want_replacement' not in leg.flags
            and rules.other_good(self.array, leg, self.snapshot)]
        return steps[:1]

    # the number of legs

    def _grow(self) -> list[act.Action]:
        doomed = self._doomed_legs()
        # the only leg is never exchanged: another one comes beside it first
        only = bool(doomed) and not any(
            rules.other_good(self.array, leg, self.snapshot)
            for leg in doomed)
        if (self._settled() and self._successors() and (only or not doomed)
                and self.array.raid_disks < self.view.goal + only):
            return [act.Resize(
                'the volume has %d replicas' % self.view.goal + (
                    ', and its only leg is to leave' if only else ''),
                self.array.name, self.array.raid_disks + 1)]
        return []

    def _let_go(self) -> list[act.Action]:
        """Drop a TERMINATING leg that nothing will take the place of."""
        if (self.array.sync_action != 'idle'
                or self.view.goal > len(self.view.members)
                or any(self.view.local(replica) is not State.AVAILABLE
                       for replica in self.view.members)):
            return []
        return [act.FailLeg(
            'replica %s is to be terminated' % leg.replica_uuid,
            self.array.name, leg.device)
            for leg in self._legs([
                replica.uuid for replica in self.view.leaving
                if replica.state is State.TERMINATING])
            if leg.in_sync and rules.other_good(self.array, leg,
                                                self.snapshot)]

    def _shrink(self) -> list[act.Action]:
        members = {replica.uuid for replica in self.view.members}
        goal = max(self.view.goal, len(members))
        if (goal < self.array.raid_disks
                and len(self.array.in_sync) == goal
                and {leg.replica_uuid for leg in self.array.legs} == members
                and self.array.sync_action == 'idle'):
            return [act.Resize('the volume has %d replicas' % goal,
                               self.array.name, goal)]
        return []

    # connections

    def _connect(self) -> list[act.Action]:
        steps: list[act.Action] = []
        for replica in self.view.members:
            target = replica.target
            if target is None or self.view.reachable(replica):
                continue
            connected = {controller.portal
                         for controller in self.snapshot.controllers
                         if controller.nqn == target.nqn}
            portals = tuple(portal for portal in target.portals
                            if portal not in connected)
            if portals:
                steps.append(act.Connect(
                    'replica %s is not connected' % replica.uuid,
                    replica.uuid, target, portals))
        return steps

    def needless(self, replica: model.Replica) -> list[str]:
        """Controllers of a doomed replica that nobody needs any more."""
        namespace = self.snapshot.namespace_of(replica.uuid)
        if namespace is None or self.view.leg(replica):
            return []
        found = []
        for path in self.snapshot.paths(namespace):
            behind = [other for other in self.snapshot.namespaces
                      if path.name in other.controllers]
            # one that is unknown may be in use without leaving a trace
            if not any(other.holders or other.in_use
                       or other.uuid in self.staying
                       or other.uuid not in self.owned.replicas
                       for other in behind):
                found.append(path.name)
        return found

    def _disconnect(self) -> list[act.Action]:
        return [act.Disconnect(
            'replica %s was let go' % replica.uuid, controller)
            for replica in self.view.leaving
            if replica.state is State.TERMINATING
            for controller in self.needless(replica)]


def save_failures(view: volume_view.VolumeView, steps: Plan) -> None:
    """Remember which namespaces cannot be used."""
    for uuid, why in steps.failed.items():
        if view.records[uuid].failed != why:
            view.records[uuid] = dataclasses.replace(view.records[uuid],
                                                     failed=why)
