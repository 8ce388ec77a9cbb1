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
"""Hosts that are no more than the calls of their passes, by thousands.

Each has a driver of its own, with its connection, its file and its lease, and
makes the calls that the daemon would.  Threads play them in the order in which
they are due.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import heapq
import os
import random
import threading
import time
from typing import Any

from os_brick.agent import model
from os_brick.agent.testing.conformance import plain_host
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.vendors import base
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire

State = model.ReplicaState
#: What the daemon waits before it asks again for what was declined.
AGAIN = 30.0


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds.

    :ivar poll: between two passes; ``jitter``: and at most this more.
    :ivar soon: until the next pass where something was done.
    :ivar grace: before a replacement is asked for.
    :ivar resync: until a fresh copy is in sync.
    """

    poll: float
    jitter: float
    soon: float
    grace: float
    resync: float


class Conf(dict[str, Any]):
    """The driver's options; a whole oslo.config for each would be too much."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Measured:
    """The way to etcd, with a clock beside it.

    :param note: told when a request began, how long it took, and whether it
        was answered.
    """

    def __init__(self, behind: wire.Wire,
                 note: Callable[[float, float, bool], None]) -> None:
        self._behind = behind
        self._note = note

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        answered = False
        try:
            found = self._behind.call(path, body)
            answered = True
            return found
        finally:
            self._note(began, time.monotonic() - began, answered)


class Caller:
    """One host.

    :ivar due: when its next pass is.
    :ivar busy: something is under way.
    :ivar errors: calls that were declined or not answered.
    """

    def __init__(self, number: int, plan: shelves.Plan, times: Times,
                 endpoints: list[str], folder: str,
                 note: Callable[[float, float, bool], None],
                 prefix: str = '/nvme-agent') -> None:
        self.number = number
        self._times = times
        self._note = note
        name = shelves.host_name(number)
        self._host = model.Host('nqn.2014-08.org.example:' + name, None,
                                name)
        endpoints = random.sample(endpoints, len(endpoints))
        self._driver = etcd.EtcdDriver(_conf(
            endpoints, os.path.join(folder, name), prefix))
        self._arrays = {'vol-%d' % volume: plain_host.PlainArray(
            'md%d' % volume, 'vol-%d' % volume)
            for volume in plan.of_host(number)}
        self._since: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self.due = time.monotonic() + random.uniform(0.0, times.poll)
        self.busy = False
        self._wanted = times.poll
        self.errors = 0

    def set_up(self) -> None:
        self._driver.set_up()
        assert self._driver._wire is not None
        self._driver._store = store.Store(Measured(self._driver._wire,
                                                   self._note))

    def close(self) -> None:
        self._driver.close()

    @property
    def told(self) -> bool:
        return all(array.legs is not None for array in self._arrays.values())

    def lose(self, namespaces: set[str]) -> None:
        """These legs are lost; seen at once, as md tells of it."""
        now = time.monotonic()
        for array in self._arrays.values():
            for uuid in namespaces.intersection(array.legs or ()):
                assert array.legs is not None
                array.legs[uuid] = State.MISSING
                self._since[uuid] = now
                self.busy = True
                self.due = now + random.uniform(0.0, self._times.soon)

    def run(self) -> None:
        """Make the calls of a pass, and say when the next is due."""
        times = self._times
        began = time.monotonic()
        self._wanted = times.poll + random.uniform(0.0, times.jitter)
        self._try(lambda: self._driver.heartbeat(self._host, times.poll))
        answer: list[model.Volume] = []
        if self._try(lambda: answer.extend(self._driver.get_volumes(
                self._host, [array.seen() for array
                             in self._arrays.values()], ()))):
            for volume in answer:
                array = self._arrays[volume.alias]
                array.fill(volume)
                assert array.legs is not None
                for replica in volume.replicas:
                    self._serve(volume, replica, array.legs)
        # a leg may have been lost meanwhile
        self.busy = self._wanted == times.soon or any(
            one is not State.AVAILABLE for array in self._arrays.values()
            for one in (array.legs or {}).values())
        self.due = began + self._wanted

    def _want(self, seconds: float) -> None:
        """As the daemon does: a pass at once, or when a period ends."""
        self._wanted = min(self._wanted, max(self._times.soon, seconds))

    def _serve(self, volume: model.Volume, replica: model.Replica,
               legs: dict[str, State]) -> None:
        uuid, driver, now = replica.uuid, self._driver, time.monotonic()
        if replica.state is State.TERMINATING:
            legs.pop(uuid, None)
            if self._try(lambda: driver.confirm_replica_removed(
                    volume, replica)):
                self._want(0.0)
            return
        if uuid not in legs:
            legs[uuid] = State.SYNCHRONIZING
            self._since[uuid] = now
        if legs[uuid] is State.SYNCHRONIZING:
            left = self._since[uuid] + self._times.resync - now
            if left <= 0.0:
                legs[uuid] = State.AVAILABLE
            self._want(left)
        if legs[uuid] is not replica.state:
            self._try(lambda: driver.report_replica_state(
                volume, replica, legs[uuid]))
        if legs[uuid] is not State.MISSING:
            return
        left = self._since[uuid] + self._times.grace - now
        if left > 0.0:
            self._want(left)
            return
        if uuid in self._asked and sum(
                one is State.AVAILABLE for one in legs.values()) > 1:
            if self._try(lambda: driver.retire_replica(volume, replica)):
                self._want(0.0)
        elif now - self._asked.get(uuid, -AGAIN) >= AGAIN:
            if self._try(lambda: driver.request_replacement(volume,
                                                            replica)):
                self._asked[uuid] = float('inf')
                self._want(0.0)
            else:
                self._asked[uuid] = now

    def _try(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except base.ProvisionerError:
            self.errors += 1
            return False
        return True


class Crowd:
    """Callers, and the threads that play them.

    :ivar samples: of each request: when it began, how long it took, and
        whether it was answered.
    :ivar lags: of each pass, when it was, and how much later than due.
    """

    def __init__(self, threads: int) -> None:
        self.samples: list[tuple[float, float, bool]] = []
        self.lags: list[tuple[float, float]] = []
        self.callers: list[Caller] = []
        self._due: list[tuple[float, int]] = []
        self._playing: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._play, daemon=True)
                         for _ in range(threads)]

    def note(self, began: float, took: float, answered: bool) -> None:
        self.samples.append((began, took, answered))

    def start(self) -> None:
        self._due = [(caller.due, at) for at, caller
                     in enumerate(self.callers)]
        heapq.heapify(self._due)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for caller in self.callers:
            caller.close()

    def lose(self, namespaces: set[str]) -> None:
        """Legs are lost; their hosts make a pass at once."""
        with self._lock:
            for caller in self.callers:
                caller.lose(namespaces)
            self._due = [(caller.due, at) for at, caller
                         in enumerate(self.callers)
                         if at not in self._playing]
            heapq.heapify(self._due)

    @property
    def told(self) -> bool:
        """Every host knows its volumes."""
        return all(caller.told for caller in self.callers)

    @property
    def busy(self) -> int:
        """How many hosts have something under way."""
        return sum(caller.busy for caller in self.callers)

    def _play(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                due, at = self._due[0] if self._due else (float('inf'), 0)
                wait = due - time.monotonic()
                if wait <= 0.0:
                    heapq.heappop(self._due)
                    self._playing.add(at)
            if wait > 0.0:
                self._stop.wait(min(wait, 0.05))
                continue
            caller = self.callers[at]
            self.lags.append((time.monotonic(), -wait))
            caller.run()
            with self._lock:
                self._playing.discard(at)
                heapq.heappush(self._due, (caller.due, at))


def _conf(endpoints: list[str], folder: str, prefix: str) -> Any:
    options = {option.dest: option.default for option in etcd.OPTS}
    return Conf(options, etcd_endpoints=endpoints, etcd_prefix=prefix,
                state_dir=folder)
