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
"""No connection is removed while the kernel may be reconnecting it.

See ``safety.reconnecting`` for why.  The guard asks for itself, with what it
knows of the time; here nothing is known of that, and nothing is urgent.
"""

from __future__ import annotations

from collections.abc import Callable

from os_brick.agent import clock as clocks
from os_brick.agent.host import evidence
from os_brick.agent.host import not_done
from os_brick.agent.model import snapshots
from os_brick.agent.safety import reconnecting

#: Seconds after which it is not taken for granted that a portal has listened
#: all the while.
ASKED = 120.0


class Reconnects:
    """Asks the portal of a lost connection; for one thread.

    :param scan: looks at this host; raises NotDone where it cannot.
    """

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot],
                 asking: evidence.Evidence, clock: clocks.Clock) -> None:
        self._scan = scan
        self._evidence = asking
        self._clock = clock
        # controller -> since when its portal listens, and when it was asked
        self._listening: dict[str, tuple[float, float]] = {}

    def settled(self, controller: str) -> None:
        """Make sure that no attempt is under way.

        :raises not_done.PutOff: there may be one; the next pass tells.
        """
        before = self._listening.pop(controller, None)
        path = self._scan().controller(controller)
        if path is None or path.portal is None or not path.cuttable or (
                not reconnecting.askable(path)):
            return
        if not self._evidence.listening([path.portal]):
            return
        now = self._clock.monotonic()
        since = now if before is None or now - before[1] > ASKED else (
            before[0])
        self._listening[controller] = since, now
        if now < reconnecting.over(path, since):
            raise not_done.PutOff(
                '%s listens again, and the kernel may be reconnecting %s '
                'just now; removed in that moment it could hang' % (
                    path.portal, controller))
