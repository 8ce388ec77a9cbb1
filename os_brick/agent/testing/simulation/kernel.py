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
"""A simulated host: NVMe-oF targets, connections, namespaces and md arrays.

As Linux 6.1 does it: a lost path queues I/O without end unless
fast_io_fail_tmo was set while it was live; a target that goes silent is taken
for live until the keep-alive fails; a namespace disappears with its last
connection.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import dataclasses
import uuid as uuid_lib

from os_brick.agent.host import activity
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.testing.simulation import assembly
from os_brick.agent.testing.simulation import md

KernelError = md.KernelError
MIB = md.MIB
#: Seconds until the kernel finds by itself that a target is silent.
KEEP_ALIVE = 6.0
#: Seconds between two tries to connect anew.
RECONNECT = 2.0
#: Seconds until TCP has sent again what was not acknowledged.
RETRANSMIT = 0.4
#: Moments, by the clock of the kernel.
NEVER, FOR_EVER = float('-inf'), float('inf')
#: Seconds by which rounding may shift a moment.
ROUNDING = 0.001


@dataclasses.dataclass(eq=False)
class Target:
    nqn: str
    portals: tuple[model.Portal, ...]
    media: dict[str, md.Medium]
    up: bool = True


@dataclasses.dataclass(eq=False)
class LateWrite:
    """What a target has received and not executed yet."""

    due: float
    medium: md.Medium
    block: int
    version: int


@dataclasses.dataclass(eq=False)
class Path:
    """A controller.

    :ivar lost_at: when its target was lost; once it is ``connecting``, when
        it became so.
    :ivar armed: the fast_io_fail_tmo that the loss met.
    :ivar retry_at: when the kernel tries to connect anew.
    :ivar seen: the namespaces found when it was last live.
    """

    name: str
    nqn: str
    portal: model.Portal
    state: str = 'live'
    tmo: float | None = None
    armed: float | None = None
    lost_at: float | None = None
    gone_at: float | None = None
    silent: bool = False
    retry_at: float = 0.0
    back_at: float = -100.0
    keep_alive: float = KEEP_ALIVE
    reconnect_delay: float = RECONNECT
    seen: frozenset[str] = frozenset()


def uuid_of(number: int) -> str:
    return str(uuid_lib.UUID(int=number + 1))


class Kernel:
    """The host.  Time passes only in ``advance``.

    :ivar changed: called when something has that the kernel announces.
    :ivar changes: how often anything may have changed but by a write;
        ``moves``: how often anything has, perhaps.
    :ivar losses: when which target was lost.
    :ivar wall: the wall clock.
    :ivar peers: the other hosts that may have the same namespaces.
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
        self.raids: dict[str, md.Raid] = {}
        self.late: list[LateWrite] = []
        self.peers: list[Kernel] = []
        self.lateness: Callable[[], float] | None = None
        self._homes: dict[str, Target] = {}
        self._serial = 0
        self._routes: dict[str, list[Path]] | None = None
        self._snapshot: snapshots.HostSnapshot | None = None
        # it was looked at since anything may have changed
        self._scanned = False
        # until then nothing happens by itself; and whether any may later
        self._still_until = NEVER
        self._restless = True

    # set-up

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

    def attach(self, name: str, alias: str, *uuids: str,
               failfast: bool = True, sync_time: float = 40.0) -> md.Raid:
        """What os-brick does: connect, and create the array."""
        raid = md.Raid(name, alias, len(uuids), [], self.answer,
                       self._announce, lambda: self.wall(),
                       uuid_of(5000 + len(self.raids)), sync_time=sync_time,
                       now=lambda: self.now, cut=self._hold,
                       failfast=failfast)
        for slot, uuid in enumerate(uuids):
            home = self.home(uuid)
            for portal in home.portals:
                self.connect(home.nqn, portal)
            raid.members.append(md.Member(
                self.heads[uuid], self.media[uuid], slot,
                {'in_sync'} | ({'failfast'} if failfast else set()), slot))
        raid.write_superblocks()
        raid.all_media = self.media.values
        self.raids[name] = raid
        self.touched()
        return raid

    def _hold(self, member: md.Member, block: int, version: int) -> None:
        """A leg was dropped with a write under way, which its target has."""
        if self.lateness is None:
            return
        lost = max((path.gone_at for path in
                    self.through(member.medium.uuid)
                    if path.gone_at is not None), default=self.now)
        due = lost + self.lateness()
        if due > self.now:
            self.late.append(LateWrite(due, member.medium, block, version))

    def _execute(self) -> bool:
        """Do the late writes that are due; return whether any was."""
        due = [write for write in self.late if write.due <= self.now]
        for write in due:
            self.late.remove(write)
            write.medium.blocks[write.block] = write.version
            self.told('a target executes at last what it was sent: block %d '
                      'of %s has version %d' % (
                          write.block, write.medium.uuid, write.version))
        return bool(due)

    def beside(self) -> Kernel:
        """Another host, for which the same targets are there."""
        found = Kernel()
        found.targets, found.media = self.targets, self.media
        found._homes, found.lateness = self._homes, self.lateness
        found.now, found.told = self.now, self.told
        found.peers, self.peers = [self, *self.peers], [*self.peers, found]
        return found

    def twin(self, raid: md.Raid) -> md.Raid:
        """Another host's array, as it can be assembled here."""
        found = md.Raid(
            raid.name, raid.alias, raid.raid_disks, [], self.answer,
            self._announce, lambda: self.wall(), raid.uuid,
            raid.component_size, raid.sync_time, list(raid.acknowledged),
            version=raid.version, now=lambda: self.now, cut=self._hold,
            failfast=raid.failfast)
        found.all_media = self.media.values
        self.stopped[raid.name] = found
        return found

    def detach(self, name: str, uuids: Collection[str]) -> None:
        """os-brick stops the array, and closes its connections."""
        raid = self.raids.pop(name, None)
        if raid is not None:
            raid.write_superblocks()
            assembly.stop(raid)
        for path in list(self.paths.values()):
            if not path.seen.isdisjoint(uuids):
                del self.paths[path.name]
        self.touched()

    def stop(self) -> None:
        """The host is switched off; its targets are not."""
        self.paths.clear()
        self.heads.clear()
        self.late.clear()
        for raid in self.raids.values():
            assembly.stop(raid)
        self.stopped, self.raids = self.raids, {}
        self._moved()

    def attach_strangers(self, uuids: Sequence[str]) -> None:
        """Another product does for its own what os-brick does."""
        for uuid in uuids:
            home = self.home(uuid)
            self.connect(home.nqn, home.portals[0])
        for name, raid in list(self.stopped.items()):
            if not raid.failfast:
                self.assemble(name, uuids)

    def assemble(self, name: str, uuids: Sequence[str]) -> None:
        """What os-brick does after a boot: with those that connect.

        :raises KernelError: nothing does.
        """
        raid = self.stopped[name]
        for uuid in uuids:
            home = self.home(uuid)
            for portal in home.portals:
                with contextlib.suppress(KernelError):
                    self.connect(home.nqn, portal)
        assembly.assemble(raid, [(self.heads[uuid], self.media[uuid])
                                 for uuid in uuids if uuid in self.heads])
        self.raids[name] = self.stopped.pop(name)
        self.touched()

    def _announce(self) -> None:
        self._snapshot = None
        self._scanned = False
        self._still_until = NEVER
        self.changed()

    def _moved(self) -> None:
        """What was known of the world need not be so any more."""
        self._snapshot = self._routes = None
        self._scanned = False
        self._still_until = NEVER
        self.changes += 1
        self.moves += 1

    def home(self, uuid: str) -> Target:
        """The target on which a namespace is, or was."""
        return self._homes[uuid]

    def connect(self, nqn: str, portal: model.Portal) -> None:
        """:raises KernelError: nobody is there."""
        target = self.targets[nqn]
        if not (target.up and self.network):
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

    # what happens to it

    def lose(self, target: Target, silent: bool = False) -> None:
        """The target dies; silent: its packets are dropped."""
        target.up = False
        for host in (self, *self.peers):
            host._drop([path for path in host.paths.values()
                        if path.nqn == target.nqn], silent)

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

    def rescan(self) -> None:
        """A live controller is told which namespaces there are."""
        for host in (self, *self.peers):
            for path in host.paths.values():
                if path.lost_at is None:
                    path.seen = frozenset(self.targets[path.nqn].media)
            host.touched()

    def write(self, raid: md.Raid, block: int) -> None:
        waits = raid.pending is not None
        raid.write(block)
        if raid.moved:
            self._still_until = NEVER
        if raid.pending is None and self._scanned:
            return
        if (self.now < self._still_until
                and waits == (raid.pending is not None)):
            self._stood_still()
        else:
            self.touched()

    def incremental(self, raid: md.Raid) -> None:
        """What udev does when former legs are there again."""
        for uuid, device in sorted(self.heads.items()):
            copy = self.media[uuid].written
            if (uuid in raid.beyond or raid.would_mix(self.media[uuid])
                    or any(write.medium.uuid == uuid for write in self.late)):
                continue    # what udev breaks is not the agent's
            if (copy is not None and copy.array_uuid == raid.uuid
                    and self.holder(device) is None
                    and self.answer(device) == 'ok' and not raid.hangs()
                    and not raid.busy):
                try:
                    raid.join(device, self.media[uuid], True)
                except KernelError:
                    continue
        self.touched()

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps that are short enough for I/O."""
        while seconds > 0:
            if not (self._restless if self.now < self._still_until
                    else self.restless()):
                self.now += seconds
                return
            step = min(seconds, 0.25)
            self.now += step
            seconds -= step
            if self.now < self._still_until and not any(
                    raid.queued for raid in self.raids.values()):
                self._stood_still()
            else:
                self.run(step)

    def _stood_still(self) -> None:
        """A run that would have found everything as it was before."""
        self._scanned = False
        self.changes += 1

    def restless(self) -> bool:
        """Something may change by itself before long."""
        if self.late:
            return True
        for path in self.paths.values():
            if path.lost_at is not None:
                return True
        for raid in self.raids.values():
            if raid.pending is not None or raid.queued:
                return True
            for member in raid.members:
                if not member.in_sync and not member.faulty:
                    return True
        return False

    def touched(self) -> None:
        self.run(0.0)

    def run(self, seconds: float) -> None:
        """Let everything settle."""
        self._moved()
        moved = False
        if self.late:
            moved |= self._execute()
        for path in self.paths.values():
            target = self.targets[path.nqn]
            if path.lost_at is None:
                continue
            if (target.up and self.network and self.now >= path.retry_at):
                path.state, path.lost_at, path.armed = 'live', None, None
                path.gone_at, path.back_at = None, self.now
                path.seen = frozenset(target.media)
                moved = True
                self.changed()
            elif path.state == 'live' and (
                    not path.silent
                    or self.now - path.lost_at > path.keep_alive):
                moved = True
                self.break_(path)
        moved |= self._devices()
        for raid in self.raids.values():
            raid.run(seconds)
            moved |= raid.moved
        self._still_until = NEVER if moved else self._following()
        self._restless = self.restless()

    def _following(self) -> float:
        """Return when something may change by itself, nothing having now."""
        moments = [write.due for write in self.late]
        for path in self.paths.values():
            if path.lost_at is None:
                continue
            if self.network and self.targets[path.nqn].up:
                moments.append(path.retry_at)
            if path.state == 'live':
                moments.append(path.lost_at + path.keep_alive)
            elif path.armed is not None and (
                    self.now - path.lost_at < path.armed):
                moments.append(path.lost_at + path.armed)
        return min(moments, default=FOR_EVER) - ROUNDING

    def _devices(self) -> bool:
        """Let namespaces come and go; return whether any has."""
        seen = {uuid for path in self.paths.values() for uuid in path.seen}
        if seen == self.heads.keys():
            return False
        for uuid, device in list(self.heads.items()):
            if uuid not in seen:
                del self.heads[uuid]
                for raid in self.raids.values():
                    for member in raid.members:
                        member.vanished |= member.device == device
        for uuid in sorted(seen - set(self.heads)):
            self.heads[uuid] = 'nvme%dn1' % self._number()
        self._routes = None
        self.changed()
        return True

    def break_(self, path: Path) -> None:
        """The kernel gives a connection up."""
        path.state, path.armed, path.lost_at = ('connecting', path.tmo,
                                                self.now)
        path.gone_at = self.now if path.gone_at is None else path.gone_at
        path.retry_at = max(path.retry_at, self.now + path.reconnect_delay)
        for uuid, device in self.heads.items():
            if uuid in path.seen and not any(
                    other.state == 'live' for other in self.through(uuid)):
                for raid in self.raids.values():
                    raid.broke(device)

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
                        self._routes.setdefault(head, []).append(path)
        paths = self._routes.get(device, ())
        for path in paths:
            if path.lost_at is None:
                return 'ok'
        for path in paths:
            if (path.state != 'connecting' or path.armed is None
                    or path.lost_at is None
                    or self.now - path.lost_at < path.armed):
                return 'wait'
        return 'error'

    def holder(self, device: str) -> str | None:
        for raid in self.raids.values():
            for member in raid.members:
                if member.device == device and not member.vanished:
                    return raid.name
        return None

    # what the agent sees

    def scan(self) -> snapshots.HostSnapshot:
        self._scanned = True
        if self._snapshot is None:
            self._snapshot = snapshots.HostSnapshot(
                tuple(model.Controller(path.name, path.nqn, path.portal,
                                       None, path.state, path.tmo)
                      for path in self.paths.values()),
                tuple(self._namespace(uuid, device)
                      for uuid, device in self.heads.items()),
                tuple(raid.array() for raid in self.raids.values()))
        return self._snapshot

    def _namespace(self, uuid: str, device: str) -> model.Namespace:
        holder = self.holder(device)
        return model.Namespace(
            device, uuid, self.media[uuid].size,
            tuple(path.name for path in self.through(uuid)),
            (holder,) if holder else ())

    def read(self, arrays: object) -> activity.Activity:
        """The guard's small reads."""
        return activity.Activity(
            {path.name: path.state for path in self.paths.values()},
            {raid.name: model.IoCounters(
                raid.ended, 0 if raid.pending is None else 1)
             for raid in self.raids.values()
             if raid.name in arrays})   # type: ignore[operator]

    def unanswered(self) -> dict[model.Portal, float]:
        """For how long portals have acknowledged nothing of what was sent."""
        found: dict[model.Portal, float] = {}
        for path in self.paths.values():
            if (path.silent and path.state == 'live'
                    and path.lost_at is not None
                    and self.now - path.lost_at >= RETRANSMIT):
                found[path.portal] = self.now - path.lost_at - 0.2
        return found
