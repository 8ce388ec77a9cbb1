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
"""What would be done for a volume now, and what holds it back; pure.

It is what a pass decides, asked of the same laws that the last look before an
action asks.  What is read just before an action only, the superblocks and
whether the legs answer, is named in the place of being read.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from os_brick.agent.healing import blame
from os_brick.agent.healing import decision
from os_brick.agent.healing import holding
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import farewell
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules

_READ_BEFORE = 'the superblocks are read before, and decide (S10)'
_ASKED_BEFORE = 'the other legs are asked for a read before, and have to ' \
    'answer (S11)'


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing that is decided.

    :ivar what: the action or request, with its reason, in words.
    :ivar held_by: what keeps it from being done now, '' where nothing does.
    :ivar condition: what is found out just before it is done.
    """

    what: str
    held_by: str = ''
    condition: str = ''


@dataclasses.dataclass(frozen=True)
class Foreseen:
    """What a pass would do for a volume, in order.

    :ivar notes: what is waited for, or in doubt, in sentences.
    """

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


def foresee(volume: model.Volume, array: model.Array,
            snapshot: snapshots.HostSnapshot, decided:
            decision.HealingDecision, owned: ownership.Owned,
            limits: holding.Limits, ours: Iterable[str],
            faults: blame.HostFaults = blame.NONE) -> Foreseen:
    """Return what would be done of a decision.

    :param ours: names of the arrays of all volumes.
    :param faults: what is wrong with this host.
    """
    paused = limits.volume(volume.uuid)
    steps, started = [], set[str]()
    for action in decided.actions:
        held, condition = _held(action, volume, snapshot, owned)
        held = paused or held or holding.action(
            action, array, holding.copying(snapshot, ours, started), limits)
        if not held and holding.starts_copy(action, array):
            started.add(array.name)
        steps.append(Step(act.words(action), held, condition))
    for request in decided.requests:
        steps.append(Step(
            'ask the provisioner to %s replica %s (%s)' % (
                request.ask.value, request.replica_uuid, request.reason),
            paused, '' if request.ask is decision.RequestKind.REPLACE
            else _ASKED_BEFORE))
    excused = ('replica %s is not replaced meanwhile: %s' % fault
               for fault in sorted(faults.replicas.items()))
    waits = ('nothing is put in before the first write, and no replacement '
             'is requested: %s (S15)' % array.unwritten,
             ) if array.unwritten and not array.filled else ()
    return Foreseen(tuple(steps), (*_notes(decided, paused), *waits,
                                   *excused))


def _held(action: act.Action, volume: model.Volume,
          snapshot: snapshots.HostSnapshot,
          owned: ownership.Owned) -> tuple[str, str]:
    """Return what forbids it, and what is still to be found out."""
    asked = farewell.to_answer(action, volume, snapshot, owned)
    if isinstance(action, act.AddLeg):
        return _add(action, snapshot), _READ_BEFORE
    return (rules.refusal(action, volume, snapshot, owned, {},
                          asked.devices) or '',
            _ASKED_BEFORE if asked.devices else '')


def _add(action: act.AddLeg, snapshot: snapshots.HostSnapshot) -> str:
    """Return what forbids to add it, whatever its superblock says."""
    array = snapshot.array(action.array)
    namespace = snapshot.namespace(action.device)
    if array is None or namespace is None:
        return 'the array, or the namespace, is gone'
    lost = rules.lost_legs(array, snapshot)
    if lost:
        return 'md would wait for %s, whose target is lost' % ', '.join(lost)
    return rules.unusable(namespace, array) or ''


def _notes(decided: decision.HealingDecision,
           paused: str) -> Iterable[str]:
    if paused:
        yield 'nothing is done: %s' % paused
    if decided.alarm:
        yield 'no copy is touched: %s' % decided.alarm
    if decided.doubt:
        yield 'nothing is decided: %s' % decided.doubt
    for uuid, seconds in sorted(decided.held.items()):
        yield ('replica %s is here, and is put back in %.0f s: until then '
               'its target may execute what it was sent before (S13)'
               % (uuid, seconds))
    for uuid, record in sorted(decided.records.items()):
        if record.failed:
            yield 'replica %s: %s' % (uuid, record.failed)
    if decided.due_in is not None and not paused:
        yield 'something falls due in %.0f s' % decided.due_in
