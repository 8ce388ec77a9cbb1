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
"""A world of many arrays, which a batch of the guard is done on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from os_brick.agent.guard import roles
from os_brick.agent.host import batch
from os_brick.agent.host import commands
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests.unit import small_world

TARGETS = 4


class Clock(small_world.Timer):
    """Time that passes with what is done alone."""

    def __init__(self) -> None:
        super().__init__(lambda: self.seconds)
        self.seconds = 100.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class World:
    """Arrays with a leg on each of two targets; who is asked for what.

    :param shared: whether all arrays share a few connections, or each leg
        has one to itself.
    """

    def __init__(self, arrays: int, shared: bool, tmo: float | None = None
                 ) -> None:
        self.clock = Clock()
        self.scans = 0
        self.tries = 0
        self.calls: list[tuple[str, int]] = []
        self.free = True
        self.hangs = False
        # what happens while a look at the host ends
        self.meanwhile: Callable[[], object] = lambda: None
        self.states: dict[str, str] = {}
        self.tmo: dict[str, float | None] = {}
        self.legs: dict[str, set[str]] = {}
        self.failfast: set[str] = set()
        self.volumes: dict[str, model.Volume] = {}
        self.shape: dict[str, list[tuple[str, str, str]]] = {}
        for number in range(arrays):
            legs = []
            for side in range(2):
                nth = number % TARGETS if shared else number
                controller = 'nvme%d' % (2 * nth + side)
                device = 'nvme%dn%d' % (2 * nth + side, number + 1)
                self.states[controller] = 'live'
                self.tmo[controller] = tmo
                legs.append((device, controller,
                             targets.uuid_of(2 * number + side)))
                self.legs[device] = {'in_sync'}
            name = 'md%d' % number
            self.shape[name] = legs
            self.volumes[name] = model.Volume(
                targets.uuid_of(100000 + number), 'v%d' % number, None,
                tuple(model.Replica(leg[2]) for leg in legs))
        self.owned = ownership.Owned(frozenset(self.shape), frozenset(
            leg[2] for legs in self.shape.values() for leg in legs))
        conf = small_world.configuration(lock_timeout=1.0)
        conf.set_override('lock_path', '/nowhere', 'os_brick')
        self.executor = execute.Executor(
            conf, self, small_world.HOST,  # type: ignore[arg-type]
            effects=self, clock=self.clock)  # type: ignore[arg-type]

    def probe_all(self, portals: Sequence[model.Portal],
                  _seconds: float = 3.0) -> dict[model.Portal, OSError]:
        return {}

    def scan(self) -> snapshots.HostSnapshot:
        self.scans += 1
        seen = self._seen()
        self.meanwhile()
        return seen

    def _seen(self) -> snapshots.HostSnapshot:
        return snapshots.HostSnapshot(
            tuple(model.Controller(
                name, 'nqn.' + name,
                model.Portal('192.0.2.1', 4420 + int(name[4:])), None, state,
                self.tmo[name])
                for name, state in self.states.items()),
            tuple(model.Namespace(device, uuid, 1, (controller,), (array,))
                  for array, legs in self.shape.items()
                  for device, controller, uuid in legs
                  if controller in self.states),
            tuple(model.Array(array, None, None, 2, 0, 'active', 'idle', 1,
                              tuple(model.Leg(
                                  device, slot, frozenset(self.legs[device]),
                                  uuid if controller in self.states else None)
                                  for slot, (device, controller, uuid)
                                  in enumerate(legs)))
                  for array, legs in self.shape.items()))

    def try_lock(self, _folder: str) -> object:
        self.tries += 1
        return (lambda: None) if self.free else None

    def fail_all(self, legs: list[list[str]], milliseconds: int) -> list[str]:
        self.calls.append(('fail', len(legs)))
        if self.hangs:
            self.clock.sleep(milliseconds / 1000)
            return [commands.HANGS] * len(legs)
        for _array, device in legs:
            self.legs[device] = {'faulty'}
        return [''] * len(legs)

    def disconnect_all(self, names: list[str],
                       milliseconds: int) -> list[str]:
        self.calls.append(('disconnect', len(names)))
        if self.hangs:
            self.clock.sleep(milliseconds / 1000)
            return [commands.HANGS] * len(names)
        for name in names:
            del self.states[name]
        return [''] * len(names)

    def close_connections(self, *_words: object) -> int:
        self.calls.append(('close', 1))
        return 1

    def set_fast_io_fail(self, controller: str, seconds: int) -> None:
        self.calls.append(('fast_io_fail', 1))
        self.tmo[controller] = None if seconds < 0 else float(seconds)

    def set_failfast(self, _array: str, device: str, on: bool) -> None:
        self.calls.append(('failfast', 1))
        self.clock.sleep(0.02)
        self.legs[device] ^= {'failfast'}

    def decide(self, memory: roles.GuardMemory, now: float
               ) -> roles.GuardDecision:
        return self.decide_on(self.scan(), memory, now)

    def decide_on(self, snapshot: snapshots.HostSnapshot,
                  memory: roles.GuardMemory, now: float
                  ) -> roles.GuardDecision:
        self.heard = frozenset(one.device for one in snapshot.namespaces
                               if snapshot.reachable(one))
        return roles.decide(
            snapshot, self.owned, memory, now, roles.GuardPolicy(),
            roles.Symptoms(frozenset(self.shape), answered=self.heard,
                           listening={path.portal: False for path
                                      in snapshot.controllers
                                      if path.portal is not None}))

    def run(self, decision: roles.GuardDecision,
            budget: float = batch.BUDGET) -> list[batch.Outcome]:
        return self.executor.execute_all(
            [batch.Step(action, self.volumes[name])
             for name, action in decision.actions], self.owned, self.heard,
            budget)
