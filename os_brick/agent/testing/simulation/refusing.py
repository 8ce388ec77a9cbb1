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
"""An array whose media refuse writes: md's bad blocks, as of Linux 6.1.

A write that a medium refuses is noted in the leg's list, and the leg stays in
sync; with failfast md drops it at once.  What is in the list md reads from
another leg, and skips in writes as long as it remembers the error; after that
a write that succeeds strikes it out.  What no leg holds a recovery cannot
copy: it is bad on whoever it was to be copied to.
"""

from __future__ import annotations

from os_brick.agent.testing.simulation import media
from os_brick.agent.testing.simulation import raid_state

BLOCKS = media.BLOCKS
Member = media.Member
#: What md calls a leg to which a write has failed.
_ERROR = frozenset(('write_error', 'want_replacement'))


class RefusingRaid(raid_state.RaidState):
    """What becomes of a block that is to be written to a leg."""

    _partly = False

    def fault(self, member: Member) -> None:
        """md drops a leg."""
        raise NotImplementedError

    def _put(self, member: Member, block: int) -> None:
        """Send the write that is under way to a leg that answers."""
        if block in member.bad and 'write_error' in member.flags:
            return
        if member.medium.takes(block):
            if member.medium.blocks[block] != self.version:
                member.medium.unflushed.append((
                    self.now(), block, member.medium.blocks[block]))
            member.medium.blocks[block] = self.version
            self._strike_out(member, block)
            return
        # then it is not marked as clean
        self._partly = True
        fast = self.width > 1 and 'failfast' in member.flags
        if fast:
            self._drop(member)
        if not member.faulty:
            member.flags |= _ERROR
            self._note(member, block)

    def _taken(self) -> bool:
        """A leg has taken the write that is under way."""
        in_sync = [member for member in self.members if member.in_sync]
        return not in_sync or any(self.pending not in member.bad
                                  for member in in_sync)

    def _refuse(self) -> None:
        """The application is told of an error, and no leg has changed."""
        self.moved = True
        self.refused += 1
        if self.pending is not None:
            self.torn.add(self.pending)
        self.pending = None

    def _drop(self, member: Member) -> None:
        """An error of md's own: the last leg stays, in a broken array."""
        self.noted_at = self.now()
        if self._last(member):
            self.moved = self.noted = True
            self.broken = True
        else:
            self.fault(member)

    def _note(self, member: Member, block: int) -> None:
        self.moved = self.noted = True
        member.bad[block] = self.noted_at = self.now()
        if member.medium.read_only:
            self._drop(member)
        else:
            self.write_superblocks()
        self._owe_no_more(block)

    def _strike_out(self, member: Member, block: int) -> None:
        if member.bad.pop(block, None) is not None:
            self.moved = self.noted = True
            member.struck[block] = self.now()
            self.write_superblocks()

    def _owe_no_more(self, block: int) -> None:
        """What no copy holds any more the media have lost."""
        told = self.acknowledged[block]
        legs = {member.medium.uuid: member for member in self.members}
        for medium in self.all_media():
            bad = (legs[medium.uuid].bad if medium.uuid in legs
                   else medium.bad)
            if (medium.blocks[block] >= told and block not in bad
                    and medium.written is not None
                    and medium.written.array_uuid == self.uuid):
                return
        self.acknowledged[block] = 0

    def owe_nothing_that_is_lost(self) -> None:
        """The operator has said so, or knows it."""
        for block in self.lacks() if self.incomplete else ():
            self.acknowledged[block] = 0

    def _drop_read_only(self) -> None:
        """Those to which a superblock was to be written, and cannot be."""
        for member in list(self.members):
            if (member.medium.read_only and not member.faulty
                    and self.io(member) == 'ok'):
                self._drop(member)

    def _copied(self, source: Member, member: Member, block: int) -> bool:
        """Copy a block; False: whoever holds it does not answer."""
        if block in source.bad:
            holders = [other for other in self.members if other.in_sync
                       and block not in other.bad]
            if not holders:
                self._note(member, block)
                return True
            answering = [other for other in holders
                         if self.io(other) == 'ok']
            if not answering:
                return False
            source = answering[0]
        if member.medium.takes(block):
            member.medium.blocks[block] = source.medium.blocks[block]
            self._strike_out(member, block)
        else:
            member.flags |= _ERROR
            self._note(member, block)
        return True

    def would_try(self) -> bool:
        """Of each block that no leg holds, a write would go to one."""
        return all(any(member.in_sync and 'write_error' not in member.flags
                       for member in self.members) for block in self.lacks())

    def resync(self, source: Member, member: Member, block: int) -> None:
        """After a crash: of a leg nothing is copied to itself."""
        if member is not source or block in member.bad:
            self._copied(source, member, block)

    def marked_still(self) -> set[int]:
        """What the bitmap marks when a recovery has come to its end."""
        return {block for block in self.dirty if any(
            block in member.bad for member in self.members)}

    def _wanted_before(self, slot: int) -> Member | None:
        """A leg that md wants replaced; it comes first by its slot."""
        return next((leg for leg in self.members
                     if _ERROR <= leg.flags and leg.slot is not None
                     and leg.slot < slot and not any(
                         other.slot == leg.slot and other is not leg
                         for other in self.members)), None)
