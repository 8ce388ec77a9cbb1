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
"""What belongs to one pass, and ends with it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent.healing import blame
from os_brick.agent.healing import decision
from os_brick.agent.healing import holding
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership


@dataclasses.dataclass(frozen=True)
class Connecting:
    """A connection that a volume wants.

    :ivar records: of the volume, as they are kept.
    """

    action: act.Connect
    volume: model.Volume
    records: dict[str, decision.ReplicaRecord]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A step that a rule did not let happen.

    :ivar since: agent time when it was first so, pass after pass.
    """

    why: str
    since: float


@dataclasses.dataclass
class Pass:
    """It is filled in as the pass goes on.

    :ivar now: agent time when it began.
    :ivar before: what was done in the pass before.
    :ivar snapshot: this host, as it was looked at last.
    :ivar fresh: the provisioner has given its word in this pass.
    :ivar owned: what on this host is the provisioner's.
    :ivar staying: the replicas of all volumes that are not to be let go.
    :ivar here: the volumes that have their array on this host.
    :ivar attached: those whose array was not served before.
    :ivar owing: those of which there are reports to be sent.
    :ivar targets_wanted: replicas whose targets are asked for.
    :ivar limits: what an operator, or an option, holds back.
    :ivar copying: arrays to which a copy was begun in this pass.
    :ivar wanted: the copies that nothing here holds back; a provisioner that
        limits them may.
    :ivar lock_held: os-brick's lock could not be taken: all actions wait.
    :ivar subjects: the troubles that were met; those of the last pass that
        are not among them are over.
    :ivar connects: what is to be connected once all is told.
    :ivar done: the actions that were carried out.
    :ivar faults: what the pass before found to be wrong with this host.
    :ivar unfit: and ``unreached``: the same of this pass; see ``HostFaults``.
    :ivar put_off: volume -> which limits delay what was decided for it.
    :ivar refused: replica -> what was to be done with its copy, and was not
        by a rule's word.
    :ivar refused_before: the same of the pass before.
    """

    now: float = 0.0
    policy: decision.HealingPolicy = decision.HealingPolicy()
    before: frozenset[act.Action] = frozenset()
    snapshot: snapshots.HostSnapshot = snapshots.HostSnapshot()
    fresh: bool = False
    owned: ownership.Owned = ownership.Owned()
    staying: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    owing: frozenset[str] = frozenset()
    targets_wanted: frozenset[str] = frozenset()
    limits: holding.Limits = holding.Limits()
    copying: set[str] = dataclasses.field(default_factory=set)
    wanted: list[model.Resync] = dataclasses.field(default_factory=list)
    lock_held: bool = False
    subjects: set[str] = dataclasses.field(default_factory=set)
    connects: list[Connecting] = dataclasses.field(default_factory=list)
    done: set[act.Action] = dataclasses.field(default_factory=set)
    faults: blame.HostFaults = blame.NONE
    unfit: str = ''
    unreached: dict[str, str] = dataclasses.field(default_factory=dict)
    put_off: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    refused: dict[str, Refusal] = dataclasses.field(default_factory=dict)
    refused_before: Mapping[str, Refusal] = dataclasses.field(
        default_factory=dict)

    def refuse(self, replica: str, why: str) -> None:
        """Put down that a step was refused."""
        before = self.refused_before.get(replica)
        self.refused[replica] = Refusal(
            why, self.now if before is None else before.since)

    def found(self) -> blame.HostFaults:
        """Return what this pass has found to be wrong with this host."""
        return blame.HostFaults(self.unfit, dict(self.unreached))
