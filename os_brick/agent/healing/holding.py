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
"""What is decided and not done now: pauses, limits, no write yet; pure.

Nothing here allows what was not decided.  What is held back is decided anew
in the next pass, and so a limit only delays.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from os_brick.agent.healing import decision
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import pauses
from os_brick.agent.model import snapshots
from os_brick.agent.safety import first_write

_COPYING = frozenset(['recover', 'resync', 'repair', 'reshape'])


@dataclasses.dataclass(frozen=True)
class Word:
    """What the provisioner says of copies to other replicas.

    :ivar limited: none begins but those that were asked for and need not
        wait.
    :ivar asked: replicas that were asked for.
    :ivar waits: replica -> why it is not copied to yet.
    """

    limited: bool = False
    asked: frozenset[str] = frozenset()
    waits: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def delays(self, replica: str) -> str:
        """Return why a copy does not begin, '' where it may."""
        if not self.limited:
            return ''
        if replica not in self.asked:
            return 'the provisioner limits copies, and is asked first'
        return self.waits.get(replica, '')


@dataclasses.dataclass(frozen=True)
class Limits:
    """What holds back now.

    :ivar paused: volume UUID, or ``pauses.ALL``, -> its pause.
    :ivar dry_run: nothing is done at all, it is only said.
    :ivar resyncs: arrays that may be copied to at the same time, 0: any
        number.
    :ivar may_exchange: a planned exchange may begin at this hour.
    :ivar word: what the provisioner allows in its fleet.
    """

    paused: Mapping[str, pauses.Pause] = dataclasses.field(
        default_factory=dict)
    dry_run: bool = False
    resyncs: int = 0
    may_exchange: bool = True
    word: Word = Word()

    def pause(self, uuid: str) -> pauses.Pause | None:
        """Return the operator's pause of a volume, if there is one."""
        return self.paused.get(uuid) or self.paused.get(pauses.ALL)

    def volume(self, uuid: str) -> str:
        """Return why nothing is done for a volume, '' where it is."""
        pause = self.pause(uuid)
        if pause is not None:
            return 'paused by the operator' + (
                ' (%s)' % pause.why if pause.why else '')
        return 'dry_run is set' if self.dry_run else ''


def hold(decided: decision.HealingDecision, why: str
         ) -> decision.HealingDecision:
    """Return what is left of a decision for a volume that is held back.

    It is still observed and told of; nothing is done or requested.
    """
    return dataclasses.replace(
        decided, actions=(), requests=(), targets_wanted=frozenset(),
        due_in=None, settled=False) if why else decided


def action(wanted: act.Action, array: model.Array,
           arrays: Iterable[model.Array], limits: Limits) -> str:
    """Return which law or limit delays an action, '' where none does.

    :param array: the one that the action is for.
    :param arrays: those of all volumes, as they are now.
    """
    unwritten = first_write.waits(wanted, array)
    if unwritten is not None:
        return unwritten
    if isinstance(wanted, act.ReplaceLeg) and not limits.may_exchange:
        return ('option exchange_hours: a planned exchange does not begin at '
                'this hour')
    if limits.resyncs and starts_copy(wanted, array):
        others = [other.alias or other.name for other in arrays
                  if other.sync_action in _COPYING
                  and other.name != array.name]
        if len(others) >= limits.resyncs:
            return 'option max_resyncs: %s under way' % ', '.join(
                sorted(others))
    return ''


def wanted(copy: act.Action, volume: model.Volume, array: model.Array
           ) -> model.Resync | None:
    """Return the copy that an action begins; None: it begins none."""
    if not starts_copy(copy, array):
        return None
    assert isinstance(copy, (act.AddLeg, act.ReplaceLeg))
    return _resync(volume, copy.replica_uuid,
                   isinstance(copy, act.ReplaceLeg))


def under_way(volume: model.Volume, array: model.Array
              ) -> list[model.Resync]:
    """Return the copies that md makes now, which brings legs up to date."""
    if array.sync_action not in _COPYING:
        return []
    return [resync for resync in (
        _resync(volume, leg.replica_uuid, array.filled)
        for leg in array.legs if not leg.in_sync and not leg.faulty
        and (leg.slot is not None or not array.filled)) if resync is not None]


def _resync(volume: model.Volume, uuid: str | None,
            planned: bool) -> model.Resync | None:
    return None if uuid is None else model.Resync(
        volume, volume.replica(uuid) or model.Replica(uuid), planned)


def starts_copy(wanted: act.Action, array: model.Array) -> bool:
    """A whole copy begins; what returns brings the bitmap's part only."""
    return isinstance(wanted, act.ReplaceLeg) or (
        isinstance(wanted, act.AddLeg) and not array.filled
        and (not wanted.returning or wanted.erase))


def copying(snapshot: snapshots.HostSnapshot, ours: Iterable[str],
            started: Iterable[str]) -> list[model.Array]:
    """Return the arrays of ours, those of ``started`` as being copied to."""
    begun, names = frozenset(started), frozenset(ours)
    return [dataclasses.replace(array, sync_action='recover')
            if array.name in begun else array
            for array in snapshot.arrays if array.name in names]


def within(hours: str, hour: int) -> bool:
    """Return whether an hour of the day is in a span like ``22-06``.

    :param hours: '' stands for the whole day; the last hour is not part of
        it.
    """
    if not hours:
        return True
    first, last = map(int, hours.split('-'))
    if first < last:
        return first <= hour < last
    return hour >= first or hour < last
