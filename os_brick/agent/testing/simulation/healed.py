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
"""That a volume is whole in the end, and what an operator does for it."""

from __future__ import annotations

import dataclasses
import typing

from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import provisioner as provisioners

if typing.TYPE_CHECKING:
    from os_brick.agent.testing.simulation import world as worlds

State = model.ReplicaState


@dataclasses.dataclass(frozen=True)
class Healed:
    """One of the world's volumes, and its array."""

    world: worlds.World
    raid: md.Raid
    volume: provisioners.SimVolume

    def choose(self) -> None:
        """The operator sees an alarm, and says which copy is the one."""
        world, volume = self.world, self.volume
        legs = [member.medium.uuid
                for member in world.judge.good(self.raid)]
        for uuid, record in world.agent.records(volume.uuid).items():
            if legs and uuid in volume.replicas and (
                    record.divergent or record.stale and uuid in legs):
                world.tell('the operator chooses %s, because of %s: %s' % (
                    legs[0], uuid, record.divergent or 'an old copy'))
                self._in_doubt_for_a_reason(uuid, record)
                world.chosen += 1
                self.raid.beyond.clear()
                self.raid.owe_nothing_that_is_lost()
                world.agent.choose(volume.uuid, legs[0])
                return

    def _in_doubt_for_a_reason(
            self, uuid: str, record: replica_record.ReplicaRecord) -> None:
        """A copy that this array has dropped is not ahead of it.

        Of one that was left out when the array was put together, nobody here
        knows; nor where the kernel does not number arrays, or another host
        has the volume as well.
        """
        kernel, raid = self.world.kernel, self.raid
        copy = kernel.media.get(uuid)
        if (record.divergent and record.marked_by == raid.instance
                and raid.instance and not kernel.peers
                and copy is not None and uuid not in raid.beyond
                and all(held <= max(member.medium.blocks[block] for member
                                    in self.world.judge.good(raid))
                        for block, held in enumerate(copy.blocks))):
            raise judges.Violation('S10: %s is said to be ahead, and is not: '
                                   '%s' % (uuid, record.divergent))

    def facts(self) -> dict[str, bool]:
        """What is true of a volume that is whole, and told so."""
        raid, volume, world = self.raid, self.volume, self.world
        good = world.judge.good(raid)
        legs = {member.medium.uuid for member in good}
        goal = volume.count or len(volume.replicas)
        return {
            'complete': not raid.incomplete and not raid.broken,
            'whole': len(legs) == raid.raid_disks == len(raid.members),
            'listed': legs == set(volume.replicas),
            'as many as meant': len(legs) >= goal,
            'told': set(volume.replicas.values()) == {State.AVAILABLE},
            'S6': all(world.vendor.told.get(uuid, State.AVAILABLE)
                      is State.AVAILABLE for uuid in volume.replicas),
            'writes go on': raid.pending is None,
            'paths': all(map(self._has_its_paths, legs)),
            'anchored': self._anchored(good)}

    def _anchored(self, good: list[md.Member]) -> bool:
        """As many wait as are to; a connection may, for the companion."""
        world = self.world
        waiting = [member for member in good if any(
            path.tmo is None
            for path in world.kernel.through(member.medium.uuid))]
        slow = [member for member in waiting
                if 'failfast' not in member.flags]
        if world.companion is not None and not world.judge.all_wait:
            return bool(slow)
        return slow == waiting and len(waiting) == (
            len(good) if world.judge.all_wait else 1)

    def _has_its_paths(self, uuid: str) -> bool:
        """Those by which the agent knows that the leg was reached."""
        record = self.world.agent.records(self.volume.uuid).get(uuid)
        return record is None or record.target is None or {
            *record.target.portals} <= {
            path.portal for path in self.world.kernel.through(uuid)
            if path.lost_at is None}
