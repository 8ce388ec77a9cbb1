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
"""A small model of one host: NVMe-oF targets, connections and md arrays.

It does what the agent's actions ask of it, as Linux 6.1 does: a lost path
queues I/O without end unless fast_io_fail_tmo was set while it was live; a
target that goes silent is taken for live until the keep-alive fails; a
namespace disappears with its last connection.
"""

from __future__ import annotations

import dataclasses
import uuid as uuid_lib

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit import simulated_raid

KernelError = simulated_raid.KernelError
Medium = simulated_raid.Medium
Member = simulated_raid.Member
Raid = simulated_raid.Raid
MIB = simulated_raid.MIB
KEEP_ALIVE = 6.0


@dataclasses.dataclass(eq=False)
class Target:
    nqn: str
    portals: tuple[model.Portal, ...]
    media: dict[str, Medium]
    up: bool = True


@dataclasses.dataclass(eq=False)
class Path:
    """A controller.

    :ivar lost_at: when its target was lost; once it is ``connecting``, when
        it became so.
    :ivar armed: the fast_io_fail_tmo that the loss met.
    :ivar seen: the namespaces found when it was last live.
    """

    name: str
    nqn: str
    portal: model.Portal
    state: str = 'live'
    tmo: float | None = None
    armed: float | None = None
    lost_at: float | None = None
    silent: bool = False
    seen: frozenset[str] = frozenset()


def uuid_of(number: int) -> str:
    return str(uuid_lib.UUID(int=number + 1))


class Kernel:
    """The host.  Time passes only in ``advance``."""

    def __init__(self, sync_time: float = 40.0,
                 failfast: bool = True) -> None:
        self.now = 0.0
        self.network = True
        self.targets: dict[str, Target] = {}
        self.media: dict[str, Medium] = {}
        self.paths: dict[str, Path] = {}
        self.heads: dict[str, str] = {}     # namespace uuid -> device
        self.raids: dict[str, Raid] = {}
        self.sync_time = sync_time
        self.failfast = failfast
        self._homes: dict[str, Target] = {}
        self._serial = 0

    # set-up

    def target(self, number: int, *media: Medium, portals: int = 1) -> Target:
        found = Target('nqn.2020-01.org.example:t%d' % number, tuple(
            model.Portal('192.0.%d.%d' % (link, number), 4420)
            for link in range(portals)),
            {medium.uuid: medium for medium in media})
        self.targets[found.nqn] = found
        self.media.update(found.media)
        self._homes.update(dict.fromkeys(found.media, found))
        return found

    def attach(self, name: str, alias: str, *uuids: str,
               failfast: bool = True) -> Raid:
        """What os-brick does: connect, create the array, wait for sync."""
        raid = Raid(name, alias, len(uuids), [], self.answer,
                    sync_time=self.sync_time)
        for slot, uuid in enumerate(uuids):
            home = self.home(uuid)
            self.connect(home.nqn, home.portals)
            medium = self.media[uuid]
            medium.version, medium.member_of = 0, name
            raid.members.append(Member(self.heads[uuid], medium, slot,
                                       {'in_sync'} | (
                                           {'failfast'} if failfast
                                           else set())))
        self.raids[name] = raid
        return raid

    def home(self, uuid: str) -> Target:
        """The target on which a namespace is, or was."""
        return self._homes[uuid]

    def connect(self, nqn: str, portals: tuple[model.Portal, ...]) -> None:
        target = self.targets[nqn]
        if not (target.up and self.network):
            raise KernelError('connection refused')
        for portal in portals:
            if not any(path.portal == portal and path.nqn == nqn
                       for path in self.paths.values()):
                name = 'nvme%d' % self._number()
                self.paths[name] = Path(name, nqn, portal)
        self.run(0.0)

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    # what happens to it

    def lose(self, target: Target, silent: bool = False) -> None:
        """The target dies; silent: its packets are dropped."""
        target.up = False
        self._drop([path for path in self.paths.values()
                    if path.nqn == target.nqn], silent)

    def restore(self, target: Target) -> None:
        target.up = True
        self.run(0.0)

    def cut(self) -> None:
        """The host's own network goes away."""
        self.network = False
        self._drop(list(self.paths.values()), True)

    def mend(self) -> None:
        self.network = True
        self.run(0.0)

    def _drop(self, paths: list[Path], silent: bool) -> None:
        for path in paths:
            if path.lost_at is None:
                path.lost_at, path.silent = self.now, silent
        self.run(0.0)

    def remove_namespace(self, uuid: str) -> None:
        self.home(uuid).media.pop(uuid, None)
        self.run(0.0)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.run(seconds)

    def write(self, raid: Raid) -> None:
        raid.write()
        self.run(0.0)

    def incremental(self, raid: Raid) -> None:
        """What udev does when former legs are there again."""
        for uuid, device in sorted(self.heads.items()):
            medium = self.media[uuid]
            if (medium.member_of == raid.name
                    and self._holder(device) is None
                    and self.answer(device) == 'ok'):
                raid.join(device, medium, True)
        self.run(0.0)

    def run(self, seconds: float) -> None:
        """Let everything settle."""
        for path in self.paths.values():
            target = self.targets[path.nqn]
            if target.up and self.network:
                path.state, path.lost_at, path.armed = 'live', None, None
                path.seen = frozenset(target.media)
            elif path.lost_at is not None and path.state == 'live' and (
                    not path.silent or self.now - path.lost_at > KEEP_ALIVE):
                self._break(path)
        seen = {uuid for path in self.paths.values() for uuid in path.seen}
        for uuid, device in list(self.heads.items()):
            if uuid not in seen:
                del self.heads[uuid]
                for raid in self.raids.values():
                    for member in raid.members:
                        member.vanished |= member.device == device
        for uuid in sorted(seen - set(self.heads)):
            self.heads[uuid] = 'nvme%dn1' % self._number()
        for raid in self.raids.values():
            raid.run(seconds)

    def _break(self, path: Path) -> None:
        """The kernel gives a connection up."""
        path.state, path.armed, path.lost_at = ('connecting', path.tmo,
                                                self.now)
        for uuid, device in self.heads.items() if self.failfast else ():
            if uuid in path.seen and not any(
                    other.state == 'live' for other in self.through(uuid)):
                for raid in self.raids.values():
                    raid.broke(device)

    def through(self, uuid: str) -> list[Path]:
        """The controllers of a namespace, also while it is out of reach."""
        return [path for path in self.paths.values() if uuid in path.seen]

    def answer(self, device: str) -> str:
        """What I/O to a device does now: ok, wait or error."""
        paths = [path for uuid, head in self.heads.items() if head == device
                 for path in self.through(uuid)]
        if any(path.lost_at is None for path in paths):
            return 'ok'
        expired = [path.state == 'connecting' and path.armed is not None
                   and path.lost_at is not None
                   and self.now - path.lost_at >= path.armed
                   for path in paths]
        return 'error' if all(expired) else 'wait'

    # what the agent's actions do

    def apply(self, action: act.Action) -> None:
        """:raises KernelError: as the tools would; nothing was done."""
        if isinstance(action, act.Connect):
            self.connect(action.target.nqn, action.portals)
        elif isinstance(action, act.Disconnect):
            path = self.paths[action.controller]
            if path.lost_at is not None and path.state == 'live':
                raise KernelError('nvme disconnect hangs: silent target')
            del self.paths[path.name]
        elif isinstance(action, act.ResetConnection):
            path = self.paths[action.controller]
            if path.lost_at is not None and path.state == 'live':
                self._break(path)
        elif isinstance(action, act.SetFastIoFail):
            self.paths[action.controller].tmo = action.seconds
        else:
            device = getattr(action, 'device', '')
            self.raids[getattr(action, 'array')].apply(
                action, None if self._holder(device)
                else self._medium(device))
        self.run(0.0)

    def _medium(self, device: str) -> Medium | None:
        for uuid, head in self.heads.items():
            if head == device:
                return self.media[uuid]
        return None

    def _holder(self, device: str) -> str | None:
        for raid in self.raids.values():
            for member in raid.members:
                if member.device == device and not member.vanished:
                    return raid.name
        return None

    # what the agent sees

    def snapshot(self) -> snapshots.HostSnapshot:
        return snapshots.HostSnapshot(
            tuple(model.Controller(path.name, path.nqn, path.portal, None,
                                   path.state, path.tmo)
                  for path in self.paths.values()),
            tuple(self._namespace(uuid, device)
                  for uuid, device in self.heads.items()),
            tuple(raid.array() for raid in self.raids.values()))

    def _namespace(self, uuid: str, device: str) -> model.Namespace:
        holder = self._holder(device)
        return model.Namespace(
            device, uuid, self.media[uuid].size,
            tuple(path.name for path in self.through(uuid)),
            (holder,) if holder else ())
