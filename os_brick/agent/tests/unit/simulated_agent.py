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
"""The agent's pass over the simulated host, with a judge at its elbow.

The pass is that of ``healing_loop``: pull, guard, decide, save, report, ask,
act.  The judge looks at every request and action before and after it is
carried out.
"""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any

from os_brick.agent.guard import roles
from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import farewell
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules
from os_brick.agent.store import encoding
from os_brick.agent.tests.unit import simulated_judge
from os_brick.agent.tests.unit import simulated_provisioner as provisioner
from os_brick.agent.tests.unit import simulator
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState
MIB = simulator.MIB


Judge = simulated_judge.Judge
Violation = simulated_judge.Violation


class Killed(Exception):
    """SIGKILL, at the worst moment."""


def on_disk(records: dict[str, decision.ReplicaRecord]
            ) -> dict[str, decision.ReplicaRecord]:
    """What the ledger gives back after a restart."""
    stored = json.dumps({uuid: encoding.dump_record(record)
                         for uuid, record in records.items()})
    return {uuid: encoding.load_record(content)
            for uuid, content in json.loads(stored).items()}


class Agent:
    """:ivar life: steps until it is killed; None: it is not."""

    def __init__(self, kernel: simulator.Kernel,
                 given: provisioner.Provisioner, judge: Judge,
                 policy: decision.HealingPolicy
                 = decision.HealingPolicy(60.0, 60.0),
                 guarded: bool = True) -> None:
        self.kernel = kernel
        self.provisioner = given
        self.judge = judge
        self.policy = policy
        self.guarded = guarded
        self.records: dict[str, dict[str, decision.ReplicaRecord]] = {}
        self.outbox: list[tuple[str, str, State]] = []
        self.volumes: dict[str, model.Volume] = {}
        self.guarding = roles.GuardMemory()
        self.done: list[act.Action] = []
        self.failed: list[str] = []
        self.acknowledged: set[tuple[str, float | None]] = set()
        self.life: int | None = None
        self.between: Any = None

    def restart(self) -> None:
        """Nothing survives but what was saved.

        Which volume an array is of is taken to survive: without it nothing
        is guarded until the provisioner answers again.
        """
        self.records = {volume: on_disk(records)
                        for volume, records in self.records.items()}
        self.guarding, self.life = roles.GuardMemory(), None

    def run(self) -> list[act.Action]:
        """One pass; what was done in it."""
        self.done, self.failed = [], []
        try:
            self._run()
        except Killed:
            self.restart()
        return self.done

    def _live(self) -> None:
        if self.life is not None:
            self.life -= 1
            if self.life < 0:
                raise Killed()

    def _run(self) -> None:
        fresh = True
        try:
            self.volumes.update(self.provisioner.list())
        except provisioner.Silent:
            fresh = False
        snapshot = self.kernel.snapshot()
        joined = {volume: [uuid for uuid, record in records.items()
                           if record.joined]
                  for volume, records in self.records.items()}
        ours = {array.name: self.volumes[owner] for array in snapshot.arrays
                for owner in ownership.owners(array, self.volumes, joined)}
        replicas = [replica for volume in self.volumes.values()
                    for replica in volume.replicas]
        owned = ownership.Owned(frozenset(ours), frozenset(
            replica.uuid for replica in replicas))
        staying = frozenset(replica.uuid for replica in replicas
                            if replica.state is not State.TERMINATING)
        if self.guarded:
            self._guard(ours, owned, staying)
        for name, volume in ours.items():
            snapshot = self.kernel.snapshot()
            array = snapshot.array(name)
            assert array is not None
            decided = decision.decide(
                volume, array, snapshot, self.records.get(volume.uuid, {}),
                self.kernel.now, self.policy, staying, owned)
            if decided.settled:
                self._still_calm(volume, array, snapshot, staying, owned)
            self._live()
            self.records[volume.uuid] = dict(decided.records)
            self.outbox += [(volume.uuid, report.replica_uuid, report.state)
                            for report in decided.reports]
            if self._deliver() and fresh:
                for request in decided.requests:
                    self._ask(volume, request)
            for action in decided.actions:
                self._act(action, volume, owned)

    def _still_calm(self, volume: model.Volume, array: model.Array,
                    snapshot: snapshots.HostSnapshot, staying: frozenset[str],
                    owned: ownership.Owned) -> None:
        """Time alone must bring nothing to do: passes rely on it."""
        before = self.records.get(volume.uuid, {})
        later = decision.decide(
            volume, array, snapshot, before, self.kernel.now + 1e6,
            self.policy, staying, owned)
        if later.actions or later.requests or later.reports:
            raise Violation('calm, and yet: %s' % (later,))

    def _guard(self, ours: dict[str, model.Volume],
               owned: ownership.Owned, staying: frozenset[str]) -> None:
        """Its own thread in earnest: what it waits for is a moment only."""
        while True:
            dealt = roles.decide(
                self.kernel.snapshot(), owned, self.guarding,
                self.kernel.now, roles.GuardPolicy(), dataclasses.replace(
                    self._sight(), listening={
                        path.portal: self.kernel.targets[path.nqn].up
                        for path in self.kernel.paths.values()}),
                owned.replicas - staying)
            self.guarding = dealt.memory
            for name, action in dealt.actions:
                self._act(action, ours[name], owned)
            pause = (dealt.again_at or 0.0) - self.kernel.now
            if not 0.0 < pause <= 2.0:
                return
            self.kernel.advance(pause)

    def _sight(self) -> roles.Symptoms:
        raids = self.kernel.raids.values()

        def standing(since: float) -> frozenset[str]:
            return frozenset(raid.name for raid in raids
                             if raid.since >= since)

        def silent(since: float) -> frozenset[model.Portal]:
            return frozenset(
                path.portal for path in self.kernel.paths.values()
                if path.silent and path.lost_at is not None
                and self.kernel.now - path.lost_at >= since)

        return roles.Symptoms(
            frozenset(raid.name for raid in raids if raid.pending),
            standing(0.25), standing(1.0), silent(0.5), silent(1.0),
            self._answering())

    def _answering(self) -> frozenset[str]:
        return frozenset(device for device in self.kernel.heads.values()
                         if self.kernel.answer(device) == 'ok')

    def _deliver(self) -> bool:
        while self.outbox:
            volume, uuid, state = self.outbox[0]
            self._live()
            try:
                self.provisioner.report(self.provisioner.volumes[volume],
                                        uuid, state)
            except provisioner.Silent:
                return False
            self._live()
            self.outbox.pop(0)
        return True

    def _ask(self, volume: model.Volume, request: decision.Request) -> None:
        records = self.records[volume.uuid]
        uuid = request.replica_uuid
        record = decision.asked(records[uuid], request.ask, volume,
                                self.kernel.now)
        records[uuid] = record
        self._live()
        fault = (uuid, record.requested_at)
        if (request.ask is decision.RequestKind.REPLACE
                and fault in self.acknowledged):
            raise Violation('S7: %s was requested before' % uuid)
        if request.ask is decision.RequestKind.CONFIRM:
            self.judge.confirm(uuid)
        call = {decision.RequestKind.REPLACE: self.provisioner.replace,
                decision.RequestKind.RETIRE: self.provisioner.retire,
                decision.RequestKind.CONFIRM: self.provisioner.confirm,
                }[request.ask]
        try:
            call(self.provisioner.volumes[volume.uuid], uuid)
        except (provisioner.Silent, provisioner.Declined) as error:
            self.failed.append('%s %r' % (request, error))
            return
        self._live()
        records[uuid] = decision.answered(
            record, request.ask, self.kernel.now)
        if request.ask is decision.RequestKind.REPLACE:
            self.acknowledged.add(fault)

    def _act(self, action: act.Action, volume: model.Volume,
             owned: ownership.Owned) -> None:
        self._live()
        if self.between is not None:
            between, self.between = self.between, None
            between()
        snapshot = self.kernel.snapshot()
        array = snapshot.array(getattr(action, 'array', ''))
        if isinstance(action, act.Disconnect):
            array = farewell.array_of(volume, snapshot, owned)
        why = rules.refusal(action, volume, snapshot, owned,
                            superblocks.contents(snapshot, array),
                            self._answering())
        if why is not None:
            self.failed.append('%s: refused: %s' % (action, why))
            return
        self.judge.action(action)
        records = self.records.setdefault(volume.uuid, {})
        before = dict(records)
        if isinstance(action, act.AddLeg):
            records[action.replica_uuid] = decision.put_in(
                records[action.replica_uuid], self.kernel.now)
        try:
            self.kernel.apply(action)
        except simulator.KernelError as error:
            self.failed.append('%s: %s' % (action, error))
            self.records[volume.uuid] = before
            if isinstance(action, act.Connect):
                records = self.records[volume.uuid]
                records[action.replica_uuid] = decision.unusable(
                    records[action.replica_uuid], str(error))
            return
        self.done.append(action)
        self.judge.after()


class World(types.SimpleNamespace):
    """A volume ``v`` on targets 0..n-1, spares behind it, and a stranger.

    The stranger is another product's array over two targets, and a raw
    namespace that a virtual machine has open on a third.
    """

    kernel: simulator.Kernel
    vendor: provisioner.Provisioner
    judge: Judge
    agent: Agent
    volume: provisioner.SimVolume
    raid: simulator.Raid
    targets: list[simulator.Target]

    def passes(self, number: int, step: float = 5.0) -> list[act.Action]:
        """Some passes, a write and some seconds before each."""
        done: list[act.Action] = []
        for _pass in range(number):
            self.kernel.advance(step)
            for raid in self.kernel.raids.values():
                self.kernel.write(raid)
            done += self.agent.run()
            self.judge.after()
        return done


def world(replicas: int = 2, spares: int = 2, count: int | None = -1,
          down_time: float | None = None, portals: int = 1,
          guarded: bool = True, spare_size: int = 64 * MIB) -> World:
    kernel = simulator.Kernel(failfast=guarded)
    media = [simulator.Medium(simulator.uuid_of(number), 64 * MIB if number
                              < replicas else spare_size)
             for number in range(replicas + spares)]
    targets = [kernel.target(number, medium, portals=portals)
               for number, medium in enumerate(media)]
    stranger = [simulator.Medium(simulator.uuid_of(500 + number))
                for number in range(3)]
    for number, medium in enumerate(stranger):
        target = kernel.target(100 + number, medium)
        kernel.connect(target.nqn, target.portals)
    kernel.attach('md9', 'stranger', *[medium.uuid
                                       for medium in stranger[:2]],
                  failfast=False)
    uuids = [medium.uuid for medium in media]
    raid = kernel.attach('md1', 'v', *uuids[:replicas])
    made = provisioner.Provisioner(kernel)
    volume = made.volume(1, 'v', uuids[:replicas], uuids[replicas:],
                         replicas if count == -1 else count, down_time)
    judge = Judge(kernel, made)
    judge.foreign_raids.add('md9')
    judge.foreign_media |= {medium.uuid for medium in stranger}
    agent = Agent(kernel, made, judge, guarded=guarded)
    return World(kernel=kernel, vendor=made, judge=judge, agent=agent,
                 volume=volume, raid=raid, targets=targets)
