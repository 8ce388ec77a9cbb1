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
"""What the guard has done, counted; values that are replaced, not changed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set
import dataclasses

#: Seconds up to which a pause of I/O is counted in each bucket.
BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


@dataclasses.dataclass(frozen=True)
class Pauses:
    """The pauses of a volume's I/O.

    :ivar counts: how many were no longer than each of BUCKETS, and in the
        end all of them.
    :ivar total: their seconds.
    """

    counts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    total: float = 0.0

    def and_one(self, seconds: float) -> Pauses:
        return Pauses(tuple(
            count + (seconds <= most) for count, most
            in zip(self.counts, (*BUCKETS, float('inf')))),
            self.total + seconds)


@dataclasses.dataclass(frozen=True)
class Tally:
    """Since the agent was started, of the volumes that are guarded.

    :ivar actions: volume, kind of action -> how often it was done.
    :ivar pauses: volume -> the pauses of its I/O.
    """

    actions: Mapping[tuple[str, str], int] = dataclasses.field(
        default_factory=dict)
    pauses: Mapping[str, Pauses] = dataclasses.field(default_factory=dict)

    def done(self, volume: str, action: str) -> Tally:
        key = volume, action
        return dataclasses.replace(self, actions={
            **self.actions, key: self.actions.get(key, 0) + 1})

    def stood(self, volume: str, seconds: float) -> Tally:
        return dataclasses.replace(self, pauses={
            **self.pauses, volume: self.pauses.get(
                volume, Pauses()).and_one(seconds)})

    def only(self, volumes: Set[str]) -> Tally:
        """Forget those that are no longer here."""
        if self.pauses.keys() <= volumes and {
                volume for volume, _action in self.actions} <= volumes:
            return self
        return Tally({key: count for key, count in self.actions.items()
                      if key[0] in volumes},
                     {volume: pauses for volume, pauses
                      in self.pauses.items() if volume in volumes})
