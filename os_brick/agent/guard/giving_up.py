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
"""A silent target is given up, which the kernel still calls live; pure.

The laws:

* Only when the array stands still, and whatever the connection carries has a
  substitute: another leg that has answered a read, or another path that is
  live.
* Where I/O goes over several paths in turn, an array need not stand still for
  what is sent over one of them to hang: beside a path that answers, a silent
  one is given up while there is I/O.
* Of RDMA nobody says what was acknowledged.  There a leg of a stalled array
  that does not answer a read either is in doubt, and asked for a sign of life
  that needs no disk.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from os_brick.agent.guard import sight
from os_brick.agent.guard import vouching
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import reconnecting

SILENT = devices.SILENT
#: Seconds before the kernel is asked again to give a connection up.
RESET_AGAIN = 10.0
#: The kernel shows what the far end of such a path has acknowledged.
_watched = reconnecting.askable


def without_silent(snapshot: snapshots.HostSnapshot,
                   silent: frozenset[model.Portal]) -> snapshots.HostSnapshot:
    """Return the host with its silent connections called so, not live."""
    if not silent:
        return snapshot
    return dataclasses.replace(snapshot, controllers=tuple(
        dataclasses.replace(controller, state=SILENT)
        if controller.live and controller.portal in silent else controller
        for controller in snapshot.controllers))


def several_paths(snapshot: snapshots.HostSnapshot,
                  arrays: Collection[str]) -> bool:
    """Whether I/O to a leg of one of these may take several paths."""
    return any(sum(path.live for path in snapshot.paths_to(leg)) > 1
               for array in snapshot.arrays if array.name in arrays
               for leg in array.legs)


class GivingUp:
    """What one decision gives up.

    :ivar resets: controller -> when the kernel was asked to give it up.
    :ivar again: when to decide anew.
    """

    def __init__(self, vouched: vouching.Vouching, memory: sight.GuardMemory,
                 now: float) -> None:
        self._vouching = vouched
        self._symptoms = vouched.symptoms
        self._now = now
        # what was lost and is back may fall silent once more
        back = {path.name for path in vouched.snapshot.controllers
                if path.live and memory.away.get(path.name) is not None}
        self.resets = {name: moment for name, moment
                       in memory.resets.items()
                       if now - moment < RESET_AGAIN and name not in back}
        self.again: list[float] = []

    def give_up(self, array: model.Array, leg: model.Leg,
                paths: tuple[model.Controller, ...]) -> list[act.Action]:
        """Have the kernel notice what it would notice much later."""
        actions: list[act.Action] = []
        standing = array.name in self._symptoms.standing
        if not standing and array.name not in self._symptoms.busy:
            return actions
        # what goes on to another path of these comes too late for it
        for path in sorted(paths, key=lambda path: path.portal
                           in self._symptoms.doubted):
            if not self._doubted(array, leg, path) or not (
                    standing or self._beside_another(path, leg)):
                continue
            if path.name in self.resets:
                self.again.append(self.resets[path.name] + RESET_AGAIN)
                continue
            action = self._reset(path, (
                'I/O of %s %s, %s does not answer, and another %s' % (
                    array.name, 'stands still' if standing else
                    'may hang in part', path.portal,
                    'path is live' if self._beside_another(path, leg)
                    else 'leg does')))
            if action is not None:
                self.resets.update(dict.fromkeys(connections.given_up(
                    action, self._vouching.snapshot), self._now))
                actions.append(action)
            elif not _watched(path):
                # whether it answers itself is the question
                self._vouching.probe.add(leg.device)
        return actions

    def _beside_another(self, path: model.Controller,
                        leg: model.Leg) -> bool:
        """Another path to the same leg answers."""
        snapshot = self._vouching.snapshot
        namespace = snapshot.behind(leg)
        return namespace is not None and any(
            self._vouching.reliable(other)
            for other in snapshot.open_paths(namespace)
            if other.name != path.name)

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
            if self._vouching.ask(connections.given_up(
                    action, self._vouching.snapshot)):
                vouched.append(action)
        if path.state != SILENT and _watched(path):
            return None    # not yet; what was asked now answers in time
        return next(filter(self._vouching.allowed, vouched), None)
