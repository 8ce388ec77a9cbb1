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
"""What the agent does with a driver's answers, as plain as can be.

One volume; no grace period but a number of passes; a copy is in sync one
pass after it was added.
"""

from __future__ import annotations

from collections.abc import Callable

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import troubles

State = model.ReplicaState
#: Passes for which a replica may be bad.
_GRACE = 2


class PlainAgent:
    """Heals one volume with a driver, without a host.

    :ivar troubles: what a driver did that it must not.
    :ivar reachable: whether the provisioner is, in this story.
    :ivar successors: replica that was given up -> the one in its place,
        None: not listed yet.
    """

    def __init__(self, side: bench.Bench) -> None:
        self._side = side
        self.driver = side.started()
        self.reachable = True
        self.lost: set[str] = set()
        self.successors: dict[str, str | None] = {}
        self.troubles: list[str] = []
        self._bad_for: dict[str, int] = {}
        self.volume = side.volume(self.driver)
        self.meant = len(self.volume.replicas)

    @property
    def legs(self) -> dict[str, State]:
        """Replica -> what this host sees of its leg."""
        return self._side.arrays[self.volume.alias].legs or {}

    def good(self) -> list[str]:
        return [uuid for uuid, state in self.legs.items()
                if state is State.AVAILABLE]

    def lose(self, uuid: str) -> None:
        self.lost.add(uuid)
        self._side.see(self.volume, uuid, State.MISSING)

    def restart(self) -> None:
        self.driver = self._side.killed(self.driver)

    def run(self) -> None:
        """Do one pass."""
        self._try('heartbeat', lambda: self.driver.heartbeat(
            self._side.host, 30.0))
        answer: list[model.Volume] = []
        if not self._try('get_volumes', lambda: answer.extend(
                self._side.ask(self.driver))):
            return
        listed = [volume for volume in answer
                  if volume.uuid == self.volume.uuid]
        if not listed:
            self.troubles.append('its volume is not listed')
            return
        self.volume = listed[0]
        self._look()
        # as the agent does: nothing is asked before all is reported
        if all([self._report(replica) for replica in self.volume.replicas]):
            for replica in self.volume.replicas:
                self._serve(replica)
            for uuid, state in self.legs.items():
                if state is State.SYNCHRONIZING:
                    self._side.see(self.volume, uuid, State.AVAILABLE)

    def _look(self) -> None:
        """Judge the answer."""
        listed = {replica.uuid: replica.state
                  for replica in self.volume.replicas}
        self.troubles += troubles.taken(
            (uuid for uuid in self.good() if uuid not in self.successors),
            listed)
        new = [uuid for uuid in listed if uuid not in self.legs
               and uuid not in self.successors]
        waiting = [old for old, successor in self.successors.items()
                   if successor is None]
        self.troubles += troubles.given(len(new), len(waiting))
        for old, uuid in zip(waiting, new):
            self.successors[old] = uuid
            self._side.see(self.volume, uuid, State.SYNCHRONIZING)

    def _report(self, replica: model.Replica) -> bool:
        """Say what this host sees of it; False where that was not taken."""
        uuid, local = replica.uuid, self.legs.get(replica.uuid)
        if (replica.state is State.TERMINATING or uuid in self.successors
                or local is None):
            return True
        return local is replica.state or self._tell(
            'report_replica_state', replica, local)

    def _serve(self, replica: model.Replica) -> None:
        uuid, local = replica.uuid, self.legs.get(replica.uuid)
        if replica.state is State.TERMINATING:
            self._side.see(self.volume, uuid, None)
            self._tell('confirm_replica_removed', replica)
            return
        successor = self.successors.get(uuid)
        if uuid in self.successors:
            if successor is not None and (
                    self.legs.get(successor) is State.AVAILABLE):
                self._side.see(self.volume, uuid, None)
                self._tell('retire_replica', replica)
            return
        self._bad_for[uuid] = (self._bad_for.get(uuid, 0) + 1
                               if local is State.MISSING else 0)
        if self._bad_for[uuid] > _GRACE and not self._under_way():
            if self._tell('request_replacement', replica):
                self.successors[uuid] = None

    def _under_way(self) -> bool:
        listed = {replica.uuid for replica in self.volume.replicas}
        return any(successor is None or old in listed
                   for old, successor in self.successors.items())

    def _tell(self, method: str, *words: object) -> bool:
        return self._try(method, lambda: getattr(self.driver, method)(
            self.volume, *words))

    def _try(self, what: str, call: Callable[[], object]) -> bool:
        try:
            call()
        except Exception as error:
            self.troubles += troubles.raised(what, error, self.reachable)
            return False
        return True

    def settled(self) -> bool:
        """All is as it should be."""
        return (len(self.volume.replicas) == self.meant and all(
            replica.state is State.AVAILABLE
            and self.legs.get(replica.uuid) is State.AVAILABLE
            for replica in self.volume.replicas))
