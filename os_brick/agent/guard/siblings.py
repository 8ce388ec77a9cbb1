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
"""The other paths to a leg of which one falls silent; pure.

A path that carries no I/O has sent nothing that could be unacknowledged, and
is found silent only when the I/O of the first one has come to it, and a
keep-alive command, too, whose time-out the kernel then waits for (``stall``).

The laws:

* While one path to a leg of an array that stands still is doubted, the portals
  of its other live paths are asked whether anybody listens there.
* Where nobody does, such a path counts as silent together with the first one,
  and not before.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.safety import reconnecting

#: Seconds for which it counts what a portal did when it was asked: from the
#: first doubt until the path is silent, and an ``io_stall_timeout`` of 2.
FRESH = 1.5


@dataclasses.dataclass(frozen=True)
class Siblings:
    """What one decision knows of them.

    :ivar silent: portals of paths that fell silent together with another.
    :ivar ask: portals of which to find out whether anybody listens there.
    :ivar asked: portal -> when it was asked, and whether anybody listened;
        for the next decision.
    """

    silent: frozenset[model.Portal] = frozenset()
    ask: frozenset[model.Portal] = frozenset()
    asked: Mapping[model.Portal, tuple[float, bool]] = dataclasses.field(
        default_factory=dict)


def look(arrays: Iterable[model.Array], snapshot: snapshots.HostSnapshot,
         symptoms: sight.Symptoms, memory: sight.GuardMemory,
         now: float) -> Siblings:
    """Find the silent ones among the paths of those arrays' legs."""
    if not symptoms.doubted and not symptoms.silent:
        return Siblings()
    asked = {portal: found for portal, found in memory.asked.items()
             if now - found[0] <= FRESH}
    silent: set[model.Portal] = set()
    ask: set[model.Portal] = set()
    for first, other in _pairs(arrays, snapshot, symptoms):
        listens = symptoms.listening.get(other)
        if listens is not None:
            asked[other] = now, listens
        if other not in asked:
            ask.add(other)
        elif not asked[other][1] and first in symptoms.silent:
            silent.add(other)
    return Siblings(frozenset(silent), frozenset(ask), asked)


def _pairs(arrays: Iterable[model.Array], snapshot: snapshots.HostSnapshot,
           symptoms: sight.Symptoms
           ) -> Iterator[tuple[model.Portal, model.Portal]]:
    """Yield a portal in doubt, and one of another path to the same leg."""
    doubtful = symptoms.doubted | symptoms.silent
    for array in arrays:
        if array.name not in symptoms.standing:
            continue
        for leg in array.legs:
            portals = [path.portal for path in snapshot.paths_to(leg)
                       if path.live and reconnecting.askable(path)
                       and path.portal is not None]
            for first in doubtful.intersection(portals):
                for other in portals:
                    if other not in doubtful:
                        yield first, other
