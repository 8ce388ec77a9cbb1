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
"""Who stands in for what is given up: each has to answer first; pure."""

from __future__ import annotations

from collections.abc import Iterator

from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules


class Vouching:
    """What one decision knows of the legs that answer a read.

    :ivar probe: devices that are to be asked for one.
    """

    def __init__(self, snapshot: snapshots.HostSnapshot,
                 symptoms: sight.Symptoms, owned: ownership.Owned) -> None:
        self.snapshot = snapshot
        self.symptoms = symptoms
        self.probe: set[str] = set()
        self._owned = owned
        self._unheard_of: dict[frozenset[str], list[frozenset[str]]] = {}

    def ask(self, names: frozenset[str]) -> bool:
        """Whether these connections may be given up.

        Whatever is cut off by it needs a substitute that does answer: another
        path, or another leg of the same array.  Who has not answered yet is
        asked.
        """
        unheard = self._unheard(names)
        self.probe.update(*unheard)
        return not unheard

    def _unheard(self, names: frozenset[str]) -> list[frozenset[str]]:
        """Return, for each that has no substitute, who could be one.

        That are the other good legs of its array, one of which has to answer;
        there may be none, and then it is not to be done.
        """
        if names not in self._unheard_of:
            self._unheard_of[names] = list(self._find_unheard(names))
        return self._unheard_of[names]

    def _find_unheard(self, names: frozenset[str]
                      ) -> Iterator[frozenset[str]]:
        for namespace in self.snapshot.through(*names):
            if any(path.name not in names and self.reliable(path)
                   for path in self.snapshot.open_paths(namespace)):
                continue
            for array in map(self.snapshot.array, namespace.holders):
                leg = array.leg(namespace.device) if array else None
                if array is None or leg is None or leg.faulty:
                    continue
                if not self._answered(array, leg):
                    yield self._others(array, leg)

    def reliable(self, path: model.Controller) -> bool:
        """The kernel calls it live, and nothing speaks against it."""
        return path.live and path.portal not in self.symptoms.doubted

    def heard(self, array: model.Array, leg: model.Leg) -> bool:
        """Another leg has answered a read; else all of them are asked."""
        if self._answered(array, leg):
            return True
        self.probe |= self._others(array, leg)
        return False

    def spared(self, array: model.Array, leg: model.Leg) -> bool:
        """Other legs, be it that they have not answered yet, hold as much."""
        return rules.spared(array, leg, self.snapshot)

    def _answered(self, array: model.Array, leg: model.Leg) -> bool:
        """Others that have answered hold all that the leg does."""
        others = self._others(array, leg) & self.symptoms.answered
        return model.held_by(leg, [other for other in array.legs
                                   if other.device in others])

    def _others(self, array: model.Array,
                leg: model.Leg) -> frozenset[str]:
        return frozenset(other.device for other in array.legs
                         if other.device != leg.device
                         and self.snapshot.good(other))

    def allowed(self, action: act.Action) -> bool:
        """No rule forbids it, whichever volume it is done for."""
        return rules.refusal(action, _NOBODY, self.snapshot,
                             self._owned) is None

    def together(self, names: frozenset[str]) -> bool:
        """No rule forbids that these connections end, all of them."""
        return connections.disconnect(names, self.snapshot,
                                      self._owned) is None


_NOBODY = model.Volume('00000000-0000-0000-0000-000000000000', 'nobody')
