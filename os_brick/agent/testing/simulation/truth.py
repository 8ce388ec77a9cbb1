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
"""What is true of the legs: who can be used, and who could just now.

By the kernel's truth and the provisioner's; ``rules`` is never asked.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping

from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import provisioner as provisioners

#: Seconds that a guard may need until it has dealt the roles anew.
REACTION = 3.0
#: Seconds after which an answer of a leg is too old to give up another one.
LATELY = 5.0
#: Seconds for which one look at the host may serve.
BLINK = 0.25


class Violation(AssertionError):
    """A law was broken; the text begins with its number."""


class Truth:
    """What it rests on, and the first law that was broken.

    :ivar foreign_raids: and ``foreign_media``: nobody may touch these.
    :ivar shared: somebody else's namespaces behind targets of the volume.

    :ivar excused_until: until then an I/O error is not the agent's: a leg
        was lost for good, and nobody can have dealt the roles anew.
    :ivar broken: the first law that was, '' where none was.
    :ivar guarded: the guard is on, and the agent lives.
    :ivar all_wait: no leg may be made to fail fast.
    :ivar idle: the application is on another host: what md takes for in sync
        here need not be.
    """

    def __init__(self, kernel: kernels.Kernel,
                 given: provisioners.Provisioner) -> None:
        self.kernel = kernel
        self.provisioner = given
        self.foreign_raids: set[str] = set()
        self.foreign_media: set[str] = set()
        self.shared: set[str] = set()
        self.excused_until = REACTION
        self.guarded = True
        self.all_wait = self.idle = False
        self.broken = ''
        self._joined: set[str] = set()
        self._joined_on = {0: self._joined}

    def move(self, host: int) -> None:
        """Another host has the array; it cannot miss what it never saw."""
        self._joined = self._joined_on.setdefault(host, set())

    def forget(self, joined: Collection[str]) -> None:
        """The agent has lost what its disk did not take.

        :param joined: the replicas that it still knows to have been legs.
        """
        self._joined.intersection_update(joined)

    def broke(self, why: str) -> Violation:
        """Keep it: whoever raises it may be sheltered from defects."""
        self.broken = self.broken or why
        return Violation(why)

    def excuse(self) -> None:
        """From now on the guard needs its time."""
        self.excused_until = self.kernel.now + REACTION

    def _reachable(self, member: md.Member, without: str,
                   lately: bool) -> bool:
        """As far as the kernel knows; ``lately``: or knew just now."""
        return not member.vanished and any(
            path.name != without and (
                path.state == 'live' and self.kernel.open(
                    path, member.medium.uuid)
                or lately and self._just_lost(path, member))
            for path in self.kernel.through(member.medium.uuid))

    def _just_lost(self, path: kernels.Path, member: md.Member) -> bool:
        """So lately that a look may not have seen it."""
        gone = self.kernel.gone_at(path, member.medium.uuid)
        return gone is not None and self.kernel.now - gone <= BLINK

    def good(self, raid: md.Raid, without: str = '',
             lately: bool = False) -> list[md.Member]:
        """The legs that can be used; ``lately``: or could just now."""
        return [member for member in (self._just_there(raid) if lately
                                      else raid.copies())
                if self._reachable(member, without, lately)]

    def _just_there(self, raid: md.Raid) -> list[md.Member]:
        """The copies, and those that a look may still have shown as such."""
        return [*raid.copies(), *(
            member for when, member in raid.lost
            if self.kernel.now - when <= BLINK)]

    def spared(self, raid: md.Raid, member: md.Member,
               others: Collection[md.Member],
               written: bool = True) -> bool:
        """These others hold all that a leg does, or did just now.

        :param written: blocks that nobody has written to do not count.
        """
        if not raid.incomplete or not member.in_sync:
            return True
        holds = {block for block in raid.held(member)
                 if raid.acknowledged[block] or not written}
        return holds - self._just(member.struck) <= set().union(*(
            raid.held(other) | self._just(other.bad) for other in others))

    def _just(self, since: Mapping[int, float]) -> set[int]:
        """What a look may not have seen yet."""
        return {block for block, moment in since.items()
                if self.kernel.now - moment <= BLINK}

    def _owner(self, raid: md.Raid) -> provisioners.SimVolume:
        return next(volume for volume in self.provisioner.volumes.values()
                    if volume.alias == raid.alias)

    def _lately(self, member: md.Member) -> bool:
        gone = [self.kernel.gone_at(path, member.medium.uuid)
                for path in self.kernel.through(member.medium.uuid)]
        return any(at is None or self.kernel.now - at <= LATELY
                   for at in gone)

    def _legs(self, raid: md.Raid, path: kernels.Path) -> list[md.Member]:
        return [member for member in raid.members
                if member.medium.uuid in path.seen
                and not member.vanished and not member.faulty]
