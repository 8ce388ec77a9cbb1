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
"""A simulated host: what comes of its targets and its arrays with time.

As Linux 6.1 does it: a connection is tried anew, or given up when the
keep-alive fails; a namespace disappears with its last connection.
"""

from __future__ import annotations

from os_brick.agent.host import activity
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.testing.simulation import arrays
from os_brick.agent.testing.simulation import fabric
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import targets

KernelError = md.KernelError
LateWrite = targets.LateWrite
NEVER = fabric.NEVER
Path = targets.Path
Target = targets.Target
uuid_of = targets.uuid_of
#: A moment, by the clock of the kernel.
FOR_EVER = float('inf')
#: Seconds by which rounding may shift a moment.
ROUNDING = 0.001


class Kernel(arrays.Arrays):
    """The host.  Time passes only in ``advance``."""

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
            if not write.medium.takes(write.block):
                continue
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
        found.disks = self.disks
        found.peers, self.peers = [self, *self.peers], [*self.peers, found]
        return found

    def write(self, raid: md.Raid, block: int) -> None:
        waits, first = raid.pending is not None, not raid.written
        raid.write(block)
        if first:
            self.touched()
        if raid.noted:
            raid.noted = False
            self._moved()
        if raid.moved:
            self._still_until = NEVER
        if raid.pending is None and self._scanned:
            return
        if (self.now < self._still_until
                and waits == (raid.pending is not None)):
            self._stood_still()
        else:
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
            if path.torn_down_at is not None:
                if self.now >= path.torn_down_at:
                    moved = True
                    self.break_(path)
                continue
            if (target.listens(path.portal) and self.network
                    and self.now >= path.retry_at):
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
            if path.torn_down_at is not None:
                moments.append(path.torn_down_at)
                continue
            if self.network and self.targets[path.nqn].listens(path.portal):
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
            # one without access gets no device before there is
            if any(self.open(path, uuid) for path in self.through(uuid)):
                self.heads[uuid] = 'nvme%dn1' % self._number()
        self._routes = None
        self.changed()
        return True

    def give_up(self, path: Path) -> None:
        """Its sockets were closed.

        An idle path that is silent has a keep-alive command under way in two
        cases of five, and Linux 6.1 waits until that has timed out.
        """
        if (path.silent and path.lost_at is not None and not path.torn_down_at
                and int(path.lost_at * 20) % 5 < 2 and self._idle(path)):
            path.state = 'resetting'
            path.torn_down_at = self.now + path.keep_alive
        else:
            self.break_(path)

    def _idle(self, path: Path) -> bool:
        """All that it leads to is reached through another one first."""
        return all(self.through(uuid)[0] is not path for uuid in path.seen
                   if uuid in self.heads)

    def break_(self, path: Path) -> None:
        """The kernel gives a connection up, and tries to reconnect."""
        path.torn_down_at = None
        path.state, path.armed, path.lost_at = ('connecting', path.tmo,
                                                self.now)
        path.gone_at = self.now if path.gone_at is None else path.gone_at
        path.retry_at = max(path.retry_at, self.now + path.reconnect_delay)
        for uuid, device in self.heads.items():
            if uuid in path.seen and not any(
                    other.state == 'live' for other in self.through(uuid)):
                for raid in self.raids.values():
                    raid.broke(device)

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
            (holder,) if holder else (), '', frozenset(
                path.name for path in self.through(uuid)
                if not self.open(path, uuid)))

    def read(self, arrays: object) -> activity.Activity:
        """The guard's small reads."""
        return activity.Activity(
            {path.name: path.state for path in self.paths.values()},
            {raid.name: model.IoCounters(
                raid.ended, 0 if raid.pending is None or raid.barred else 1)
             for raid in self.raids.values()
             if raid.name in arrays})   # type: ignore[operator]
