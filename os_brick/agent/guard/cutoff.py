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
* A target that lives may give no access to a namespace (ANA).  The kernel
  then sends it nothing, calls the connection live, and queues: what such a leg
  hangs on is lost, and the I/O ends with the connection.
* A connection that is back within ``SETTLE`` is a blip.  An array without
  I/O under way is in no hurry: it waits until the kernel has tried to
  reconnect, so that a short loss costs no resynchronisation.
* What md itself copies or compares is I/O under way, which it counts nowhere.
  As long as that hangs, writes to the same region wait, a lost leg does not
  leave, and nothing is copied to another one.
* A target that listens again is given the time of one attempt of the kernel
  (see ``safety.reconnecting``).
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from os_brick.agent.guard import giving_up
from os_brick.agent.guard import returning
from os_brick.agent.guard import sight
from os_brick.agent.guard import vouching
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership

#: Seconds a path must be lost before a leg with I/O under way is cut off.
SETTLE = 0.5
#: Seconds without I/O; the kernel's first attempt to reconnect is after 10.
PATIENCE = 15.0
#: Seconds for which no leg of an array must have answered for an outage of
#: all of them, and for which, after one, the others may return.
OUTAGE, RETURN = 1.0, 4.0


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


def cut_lost_legs(arrays: Iterable[model.Array],
                  snapshot: snapshots.HostSnapshot, memory: sight.GuardMemory,
                  now: float, symptoms: sight.Symptoms,
                  owned: ownership.Owned) -> Cutoff:
    """Cut the lost legs of those arrays that have a good one."""
    return _Cutting(snapshot, memory, now, symptoms, owned).of(arrays)


class _Cutting:
    """One decision about all arrays."""

    def __init__(self, snapshot: snapshots.HostSnapshot,
                 memory: sight.GuardMemory, now: float,
                 symptoms: sight.Symptoms, owned: ownership.Owned) -> None:
        self._snapshot = snapshot
        self._before = memory
        self._now = now
        self._symptoms = symptoms
        self._lost: dict[tuple[str, str], float] = {}
        self._vouching = vouching.Vouching(snapshot, symptoms, owned)
        self._silence = giving_up.GivingUp(self._vouching, memory, now)
        self._disconnected: set[str] = set()
        self._mute: set[str] = set()
        self._light = dict(memory.light)
        self._again: list[float] = []
        self._returning = returning.Returning(snapshot, memory, now, symptoms)

    def of(self, arrays: Iterable[model.Array]) -> Cutoff:
        found: list[tuple[str, act.Action]] = []
        for array in arrays:
            if not any(map(self._snapshot.good, array.legs)):
                self._mute.add(array.name)
                self._light.pop(array.name, None)
                continue
            for leg in array.legs:
                paths = self._snapshot.paths_to(leg)
                for action in (self._silence.give_up(array, leg, paths)
                               + self._cut(array, leg, paths)):
                    found.append((array.name, action))
            if array.name not in self._mute:
                self._lighten(array)
        # all legs are failed before the connection that they share is cut
        actions = [one for kind in (act.ResetConnection, act.FailLeg,
                                    act.Disconnect)
                   for one in found if isinstance(one[1], kind)]
        return Cutoff(actions, dataclasses.replace(
            self._before, lost=self._lost, resets=self._silence.resets,
            dark={name: self._before.dark.get(name, self._now)
                  for name in self._mute}, light=self._light,
            away=self._returning.away, listening=self._returning.listening),
            frozenset(self._vouching.probe),
            min(self._again + self._silence.again + self._returning.again,
                default=None),
            frozenset(self._returning.ask))

    def _lighten(self, array: model.Array) -> None:
        """Note that a leg is good again after an outage of all."""
        name = array.name
        since = self._before.dark.get(name)
        if name in self._light:
            if self._now - self._light[name] > RETURN and not any(
                    (name, leg.device) in self._before.lost
                    for leg in array.legs):
                del self._light[name]    # all are back, or cut off
        elif since is not None and self._now - since >= OUTAGE:
            self._light[name] = self._now

    def _cut(self, array: model.Array, leg: model.Leg,
             paths: tuple[model.Controller, ...]) -> list[act.Action]:
        """A leg in resync is written to, and so waited for, like any."""
        namespace = self._snapshot.behind(leg)
        if namespace is None or not paths or not all(
                snapshots.cuttable(path, namespace) for path in paths):
            return []    # the kernel has not given it up yet
        key = (array.name, leg.device)
        since = self._lost[key] = self._before.lost.get(key, self._now)
        due = self._due(array, leg, paths, since)
        if due is None or due > self._now:
            self._again += [] if due is None else [due]
            return []
        if not leg.faulty and not self._vouching.spared(array, leg):
            return []    # only it holds some blocks: it is waited for
        if not leg.faulty and not self._vouching.heard(array, leg):
            # one that answers slowly is given its time once, not each time
            if array.name not in self._light:
                self._mute.add(array.name)
            return []
        if not leg.faulty and self._still_to_return(array):
            return []
        if self._returning.any_of(paths):
            return []
        actions: list[act.Action] = []
        words = ', '.join('%s %s' % (
            path.name, path.state if path.cuttable else devices.NO_ACCESS)
            for path in paths)
        if not leg.faulty:
            actions.append(act.FailLeg(
                'its target is lost (%s), and another leg is in sync and '
                'answers' % words, array.name, leg.device))
        if not self._vouching.ask(frozenset(path.name for path in paths)):
            return actions
        return actions + self._disconnect(paths)

    def _still_to_return(self, array: model.Array) -> bool:
        """After an outage of all, what lacks nothing is not dropped yet."""
        self._lighten(array)
        until = self._light.get(array.name, -RETURN) + RETURN
        if until <= self._now:
            return False
        self._again.append(until)
        return True

    def _disconnect(self, paths: tuple[model.Controller, ...]
                    ) -> list[act.Action]:
        """Each once, be it of how many arrays.

        I/O goes on waiting for as long as one of them lives: those that do
        are given up only where all may be.
        """
        actions: list[act.Action] = []
        together = self._vouching.together(
            frozenset(path.name for path in paths))
        for path in paths:
            action = act.Disconnect(
                'I/O waits in vain for its target; it is connected again '
                'when the target answers', path.name)
            if path.name not in self._disconnected and (
                    together or not path.live) and (
                    self._vouching.allowed(action)):
                actions.append(action)
            self._disconnected.add(path.name)
        return actions

    def _due(self, array: model.Array, leg: model.Leg,
             paths: tuple[model.Controller, ...],
             since: float) -> float | None:
        """When the leg is to be cut off, None: as things are, never."""
        stalled = array.name in self._symptoms.stalled
        # of a connection that lives the kernel ends nothing
        if all(path.fast_io_fail_tmo is not None and not path.live
               for path in paths):
            if not (stalled or array.at_work):
                return None    # the kernel ends its I/O and goes on trying
            # unless that was set after the loss; what waits for md's copying
            # is no I/O that could be seen to stand still
            return since + max(path.fast_io_fail_tmo or 0.0
                               for path in paths) + 2 * SETTLE
        if any(path.name in self._silence.resets for path in paths):
            return since
        if (stalled or array.name in self._symptoms.busy or array.at_work
                or 'blocked' in leg.flags):
            return since + SETTLE
        return None if leg.faulty else since + PATIENCE
