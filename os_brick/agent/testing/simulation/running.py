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
"""An array that runs: writes, legs that are lost, and recovery.

Every block of every copy has the version that it holds; a write is
acknowledged when md would.  md notices a dead leg only when something is
written; the last leg is never failed; a spare fills an empty slot by itself.
"""

from __future__ import annotations

from os_brick.agent.testing.simulation import media
from os_brick.agent.testing.simulation import refusing

BLOCKS = media.BLOCKS
KernelError = media.KernelError
Member = media.Member
#: How often md looks at least before a mark goes of a write that has ended on
#: all legs (Linux 6.1: after 9 to 19 s where it looks every 5 s).
LOOKS = 1.8


class RunningRaid(refusing.RefusingRaid):
    """What happens to it."""

    def run(self, seconds: float) -> None:
        self.moved = bool(self.queued)
        if not self.busy:
            for device in list(self.queued):
                self.queued.discard(device)
                member = self.find(device)
                if member is not None and not self._last(member):
                    self.fail(member)
        if self._unwritten:
            self._write_unwritten()
        if self._unwritten:
            self._drop_read_only()
        if self.settled:
            return
        waiting = self.pending
        self._finish_write()
        self._recover(seconds)
        self._finish_write()
        if self.pending != waiting:
            self.moved = True

    def write(self, block: int) -> None:
        """The application writes a block."""
        self.moved = False
        if self.pending is not None:
            return
        if self.broken:
            self.refused += 1
            return
        self._partly = False
        self.pending = block
        self.written = True
        if not self.whole:
            # clean to active: of a degraded array each one is counted, and
            # written to all legs (md.c, md_update_sb)
            self.write_superblocks()
        self.version += 1
        self.dirty.add(block)
        self.width = sum(member.in_sync for member in self.members)
        self._finish_write()

    def broke(self, device: str) -> None:
        """The last connection to a device broke under a write.

        What was sent with failfast ends with an error; one on the last leg
        leaves the array broken.
        """
        for member in self.members:
            if (self.pending is not None and self.width > 1
                    and member.device == device and not member.faulty
                    and 'failfast' in member.flags):
                if not self._last(member):
                    self.fault(member)
                elif member.in_sync:
                    self._error()

    def _error(self) -> None:
        self.moved = True
        self.errors.append(self.clock())
        if self.pending is not None:
            self.torn.add(self.pending)
        self.pending = None

    def fault(self, member: Member) -> None:
        self.moved = True
        if member in self.copies():
            self.lost.append((self.now(), member))
        if (self.pending is not None and member.in_sync
                and self.io(member) != 'ok'):
            self.cut(member, self.pending, self.version)
        if member.in_sync:
            member.medium.bitmap = frozenset(self.dirty), self.cleared
        member.medium.forgetful = False
        member.flags |= {'faulty'}
        member.flags -= {'in_sync', 'replacement', 'spare',
                         'want_replacement'}
        member.slot = None
        self.write_superblocks()
        self.changed()

    def _finish_write(self) -> None:
        for member in self.members:
            if 'blocked' in member.flags and self.io(member) != 'wait':
                member.flags -= {'blocked'}
                self.moved = True
        if self.pending is None:
            return
        for member in list(self.members):
            if member.vanished and member.slot is None and not member.faulty:
                # the superblock is written to spares, too
                self.fault(member)
        active = [member for member in self.members
                  if member.slot is not None and not member.faulty]
        waits = False
        for member in active:
            answer = self.io(member)
            waits = waits or answer == 'wait'
            if answer == 'ok' and self.pending not in member.todo:
                self._put(member, self.pending)
            if answer != 'error' or member.faulty:
                continue
            if not member.in_sync or any(
                    other.in_sync and other is not member
                    and self.io(other) != 'error' for other in active):
                self.fault(member)
            elif all(self.io(other) == 'error' for other in active
                     if other.in_sync):
                self._error()
                return
        # one that is blocked still waits, or it would not be
        if waits or any('blocked' in member.flags
                        for member in self.members):
            return
        if not self._taken():
            self._refuse()
            return
        self.acknowledged[self.pending] = self.version
        self.torn.discard(self.pending)
        if self.whole and not self._partly:
            self.dirty.discard(self.pending)
            self.fading[self.pending] = (
                self.now() + LOOKS * self.bitmap_delay)
            self.cleared = self.events
        self.pending = None
        self.ended += 1

    def _recover(self, seconds: float) -> None:
        if not any('spare' in member.flags for member in self.members):
            return
        taken = {member.slot for member in self.members if not member.faulty}
        for member in self.members:
            free = [slot for slot in range(self.raid_disks)
                    if slot not in taken]
            if 'spare' not in member.flags or member.slot is not None:
                continue
            wanted = self._wanted_before(free[0]) if free else None
            if wanted is not None:
                self._make_replacement(member, wanted)
            elif free:
                # what was written meanwhile did not reach it
                member.slot, member.todo = free[0], set(range(BLOCKS))
                taken.add(free[0])
                self.moved = True
            else:
                self._replace_wanted(member)
        source = next((member for member in self.members if member.in_sync
                       and self.io(member) == 'ok'), None)
        if source is None:
            return
        for member in list(self.members):
            if 'spare' not in member.flags or member.slot is None:
                continue
            if self.io(member) == 'error':
                self.fault(member)
            if self.io(member) == 'ok':
                self._copy(source, member, seconds)

    def _copy(self, source: Member, member: Member, seconds: float) -> None:
        self.moved = True
        member.left -= seconds
        while member.todo and member.left <= 0:
            block = min(member.todo)
            if not self._copied(source, member, block):
                return
            member.todo.discard(block)
            member.left += self._pace / BLOCKS
        if not member.todo and self.pending is None and not member.faulty:
            self._complete(member)

    def _replace_wanted(self, spare: Member) -> None:
        """A leg that wants a replacement takes any spare."""
        for leg in sorted(self.members, key=lambda leg: leg.slot or 0):
            if 'want_replacement' in leg.flags and not any(
                    other.slot == leg.slot and other is not leg
                    for other in self.members):
                self._make_replacement(spare, leg)
                return

    def _make_replacement(self, spare: Member, leg: Member) -> None:
        spare.slot, spare.todo = leg.slot, set(range(BLOCKS))
        spare.flags |= {'replacement'}
        self.moved = True

    def _complete(self, member: Member) -> None:
        if 'replacement' in member.flags:
            for other in self.members:
                if other is not member and other.slot == member.slot:
                    self.fault(other)
        member.flags = (member.flags | {'in_sync'}) - {'spare',
                                                       'replacement'}
        if self.whole:
            self.dirty = self.marked_still()
            self.cleared = self.events + 1
        self.write_superblocks()
        self.changed()

    def fail(self, member: Member) -> None:
        if self._last(member):
            raise KernelError('set device faulty failed: busy')
        hangs = self.pending is not None and self.io(member) == 'wait'
        self.fault(member)
        member.flags |= {'blocked'} if hangs else set()
