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
"""The judge of the simulated host: S1-S5, S9 and S13, by the truth.

It looks at every request and action before and after it is carried out, at
the kernel's truth and the provisioner's, and never asks ``rules``.
"""

from __future__ import annotations

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit import simulated_provisioner as provisioner
from os_brick.agent.tests.unit import simulator

MIB = simulator.MIB
#: Seconds for which a target may still execute what it was sent.
EXECUTES = 10.0


class Violation(AssertionError):
    """A safety rule was broken."""


class Judge:
    """Holds the agent to S1-S5, S9 and S13, by the truth.

    :ivar left: medium -> when it was last listed by md.
    """

    def __init__(self, kernel: simulator.Kernel,
                 given: provisioner.Provisioner) -> None:
        self.kernel = kernel
        self.provisioner = given
        self.foreign_raids: set[str] = set()
        self.foreign_media: set[str] = set()
        self.left: dict[str, float] = {}

    def reachable(self, member: simulator.Member,
                  without: str = '') -> bool:
        """As far as the kernel knows."""
        return not member.vanished and any(
            path.state == 'live' and path.name != without
            for path in self.kernel.through(member.medium.uuid))

    def good(self, raid: simulator.Raid,
             without: str = '') -> list[simulator.Member]:
        return [member for member in raid.copies()
                if self.reachable(member, without)]

    def action(self, action: act.Action) -> None:
        """Look at an action just before it is carried out."""
        if isinstance(action, (act.Disconnect, act.SetFastIoFail,
                               act.ResetConnection)):
            self._controller(action)
        elif isinstance(action, act.Connect):
            if action.replica_uuid not in self._given():
                raise Violation('S4: %s' % action)
        else:
            raid = self.kernel.raids[getattr(action, 'array')]
            if raid.name in self.foreign_raids:
                raise Violation('S4: %s' % action)
            self._array(action, raid)

    def _given(self) -> set[str]:
        return {uuid for volume in self.provisioner.volumes.values()
                for uuid in volume.given}

    def _array(self, action: act.Action, raid: simulator.Raid) -> None:
        good = self.good(raid)
        device = getattr(action, 'device', '')
        others = [member for member in good if member.device != device]
        leg = next((member for member in raid.members
                    if member.device == device), None)
        if isinstance(action, (act.AddLeg, act.ReplaceLeg, act.Resize,
                               act.SetFailfast)) and any(
                not member.faulty and not member.vanished
                and not self.reachable(member) for member in raid.members):
            raise Violation('md hangs, and nobody can fail the lost leg: %s'
                            % action)
        if isinstance(action, act.AddLeg):
            medium = next((self.kernel.media[uuid] for uuid, head
                           in self.kernel.heads.items() if head == device))
            owner = next(volume for volume
                         in self.provisioner.volumes.values()
                         if volume.alias == raid.alias)
            if medium.uuid not in owner.given or medium.size < (
                    raid.component_size + MIB):
                raise Violation('S2: %s' % action)
            if (self.kernel.now - self.left.get(medium.uuid, -EXECUTES)
                    < EXECUTES):
                raise Violation('S13: %s' % action)
        elif isinstance(action, act.Resize):
            if action.raid_disks < len(raid.copies()):
                raise Violation('S1: %s' % action)
        elif isinstance(action, act.SetFailfast):
            if action.on and not any('failfast' not in other.flags
                                     for other in others):
                raise Violation('S9: %s' % action)
        elif not others and (leg is None or leg.in_sync):
            raise Violation('S1: %s' % action)
        elif leg in good and isinstance(action, act.RemoveLeg):
            raise Violation('S3: %s' % action)
        elif leg in good and isinstance(action, act.FailLeg):
            if leg is None or not any(
                    leg.medium.uuid in volume.doomed
                    for volume in self.provisioner.volumes.values()):
                raise Violation('S3: %s' % action)

    def _controller(
            self, action: act.Disconnect | act.SetFastIoFail
            | act.ResetConnection) -> None:
        path = self.kernel.paths[action.controller]
        if path.seen & self.foreign_media:
            raise Violation('S4: %s' % action)
        for raid in self.kernel.raids.values():
            legs = [member for member in raid.members
                    if member.medium.uuid in path.seen
                    and not member.vanished and not member.faulty]
            if legs and raid.name in self.foreign_raids:
                raise Violation('S4: %s' % action)
            if isinstance(action, act.SetFastIoFail):
                if legs and action.seconds is not None and not any(
                        other.tmo is None and other is not path
                        for member in self.good(raid)
                        for other in self.kernel.through(
                            member.medium.uuid)):
                    raise Violation('S9: %s' % action)
                continue
            for leg in legs:
                if len([other for other in self.kernel.through(
                        leg.medium.uuid) if other.state == 'live'
                        and other is not path]):
                    continue
                if path.state == 'live' and path.lost_at is None:
                    raise Violation('S3: %s' % action)
                if not self.good(raid, without=path.name):
                    raise Violation('S1: %s' % action)

    def after(self) -> None:
        """Look at the world after something was done to it."""
        for raid in self.kernel.raids.values():
            self.left.update(dict.fromkeys(
                (member.medium.uuid for member in raid.members),
                self.kernel.now))
            if raid.io_errors:
                raise Violation('S9: I/O error on %s' % raid.name)
            if not [member for member in raid.members
                    if member.in_sync
                    and member.medium.version == raid.version]:
                raise Violation('S1: %s has lost its data' % raid.name)

    def confirm(self, uuid: str) -> None:
        if any(member.medium.uuid == uuid
               for raid in self.kernel.raids.values()
               for member in raid.members):
            raise Violation('S5: %s is still a leg' % uuid)
