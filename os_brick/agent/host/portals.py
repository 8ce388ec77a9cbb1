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
"""Which portals answer: asked side by side, and remembered for all volumes.

A target that is switched off costs one time-out, however many volumes have a
replica on it and however many portals it has.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from os_brick.agent import clock as clocks
from os_brick.agent.host import routes
from os_brick.agent import model

#: Seconds for which a portal that did not answer is not asked again: at
#: first, and at most.
FIRST, MOST = 5.0, 30.0
#: The same for one that answered and did not connect one more path.
DECLINED = (30.0, 600.0)
#: Seconds for which one is left alone to which connecting has hung.
HUNG = 120.0
#: Seconds for which an answer says that the network works.
RECENT = 600.0
#: So many targets at different addresses that are all silent, while none
#: answers, say more of the network than of the targets.
SEVERAL = 3
ProbeAll = Callable[[Sequence[model.Portal]], Mapping[model.Portal, OSError]]


@dataclasses.dataclass(frozen=True)
class Silence:
    """A portal that did not answer.

    :ivar until: when it may be asked again, by the clock.
    :ivar times: how often it was asked since it answered last.
    :ivar offline: this host has no way to it.
    """

    why: str
    until: float
    times: int
    offline: bool = False


class PortalHealth:
    """What is known of the portals that this host has to connect to.

    :param probe_all: asks portals; returns those that did not answer.
    """

    def __init__(self, probe_all: ProbeAll,
                 clock: clocks.Clock = clocks.HOST) -> None:
        self._probe_all = probe_all
        self._clock = clock
        self._silent: dict[model.Portal, Silence] = {}
        self._targets: dict[str, frozenset[model.Portal]] = {}
        self._reached: dict[str, frozenset[model.Portal]] = {}
        self._declined: dict[tuple[str, model.Portal], Silence] = {}
        self._answered: float | None = None

    def ask(self, wanted: Iterable[tuple[model.Target,
                                         tuple[model.Portal, ...]]],
            reached: bool = False) -> None:
        """Ask those portals that may be asked now, all at once.

        An RDMA portal cannot be asked; connecting to it tells.

        :param reached: the targets are reached through other portals: what
            these do not answer says nothing of the network.
        """
        due: dict[model.Portal, None] = {}
        now = self._clock.monotonic()
        known = self._reached if reached else self._targets
        for target, portals in wanted:
            for portal in portals:
                hung = self._silent.get(portal)
                if hung and portal.transport != 'tcp' and now >= hung.until:
                    del self._silent[portal]
            tcp = [portal for portal in portals if portal.transport == 'tcp']
            known[target.nqn] = frozenset(tcp)
            for portal in tcp:
                silence = self._silent.get(portal)
                if silence is None or now >= silence.until:
                    due[portal] = None
        if not due:
            return
        errors = self._probe_all(tuple(due))
        for portal in due:
            if portal in errors:
                self._silent[portal] = self._silence(
                    self._silent.get(portal), str(errors[portal]),
                    (FIRST, MOST), errors[portal].errno in routes.NO_NETWORK)
            else:
                self._silent.pop(portal, None)
                self._answered = self._clock.monotonic()

    def silences(self) -> Mapping[model.Portal, Silence]:
        """Return the portals that did not answer when they were asked."""
        return dict(self._silent)

    def decline(self, nqn: str, portal: model.Portal, why: str) -> None:
        """Note that it answers, and does not connect this target.

        Others may be behind the same portal.
        """
        self._declined[nqn, portal] = self._silence(
            self._declined.get((nqn, portal)), why, DECLINED)

    def declined(self, nqn: str) -> Mapping[model.Portal, Silence]:
        """Return the portals that are not to be tried again yet."""
        now = self._clock.monotonic()
        return {portal: silence for (one, portal), silence
                in self._declined.items() if one == nqn and now
                < silence.until}

    def put_off(self, portal: model.Portal, why: str) -> None:
        """Leave one alone for a while that answers and does not connect."""
        self._silent[portal] = Silence(
            why, self._clock.monotonic() + HUNG, 1)

    def network(self) -> str:
        """Return why it is this host that reaches nothing, '' if it is not.

        A replica is not to be blamed for that.
        """
        needed = frozenset[model.Portal]().union(*self._targets.values())
        offline = [portal for portal, silence in self._silent.items()
                   if silence.offline and portal in needed]
        if offline:
            return 'this host has no network to %s: %s' % (
                offline[0], self._silent[offline[0]].why)
        now = self._clock.monotonic()
        if self._answered is not None and now - self._answered <= RECENT:
            return ''
        apart: list[str] = []
        seen: set[str] = set()
        for nqn, portals in sorted(self._targets.items()):
            addresses = {portal.address for portal in portals}
            if (portals and portals <= self._silent.keys()
                    and seen.isdisjoint(addresses)):
                apart.append(nqn)
                seen |= addresses
        if len(apart) < SEVERAL:
            return ''
        return ('this host\'s network: no portal of %d targets at different '
                'addresses answers, and no other one has of late: %s'
                % (len(apart), ', '.join(apart)))

    def keep(self, targets: Iterable[str],
             reached: Iterable[str] = ()) -> None:
        """Forget the targets that nobody wants to connect any more.

        :param reached: targets to which some portals are lacking.
        """
        wanted, lacking = frozenset(targets), frozenset(reached)
        self._targets = {nqn: portals for nqn, portals
                         in self._targets.items() if nqn in wanted}
        self._reached = {nqn: portals for nqn, portals
                         in self._reached.items() if nqn in lacking}
        self._declined = {(nqn, portal): silence for (nqn, portal), silence
                          in self._declined.items() if nqn in lacking}
        portals = frozenset[model.Portal]().union(
            *self._targets.values(), *self._reached.values())
        self._silent = {portal: silence for portal, silence
                        in self._silent.items() if portal in portals}

    def _silence(self, before: Silence | None, why: str,
                 waits: tuple[float, float],
                 offline: bool = False) -> Silence:
        """Return one more silence after the one before.

        :param waits: seconds, at first and at most: they double.
        """
        times = before.times + 1 if before else 1
        first, most = waits
        return Silence(why, self._clock.monotonic() + min(
            first * 2 ** min(times - 1, 10), most), times, offline)
