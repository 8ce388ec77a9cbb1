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
"""The judge: holds the agent to the laws, by the truth.

It looks at every request and effect when it is made, at the kernel's truth
and the provisioner's, and never asks ``rules``.
"""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.testing.simulation import truth
from os_brick.agent.testing.simulation import world_judge

MIB = md.MIB
REACTION = truth.REACTION
STANDS = world_judge.STANDS
Violation = truth.Violation
#: Seconds for which what was seen of a connection may be out of date.
JUST_NOW = 2.0


class Judge(world_judge.WorldJudge):
    """Looks at each effect when it is begun, and at each request."""

    def beside(self, kernel: kernels.Kernel,
               given: provisioners.Provisioner) -> Judge:
        """The judge of another host."""
        found = Judge(kernel, given)
        found._joined_on, found.all_wait = self._joined_on, self.all_wait
        found.idle = True
        return found

    # the effects, each when it is begun

    def heals(self, what: str) -> None:
        """A host that has been told to observe does nothing of this."""
        if self.provisioner.observed:
            raise self.broke('S12: %s, by a host that only observes' % what)

    def array(self, raid: md.Raid) -> None:
        if raid.name in self.foreign_raids:
            raise self.broke('S4: %s was changed' % raid.name)

    def speed(self, raid: md.Raid) -> None:
        self.array(raid)
        # nothing can be looked at and written in one
        if (raid.by_hand is not None
                and self.kernel.now - raid.by_hand > JUST_NOW):
            raise self.broke('the limit of %s, set by hand, was replaced'
                             % raid.name)

    def puts_in(self, raid: md.Raid, what: str) -> None:
        """Whose application writes elsewhere lacks what that writes."""
        self.heals(what)
        if not raid.written:
            raise self.broke('S15: %s, and nobody has written to %s here' % (
                what, raid.name))

    def connect(self, nqn: str) -> None:
        target = self.kernel.targets[nqn]
        given = {uuid for volume in self.provisioner.volumes.values()
                 for uuid in volume.given | volume.ever}
        if not given & {uuid for uuid in self.kernel.media
                        if self.kernel.home(uuid) is target}:
            raise self.broke('S4: %s was connected' % nqn)

    def add(self, raid: md.Raid, medium: md.Medium) -> None:
        self.puts_in(raid, '%s is added' % medium.uuid)
        if medium.uuid not in self._owner(raid).given:
            raise self.broke('S2: %s is not this volume\'s' % medium.uuid)
        self.erase(medium)
        # what it has grown by since the last look, md itself sees to
        if (medium.size < raid.component_size + MIB
                and self.kernel.now - raid.grown_at > truth.BLINK):
            raise self.broke('S2: %s is too small' % medium.uuid)
        self._needed(raid, medium.uuid, 'S10', truth.BLINK)

    def erase(self, medium: md.Medium) -> None:
        if self.kernel.heads.get(medium.uuid) in self.kernel.held:
            raise self.broke('S2: somebody has opened %s' % medium.uuid)
        for raid in self.kernel.raids.values():
            if medium.uuid in raid.beyond:
                raise self.broke('S10: %s holds what %s lacks, and would be '
                                 'overwritten' % (medium.uuid, raid.name))

    def resize(self, raid: md.Raid, raid_disks: int) -> None:
        if raid_disks > raid.raid_disks:
            self.puts_in(raid, '%s grows' % raid.name)
        self.heals('%s is resized' % raid.name)
        if raid_disks < len(raid.copies()):
            raise self.broke('S1: %s would have %d legs' % (
                raid.name, raid_disks))
        away = self._hidden(raid)
        if away and raid_disks < raid.raid_disks and (
                raid_disks < len(away) + len(raid.copies())):
            raise self.broke('S8: resized, while a list was truncated')

    def _hidden(self, raid: md.Raid) -> set[str]:
        """The replicas that only a truncated list makes seem to be gone.

        None where the provisioner tells how many there are to be.
        """
        volume = self._owner(raid)
        if volume.count is not None:
            return set()
        # nobody can miss what he was never told of, or last that it is to go
        leaving = (None, model.ReplicaState.TERMINATING)
        return {uuid for uuid in self.provisioner.hides & self._joined
                if volume.replicas.get(uuid) not in leaving
                and self.provisioner.shown.get(uuid) not in leaving
                and uuid not in volume.successors
                and not self._seems_replaced(volume, uuid)} - {
            member.medium.uuid for member in raid.members
            if member.in_sync}

    def _seems_replaced(self, volume: provisioners.SimVolume,
                        uuid: str) -> bool:
        """Another one has come since its replacement was requested.

        Whether it came for that, nobody can see on the host.
        """
        others = self.provisioner.others.get(uuid)
        return others is not None and bool(volume.ever - others)

    def failfast(self, raid: md.Raid, member: md.Member, on: bool) -> None:
        if on and self.all_wait:
            raise self.broke('S9: leg %s would fail fast' % member.device)
        if on and not any('failfast' not in other.flags
                          for other in self.good(raid, lately=True)
                          if other is not member):
            raise self.broke('S9: every leg of %s would fail fast'
                             % raid.name)
        if on and not self.spared(raid, member, [
                other for other in self.good(raid, lately=True)
                if 'failfast' not in other.flags and other is not member]):
            raise self.broke('S9: leg %s would fail fast, which holds what '
                             'no other one does that waits' % member.device)

    def keep(self, raid: md.Raid, member: md.Member) -> None:
        """md writes its bitmap to the legs, and may compare them.

        That another host heals the guard knows as of the last pass.
        """
        # one that a look still showed has marked all that is to be kept
        if member not in self._just_there(raid):
            raise self.broke('%s, whose bitmap is kept, is not in sync'
                             % member.device)
        if not raid.written:
            raise self.broke('S15: what %s marks is kept, and nobody has '
                             'written to it here' % raid.name)

    def remove(self, raid: md.Raid, member: md.Member) -> None:
        self.heals('%s is removed' % member.device)
        if member in self.good(raid):
            raise self.broke('S3: %s was removed' % member.device)

    def replace(self, raid: md.Raid, member: md.Member) -> None:
        self.puts_in(raid, '%s is replaced' % member.device)
        if not [other for other in self.good(raid, lately=True)
                if other is not member]:
            raise self.broke('S1: %s, the last one, is replaced'
                             % member.device)

    def fail(self, raid: md.Raid, member: md.Member) -> None:
        self.array(raid)
        if member.faulty:
            return    # md does nothing
        good = self.good(raid)
        if not [other for other in self.good(raid, lately=True)
                if other is not member]:
            raise self.broke('S1: the last good leg of %s would be %s'
                             % (raid.name, member.device))
        if member.in_sync and not any(
                other is not member and self._lately(other)
                for other in self._just_there(raid)):
            raise self.broke('S1: %s of %s would be dropped, and no other '
                             'leg answers' % (member.device, raid.name))
        if not self.spared(raid, member, [
                other for other in self._just_there(raid)
                if other is not member and self._lately(other)]):
            raise self.broke('S1: %s of %s would be dropped, which holds '
                             'what no other leg does' % (member.device,
                                                         raid.name))
        if member in good and not any(
                self.kernel.now - path.back_at <= JUST_NOW
                for path in self.kernel.through(member.medium.uuid)):
            if not any(member.medium.uuid in volume.doomed for volume
                       in self.provisioner.volumes.values()):
                raise self.broke('S3: %s works' % member.device)
            if self._hidden(raid):
                raise self.broke('S8: %s works, and was let go while a list '
                                 'was truncated' % member.device)

    def setting(self, path: kernels.Path) -> None:
        self._foreign(path)

    def fast_io_fail(self, path: kernels.Path, seconds: int) -> None:
        self._foreign(path)
        if seconds >= 0 and self.all_wait:
            raise self.broke('S9: %s would fail fast' % path.name)
        for raid in self.kernel.raids.values() if seconds >= 0 else ():
            waiting = [
                member for member in self.good(raid, lately=True)
                if any(other.tmo is None and other is not path for other
                       in self.kernel.through(member.medium.uuid))]
            for leg in self._legs(raid, path):
                if not waiting:
                    raise self.broke('S9: nobody of %s would wait'
                                     % raid.name)
                if not self.spared(raid, leg, waiting):
                    raise self.broke('S9: nobody of %s would wait that holds '
                                     'what %s does' % (raid.name,
                                                       leg.device))

    def give_up(self, path: kernels.Path) -> None:
        self._foreign(path)
        for raid in self.kernel.raids.values():
            for member in self._legs(raid, path):
                uuid = member.medium.uuid
                if any(other.state == 'live' and other is not path
                       and self.kernel.open(other, uuid)
                       for other in self.kernel.through(uuid)):
                    continue
                if (path.state == 'live' and path.lost_at is None
                        and self.kernel.open(path, uuid)
                        and self.kernel.now - path.back_at > JUST_NOW):
                    raise self.broke('S3: %s works' % path.name)
                left = self.good(raid, path.name, lately=True)
                if not left:
                    raise self.broke('S1: %s is the last path of %s' % (
                        path.name, raid.name))
                if not self.spared(raid, member, left):
                    raise self.broke('S1: %s leads to what no other leg of '
                                     '%s holds' % (path.name, raid.name))

    def _needed(self, raid: md.Raid, uuid: str, law: str,
                seconds: float) -> None:
        """What alone holds a block must not be overwritten or given up.

        :param seconds: that what was seen may be old.
        """
        if self.kernel.now - raid.noted_at <= seconds:
            return
        for block in sorted(raid.alone_has(self.kernel.media[uuid])):
            raise self.broke('%s: %s alone holds block %d' % (law, uuid,
                                                              block))

    def reported(self, uuid: str, state: model.ReplicaState) -> None:
        """A report was written down; a pass may be slow."""
        for raid in self.kernel.raids.values():
            for member in raid.members:
                if (member.medium.uuid == uuid and member.bad
                        and not member.faulty
                        and state is model.ReplicaState.AVAILABLE
                        and self.kernel.now - min(member.bad.values())
                        > truth.LATELY):
                    raise self.broke('S6: %s is called AVAILABLE, and has bad '
                                     'blocks' % uuid)

    def _foreign(self, path: kernels.Path) -> None:
        if path.seen & (self.foreign_media | self.shared) or any(
                self.kernel.heads.get(uuid) in self.kernel.held
                for uuid in path.seen):
            raise self.broke('S4: %s is not ours' % path.name)

    # what the provisioner is asked

    def give_away(self, uuid: str, confirmed: bool) -> None:
        """A copy is retired, or confirmed to have gone."""
        self.heals('%s is given up' % uuid)
        for raid in self.kernel.raids.values():
            if (confirmed or raid.name not in self.foreign_raids) and any(
                    member.medium.uuid == uuid
                    and (confirmed or not member.bad)
                    for member in raid.members):
                raise self.broke('S5: %s is still a leg of %s' % (
                    uuid, raid.name))
        for volume in self.provisioner.volumes.values():
            if uuid not in volume.replicas:
                continue
            its = [raid for raid in self.kernel.raids.values()
                   if raid.alias == volume.alias]
            if not its and self._gone(volume.alias) <= REACTION:
                continue    # it was attached when that was decided
            if not its:
                raise self.broke('S11: %s was given up while the volume is '
                                 'detached' % uuid)
            raid = its[0]
            if uuid in raid.beyond and any(
                    self.kernel.gone_at(path, uuid) is None
                    and self.kernel.now - path.back_at
                    > STANDS for path in self.kernel.through(uuid)):
                raise self.broke('S10: %s holds what %s lacks, and was given '
                                 'up' % (uuid, raid.name))
            self._needed(raid, uuid, 'S11', truth.LATELY)
            if not any(member.medium.uuid != uuid and self._lately(member)
                       for member in raid.copies()):
                raise self.broke('S11: %s was given up while no other copy '
                                 'answers' % uuid)
