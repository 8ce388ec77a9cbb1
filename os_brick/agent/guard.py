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
"""Which legs fail I/O fast, which one waits, and whose dead path is cut; pure.

The laws:

* Of every array one good leg, the anchor, waits for a lost path without end.
  The others give up after ``io_fail_timeout``.  One dead target then costs
  the writer that time, and a failure of the host's own network, which takes
  all paths away, costs a pause and never an I/O error (S9).
* An anchor stays while it is good.  A new one is made to wait before the
  old one may fail fast.
* A leg whose target is lost while another leg is good is failed in md and
  its dead controllers are disconnected: queued I/O ends only then (Linux
  multipath.c: a head with a reconnecting path queues).  With no good leg
  left nothing is touched.

Whether a disconnect could hurt another array is asked of ``rules``.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent import action as act
from os_brick.agent import model
from os_brick.agent import rules


@dataclasses.dataclass(frozen=True)
class Decision:
    """Actions in the order in which they must be done, and the anchors.

    :ivar actions: (array name, action) pairs.
    :ivar anchors: array name -> device of its anchor.
    """

    actions: tuple[tuple[str, act.Action], ...]
    anchors: Mapping[str, str]


def decide(snapshot: model.HostSnapshot, ours: frozenset[str],
           anchors: Mapping[str, str], timeout: float,
           known: frozenset[str] = frozenset()) -> Decision:
    """Deal the roles for the arrays named in ``ours``.

    :param known: all replicas of the provisioner's volumes.
    """
    timeout = whole_seconds(timeout)
    actions: list[tuple[str, act.Action]] = []
    chosen: dict[str, str] = {}
    waiting: set[str] = set()
    arrays = [array for array in snapshot.arrays if array.name in ours]
    for array in arrays:
        device = _anchor(array, snapshot, anchors.get(array.name), waiting)
        if device is not None:
            chosen[array.name] = device
            waiting |= _controllers(array.leg(device), snapshot)
    for array in arrays:
        anchor = array.leg(chosen.get(array.name, ''))
        for path in _paths(anchor, snapshot) if anchor else ():
            if path.fast_io_fail_tmo is not None:
                actions.append((array.name, act.SetFastIoFail(
                    'leg %s is the anchor of the array: its I/O waits for a '
                    'lost path' % chosen[array.name], path.name, None)))
    for array in arrays:
        if array.name in chosen:
            actions += [(array.name, action) for action
                        in _release(array, snapshot, ours, known)]
    for array in arrays:
        for leg in array.legs if array.name in chosen else ():
            for path in () if leg.faulty else _paths(leg, snapshot):
                if (path.name not in waiting and path.live
                        and rules.foreign_use(path.name, snapshot, ours,
                                              known) is None
                        and path.has_fast_io_fail
                        and (path.fast_io_fail_tmo is None
                             or path.fast_io_fail_tmo > timeout)):
                    actions.append((array.name, act.SetFastIoFail(
                        'leg %s is not the anchor: its I/O fails %g s after '
                        'its path is lost' % (leg.device, timeout),
                        path.name, timeout)))
                    waiting.add(path.name)
    return Decision(tuple(actions), chosen)


def restore(snapshot: model.HostSnapshot, ours: frozenset[str],
            timeout: float) -> tuple[tuple[str, act.Action], ...]:
    """Return what puts the kernel's default back when the agent stops."""
    return tuple(
        (array.name, act.SetFastIoFail('the agent stops', path.name, None))
        for array in snapshot.arrays if array.name in ours
        for leg in array.legs for path in _paths(leg, snapshot)
        if path.fast_io_fail_tmo == whole_seconds(timeout))


def _anchor(array: model.Array, snapshot: model.HostSnapshot,
            current: str | None, waiting: set[str]) -> str | None:
    good = [leg for leg in array.legs if snapshot.good(leg)]
    for leg in good:
        if leg.device == current:
            return current
    good.sort(key=lambda leg: (
        not _controllers(leg, snapshot) <= waiting,
        not rules.waits(leg, snapshot),
        leg.slot if leg.slot is not None else 1 << 16))
    return good[0].device if good else None


def _release(array: model.Array, snapshot: model.HostSnapshot,
             ours: frozenset[str],
             known: frozenset[str]) -> list[act.Action]:
    """A leg in resync is written to, and so waited for, like any other."""
    actions: list[act.Action] = []
    for leg in array.legs:
        namespace = snapshot.behind(leg)
        if namespace is None or snapshot.reachable(namespace):
            continue
        dead = [path for path in snapshot.paths(namespace)
                if path.state == 'connecting']
        if not leg.faulty:
            if not dead:
                # resetting: the kernel has not given the path up yet
                continue
            actions.append(act.FailLeg(
                'its target is lost (%s) and another leg is in sync' %
                ', '.join('%s %s' % (path.name, path.state)
                          for path in dead), array.name, leg.device))
        for path in dead:
            if path.fast_io_fail_tmo is not None:
                continue    # the kernel ends its I/O and goes on trying
            if rules.refusal(act.Disconnect('', path.name), _NOBODY,
                             snapshot, ours, known) is None:
                actions.append(act.Disconnect(
                    'I/O waits in vain for its target; it is connected '
                    'again when the target answers', path.name))
    return actions


_NOBODY = model.Volume('00000000-0000-0000-0000-000000000000', '')


def whole_seconds(timeout: float) -> float:
    """The kernel takes whole seconds; 0 would fail I/O at every blip."""
    return float(max(1, round(timeout)))


def _paths(leg: model.Leg | None,
           snapshot: model.HostSnapshot) -> tuple[model.Controller, ...]:
    namespace = snapshot.behind(leg) if leg else None
    return snapshot.paths(namespace) if namespace else ()


def _controllers(leg: model.Leg | None,
                 snapshot: model.HostSnapshot) -> set[str]:
    return {path.name for path in _paths(leg, snapshot)}
