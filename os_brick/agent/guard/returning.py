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
"""Whether a lost target is about to be back; pure.

See ``safety.reconnecting`` for why that matters before it is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable

from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.safety import reconnecting


class Returning:
    """What one decision knows of the connections that are lost.

    :ivar away: controller -> since when it is lost at the earliest, None: it
        is not.
    :ivar listening: portal of a lost connection -> since when it listens.
    :ivar ask: portals of which to find out whether anybody listens there.
    :ivar again: when to decide anew.
    """

    def __init__(self, snapshot: snapshots.HostSnapshot,
                 memory: sight.GuardMemory, now: float,
                 symptoms: sight.Symptoms) -> None:
        self._before = memory
        self._now = now
        self._symptoms = symptoms
        self.away = {path.name: self._lost_since(path)
                     for path in snapshot.controllers}
        lost = {path.portal for path in snapshot.controllers if path.cuttable}
        # kept while others are waited for, so that its time does not begin
        # anew with each question
        self.listening = {
            portal: since for portal, since in memory.listening.items()
            if portal in lost and symptoms.listening.get(portal, True)}
        self.ask: set[model.Portal] = set()
        self.again: list[float] = []

    def _lost_since(self, path: model.Controller) -> float | None:
        if not path.cuttable:
            return None
        before = self._before.away.get(path.name, sight.NEVER)
        return self._symptoms.before if before is None else before

    def any_of(self, paths: Iterable[model.Controller]) -> bool:
        """Whether the kernel may be reconnecting one of them just now."""
        return any([self._is(path) for path in paths])

    def _is(self, path: model.Controller) -> bool:
        lost = self.away[path.name]
        if path.portal is None or lost is None or (
                not reconnecting.possible(path, lost, self._now)):
            return False
        listens = self._symptoms.listening.get(path.portal)
        if listens is None:
            self.ask.add(path.portal)
            return True
        if not listens:
            return False
        begun = self.listening.setdefault(path.portal, self._now)
        over = reconnecting.over(path, begun)
        if self._now < over:
            self.again.append(over)
        return self._now < over
