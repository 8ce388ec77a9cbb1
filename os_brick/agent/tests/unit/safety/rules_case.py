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
"""An array with two legs, and what the safety rules say of an action."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState
MIB = md.MIB
A, B, C, X = (targets.uuid_of(number) for number in range(4))
IN_SYNC, FAULTY, SPARE = (frozenset([word]) for word in (
    'in_sync', 'faulty', 'spare'))


def leg(number: int, flags: frozenset[str] = IN_SYNC,
        slot: int | None = -1) -> model.Leg:
    return model.Leg('nvme%dn1' % number, number if slot == -1 else slot,
                     flags, targets.uuid_of(number))


def namespace(number: int, holder: str = 'md1',
              size: int = 64 * MIB) -> model.Namespace:
    return model.Namespace(
        'nvme%dn1' % number, targets.uuid_of(number), size,
        ('nvme%d' % number,), (holder,) if holder else ())


def controller(number: int, state: str = 'live',
               tmo: float | None = None) -> model.Controller:
    return model.Controller('nvme%d' % number, 'nqn.t%d' % number, None,
                            None, state, tmo)


class RulesCase(base.BaseTestCase):
    """Legs A and B of md1 on nvme0 and nvme1; C is a replica, X is not."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = model.Volume(targets.uuid_of(99), 'v', None, tuple(
            model.Replica(uuid, State.AVAILABLE) for uuid in (A, B, C)))
        self.legs = [leg(0), leg(1)]
        self.namespaces = [namespace(0), namespace(1), namespace(2, '')]
        self.controllers = [controller(number) for number in range(4)]
        self.raid_disks = 2
        self.array_state = 'active'
        self.written = True
        self.speed: int | None = 0
        self.contents: dict[str, superblock.Content] = {}
        self.known = frozenset[str]()
        self.silent = frozenset[str]()
        self.instance = ''

    def snapshot(self) -> snapshots.HostSnapshot:
        array = model.Array(
            'md1', 'v', None, self.raid_disks, 0, self.array_state, 'idle',
            32 * MIB, tuple(self.legs), data_offset=MIB,
            written=self.written, sync_speed_max=self.speed,
            instance=self.instance)
        return snapshots.HostSnapshot(
            tuple(self.controllers), tuple(self.namespaces), (array,))

    def refusal(self, action: act.Action,
                ours: tuple[str, ...] = ('md1',)) -> str | None:
        snapshot = self.snapshot()
        array = snapshot.arrays[0]
        contents = {**superblocks.contents(snapshot, array), **self.contents}
        return rules.refusal(action, self.volume, snapshot,
                             ownership.Owned(frozenset(ours), self.known),
                             contents, {one.device for one
                                        in self.namespaces} - self.silent)

    def mark(self, uuid: str, state: State) -> None:
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            dataclasses.replace(replica, state=state)
            if replica.uuid == uuid else replica
            for replica in self.volume.replicas))

    def forget(self, uuid: str) -> None:
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            replica for replica in self.volume.replicas
            if replica.uuid != uuid))

    def assert_refused(self, rule: str, action: act.Action,
                       **kwargs: tuple[str, ...]) -> None:
        why = self.refusal(action, **kwargs)
        self.assertIsNotNone(why, 'allowed: %s' % action)
        assert why is not None
        self.assertTrue(why.startswith(rule), why)

    def assert_allowed(self, action: act.Action) -> None:
        self.assertIsNone(self.refusal(action))

    drop = act.FailLeg('', 'md1', 'nvme0n1')
    add = act.AddLeg('', 'md1', 'nvme2n1', C, False)
