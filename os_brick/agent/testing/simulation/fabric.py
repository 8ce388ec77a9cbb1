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
"""A simulated host's way to its targets: connections, and what I/O does.

As Linux 6.1 does it: a lost path queues I/O without end unless
fast_io_fail_tmo was set while it was live; a target that goes silent is taken
for live until the keep-alive fails.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import targets

KernelError = md.KernelError
LateWrite = targets.LateWrite
Path = targets.Path
Target = targets.Target
#: Seconds until TCP has sent again what was not acknowledged.
RETRANSMIT = 0.4
#: A moment, by the clock of the kernel.
NEVER = float('-inf')


class Fabric:
    """The host, as far as its targets matter.

    :ivar changed: called when something has that the kernel announces.
    :ivar changes: how often anything may have changed but by a write;
        ``moves``: how often anything has, perhaps.
    :ivar losses: when which target was lost.
    :ivar wall: the wall clock.
    :ivar peers: the other hosts that may have the same namespaces.
    :ivar disks: by which arrays are numbered, None where the kernel is older
        than that.
    :ivar late: the writes that targets hold although nobody waits for them;
        ``lateness``: draws for how long after the loss, None: none do.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.network = True
        self.changes = self.moves = 0
        self.losses: list[tuple[float, str]] = []
        self.stopped: dict[str, md.Raid] = {}
        self.told: Callable[[str], None] = lambda sentence: None
        self.changed: Callable[[], None] = lambda: None
        self.wall: Callable[[], float] = lambda: 1.7e9 + self.now
        self.targets: dict[str, Target] = {}
        self.media: dict[str, md.Medium] = {}
        self.paths: dict[str, Path] = {}
        self.heads: dict[str, str] = {}     # namespace uuid -> device
        self.held: dict[str, str] = {}      # device -> what has opened it
        self.raids: dict[str, md.Raid] = {}
        self.late: list[LateWrite] = []
        self.peers: list[Fabric] = []
        self.disks: Iterator[int] | None = None
        self.lateness: Callable[[], float] | None = None
        self._homes: dict[str, Target] = {}
        self._serial = 0
        self._routes: dict[str, list[tuple[Path, bool]]] | None = None
        self._snapshot: snapshots.HostSnapshot | None = None
        # it was looked at since anything may have changed
        self._scanned = False
        # until then nothing happens by itself; and whether any may later
        self._still_until = NEVER
        self._restless = True

    def touched(self) -> None:
        """Something was done to it, or to what it is connected to."""
        raise NotImplementedError

    def target(self, number: int, *media: md.Medium,
               portals: int = 1) -> Target:
        found = Target('nqn.2020-01.org.example:t%d' % number, tuple(
            model.Portal('192.0.%d.%d' % (link, number), 4420)
            for link in range(portals)),
            {medium.uuid: medium for medium in media})
        self.targets[found.nqn] = found
        self.media.update(found.media)
        self._homes.update(dict.fromkeys(found.media, found))
        return found

    def home(self, uuid: str) -> Target:
        """The target on which a namespace is, or was."""
        return self._homes[uuid]

    def connect(self, nqn: str, portal: model.Portal) -> None:
        """:raises KernelError: nobody is there."""
        target = self.targets[nqn]
        if not (target.listens(portal) and self.network):
            raise KernelError('connection refused')
        if not any(path.portal == portal and path.nqn == nqn
                   for path in self.paths.values()):
            name = 'nvme%d' % self._number()
            self.paths[name] = Path(name, nqn, portal,
                                    seen=frozenset(target.media))
        self.touched()

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    def lose(self, target: Target, silent: bool = False) -> None:
        """The target dies; silent: its packets are dropped."""
        target.up = False
        for host in (self, *self.peers):
            host._drop([path for path in host.paths.values()
                        if path.nqn == target.nqn], silent)

    def lose_portal(self, target: Target, portal: model.Portal,
                    silent: bool = False) -> None:
        """One portal of a target dies, until it is taken off ``dead``."""
        target.dead.add(portal)
        for host in (self, *self.peers):
            host._drop([path for path in host.paths.values()
                        if (path.nqn, path.portal) == (target.nqn, portal)],
                       silent)

    def forget_path(self, path: Path) -> None:
        """Its ctrl_loss_tmo is over, or somebody has disconnected it."""
        del self.paths[path.name]
        self.touched()

    def lose_path(self, path: Path, silent: bool) -> None:
        """One connection breaks; its target is there all the while."""
        self._drop([path], silent)
        path.retry_at = self.now + path.reconnect_delay
        self._still_until = NEVER

    def restore(self, target: Target) -> None:
        target.up = True
        for host in (self, *self.peers):
            host.touched()

    def cut(self) -> None:
        """The host's own network goes away."""
        self.network = False
        self._drop(list(self.paths.values()), True)

    def mend(self) -> None:
        self.network = True
        self.touched()

    def _drop(self, paths: list[Path], silent: bool) -> None:
        for path in paths:
            self.losses.append((self.now, path.nqn))
            if path.lost_at is None:
                path.lost_at = path.gone_at = self.now
                path.silent = silent
                path.retry_at = self.now + path.reconnect_delay
        self.touched()

    def export(self, target: Target, medium: md.Medium) -> None:
        """A target shows this host another namespace."""
        target.media[medium.uuid] = self.media[medium.uuid] = medium
        self._homes[medium.uuid] = target
        self.rescan()

    def remove_namespace(self, uuid: str) -> None:
        self.home(uuid).media.pop(uuid, None)
        self.rescan()

    def move_out(self, uuid: str) -> None:
        """A namespace leaves its target, and lost paths are told, too."""
        for host in (self, *self.peers):
            for path in host.paths.values():
                path.seen -= {uuid}
        self.remove_namespace(uuid)
        del self.media[uuid]

    def rescan(self) -> None:
        """A live controller is told which namespaces there are."""
        for host in (self, *self.peers):
            for path in host.paths.values():
                if path.lost_at is None:
                    path.seen = frozenset(self.targets[path.nqn].media)
            host.touched()

    def give_access(self, target: Target, uuid: str,
                    portals: Iterable[model.Portal], access: bool) -> None:
        """A target lets, or does not let, a namespace be accessed there."""
        for portal in portals:
            if access:
                target.closed.pop((portal, uuid), None)
            else:
                target.closed.setdefault((portal, uuid), self.now)
                self.losses.append((self.now, target.nqn))
        for host in (self, *self.peers):
            host._routes = None
            host.touched()

    def gone_at(self, path: Path, uuid: str) -> float | None:
        """Since when a namespace is out of reach on a path; None: it is not.

        Be it that the path is lost, or that there is no access over it.
        """
        closed = self.targets[path.nqn].closed.get((path.portal, uuid))
        if closed is None or path.gone_at is None:
            return path.gone_at if closed is None else closed
        return min(closed, path.gone_at)

    def open(self, path: Path, uuid: str) -> bool:
        """The target gives access to it there, as long as it is up."""
        return (path.portal, uuid) not in self.targets[path.nqn].closed

    def through(self, uuid: str) -> list[Path]:
        """The controllers of a namespace, also while it is out of reach."""
        return [path for path in self.paths.values() if uuid in path.seen]

    def uuid_behind(self, device: str) -> str | None:
        for uuid, head in self.heads.items():
            if head == device:
                return uuid
        return None

    def answer(self, device: str) -> str:
        """What I/O to a device does now: ok, wait or error."""
        if self._routes is None:
            self._routes = {}
            for path in self.paths.values():
                for uuid in path.seen:
                    head = self.heads.get(uuid)
                    if head is not None:
                        self._routes.setdefault(head, []).append(
                            (path, self.open(path, uuid)))
        paths = self._routes.get(device, ())
        for path, is_open in paths:
            if path.lost_at is None and is_open:
                return 'ok'
        for path, _is_open in paths:
            if (path.state != 'connecting' or path.armed is None
                    or path.lost_at is None
                    or self.now - path.lost_at < path.armed):
                return 'wait'
        return 'error'

    def unanswered(self) -> dict[model.Portal, float]:
        """For how long portals have acknowledged nothing of what was sent."""
        found: dict[model.Portal, float] = {}
        for path in self.paths.values():
            if (path.silent and path.state == 'live'
                    and path.lost_at is not None
                    and self.now - path.lost_at >= RETRANSMIT):
                found[path.portal] = self.now - path.lost_at - 0.2
        return found
