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
"""Which legs fail I/O fast, and which one waits for a lost path; pure.

The laws:

* Where the operator has not said otherwise (``legs_fail_fast``), no leg fails
  fast: an outage of everything then drops none.  What follows is of the other
  choice.
* Of every array one good leg, the anchor, waits for a lost path without end:
  its controllers' ``fast_io_fail_tmo`` is off, and so is md's failfast flag,
  with which a write ends in an error when its connection breaks (Linux
  drivers/nvme/host/core.c, nvme_decide_disposition; drivers/md/raid1.c,
  raid1_error: an error on the last leg makes the array ``broken``).  The
  others give up after ``io_fail_timeout``.  One dead target then costs the
  writer that time, and a failure of the host's own network, which takes all
  paths away, costs a pause and never an I/O error (S9).
* A leg with several paths is without md's failfast flag, too: with it a write
  ends in an error, and md drops the leg, when one of the paths breaks.
* An anchor stays while it is good and not about to leave the array.  A new
  one is made to wait before the old one may fail fast.
* A leg that is lost is cut off while another one is good: see ``cutoff``.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from os_brick.agent.guard import cutoff
from os_brick.agent.guard import giving_up
from os_brick.agent.guard import siblings
from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules

GuardMemory = sight.GuardMemory
GuardPolicy = sight.GuardPolicy
Symptoms = sight.Symptoms


@dataclasses.dataclass(frozen=True)
class GuardDecision:
    """What the guard has done now, and what it wants to know.

    :ivar actions: (array name, action) pairs, to be done in this order.
    :ivar memory: for the next decision.
    :ivar probe: devices of which the guard wants to know whether they
        answer a read, before it decides about a silent leg.
    :ivar again_at: when to decide anew at the latest, None: no hurry.
    :ivar ask: portals of which it wants to know whether anybody listens
        there, before it gives up a connection to them.
    """

    actions: tuple[tuple[str, act.Action], ...]
    memory: GuardMemory
    probe: frozenset[str] = frozenset()
    again_at: float | None = None
    ask: frozenset[model.Portal] = frozenset()


def decide(snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
           memory: GuardMemory, now: float, policy: GuardPolicy,
           symptoms: Symptoms = Symptoms(),
           leaving: frozenset[str] = frozenset()) -> GuardDecision:
    """Deal the roles for the arrays that are owned, and cut what is lost.

    :param now: seconds of a clock that never steps.
    :param leaving: those replicas that are soon to leave their arrays.
    """
    arrays = [array for array in snapshot.arrays
              if array.name in owned.arrays]
    others = siblings.look(arrays, snapshot, symptoms, memory, now)
    symptoms = dataclasses.replace(
        symptoms, silent=symptoms.silent | others.silent)
    snapshot = giving_up.without_silent(snapshot, symptoms.silent)
    memory = dataclasses.replace(memory, asked=others.asked)
    decision = _decide(arrays, snapshot, owned, memory, now, policy,
                       symptoms, leaving)
    return dataclasses.replace(decision, ask=decision.ask | others.ask)


def _decide(arrays: list[model.Array], snapshot: snapshots.HostSnapshot,
            owned: ownership.Owned, memory: GuardMemory, now: float,
            policy: GuardPolicy, symptoms: Symptoms,
            leaving: frozenset[str]) -> GuardDecision:
    """Decide about a host whose silent connections are called so."""
    if policy.all_wait:
        return _all_wait(arrays, snapshot, owned, memory, now, symptoms)
    chosen: dict[str, str] = {}
    waiting: set[str] = set()
    for array in arrays:
        device = _anchor(array, snapshot, memory.anchors.get(array.name),
                         waiting, leaving)
        if device is not None:
            chosen[array.name] = device
            for one in (device, *_irreplaceable(array, device, snapshot)):
                waiting |= _controllers(array.leg(one), snapshot)
    guarded = [array for array in arrays if array.name in chosen]
    whole = [array for array in guarded
             if any(snapshot.good(leg) for leg in array.legs)]
    cut = cutoff.cut_lost_legs(arrays, snapshot, dataclasses.replace(
        memory, anchors=chosen), now, symptoms, owned)
    in_need = _in_need(cut.actions, snapshot)
    waits = _wait(guarded, chosen, snapshot, in_need)
    first, later = _first(waits, in_need)
    actions = first + cut.actions + later
    for array in whole:
        # md writes it to every leg and would hang together with one
        if not (array.name in symptoms.stalled
                or rules.lost_legs(array, snapshot)):
            actions += _failfast(array, chosen[array.name], snapshot)
    for array in whole:
        actions += _hurry(array, snapshot, waiting, policy.timeout, owned)
    return GuardDecision(tuple(actions), dataclasses.replace(
        cut.memory, found=_found(memory, snapshot, actions)), cut.probe,
        cut.again_at, cut.ask)


def _in_need(actions: Iterable[tuple[str, act.Action]],
             snapshot: snapshots.HostSnapshot) -> set[str]:
    """Return the arrays that are cut, all those behind a connection too.

    A connection is given up once, for whichever array asks first; each one
    behind it has to have a leg that waits before (S9).
    """
    found: set[str] = set()
    for name, action in actions:
        found.add(name)
        gone = (connections.given_up(action, snapshot) if isinstance(
            action, act.ResetConnection) else frozenset(
                [getattr(action, 'controller', '')]))
        found.update(holder for namespace in snapshot.through(*gone)
                     for holder in namespace.holders)
    return found


def _first(actions: Iterable[tuple[str, act.Action]], in_need: set[str]
           ) -> tuple[list[tuple[str, act.Action]],
                      list[tuple[str, act.Action]]]:
    """Split off what concerns arrays that are cut: it has to be before."""
    found: tuple[list[tuple[str, act.Action]],
                 list[tuple[str, act.Action]]] = ([], [])
    for one in actions:
        found[one[0] not in in_need].append(one)
    return found


def _all_wait(arrays: list[model.Array], snapshot: snapshots.HostSnapshot,
              owned: ownership.Owned, memory: GuardMemory, now: float,
              symptoms: Symptoms) -> GuardDecision:
    """Let every leg wait, and cut what is lost: there is no anchor."""
    cut = cutoff.cut_lost_legs(arrays, snapshot, memory, now, symptoms,
                               owned)
    waits: dict[str, tuple[str, act.Action]] = {}
    failfast: list[tuple[str, act.Action]] = []
    in_need = _in_need(cut.actions, snapshot)
    for array in sorted(arrays, key=lambda array: array.name not in in_need):
        for leg in array.legs:
            for path in () if leg.faulty else snapshot.paths_to(leg):
                if (path.fast_io_fail_tmo is not None
                        and connections.foreign_use(path.name, snapshot,
                                                    owned) is None):
                    waits.setdefault(path.name, (
                        array.name, act.SetFastIoFail(
                            'no leg fails fast: its I/O waits for a lost '
                            'path%s' % _was_set(path), path.name, None)))
            if (leg.failfast and not leg.faulty
                    and array.name not in symptoms.stalled
                    and any(map(snapshot.good, array.legs))
                    and not rules.lost_legs(array, snapshot)):
                failfast.append((array.name, act.SetFailfast(
                    'no leg fails fast: its I/O waits for a lost path',
                    array.name, leg.device, False)))
    first, later = _first(waits.values(), in_need)
    actions = first + cut.actions + later + failfast
    return GuardDecision(tuple(actions), dataclasses.replace(
        cut.memory, anchors={}, found=_found(memory, snapshot, actions)),
        cut.probe, cut.again_at, cut.ask)


def _found(memory: GuardMemory, snapshot: snapshots.HostSnapshot,
           actions: list[tuple[str, act.Action]]
           ) -> dict[str, float | None]:
    """What was set before the guard first set something else."""
    found = {name: seconds for name, seconds in memory.found.items()
             if snapshot.controller(name) is not None}
    for _array, action in actions:
        if isinstance(action, act.SetFastIoFail):
            path = snapshot.controller(action.controller)
            assert path is not None
            found.setdefault(path.name, path.fast_io_fail_tmo)
    return found


def restore(snapshot: snapshots.HostSnapshot, ours: frozenset[str],
            timeout: float, memory: GuardMemory = GuardMemory()
            ) -> tuple[tuple[str, act.Action], ...]:
    """Return what leaves the arrays sane when the agent stops.

    What was found on a leg that fails fast is put back.  The anchor goes on
    waiting, and without md's failfast flag: that is the safe side.
    """
    return tuple(
        (array.name, act.SetFastIoFail('the agent stops', path.name,
                                       memory.found.get(path.name)))
        for array in snapshot.arrays if array.name in ours
        for leg in array.legs for path in snapshot.paths_to(leg)
        if path.fast_io_fail_tmo == GuardPolicy(timeout).timeout)


def _anchor(array: model.Array, snapshot: snapshots.HostSnapshot,
            current: str | None, waiting: set[str],
            leaving: frozenset[str]) -> str | None:
    """A good leg; where there is none, one whose loss is still to come."""
    good = [leg for leg in array.legs if snapshot.good(leg)] or [
        leg for leg in array.in_sync
        if any(path.state == giving_up.SILENT
               for path in snapshot.paths_to(leg))]
    good = [leg for leg in good if leg.replica_uuid not in leaving] or good
    for leg in good:
        if leg.device == current:
            return current
    good.sort(key=lambda leg: (
        not _controllers(leg, snapshot) <= waiting,
        leg.failfast,
        not connections.waits(leg, snapshot),
        leg.slot if leg.slot is not None else 1 << 16))
    return good[0].device if good else None


def _irreplaceable(array: model.Array, anchor: str,
                   snapshot: snapshots.HostSnapshot) -> list[str]:
    """Legs beside the anchor which hold what the others that wait do not.

    Together with it they hold all that any good leg does.
    """
    good = [leg for leg in array.legs if snapshot.good(leg)]
    waiting = [leg for leg in good if leg.device == anchor]
    if not waiting:
        return []    # nobody is good
    others = sorted(good, key=lambda leg: (
        bool(leg.bad), leg.failfast, not connections.waits(leg, snapshot)))
    for leg in others:
        if not model.held_by(leg, waiting):
            waiting.append(leg)
    return [leg.device for leg in waiting[1:]]


def _wait(arrays: list[model.Array], anchors: dict[str, str],
          snapshot: snapshots.HostSnapshot, in_need: set[str]
          ) -> list[tuple[str, act.Action]]:
    """Let the anchors wait, each connection once, first where it is cut."""
    waits: dict[str, tuple[str, act.Action]] = {}
    for array in sorted(arrays, key=lambda array: array.name not in in_need):
        anchor = anchors[array.name]
        for device in (anchor, *_irreplaceable(array, anchor, snapshot)):
            for path in snapshot.paths_to(array.leg(device)):
                if path.fast_io_fail_tmo is not None:
                    waits.setdefault(path.name, (
                        array.name, act.SetFastIoFail(
                            'leg %s %s: its I/O waits for a lost path%s' % (
                                device, _whose(device, anchor),
                                _was_set(path)), path.name, None)))
    return list(waits.values())


def _whose(device: str, anchor: str) -> str:
    return ('is the anchor of the array' if device == anchor
            else 'holds blocks that no other good leg of the array does')


def _was_set(path: model.Controller) -> str:
    """A clause for whoever set it."""
    return ('' if path.fast_io_fail_tmo is None
            else '; %g s was set' % path.fast_io_fail_tmo)


def _failfast(array: model.Array, anchor: str,
              snapshot: snapshots.HostSnapshot
              ) -> list[tuple[str, act.Action]]:
    actions: list[tuple[str, act.Action]] = []
    waiting = (anchor, *_irreplaceable(array, anchor, snapshot))
    for device in waiting:
        leg = array.leg(device)
        if leg is not None and leg.failfast:
            actions.append((array.name, act.SetFailfast(
                'leg %s %s: its I/O waits for a lost path' % (
                    device, _whose(device, anchor)), array.name, device,
                False)))
    for leg in array.legs:
        paths = snapshot.paths_to(leg)
        if (leg.device in waiting or leg.faulty
                or not any(path.live for path in paths)
                or leg.failfast is (len(paths) == 1)):
            continue
        actions.append((array.name, act.SetFailfast(
            'leg %s has %d paths: its I/O may take another one' % (
                leg.device, len(paths)) if leg.failfast else
            'leg %s is not the anchor: its I/O ends when its connection '
            'breaks' % leg.device, array.name, leg.device,
            not leg.failfast)))
    return actions


def _hurry(array: model.Array, snapshot: snapshots.HostSnapshot,
           waiting: set[str], timeout: float,
           owned: ownership.Owned) -> list[tuple[str, act.Action]]:
    """:param waiting: controllers that are to wait, or were dealt with."""
    actions: list[tuple[str, act.Action]] = []
    for leg in array.legs:
        for path in () if leg.faulty else snapshot.paths_to(leg):
            # one that is stricter was set by the operator, and is kept
            if (path.name not in waiting and path.live
                    and connections.foreign_use(path.name, snapshot,
                                                owned) is None
                    and path.has_fast_io_fail
                    and (path.fast_io_fail_tmo is None
                         or path.fast_io_fail_tmo > timeout)):
                actions.append((array.name, act.SetFastIoFail(
                    'leg %s is not the anchor: its I/O fails %g s after '
                    'its path is lost%s' % (leg.device, timeout,
                                            _was_set(path)),
                    path.name, timeout)))
                waiting.add(path.name)
    return actions


def _controllers(leg: model.Leg | None,
                 snapshot: snapshots.HostSnapshot) -> set[str]:
    return {path.name for path in snapshot.paths_to(leg)}
