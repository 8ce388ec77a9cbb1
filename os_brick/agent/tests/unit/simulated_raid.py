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
"""A small model of MD RAID1, as Linux 6.1 and mdadm 4.2 behave.

md notices a dead leg only when something is written; the last leg is never
failed; a faulty leg on which I/O hangs is blocked and cannot be removed; a
spare fills an empty slot by itself; a known leg comes back by its bitmap.

Which medium really holds every acknowledged write is kept here, apart from
md's flags and the agent's rules, so that both can be held to account.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act

MIB = 1024 * 1024
OFFSET = 1 * MIB


class KernelError(Exception):
    """mdadm or nvme would have failed."""


@dataclasses.dataclass(eq=False)
class Medium:
    """What a namespace is stored on.

    :ivar version: the last write to its array that it holds.
    :ivar member_of: the array whose superblock it carries.
    """

    uuid: str
    size: int = 64 * MIB
    version: int = -1
    member_of: str | None = None


@dataclasses.dataclass(eq=False)
class Member:
    """A leg; ``left``: seconds of resync that it still needs."""

    device: str
    medium: Medium
    slot: int | None
    flags: set[str]
    left: float = 0.0
    vanished: bool = False

    @property
    def faulty(self) -> bool:
        return 'faulty' in self.flags

    @property
    def in_sync(self) -> bool:
        return 'in_sync' in self.flags and not self.faulty


@dataclasses.dataclass(eq=False)
class Raid:
    """An array; ``answer``: what I/O to a device does, ok, wait or error.

    :ivar version: how many writes were acknowledged.
    :ivar pending: a write is under way.
    :ivar since: for how many seconds it has been.
    :ivar width: to how many legs it was sent; only where there were several
        does md send it so that it fails fast.
    :ivar io_errors: how many writes failed.
    """

    name: str
    alias: str
    raid_disks: int
    members: list[Member]
    answer: Callable[[str], str]
    component_size: int = 32 * MIB
    version: int = 0
    pending: bool = False
    io_errors: int = 0
    sync_time: float = 40.0
    since: float = 0.0
    width: int = 0

    def run(self, seconds: float) -> None:
        self.since = self.since + seconds if self.pending else 0.0
        self._write()
        self._recover(seconds)
        self._write()

    def write(self) -> None:
        if not self.pending:
            self.pending = True
            self.width = sum(member.in_sync for member in self.members)

    def broke(self, device: str) -> None:
        """The last connection to a device broke under a write.

        What was sent with failfast ends with an error; one on the last leg
        leaves the array broken.
        """
        for member in self.members:
            if (self.pending and self.width > 1 and member.device == device
                    and not member.faulty and 'failfast' in member.flags):
                if any(other.in_sync for other in self.members
                       if other is not member):
                    self.fault(member)
                elif member.in_sync:
                    self.io_errors += 1
                    self.pending = False

    def io(self, member: Member) -> str:
        return 'error' if member.vanished else self.answer(member.device)

    def copies(self) -> list[Member]:
        """The legs that hold all data and that md would use; the truth."""
        return [member for member in self.members
                if member.in_sync and not member.vanished
                and member.medium.version == self.version]

    def fault(self, member: Member) -> None:
        member.flags |= {'faulty'}
        member.flags -= {'in_sync', 'replacement', 'spare',
                         'want_replacement'}
        member.slot = None

    def _write(self) -> None:
        for member in self.members:
            if 'blocked' in member.flags and self.io(member) != 'wait':
                member.flags -= {'blocked'}
        if not self.pending:
            return
        for member in self.members:
            if member.vanished and member.slot is None:
                # the superblock is written to spares, too
                self.fault(member)
        active = [member for member in self.members
                  if not member.faulty and member.slot is not None]
        for member in active:
            if self.io(member) != 'error':
                continue
            if not member.in_sync or any(
                    other.in_sync and other is not member
                    and self.io(other) != 'error' for other in active):
                self.fault(member)
            elif all(self.io(other) == 'error' for other in active
                     if other.in_sync):
                self.io_errors += 1
                self.pending = False
                return
        if any(self.io(member) == 'wait' for member in self.members
               if 'blocked' in member.flags
               or not member.faulty and member.slot is not None):
            return
        self.pending = False
        self.version += 1
        for member in self.members:
            if member.in_sync:
                member.medium.version = self.version

    def _recover(self, seconds: float) -> None:
        taken = {member.slot for member in self.members if not member.faulty}
        for member in self.members:
            free = [slot for slot in range(self.raid_disks)
                    if slot not in taken]
            if 'spare' in member.flags and member.slot is None and free:
                member.slot = free[0]
                taken.add(free[0])
            elif 'spare' in member.flags and member.slot is None:
                self._replace_wanted(member)
        if not any(member.in_sync and self.io(member) == 'ok'
                   for member in self.members):
            return
        for member in list(self.members):
            if 'spare' not in member.flags or member.slot is None:
                continue
            if self.io(member) == 'error':
                self.fault(member)
            if self.io(member) != 'ok':
                continue
            member.left -= seconds
            if member.left <= 0 and not self.pending:
                self._complete(member)

    def _replace_wanted(self, spare: Member) -> None:
        """A leg that wants a replacement takes any spare."""
        for leg in self.members:
            if 'want_replacement' in leg.flags and not any(
                    other.slot == leg.slot and other is not leg
                    for other in self.members):
                spare.slot = leg.slot
                spare.flags |= {'replacement'}
                return

    def _complete(self, member: Member) -> None:
        if 'replacement' in member.flags:
            for other in self.members:
                if other is not member and other.slot == member.slot:
                    self.fault(other)
        member.flags = (member.flags | {'in_sync'}) - {'spare',
                                                       'replacement'}
        member.medium.version = self.version

    def apply(self, action: act.Action, medium: Medium | None) -> None:
        """:param medium: what is behind the device, None if it is held.

        :raises KernelError: as mdadm would; nothing was done.
        """
        if isinstance(action, act.Resize):
            busy = len(self.members) > action.raid_disks
            if action.raid_disks < self.raid_disks and busy:
                raise KernelError('raid_disks: device or resource busy')
            self.raid_disks = action.raid_disks
            for slot, member in enumerate(sorted(
                    (member for member in self.members
                     if member.slot is not None),
                    key=lambda member: member.slot or 0)):
                member.slot = slot
            return
        if isinstance(action, act.AddLeg):
            if (medium is None
                    or medium.size < self.component_size + OFFSET):
                raise KernelError('mdadm: cannot add %s' % action.device)
            self.join(action.device, medium, action.returning)
            return
        member = self._member(getattr(action, 'device'))
        if isinstance(action, act.FailLeg):
            if member.in_sync and not any(
                    other.in_sync and other is not member
                    for other in self.members):
                raise KernelError('set device faulty failed: busy')
            hangs = self.pending and self.io(member) == 'wait'
            self.fault(member)
            member.flags |= {'blocked'} if hangs else set()
        elif isinstance(action, act.SetFailfast):
            (member.flags.add if action.on
             else member.flags.discard)('failfast')
        elif isinstance(action, act.RemoveLeg):
            if 'blocked' in member.flags or (not member.faulty
                                             and member.slot is not None):
                raise KernelError('hot remove failed: busy')
            self.members.remove(member)
        elif isinstance(action, act.ReplaceLeg):
            spare = self._member(action.spare)
            if spare.slot is not None or 'spare' not in spare.flags:
                raise KernelError('%s is no spare' % action.spare)
            member.flags |= {'want_replacement'}
            spare.flags |= {'replacement'}
            spare.slot = member.slot
        else:
            raise TypeError(action)

    def join(self, device: str, medium: Medium,
             returning: bool) -> None:
        known = returning and medium.member_of == self.name
        medium.member_of = self.name
        self.members.append(Member(device, medium, None,
                                   {'spare', 'failfast'},
                                   1.0 if known else self.sync_time))

    def _member(self, device: str) -> Member:
        for member in self.members:
            if member.device == device:
                return member
        raise KernelError('no such device: %s' % device)

    def array(self) -> model.Array:
        filled = {member.slot for member in self.members if member.in_sync}
        syncing = any('spare' in member.flags and member.slot is not None
                      for member in self.members)
        return model.Array(
            self.name, self.alias, None, self.raid_disks,
            self.raid_disks - len(filled), 'active',
            'recover' if syncing else 'idle', self.component_size,
            tuple(model.Leg(member.device, member.slot,
                            frozenset(member.flags), None if member.vanished
                            else member.medium.uuid)
                  for member in self.members), data_offset=OFFSET,
            written=True)
