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
"""What there is outside of a host: targets, and the connections to them."""

from __future__ import annotations

import dataclasses
import uuid as uuid_lib

from os_brick.agent import model
from os_brick.agent.testing.simulation import md

#: Seconds until the kernel finds by itself that a target is silent.
KEEP_ALIVE = 6.0
#: Seconds between two tries to connect anew.
RECONNECT = 2.0


@dataclasses.dataclass(eq=False)
class Target:
    """A subsystem, and the namespaces that it has.

    :ivar dead: portals that do not listen, be it up or not.
    :ivar closed: portal and namespace -> since when there is no access to it
        there (ANA), which its hosts are told.
    """

    nqn: str
    portals: tuple[model.Portal, ...]
    media: dict[str, md.Medium]
    up: bool = True
    dead: set[model.Portal] = dataclasses.field(default_factory=set)
    closed: dict[tuple[model.Portal, str], float] = dataclasses.field(
        default_factory=dict)

    def listens(self, portal: model.Portal) -> bool:
        return self.up and portal not in self.dead

    @property
    def reachable(self) -> bool:
        return any(map(self.listens, self.portals))


@dataclasses.dataclass(eq=False)
class LateWrite:
    """What a target has received and not executed yet."""

    due: float
    medium: md.Medium
    block: int
    version: int


@dataclasses.dataclass(eq=False)
class Path:
    """A controller.

    :ivar lost_at: when its target was lost; once it is ``connecting``, when
        it became so.
    :ivar armed: the fast_io_fail_tmo that the loss met.
    :ivar retry_at: when the kernel tries to connect anew.
    :ivar torn_down_at: until when it is ``resetting``; None: it is not.
    :ivar seen: the namespaces found when it was last live.
    """

    name: str
    nqn: str
    portal: model.Portal
    state: str = 'live'
    tmo: float | None = None
    armed: float | None = None
    lost_at: float | None = None
    gone_at: float | None = None
    silent: bool = False
    retry_at: float = 0.0
    back_at: float = -100.0
    keep_alive: float = KEEP_ALIVE
    reconnect_delay: float = RECONNECT
    torn_down_at: float | None = None
    seen: frozenset[str] = frozenset()


def uuid_of(number: int) -> str:
    return str(uuid_lib.UUID(int=number + 1))
