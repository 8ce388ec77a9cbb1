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
"""Stories of faults that hypothesis makes up, played against a driver.

A plain agent is on the other side; see ``plain_agent``.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from typing import Any

import hypothesis
from hypothesis import stateful

from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import plain_agent

#: Passes after which everything has to be well again.
_ENOUGH = 30


class Machine(stateful.RuleBasedStateMachine):
    """What stories have in common, whatever agent is in them.

    :param side: gives the vendor's bench with a fresh back end, for a while.
    """

    #: A ``PlainAgent`` or a ``SimulatedHost``.
    _agent: Any = None

    def __init__(self, side: contextlib.AbstractContextManager[bench.Bench]
                 ) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._outage = contextlib.ExitStack()
        self._side = self._stack.enter_context(side)

    @stateful.precondition(lambda self: self._agent.reachable
                           and 'outage' not in self._side.missing)
    @stateful.rule()
    def the_provisioner_goes_away(self) -> None:
        self._outage.enter_context(self._side.outage())
        self._agent.reachable = False

    @stateful.precondition(lambda self: not self._agent.reachable)
    @stateful.rule()
    def the_provisioner_is_back(self) -> None:
        self._outage.close()
        self._agent.reachable = True

    @stateful.rule()
    def the_agent_is_killed_and_started_again(self) -> None:
        self._agent.restart()

    @stateful.invariant()
    def nothing_went_wrong(self) -> None:
        troubles = self._agent.troubles
        assert not troubles, '; '.join(troubles)

    def teardown(self) -> None:
        try:
            if self._agent is not None:
                self._outage.close()
                self._agent.reachable = True
                self._end_well()
        finally:
            self._outage.close()
            self._stack.close()

    def _end_well(self) -> None:
        """The faults are over: all has to be well before long."""
        raise NotImplementedError


class Story(Machine):
    """Faults in any order, and a pass of the agent now and then."""

    def __init__(self, side: contextlib.AbstractContextManager[bench.Bench]
                 ) -> None:
        super().__init__(side)
        self._agent = plain_agent.PlainAgent(self._side)

    @stateful.rule(times=hypothesis.strategies.integers(1, 6))
    def passes(self, times: int) -> None:
        for _ in range(times):
            self._agent.run()
            self._side.settle()

    @stateful.precondition(lambda self: not self._agent.lost
                           and len(self._agent.good()) > 1)
    @stateful.rule(which=hypothesis.strategies.integers(0, 7))
    def a_target_is_lost(self, which: int) -> None:
        good = self._agent.good()
        self._agent.lose(good[which % len(good)])

    @stateful.precondition(lambda self: self._agent.lost)
    @stateful.rule()
    def a_target_comes_back(self) -> None:
        uuid = self._agent.lost.pop()
        if uuid in self._agent.legs:
            self._side.see(self._agent.volume, uuid,
                           bench.State.SYNCHRONIZING)

    def _end_well(self) -> None:
        agent = self._agent
        if agent.lost:
            self.a_target_comes_back()
        for _ in range(_ENOUGH):
            agent.run()
            self._side.settle()
            if agent.troubles or agent.settled():
                break
        self.nothing_went_wrong()
        assert agent.settled(), (
            'after %d passes without a fault the volume is %s, and this host '
            'sees %s' % (_ENOUGH, [(replica.uuid, replica.state.value)
                                   for replica in agent.volume.replicas],
                         {uuid: state.value for uuid, state
                          in agent.legs.items()}))


def play(side: Callable[[], Any], examples: int, steps: int,
         shortened: bool) -> None:
    """Play stories; :raises Exception: with one that goes wrong."""
    run(lambda: Story(side()), examples, steps, shortened)


def run(factory: Any, examples: int, steps: int, shortened: bool) -> None:
    """Play what a machine tells; :raises Exception: of one gone wrong."""
    phases = set(hypothesis.Phase) - (
        set() if shortened else {hypothesis.Phase.shrink})
    stateful.run_state_machine_as_test(
        factory, settings=hypothesis.settings(
            max_examples=examples, stateful_step_count=steps, deadline=None,
            database=None, print_blob=True, phases=tuple(phases),
            suppress_health_check=list(hypothesis.HealthCheck)))
