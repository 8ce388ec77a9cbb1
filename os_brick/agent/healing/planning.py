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

from collections.abc import Sequence
import dataclasses

from os_brick.agent.healing import connecting
from os_brick.agent.healing import custody
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules

State = model.ReplicaState
_WHOLE = ('came back, and is copied whole: it was not seen in sync since this '
          'host began to write to the volume, and the write-intent bitmap may '
          'lack what another host wrote')
_CACHE = 'came back, and is copied whole (option returning_copies)'


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A replica that is here, and no leg of its array.

    :ivar why: why its namespace cannot be used, '' if it can.
    """

    replica: model.Replica
    namespace: model.Namespace
    why: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps that the view of a volume asks for.

    :ivar staying: replicas of all volumes that are not to be let go.
    :ivar owned: what on this host is the provisioner's.
    """

    view: volume_view.VolumeView
    staying: frozenset[str]
    owned: ownership.Owned

    @property
    def volume(self) -> model.Volume:
        return self.view.volume

    @property
    def array(self) -> model.Array:
        return self.view.array

    @property
    def snapshot(self) -> snapshots.HostSnapshot:
        return self.view.snapshot

    def all(self) -> list[act.Action]:
        """What can be done at once, the array before the connections."""
        steps: list[act.Action] = []
        steps += self._fail_dead()
        steps += connecting.release(self.view, self.owned)
        steps += self._remove()
        # a place that stays empty keeps all that is surplus, so it goes first
        steps += (self._add() or self._exchange() or self._grow()
                  or self._shrink() or self._let_go()[:1])
        steps += connecting.disconnect(self.view, self.staying, self.owned)
        steps += connecting.connect(self.view)
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
                    or not rules.spared(self.array, leg, self.snapshot)):
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
                ] + self.view.departed + self.view.dropped

    def _doomed_legs(self) -> list[model.Leg]:
        return [leg for leg in self._legs(self._doomed()) if leg.in_sync]

    def _settled(self) -> bool:
        return self.array.sync_action == 'idle' and self.array.filled

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
        return self._add_members() or [
            self._add_leg(arrival) for arrival in self._last_resorts()
            if not arrival.why][:1]

    def _add_members(self) -> list[act.Action]:
        return [self._add_leg(arrival) for arrival in self._newcomers()
                if not arrival.why][:max(self._free_places(), 0)]

    def _newcomers(self) -> list[Arrival]:
        return self._arrivals([replica for replica in self.view.members
                               if not self.view.surplus(replica)])

    def _last_resorts(self) -> list[Arrival]:
        """A copy that came back is worth more than one still to come."""
        if self._add_members() or len(
                self._working()) >= self.array.raid_disks:
            return []
        return self._arrivals(self.view.last_resorts)

    def _arrivals(self, replicas: Sequence[model.Replica]) -> list[Arrival]:
        found: list[Arrival] = []
        for replica in replicas if self.view.healthy else ():
            namespace = self.snapshot.namespace_of(replica.uuid)
            if (self.view.leg(replica) is None and namespace is not None
                    and self.snapshot.reachable(namespace)
                    and not self.view.held(replica)):
                found.append(Arrival(replica, namespace, rules.unusable(
                    namespace, self.array) or ''))
        return found

    def failures(self) -> dict[str, str]:
        """Replica -> why its namespace cannot be used, '' if it can."""
        return {arrival.replica.uuid: arrival.why for arrival
                in self._newcomers() + self._last_resorts()}

    def _add_leg(self, arrival: Arrival) -> act.Action:
        replica = arrival.replica
        record = self.view.records[replica.uuid]
        marked = self.view.marked(replica)
        why = ('is assigned' if not record.joined else _WHOLE if not marked
               else _CACHE if self.view.policy.whole else 'came back')
        return act.AddLeg(
            'replica %s %s' % (replica.uuid, why),
            self.array.name, arrival.namespace.device, replica.uuid,
            record.joined and marked and not self.view.policy.whole,
            record.given_up,
            custody.departure(self.view.records, replica.uuid),
            self.array.instance)

    def _exchange(self) -> list[act.Action]:
        if not self._settled():
            return []
        steps: list[act.Action] = [
            act.ReplaceLeg('replica %s takes the place of %s' % (
                spare.replica_uuid, leg.replica_uuid),
                self.array.name, leg.device, spare.device,
                spare.replica_uuid)
            for leg, spare in zip(self._doomed_legs(), self._successors())
            if spare.replica_uuid is not None
            and 'want_replacement' not in leg.flags
            and rules.spared(self.array, leg, self.snapshot)]
        return steps[:1]

    # the number of legs

    def _grow(self) -> list[act.Action]:
        doomed = self._doomed_legs()
        # who alone holds something is never exchanged: another one comes
        # beside it first
        only = bool(doomed) and not any(
            rules.spared(self.array, leg, self.snapshot)
            for leg in doomed)
        if (self._settled() and self._successors() and (only or not doomed)
                and self.array.raid_disks < self.view.goal + only):
            return [act.Resize(
                'the volume has %d replicas' % self.view.goal + (
                    ', and a leg is to leave that no other one makes up for'
                    if only else ''),
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
            if leg.in_sync and rules.spared(self.array, leg,
                                            self.snapshot)]

    def _shrink(self) -> list[act.Action]:
        """Give up a place that nobody is to take.

        A leg whose successor took another place stays: it is good.  One that
        is bad and surplus gets none: it may not go before the array is whole.
        """
        members = {replica.uuid for replica in self.view.members
                   if not self.view.surplus(replica)}
        legs = {leg.replica_uuid for leg in self.array.legs}
        unlisted = (set[str]() if self.volume.replica_count
                    else set(self.view.unlisted))
        goal = max(self.view.goal, len(members | legs | unlisted))
        if (goal < self.array.raid_disks
                and len(self.array.in_sync) == goal and members <= legs
                and self.array.sync_action == 'idle'):
            return [act.Resize('the volume has %d replicas' % goal,
                               self.array.name, goal)]
        return []
