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

The pass is that of ``cycle.py``: pull, guard, decide, save, report, ask,
act.  The judge looks at every request and action before and after it is
carried out, at the kernel's truth and the provisioner's, and never asks
``rules``.
"""

from __future__ import annotations

import json
import types
from typing import Any

from os_brick.agent import action as act
from os_brick.agent import guard
from os_brick.agent import healing
from os_brick.agent import ledger
from os_brick.agent import model
from os_brick.agent import rules
from os_brick.agent.tests.unit import simulated_provisioner as provisioner
from os_brick.agent.tests.unit import simulator

State = model.ReplicaState
MIB = simulator.MIB


class Violation(AssertionError):
    """A safety rule was broken."""


class Killed(Exception):
    """SIGKILL, at the worst moment."""


def on_disk(memories: dict[str, healing.Memory]) -> dict[str, healing.Memory]:
    """What the ledger gives back after a restart."""
    stored = json.dumps({uuid: ledger._dump(memory)
                         for uuid, memory in memories.items()})
    return {uuid: ledger._load(content)
            for uuid, content in json.loads(stored).items()}


class Judge:
    """Holds the agent to S1-S5 and S9, by the truth."""

    def __init__(self, kernel: simulator.Kernel,
                 given: provisioner.Provisioner) -> None:
        self.kernel = kernel
        self.provisioner = given
        self.foreign_raids: set[str] = set()
        self.foreign_media: set[str] = set()

    def reachable(self, member: simulator.Member,
                  without: str = '') -> bool:
        """As far as the kernel knows."""
        return not member.vanished and any(
            path.state == 'live' and path.name != without
            for path in self.kernel.through(member.medium.uuid))

    def good(self, raid: simulator.Raid,
             without: str = '') -> list[simulator.Member]:
        return [member for member in raid.copies()
                if self.reachable(member, without)]

    def action(self, action: act.Action) -> None:
        """Look at an action just before it is carried out."""
        if isinstance(action, (act.Disconnect, act.SetFastIoFail)):
            self._controller(action)
        elif isinstance(action, act.Connect):
            if action.replica_uuid not in self._given():
                raise Violation('S4: %s' % action)
        else:
            raid = self.kernel.raids[getattr(action, 'array')]
            if raid.name in self.foreign_raids:
                raise Violation('S4: %s' % action)
            self._array(action, raid)

    def _given(self) -> set[str]:
        return {uuid for volume in self.provisioner.volumes.values()
                for uuid in volume.given}

    def _array(self, action: act.Action, raid: simulator.Raid) -> None:
        good = self.good(raid)
        device = getattr(action, 'device', '')
        others = [member for member in good if member.device != device]
        leg = next((member for member in raid.members
                    if member.device == device), None)
        if isinstance(action, act.AddLeg):
            medium = next((self.kernel.media[uuid] for uuid, head
                           in self.kernel.heads.items() if head == device))
            owner = next(volume for volume
                         in self.provisioner.volumes.values()
                         if volume.alias == raid.alias)
            if medium.uuid not in owner.given or medium.size < (
                    raid.component_size + MIB):
                raise Violation('S2: %s' % action)
        elif isinstance(action, act.Resize):
            if action.raid_disks < len(raid.copies()):
                raise Violation('S1: %s' % action)
        elif not others and (leg is None or leg.in_sync):
            raise Violation('S1: %s' % action)
        elif leg in good and isinstance(action, act.RemoveLeg):
            raise Violation('S3: %s' % action)
        elif leg in good and isinstance(action, act.FailLeg):
            if leg is None or not any(
                    leg.medium.uuid in volume.doomed
                    for volume in self.provisioner.volumes.values()):
                raise Violation('S3: %s' % action)

    def _controller(
            self, action: act.Disconnect | act.SetFastIoFail) -> None:
        path = self.kernel.paths[action.controller]
        if path.seen & self.foreign_media:
            raise Violation('S4: %s' % action)
        for raid in self.kernel.raids.values():
            legs = [member for member in raid.members
                    if member.medium.uuid in path.seen
                    and not member.vanished and not member.faulty]
            if legs and raid.name in self.foreign_raids:
                raise Violation('S4: %s' % action)
            if isinstance(action, act.SetFastIoFail):
                if legs and action.seconds is not None and not any(
                        other.tmo is None and other is not path
                        for member in self.good(raid)
                        for other in self.kernel.through(
                            member.medium.uuid)):
                    raise Violation('S9: %s' % action)
                continue
            for leg in legs:
                if len([other for other in self.kernel.through(
                        leg.medium.uuid) if other.state == 'live'
                        and other is not path]):
                    continue
                if path.state == 'live':
                    raise Violation('S3: %s' % action)
                if not self.good(raid, without=path.name):
                    raise Violation('S1: %s' % action)

    def after(self) -> None:
        """Look at the world after something was done to it."""
        for raid in self.kernel.raids.values():
            if raid.io_errors:
                raise Violation('S9: I/O error on %s' % raid.name)
            if not [member for member in raid.members
                    if member.in_sync
                    and member.medium.version == raid.version]:
                raise Violation('S1: %s has lost its data' % raid.name)

    def confirm(self, uuid: str) -> None:
        if any(member.medium.uuid == uuid
               for raid in self.kernel.raids.values()
               for member in raid.members):
            raise Violation('S5: %s is still a leg' % uuid)


class Agent:
    """:ivar life: steps until it is killed; None: it is not."""

    def __init__(self, kernel: simulator.Kernel,
                 given: provisioner.Provisioner, judge: Judge,
                 policy: healing.Policy = healing.Policy(60.0, 60.0),
                 guarded: bool = True) -> None:
        self.kernel = kernel
        self.provisioner = given
        self.judge = judge
        self.policy = policy
        self.guarded = guarded
        self.memories: dict[str, dict[str, healing.Memory]] = {}
        self.outbox: list[tuple[str, str, State]] = []
        self.volumes: dict[str, model.Volume] = {}
        self.anchors: dict[str, str] = {}
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
        self.memories = {volume: on_disk(memories)
                         for volume, memories in self.memories.items()}
        self.anchors, self.life = {}, None

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
        joined = {volume: [uuid for uuid, memory in memories.items()
                           if memory.joined]
                  for volume, memories in self.memories.items()}
        ours = {array.name: self.volumes[owner] for array in snapshot.arrays
                for owner in rules.owners(array, self.volumes, joined)}
        replicas = [replica for volume in self.volumes.values()
                    for replica in volume.replicas]
        known = frozenset(replica.uuid for replica in replicas)
        wanted = frozenset(replica.uuid for replica in replicas
                           if replica.state is not State.TERMINATING)
        if self.guarded:
            roles = guard.decide(snapshot, frozenset(ours), self.anchors, 1.0,
                                 known)
            self.anchors = dict(roles.anchors)
            for name, action in roles.actions:
                self._act(action, ours[name], frozenset(ours), known)
        for name, volume in ours.items():
            snapshot = self.kernel.snapshot()
            array = snapshot.array(name)
            assert array is not None
            decision = healing.decide(
                volume, array, snapshot, self.memories.get(volume.uuid, {}),
                self.kernel.now, self.policy, wanted, known)
            self._live()
            self.memories[volume.uuid] = dict(decision.memories)
            self.outbox += [(volume.uuid, report.replica_uuid, report.state)
                            for report in decision.reports]
            if self._deliver() and fresh:
                for request in decision.requests:
                    self._ask(volume, request)
            for action in decision.actions:
                self._act(action, volume, frozenset(ours), known)

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

    def _ask(self, volume: model.Volume, request: healing.Request) -> None:
        memories = self.memories[volume.uuid]
        uuid = request.replica_uuid
        memory = healing.asked(memories[uuid], request.ask, volume,
                               self.kernel.now)
        memories[uuid] = memory
        self._live()
        fault = (uuid, memory.requested_at)
        if request.ask is healing.Ask.REPLACE and fault in self.acknowledged:
            raise Violation('S7: %s was requested before' % uuid)
        if request.ask is healing.Ask.CONFIRM:
            self.judge.confirm(uuid)
        call = {healing.Ask.REPLACE: self.provisioner.replace,
                healing.Ask.RETIRE: self.provisioner.retire,
                healing.Ask.CONFIRM: self.provisioner.confirm}[request.ask]
        try:
            call(self.provisioner.volumes[volume.uuid], uuid)
        except (provisioner.Silent, provisioner.Declined) as error:
            self.failed.append('%s %r' % (request, error))
            return
        self._live()
        memories[uuid] = healing.answered(memory, request.ask)
        if request.ask is healing.Ask.REPLACE:
            self.acknowledged.add(fault)

    def _act(self, action: act.Action, volume: model.Volume,
             ours: frozenset[str], known: frozenset[str]) -> None:
        self._live()
        if self.between is not None:
            between, self.between = self.between, None
            between()
        why = rules.refusal(action, volume, self.kernel.snapshot(), ours,
                            known)
        if why is not None:
            self.failed.append('%s: refused: %s' % (action, why))
            return
        self.judge.action(action)
        try:
            self.kernel.apply(action)
        except simulator.KernelError as error:
            self.failed.append('%s: %s' % (action, error))
            if isinstance(action, act.Connect):
                memories = self.memories[volume.uuid]
                memories[action.replica_uuid] = healing.unusable(
                    memories[action.replica_uuid], str(error))
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
    kernel = simulator.Kernel()
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
                                       for medium in stranger[:2]])
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
