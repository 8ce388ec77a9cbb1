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
"""A provisioner to test against, truthful or not as the test wishes."""

from __future__ import annotations

import dataclasses

from os_brick.agent import model
from os_brick.agent.tests.unit import simulator

State = model.ReplicaState


class Silent(Exception):
    """It does not answer."""


class Declined(Exception):
    """It says no."""


@dataclasses.dataclass(eq=False)
class SimVolume:
    """What the provisioner knows.

    :ivar count: how many replicas it tells that the volume is to have.
    :ivar given: every replica that it ever gave the volume, unless it took
        the word of the host that it was let go.
    :ivar doomed: every replica that it ever listed as TERMINATING.
    """

    uuid: str
    alias: str
    replicas: dict[str, State]
    count: int | None
    down_time: float | None = None
    spares: list[str] = dataclasses.field(default_factory=list)
    given: set[str] = dataclasses.field(default_factory=set)
    doomed: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        self.given |= set(self.replicas)


class Provisioner:
    """:ivar silent: no call is answered.

    :ivar deaf: calls are carried out, and the answers lost.
    :ivar hides: replicas left out of its lists.
    :ivar most: how many replicas a volume may list; None: any number.
    :ivar slow: replacements are accepted but assigned by ``assign`` only.
    """

    def __init__(self, kernel: simulator.Kernel) -> None:
        self.kernel = kernel
        self.volumes: dict[str, SimVolume] = {}
        self.silent = False
        self.deaf = False
        self.slow = False
        self.most: int | None = None
        self.hides: set[str] = set()
        self.log: list[tuple[str, str]] = []
        self.owed: list[str] = []
        self.withdrawn: set[str] = set()

    def volume(self, number: int, alias: str, uuids: list[str],
               spares: list[str], count: int | None = None,
               down_time: float | None = None) -> SimVolume:
        made = SimVolume(simulator.uuid_of(1000 + number), alias,
                         {uuid: State.AVAILABLE for uuid in uuids},
                         count, down_time, spares)
        self.volumes[made.uuid] = made
        return made

    # what the agent calls

    def list(self) -> dict[str, model.Volume]:
        if self.silent:
            raise Silent()
        answer = {}
        for volume in self.volumes.values():
            replicas = tuple(
                model.Replica(uuid, state, None, self._target(uuid))
                for uuid, state in volume.replicas.items()
                if uuid not in self.hides)
            if replicas:
                answer[volume.uuid] = model.Volume(
                    volume.uuid, volume.alias, None, replicas, volume.count,
                    volume.down_time)
        return answer

    def _target(self, uuid: str) -> model.Target | None:
        for target in self.kernel.targets.values():
            if uuid in target.media:
                return model.Target(target.nqn, target.portals)
        return None

    def report(self, volume: SimVolume, uuid: str, state: State) -> None:
        self._call('report ' + state.value, uuid)
        if uuid in volume.replicas and (
                volume.replicas[uuid] is not State.TERMINATING):
            volume.replicas[uuid] = state
        self._answer()

    def replace(self, volume: SimVolume, uuid: str) -> None:
        self._call('replace', uuid)
        if not volume.spares and not self.slow or (
                self.most is not None
                and len(volume.replicas) >= self.most):
            raise Declined()
        if uuid not in self.owed:
            self.owed.append(uuid)
        if not self.slow:
            self.assign(volume)
        self._answer()

    def assign(self, volume: SimVolume) -> None:
        """Give what was promised, as far as there are spares."""
        while self.owed and volume.spares:
            self.owed.pop(0)
            self.give(volume)

    def give(self, volume: SimVolume) -> str:
        """Assign a spare."""
        uuid = volume.spares.pop(0)
        volume.replicas[uuid] = State.UNKNOWN
        volume.given.add(uuid)
        if uuid in self.withdrawn:
            self.withdrawn.discard(uuid)
            self.kernel.home(uuid).media[uuid] = self.kernel.media[uuid]
        return uuid

    def retire(self, volume: SimVolume, uuid: str) -> None:
        self._call('retire', uuid)
        self.terminate(volume, uuid)
        self._answer()

    def terminate(self, volume: SimVolume, uuid: str) -> None:
        if uuid in volume.replicas:
            volume.replicas[uuid] = State.TERMINATING
            volume.doomed.add(uuid)

    def confirm(self, volume: SimVolume, uuid: str) -> None:
        self._call('confirm', uuid)
        if volume.replicas.pop(uuid, None):
            # what nobody uses is no longer exported
            volume.given.discard(uuid)
            self.withdrawn.add(uuid)
            self.kernel.remove_namespace(uuid)
        self._answer()

    def _call(self, what: str, uuid: str) -> None:
        if self.silent:
            raise Silent()
        self.log.append((what, uuid))

    def _answer(self) -> None:
        if self.deaf:
            raise Silent()
