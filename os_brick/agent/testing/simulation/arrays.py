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
"""The arrays of a simulated host: attached, detached, and after a boot."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import itertools

from os_brick.agent.testing.simulation import assembly
from os_brick.agent.testing.simulation import fabric
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import targets

KernelError = md.KernelError
NEVER = fabric.NEVER
uuid_of = targets.uuid_of


class Arrays(fabric.Fabric):
    """What os-brick does, another product, and udev."""

    def _hold(self, member: md.Member, block: int, version: int) -> None:
        """A leg was dropped with a write under way."""
        raise NotImplementedError

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
        self._put_together(raid)
        self.touched()
        return raid

    def number_disks(self) -> None:
        """From now on this kernel gives each disk a number."""
        self.disks = itertools.count(1)
        for raid in self.raids.values():
            self._put_together(raid)

    def _put_together(self, raid: md.Raid) -> None:
        raid.written = False
        raid.instance = ('' if self.disks is None else '%d/%s' % (
            next(self.disks), raid.uuid))

    def twin(self, raid: md.Raid) -> md.Raid:
        """Another host's array, as it can be assembled here."""
        found = md.Raid(
            raid.name, raid.alias, raid.raid_disks, [], self.answer,
            self._announce, lambda: self.wall(), raid.uuid,
            raid.component_size, raid.sync_time, list(raid.acknowledged),
            version=raid.version, now=lambda: self.now, cut=self._hold,
            failfast=raid.failfast, promised=list(raid.promised))
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

    def detach_to_return(self, name: str) -> None:
        """os-brick stops the array; it is assembled here again."""
        raid = self.raids.pop(name)
        raid.write_superblocks()
        assembly.stop(raid)
        self.stopped[name] = raid
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
        self._put_together(raid)
        self.touched()

    def holder(self, device: str) -> str | None:
        for raid in self.raids.values():
            for member in raid.members:
                if member.device == device and not member.vanished:
                    return raid.name
        return self.held.get(device)

    def incremental(self, raid: md.Raid) -> None:
        """What udev does when former legs are there again."""
        for uuid, device in sorted(self.heads.items()):
            copy = self.media[uuid].written
            if (uuid in raid.beyond or raid.would_mix(self.media[uuid])
                    or raid.incomplete and raid.alone_has(self.media[uuid])
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
