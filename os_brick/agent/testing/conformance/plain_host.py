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
"""A host as plain as can be: arrays whose legs are as they are told to be."""

from __future__ import annotations

from os_brick.agent import model

State = model.ReplicaState
_FLAGS = {State.AVAILABLE: frozenset({'in_sync'}),
          State.SYNCHRONIZING: frozenset({'spare'}),
          State.MISSING: frozenset({'faulty'})}


class PlainArray:
    """The array of one volume.

    :ivar legs: replica UUID -> AVAILABLE, SYNCHRONIZING or MISSING, as this
        host sees it; None: it was not filled yet.
    """

    def __init__(self, name: str, alias: str) -> None:
        self.name = name
        self.alias = alias
        self.legs: dict[str, State] | None = None

    def fill(self, volume: model.Volume) -> None:
        """Take the replicas that are AVAILABLE for the legs, once."""
        if self.legs is None:
            self.legs = {replica.uuid: State.AVAILABLE
                         for replica in volume.replicas
                         if replica.state is State.AVAILABLE}

    def seen(self) -> model.Array:
        """Return what the agent would see of it."""
        legs = self.legs or {}
        good = sum(state is State.AVAILABLE for state in legs.values())
        return model.Array(
            self.name, self.alias, None, max(2, len(legs)),
            max(0, len(legs) - good), 'clean', 'idle', 2 ** 20,
            tuple(model.Leg('nvme%dn1' % slot, slot, _FLAGS[state], uuid)
                  for slot, (uuid, state) in enumerate(legs.items())))


def foreign() -> model.Array:
    """Return an array that is no volume of any provisioner."""
    return model.Array(
        'md0', 'boot', None, 2, 0, 'clean', 'idle', 2 ** 20, tuple(
            model.Leg('nvme9%dn1' % slot, slot, _FLAGS[State.AVAILABLE],
                      '00000000-0000-4000-8000-00000000b00%d' % slot)
            for slot in range(2)))
