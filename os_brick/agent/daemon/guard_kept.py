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
"""What one look of the guard leaves to the next, and what ends with it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent.guard import keeping
from os_brick.agent.guard import roles
from os_brick.agent.guard import settings
from os_brick.agent.guard import sight
from os_brick.agent.guard import stall
from os_brick.agent.host import activity
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.model import tallies
from os_brick.agent.safety import ownership

#: Seconds for which the answer to a read vouches for a leg.
FRESH = 1.0


@dataclasses.dataclass(frozen=True)
class Guarded:
    """The arrays that are guarded.

    :ivar arrays: array name -> uuid of its volume.
    :ivar known: the volumes that they were matched with; what is published
        later may lack one.
    """

    arrays: Mapping[str, str] = dataclasses.field(default_factory=dict)
    known: ownership.KnownVolumes = dataclasses.field(
        default_factory=ownership.KnownVolumes)

    @property
    def owned(self) -> ownership.Owned:
        return self.known.owned(self.arrays)

    def volume(self, name: str) -> model.Volume:
        return self.known.volumes[self.arrays[name]]


@dataclasses.dataclass
class Kept:
    """What one look leaves to the next.

    :ivar activity: what the small reads said.
    :ivar io_history: since when which array stands still.
    :ivar symptoms: what was made of both.
    :ivar snapshot: the last scan of this host.
    :ivar guarded: the arrays that were found in it.
    :ivar answers: leg -> when it was asked for a read that it answered.
    :ivar memory: what the guard remembers of its decisions.
    :ivar settings: what it remembers of what it has set while all was calm.
    :ivar keeping: what it remembers of legs that have left.
    :ivar failed: what could not be done, for the log.
    :ivar tally: what was done so far, for whoever counts.
    :ivar unseen: something has changed that no scan has seen yet.
    :ivar seen_until: when the last look was that left nothing unseen.
    :ivar due: when to scan though nothing changes, by the clock.
    :ivar undecided: something is lost or silent, and what to do about it is
        not settled yet.
    """

    activity: activity.Activity = activity.Activity()
    io_history: stall.IoHistory = stall.IoHistory()
    symptoms: roles.Symptoms = roles.Symptoms()
    snapshot: snapshots.HostSnapshot = snapshots.HostSnapshot()
    guarded: Guarded = Guarded()
    answers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    memory: roles.GuardMemory = roles.GuardMemory()
    settings: settings.SettingsMemory = settings.SettingsMemory()
    keeping: keeping.KeepMemory = keeping.KeepMemory()
    failed: frozenset[str] = frozenset()
    tally: tallies.Tally = tallies.Tally()
    unseen: bool = False
    seen_until: float = sight.NEVER
    due: float = 0.0
    undecided: bool = False

    def answered(self, now: float) -> frozenset[str]:
        """The legs that have just answered a read."""
        self.answers = {device: asked for device, asked
                        in self.answers.items() if now - asked <= FRESH}
        return frozenset(self.answers)


@dataclasses.dataclass
class Look:
    """What belongs to one look, and ends with it.

    :ivar now: seconds that never step.
    :ivar mode: ``io_guard``.
    :ivar failed: what could not be done in it, for the log.
    :ivar put_off: something was for which the next look must not be late.
    """

    now: float
    mode: str
    failed: set[str] = dataclasses.field(default_factory=set)
    put_off: bool = False
