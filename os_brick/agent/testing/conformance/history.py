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
"""Stories of faults with the whole agent on the other side.

See ``simulated_host``; simulated time costs nothing, and the driver's calls
are what a story lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import stateful
from hypothesis import strategies

from os_brick.agent.testing.conformance import simulated_host
from os_brick.agent.testing.conformance import story

#: Seconds after the last fault within which all has to be well.
_ENOUGH = 900.0


class History(story.Machine):
    """Faults in any order, and the agent all the while."""

    @stateful.initialize(seed=strategies.integers(0, 2 ** 32))
    def an_agent_is_started(self, seed: int) -> None:
        self._agent = simulated_host.SimulatedHost(self._side, seed)
        self._stack.callback(self._agent.close)
        self._agent.live(20.0)

    @stateful.rule(seconds=strategies.sampled_from((1.0, 5.0, 15.0, 40.0)))
    def time_passes(self, seconds: float) -> None:
        self._agent.live(seconds)

    @stateful.precondition(lambda self: self._agent.targets())
    @stateful.rule(which=strategies.integers(0, 7),
                   silent=strategies.booleans(),
                   seconds=strategies.sampled_from((0.5, 10.0, 40.0)))
    def a_target_is_lost(self, which: int, silent: bool, seconds: float
                         ) -> None:
        found = self._agent.targets()
        self._agent.lose(found[which % len(found)], silent)
        self._agent.live(seconds)

    @stateful.precondition(lambda self: self._agent.lost)
    @stateful.rule()
    def a_target_comes_back(self) -> None:
        self._agent.restore()
        self._agent.live(1.0)

    def _end_well(self) -> None:
        host = self._agent
        while host.lost:
            host.restore()
        waited = 0.0
        while waited < _ENOUGH and not (host.troubles or host.settled()):
            host.live(10.0)
            waited += 10.0
        self.nothing_went_wrong()
        assert host.settled(), ('%g s after the last fault %s' % (
            _ENOUGH, host.described()))


def play(side: Callable[[], Any], examples: int, steps: int,
         shortened: bool) -> None:
    """Play stories; :raises Exception: with one that goes wrong."""
    story.run(lambda: History(side()), examples, steps, shortened)
