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
"""All that the kernel shows of this host at one moment, and what to ask it.

A frozen value like those of ``model``, of which it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from typing import TypeVar

from os_brick.agent.model import devices

T = TypeVar('T')
#: Name and identity of each connection that was lost -> the kernel's word for
#: its state: another one may have got the name since.
Lost = Mapping[tuple[str, int], str]


@dataclasses.dataclass(frozen=True)
class Copied:
    """What md has copied to a leg since it was added; see ``model.copied``.

    :ivar most: bytes at most, None where not known.
    :ivar seconds: how long that has taken so far.
    """

    most: int | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class HostSnapshot:
    """All that the kernel shows of NVMe-oF and MD at one moment.

    :ivar problems: objects that could not be read, one sentence each.
    :ivar copied: (array, device of a leg) -> what was copied to it: of legs
        that are not in sync, and of those that have become so just now.
    :ivar healed: array that has become whole just now -> for how many seconds
        it was not.
    """

    controllers: tuple[devices.Controller, ...] = ()
    namespaces: tuple[devices.Namespace, ...] = ()
    arrays: tuple[devices.Array, ...] = ()
    problems: tuple[str, ...] = ()
    copied: Mapping[tuple[str, str], Copied] = dataclasses.field(
        default_factory=dict, compare=False)
    healed: Mapping[str, float] = dataclasses.field(
        default_factory=dict, compare=False)

    # A pass asks each of these for each leg, so that looking through all
    # would cost the square of the number of arrays.

    @functools.cached_property
    def _controllers(self) -> Mapping[str, devices.Controller]:
        return _by_name(self.controllers, 'name')

    @functools.cached_property
    def _connected(self) -> Mapping[str, list[devices.Controller]]:
        found: dict[str, list[devices.Controller]] = {}
        for controller in self.controllers:
            found.setdefault(controller.nqn, []).append(controller)
        return found

    @functools.cached_property
    def _namespaces(self) -> Mapping[str, devices.Namespace]:
        return _by_name(self.namespaces, 'device')

    @functools.cached_property
    def _arrays(self) -> Mapping[str, devices.Array]:
        return _by_name(self.arrays, 'name')

    @functools.cached_property
    def _namespaces_of(self) -> Mapping[str | None, list[devices.Namespace]]:
        found: dict[str | None, list[devices.Namespace]] = {}
        for namespace in self.namespaces:
            found.setdefault(namespace.uuid, []).append(namespace)
        return found

    @functools.cached_property
    def _through(self) -> Mapping[str, list[devices.Namespace]]:
        found: dict[str, list[devices.Namespace]] = {}
        for namespace in self.namespaces:
            for name in set(namespace.controllers):
                found.setdefault(name, []).append(namespace)
        return found

    def through(self, *controllers: str) -> list[devices.Namespace]:
        """The namespaces that are reached through any of these."""
        if len(controllers) == 1:
            return list(self._through.get(controllers[0], ()))
        return list({namespace.device: namespace for name in controllers
                     for namespace in self._through.get(name, ())}.values())

    def connected(self, nqn: str) -> tuple[devices.Controller, ...]:
        """The controllers of a target."""
        return tuple(self._connected.get(nqn, ()))

    def controller(self, name: str) -> devices.Controller | None:
        return self._controllers.get(name)

    def namespace(self, device: str) -> devices.Namespace | None:
        return self._namespaces.get(device)

    def namespace_of(self, replica_uuid: str) -> devices.Namespace | None:
        """The namespace with that UUID; one with a live path first."""
        found = self._namespaces_of.get(replica_uuid, ())
        if len(found) == 1:
            return found[0]
        return min(found, key=lambda ns: not self.reachable(ns), default=None)

    def array(self, name: str) -> devices.Array | None:
        return self._arrays.get(name)

    def paths(self, namespace: devices.Namespace
              ) -> tuple[devices.Controller, ...]:
        """The controllers through which a namespace is reached."""
        found = map(self._controllers.get, namespace.controllers)
        return tuple(path for path in found if path is not None)

    def open_paths(self, namespace: devices.Namespace
                   ) -> tuple[devices.Controller, ...]:
        """Those that are live, and over which the target gives access."""
        return tuple(path for path in self.paths(namespace)
                     if path.live and path.name not in namespace.barred)

    def linked(self, namespace: devices.Namespace) -> bool:
        """At least one of its controllers is live: it may be opened."""
        for name in namespace.controllers:
            path = self._controllers.get(name)
            if path is not None and path.live:
                return True
        return False

    def reachable(self, namespace: devices.Namespace) -> bool:
        """At least one of its controllers is live, and gives access."""
        if namespace.barred:
            return bool(self.open_paths(namespace))
        return self.linked(namespace)

    def behind(self, leg: devices.Leg) -> devices.Namespace | None:
        """The namespace that the leg is on, None once it has vanished.

        A namespace that comes back may get the name which md still lists
        for a vanished leg: the UUID tells them apart.
        """
        namespace = self.namespace(leg.device)
        return (namespace if namespace is not None
                and namespace.uuid == leg.replica_uuid else None)

    def paths_to(self, leg: devices.Leg | None
                 ) -> tuple[devices.Controller, ...]:
        """The controllers through which a leg is reached, none without."""
        namespace = self.behind(leg) if leg is not None else None
        return self.paths(namespace) if namespace is not None else ()

    def good(self, leg: devices.Leg) -> bool:
        """The leg is in sync, and I/O is sent to it, as the kernel sees."""
        namespace = self.behind(leg)
        return (leg.in_sync and namespace is not None
                and self.reachable(namespace))


def cuttable(path: devices.Controller, namespace: devices.Namespace) -> bool:
    """I/O on this path waits, and ends when that is disconnected."""
    return path.cuttable or (path.live and path.name in namespace.barred)


def _by_name(objects: tuple[T, ...], field: str) -> Mapping[str, T]:
    """Index them by a field; the first of several of one name counts."""
    return {getattr(one, field): one for one in reversed(objects)}


def with_lost(snapshot: HostSnapshot, lost: Lost) -> HostSnapshot:
    """Return how the host looked when these connections were lost."""
    if not any(one.live and (one.name, one.identity) in lost
               for one in snapshot.controllers):
        return snapshot
    return dataclasses.replace(snapshot, controllers=tuple(
        dataclasses.replace(one, state=lost[one.name, one.identity])
        if one.live and (one.name, one.identity) in lost else one
        for one in snapshot.controllers))


def ended(old: HostSnapshot, new: HostSnapshot) -> frozenset[str]:
    """Return the names of connections that there are no more.

    The kernel gives a name that is free to the next one: a connection that
    was cut off and made anew is another one by the same name.
    """
    return frozenset(one.name for one in old.controllers if (
        now := new.controller(one.name)) is None or (
            one.identity != now.identity and one.identity and now.identity))


def carry_over(old: HostSnapshot, new: HostSnapshot) -> HostSnapshot:
    """Name the legs whose device, and with it their UUID, has vanished.

    md lists a faulty leg until it is removed; whose it was, only the older
    snapshot knows.
    """
    if not any(leg.replica_uuid is None and leg.faulty
               for array in new.arrays for leg in array.legs):
        return new
    arrays = []
    for array in new.arrays:
        if any(leg.replica_uuid is None and leg.faulty for leg in array.legs):
            was = old.array(array.name)
            array = _named(array, was.legs if was is not None
                           and was.uuid == array.uuid else ())
        arrays.append(array)
    return dataclasses.replace(new, arrays=tuple(arrays))


def _named(array: devices.Array,
           before: tuple[devices.Leg, ...]) -> devices.Array:
    known = {leg.device: leg.replica_uuid for leg in before}
    return dataclasses.replace(array, legs=tuple(
        dataclasses.replace(leg, replica_uuid=known.get(leg.device))
        if leg.replica_uuid is None and leg.faulty else leg
        for leg in array.legs))
