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
"""What is judged of the world after each step, whoever has changed it."""

from __future__ import annotations

from collections.abc import Iterator
import math

from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.testing.simulation import truth

REACTION = truth.REACTION
#: Seconds for which a writer may wait for a lost leg, guarded as it is.
STANDS = 30.0
#: Seconds within which a bad block is seen, which the kernel does not
#: announce: the guard finds it when it looks at the host anew.
NOTICED = 10.0


class WorldJudge(truth.Truth):
    """Looks at what the application has lost, or waits for.

    :ivar dealt: the agent guards, and has dealt the roles since it does.
    """

    def __init__(self, kernel: kernels.Kernel,
                 given: provisioners.Provisioner) -> None:
        super().__init__(kernel, given)
        self.dealt = False
        self._errors: dict[str, int] = {}
        self._standing: dict[str, float] = {}
        self._here: frozenset[str] = frozenset()
        self._gone_at: dict[str, float] = {}
        self._excused_at: dict[str, float] = {}
        self._readable: dict[str, set[int]] = {}

    def stands(self, raid: md.Raid, seconds: float) -> None:
        """Take in that time has passed; writes must not wait for ever.

        But for a leg that alone holds some blocks they do, whether they were
        ever written to or not: md does not tell.  So they do where nobody has
        told this host whose array it is, and where the connection on which it
        hangs is somebody else's, too, or leads to what another array needs.
        """
        answering = [member for member in raid.members if member.in_sync
                     and raid.io(member) == 'ok']
        if (raid.pending is None or not self.guarded or not answering
                or self.provisioner.shown.keys().isdisjoint(
                    member.medium.uuid for member in raid.members)
                or not all(self.spared(raid, member, answering, False)
                           for member in raid.members
                           if raid.io(member) == 'wait')
                or any(path.seen & (self.shared | self._untold())
                       for path in self._waited_for(raid))
                or self._held_up(raid) or self._used(raid)):
            self._standing[raid.name] = 0.0
            return
        self._standing[raid.name] = (
            self._standing.get(raid.name, 0.0) + seconds)
        if self._standing[raid.name] > STANDS:
            raise self.broke('stall: for %g s writes to %s have waited for a '
                             'lost leg while another one answers' % (
                                 STANDS, raid.name))

    def _untold(self) -> set[str]:
        """What no list has told yet to be a volume's: somebody's, so far."""
        return {uuid for volume in self.provisioner.volumes.values()
                for uuid in volume.given} - self.provisioner.shown.keys()

    def _needed_by(self, raid: md.Raid, path: kernels.Path) -> bool:
        """Another array would lose by the end of a connection."""
        return any(not self.spared(other, leg, self.good(other, path.name))
                   or not self.good(other, path.name)
                   for other in self.kernel.raids.values()
                   if other is not raid for leg in self._legs(other, path))

    def _held_up(self, raid: md.Raid) -> bool:
        """md waits for a lost leg, whose connection another array needs.

        So long nobody can have it wait for the next one that is lost.
        """
        return any(self._needed_by(raid, path)
                   for path in self._waited_for(raid))

    def _used(self, raid: md.Raid) -> bool:
        """What a lost leg hangs on lives, and nothing else may end with it.

        A leg of another array works over it, and over nothing else (S3), or
        it leads to a copy that was let go of and is still needed (S11).
        """
        paths = list(self._waited_for(raid))
        held = {member.medium.uuid for other in self.kernel.raids.values()
                for member in other.members}
        return any(
            self.kernel.open(path, uuid) and not any(
                other.lost_at is None and self.kernel.open(other, uuid)
                for other in self.kernel.through(uuid)
                if other not in paths)
            for path in paths if path.lost_at is None
            for uuid in [leg.medium.uuid
                         for other in self.kernel.raids.values()
                         if other is not raid
                         for leg in self._legs(other, path)] + [
                uuid for uuid in path.seen - held
                if any(uuid in volume.replicas for volume
                       in self.provisioner.volumes.values())])

    def _waited_for(self, raid: md.Raid) -> Iterator[kernels.Path]:
        for member in raid.members:
            if raid.io(member) == 'wait':
                yield from self.kernel.through(member.medium.uuid)

    def _two_at_once(self) -> bool:
        """Several targets were lost within the time of an answer.

        Whoever gave the first one up had an answer of the other one.
        """
        losses = [(at, who) for at, who in self.kernel.losses
                  if self.kernel.now - at <= STANDS]
        return any(who != other and abs(at - then) <= REACTION
                   for at, who in losses for then, other in losses)

    def _anchored(self) -> bool:
        """Each array that is ours has a leg that waits for a lost path."""
        return all(any(
            'failfast' not in member.flags and any(
                path.tmo is None
                for path in self.kernel.through(member.medium.uuid))
            for member in self.good(raid))
            for raid in self.kernel.raids.values()
            if raid.name not in self.foreign_raids)

    def _goes_on(self, raid: md.Raid) -> bool:
        """A disk has refused writes while no other leg was there.

        The errors, excused at first, go on until one is there again.
        """
        return (raid.noted_at > -math.inf and self.kernel.now
                - self._excused_at.get(raid.name, -math.inf) <= STANDS)

    def _can_be_read(self, raid: md.Raid) -> None:
        """What could be read still can, but for what a medium has refused.

        Where the leg that had it was lost, the agent had its time.
        """
        now = ({block for block, told in enumerate(raid.acknowledged) if told}
               - raid.lacks()) if raid.incomplete else None
        before = self._readable.pop(raid.name, None)
        if now is not None:
            self._readable[raid.name] = now
        # a look at a world in which little happens comes late
        lost_at = raid.lost[-1][0] if raid.lost else self.kernel.now
        if (before is None or now is None or not self.guarded
                or lost_at <= self.excused_until
                or lost_at - raid.noted_at <= NOTICED
                or self._two_at_once()):
            return
        for block in sorted(before - now):
            if raid.acknowledged[block]:
                raise self.broke('S9: block %d of %s can be read no more' % (
                    block, raid.name))

    def _gone(self, alias: str) -> float:
        """Seconds since its array was last here."""
        return self.kernel.now - self._gone_at.get(alias, -float('inf'))

    def after(self) -> None:
        """Look at the world after something was done to it."""
        here = frozenset(raid.alias for raid in self.kernel.raids.values())
        self._gone_at.update(dict.fromkeys(self._here - here,
                                           self.kernel.now))
        self._here = here
        self.dealt = self.guarded and (self.dealt or self._anchored())
        if not self.dealt:
            self.excuse()
        for raid in self.kernel.raids.values():
            if len(raid.errors) > self._errors.get(raid.name, 0):
                self._errors[raid.name] = len(raid.errors)
                if (self.kernel.now > self.excused_until
                        and not self._two_at_once()
                        and not self._goes_on(raid)
                        and not self._held_up(raid)):
                    raise self.broke('S9: I/O error on %s' % raid.name)
                self._excused_at[raid.name] = self.kernel.now
            in_sync = [member for member in raid.members if member.in_sync]
            self._can_be_read(raid)
            self._joined |= {member.medium.uuid for member in in_sync}
            if self.idle and raid.name not in self.foreign_raids:
                continue
            if not any(map(raid.current, in_sync)):
                raise self.broke('S1: %s has lost what was acknowledged'
                                 % raid.name)
            # that its target has died, and forgotten, md does not know yet
            in_sync = [member for member in in_sync
                       if not member.medium.forgetful]
            first, *others = [member.medium.blocks for member in in_sync]
            if all(other == first for other in others):
                continue
            for block in range(md.BLOCKS):
                if block == raid.pending or block in raid.torn:
                    continue
                if len({member.medium.blocks[block] for member in in_sync
                        if block not in member.bad}) > 1:
                    raise self.broke('legs of %s that are in sync differ in '
                                     'block %d' % (raid.name, block))
        if (self.foreign_raids <= self.kernel.raids.keys()
                and not self.foreign_media <= self.kernel.heads.keys()):
            raise self.broke('S4: a stranger was disconnected')
