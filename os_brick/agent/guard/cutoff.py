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
"""Cutting off a leg that is lost, so that the writer goes on; pure.

The laws:

* Only while another leg of the array is good: in sync, its connection live,
  and a read of it answered within the last second.  With none left nothing is
  touched, and I/O waits.  The same holds for every other array behind the
  connections that are cut.
* Queued I/O of a leg that waits ends only when its dead controllers are
  disconnected (Linux drivers/nvme/host/multipath.c: a head with a
  reconnecting path queues).  One that fails fast needs no help, unless its
  I/O stands still all the same: the time-out may have come too late.
* A connection that is back within ``SETTLE`` is a blip.  An array without
  I/O under way is in no hurry: it waits until the kernel has tried to
  reconnect, so that a short loss costs no resynchronisation.
* A target that listens again is given the time of one attempt of the kernel
  (see ``reconnecting``).
* A silent target, whose connection the kernel still calls live, is given up
  only when the array stands still and whatever it carries has a substitute:
  another leg that has answered a read, or another path that is live.
* Of RDMA nobody says what was acknowledged.  There a leg of a stalled array
  that does not answer a read either is in doubt, and asked for a sign of life
  that needs no disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reconnecting
from os_brick.agent.safety import rules

SILENT = devices.SILENT
#: Seconds a path must be lost before a leg with I/O under way is cut off.
SETTLE = 0.5
#: Seconds without I/O; the kernel's first attempt to reconnect is after 10.
PATIENCE = 15.0
#: Seconds for which no leg of an array must have answered for an outage of
#: all of them, and for which, after one, the others may return.
OUTAGE, RETURN = 1.0, 4.0
#: Seconds before the kernel is asked again to give a connection up.
RESET_AGAIN = 10.0


@dataclasses.dataclass(frozen=True)
class Cutoff:
    """What is done about lost legs: a part of ``roles.GuardDecision``.

    :ivar actions: (array name, action) pairs, to be done in this order.
    :ivar memory: for the next decision.
    :ivar probe: devices that are to be asked whether they answer a read.
    :ivar again_at: when to decide anew at the latest, None: no hurry.
    :ivar ask: portals of which to find out whether anybody listens there.
    """

    actions: list[tuple[str, act.Action]]
    memory: sight.GuardMemory
    probe: frozenset[str]
    again_at: float | None
    ask: frozenset[model.Portal] = frozenset()


def without_silent(snapshot: snapshots.HostSnapshot,
                   silent: frozenset[model.Portal]) -> snapshots.HostSnapshot:
    """Return the host with its silent connections called so, not live."""
    if not silent:
        return snapshot
    return dataclasses.replace(snapshot, controllers=tuple(
        dataclasses.replace(controller, state=SILENT)
        if controller.live and controller.portal in silent else controller
        for controller in snapshot.controllers))


def cut_lost_legs(arrays: Iterable[model.Array],
                  snapshot: snapshots.HostSnapshot, memory: sight.GuardMemory,
                  now: float, policy: sight.GuardPolicy,
                  symptoms: sight.Symptoms,
                  owned: ownership.Owned) -> Cutoff:
    """Cut the lost legs of those arrays that have a good one."""
    return _Cutting(snapshot, memory, now, policy, symptoms,
                    owned).of(arrays)


class _Cutting:
    """One decision about all arrays."""

    def __init__(self, snapshot: snapshots.HostSnapshot,
                 memory: sight.GuardMemory, now: float,
                 policy: sight.GuardPolicy, symptoms: sight.Symptoms,
                 owned: ownership.Owned) -> None:
        self._snapshot = snapshot
        self._before = memory
        self._now = now
        self._policy = policy
        self._symptoms = symptoms
        self._owned = owned
        self._lost: dict[tuple[str, str], float] = {}
        self._resets = {name: moment for name, moment
                        in memory.resets.items()
                        if now - moment < RESET_AGAIN}
        self._probe: set[str] = set()
        self._unheard_of: dict[frozenset[str], list[frozenset[str]]] = {}
        self._disconnected: set[str] = set()
        self._mute: set[str] = set()
        self._light = dict(memory.light)
        self._again: list[float] = []
        self._ask: set[model.Portal] = set()
        self._away = {path.name: self._lost_since(path)
                      for path in snapshot.controllers}
        self._listening: dict[model.Portal, float] = {}

    def of(self, arrays: Iterable[model.Array]) -> Cutoff:
        found: list[tuple[str, act.Action]] = []
        for array in arrays:
            if not any(map(self._snapshot.good, array.legs)):
                self._mute.add(array.name)
                continue
            self._lighten(array)
            for leg in array.legs:
                namespace = self._snapshot.behind(leg)
                if namespace is None:
                    continue
                paths = self._snapshot.paths(namespace)
                for action in (self._give_up(array, leg, paths)
                               + self._cut(array, leg, paths)):
                    found.append((array.name, action))
        # all legs are failed before the connection that they share is cut
        actions = [one for kind in (act.ResetConnection, act.FailLeg,
                                    act.Disconnect)
                   for one in found if isinstance(one[1], kind)]
        return Cutoff(actions, dataclasses.replace(
            self._before, lost=self._lost, resets=self._resets,
            dark={name: self._before.dark.get(name, self._now)
                  for name in self._mute}, light=self._light,
            away=self._away, listening=self._listening),
            frozenset(self._probe), min(self._again, default=None),
            frozenset(self._ask))

    def _lighten(self, array: model.Array) -> None:
        """Note that a leg is good again after an outage of all."""
        name = array.name
        since = self._before.dark.get(name)
        if since is not None and self._now - since >= OUTAGE:
            self._light[name] = self._now
        elif self._now - self._light.get(name, self._now) > RETURN:
            del self._light[name]

    def _give_up(self, array: model.Array, leg: model.Leg,
                 paths: tuple[model.Controller, ...]) -> list[act.Action]:
        """Have the kernel notice what it would notice much later."""
        actions: list[act.Action] = []
        if array.name not in self._symptoms.standing:
            return actions
        for path in paths:
            if not self._doubted(array, leg, path):
                continue
            if path.name in self._resets:
                self._again.append(self._resets[path.name] + RESET_AGAIN)
                continue
            action = self._reset(path, (
                'I/O of %s stands still, %s does not answer, and another %s'
                % (array.name, path.portal, 'path is live' if any(
                    self._reliable(other) for other in paths
                    if other.name != path.name) else 'leg does')))
            if action is not None:
                self._resets.update(dict.fromkeys(connections.given_up(
                    action, self._snapshot), self._now))
                actions.append(action)
            elif not _watched(path):
                # whether it answers itself is the question
                self._probe.add(leg.device)
        return actions

    def _doubted(self, array: model.Array, leg: model.Leg,
                 path: model.Controller) -> bool:
        if not _watched(path):
            return (path.live and array.name in self._symptoms.stalled
                    and leg.device not in self._symptoms.answered)
        return path.state == SILENT or (path.live and path.portal
                                        in self._symptoms.doubted)

    def _reset(self, path: model.Controller,
               reason: str) -> act.ResetConnection | None:
        """Close all connections to its portal, where all may be closed."""
        closed = act.ResetConnection(reason, path.name, path.portal)
        asked = act.ResetConnection(reason, path.name, None)
        vouched: list[act.ResetConnection] = []
        for action in (closed, asked) if _watched(path) else (asked,):
            unheard = self._unheard(connections.given_up(
                action, self._snapshot))
            self._probe.update(*unheard)
            if not unheard:
                vouched.append(action)
        if path.state != SILENT and _watched(path):
            return None    # not yet; what was asked now answers in time
        return next(filter(self._allowed, vouched), None)

    def _unheard(self, names: frozenset[str]) -> list[frozenset[str]]:
        """Return the legs that have to answer a read before these are cut.

        Whatever is cut off by it needs a substitute that does answer: another
        path, or another leg of the same array.  For each that has none, its
        array's other good legs, one of which has to answer; there may be
        none, and then it is not to be done.
        """
        if names not in self._unheard_of:
            self._unheard_of[names] = list(self._find_unheard(names))
        return self._unheard_of[names]

    def _find_unheard(self, names: frozenset[str]
                      ) -> Iterator[frozenset[str]]:
        for namespace in self._snapshot.through(*names):
            if any(path.name not in names and self._reliable(path)
                   for path in self._snapshot.paths(namespace)):
                continue
            for array in map(self._snapshot.array, namespace.holders):
                leg = array.leg(namespace.device) if array else None
                if array is None or leg is None or leg.faulty:
                    continue
                others = self._others(array, leg)
                if not others & self._symptoms.answered:
                    yield others

    def _reliable(self, path: model.Controller) -> bool:
        return path.live and path.portal not in self._symptoms.doubted

    def _cut(self, array: model.Array, leg: model.Leg,
             paths: tuple[model.Controller, ...]) -> list[act.Action]:
        """A leg in resync is written to, and so waited for, like any."""
        if not paths or not all(path.cuttable for path in paths):
            return []    # the kernel has not given it up yet
        key = (array.name, leg.device)
        since = self._lost[key] = self._before.lost.get(key, self._now)
        due = self._due(array, leg, paths, since)
        if due is None or due > self._now:
            self._again += [] if due is None else [due]
            return []
        if not leg.faulty and not self._heard(array, leg):
            self._mute.add(array.name)
            self._light.pop(array.name, None)
            return []
        if not leg.faulty and self._still_to_return(array):
            return []
        if self._returning(paths):
            return []
        actions: list[act.Action] = []
        words = ', '.join('%s %s' % (path.name, path.state)
                          for path in paths)
        if not leg.faulty:
            actions.append(act.FailLeg(
                'its target is lost (%s), and another leg is in sync and '
                'answers' % words, array.name, leg.device))
        unheard = self._unheard(frozenset(path.name for path in paths))
        if unheard:
            self._probe.update(*unheard)
            return actions
        return actions + self._disconnect(paths)

    def _still_to_return(self, array: model.Array) -> bool:
        """After an outage of all, what lacks nothing is not dropped yet."""
        until = self._light.get(array.name, -RETURN) + RETURN
        if until <= self._now:
            return False
        self._again.append(until)
        return True

    def _lost_since(self, path: model.Controller) -> float | None:
        """When it was lost at the earliest, None: it is not."""
        if not path.cuttable:
            return None
        before = self._before.away.get(path.name, sight.NEVER)
        return self._symptoms.before if before is None else before

    def _returning(self, paths: tuple[model.Controller, ...]) -> bool:
        """Whether the kernel may be reconnecting one of them just now."""
        waits = False
        for path in paths:
            lost = self._away[path.name]
            if path.portal is None or lost is None or (
                    not reconnecting.possible(path, lost, self._now)):
                continue
            listens = self._symptoms.listening.get(path.portal)
            if listens is None:
                self._ask.add(path.portal)
                waits = True
            elif listens:
                begun = self._listening[path.portal] = (
                    self._before.listening.get(path.portal, self._now))
                over = reconnecting.over(path, begun)
                if self._now < over:
                    self._again.append(over)
                    waits = True
        return waits

    def _heard(self, array: model.Array, leg: model.Leg) -> bool:
        """Another leg has answered a read; else all of them are asked."""
        others = self._others(array, leg)
        if others & self._symptoms.answered:
            return True
        self._probe |= others
        return False

    def _others(self, array: model.Array,
                leg: model.Leg) -> frozenset[str]:
        return frozenset(other.device for other in array.legs
                         if other.device != leg.device
                         and self._snapshot.good(other))

    def _disconnect(self, paths: tuple[model.Controller, ...]
                    ) -> list[act.Action]:
        """Each once, be it of how many arrays."""
        actions: list[act.Action] = []
        for path in paths:
            action = act.Disconnect(
                'I/O waits in vain for its target; it is connected again '
                'when the target answers', path.name)
            if path.name not in self._disconnected and self._allowed(action):
                actions.append(action)
            self._disconnected.add(path.name)
        return actions

    def _due(self, array: model.Array, leg: model.Leg,
             paths: tuple[model.Controller, ...],
             since: float) -> float | None:
        """When the leg is to be cut off, None: as things are, never."""
        stalled = array.name in self._symptoms.stalled
        if all(path.fast_io_fail_tmo is not None for path in paths):
            if not stalled:
                return None    # the kernel ends its I/O and goes on trying
            return since + max(path.fast_io_fail_tmo or 0.0
                               for path in paths) + 2 * SETTLE
        if any(path.name in self._resets for path in paths):
            return since
        if (stalled or array.name in self._symptoms.busy
                or 'blocked' in leg.flags):
            return since + SETTLE
        return None if leg.faulty else since + PATIENCE

    def _allowed(self, action: act.Action) -> bool:
        return rules.refusal(action, _NOBODY, self._snapshot,
                             self._owned) is None


#: The kernel shows what the far end of such a path has acknowledged.
_watched = reconnecting.askable


_NOBODY = model.Volume('00000000-0000-0000-0000-000000000000', 'nobody')
