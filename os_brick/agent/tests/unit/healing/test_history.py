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
"""Random histories of faults: S1 to S9 at every step, healed at the end.

The judge of ``simulated_agent`` raises at the step that breaks a rule.  What
is left to say here is that nothing is let go because of an answer that is
missing or wrong (S8), that reports are in order and true (S6), and that the
volume is whole again some time after the last fault.
"""

from __future__ import annotations

import os
import unittest

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit import simulated_agent
from os_brick.agent.tests.unit import simulator

State = model.ReplicaState
Violation = simulated_agent.Violation
PERIOD = 5.0


class History(stateful.RuleBasedStateMachine):
    """One volume, its spares, a stranger beside it, and bad luck."""

    world: simulated_agent.World

    @stateful.initialize(
        replicas=st.integers(2, 3), counted=st.booleans(),
        guarded=st.booleans(), portals=st.integers(1, 2),
        down_time=st.sampled_from([None, 30.0]))
    def begin(self, replicas: int, counted: bool, guarded: bool,
              portals: int, down_time: float | None) -> None:
        self.world = simulated_agent.world(
            replicas, spares=12, count=replicas if counted else None,
            guarded=guarded, portals=portals, down_time=down_time)
        self.turn()

    # faults

    def target_of(self, number: int) -> simulator.Target:
        return self.world.targets[number % len(self.world.volume.given
                                               | {0, 1})]

    @stateful.rule(number=st.integers(0, 5), silent=st.booleans())
    def target_dies(self, number: int, silent: bool) -> None:
        self.world.kernel.lose(self.target_of(number), silent)

    @stateful.rule(number=st.integers(0, 5))
    def leg_dies(self, number: int) -> None:
        """The target of a leg, wherever it is, dies."""
        members = self.world.raid.members
        if members:
            member = members[number % len(members)]
            self.world.kernel.lose(
                self.world.kernel.home(member.medium.uuid))

    @stateful.rule(number=st.integers(0, 5))
    def target_returns(self, number: int) -> None:
        self.world.kernel.restore(self.target_of(number))

    @stateful.rule(udev=st.booleans())
    def all_targets_return(self, udev: bool) -> None:
        for target in self.world.targets:
            self.world.kernel.restore(target)
        if udev:
            self.world.kernel.incremental(self.world.raid)

    @stateful.rule(periods=st.integers(0, 20))
    def network_fails(self, periods: int) -> None:
        self.world.kernel.cut()
        self.passes(periods, write=True)
        self.world.kernel.mend()

    @stateful.rule(number=st.integers(0, 5))
    def medium_fails(self, number: int) -> None:
        """A write error: md drops the leg, its target answers.

        md tells of it, and the agent wakes at once: until it has dealt the
        roles anew, the anchor may be gone and all others fail fast.
        """
        raid = self.world.raid
        legs = [member for member in raid.members if not member.faulty]
        leg = legs[number % len(legs)]
        if self.survives_without(leg):
            raid.fault(leg)
            self.world.agent.run()

    def survives_without(self, leg: simulator.Member) -> bool:
        raid = self.world.raid
        return any(other is not leg and raid.io(other) == 'ok'
                   for other in raid.copies())

    @stateful.rule(number=st.integers(0, 5))
    def namespace_is_removed(self, number: int) -> None:
        raid = self.world.raid
        leg = raid.members[number % len(raid.members)]
        if self.survives_without(leg) and not leg.vanished:
            home = self.world.kernel.home(leg.medium.uuid)
            self.world.kernel.remove_namespace(leg.medium.uuid)
            self.world.agent.run()
            self.passes(3)
            if leg.medium.uuid not in self.world.vendor.withdrawn:
                home.media[leg.medium.uuid] = leg.medium
            self.world.kernel.run(0.0)

    # the provisioner

    @stateful.rule(slow=st.booleans(), deaf=st.booleans(),
                   silent=st.booleans())
    def provisioner_is(self, slow: bool, deaf: bool, silent: bool) -> None:
        vendor = self.world.vendor
        vendor.slow, vendor.deaf, vendor.silent = slow, deaf, silent
        if not slow:
            vendor.assign(self.world.volume)

    @stateful.rule(mask=st.integers(0, 255))
    def lists_are_truncated(self, mask: int) -> None:
        self.world.vendor.hides = {
            uuid for bit, uuid in enumerate(self.world.volume.replicas)
            if mask >> bit & 1}

    @stateful.rule()
    def lists_are_complete(self) -> None:
        self.world.vendor.hides = set()

    @stateful.rule(number=st.integers(0, 5), assign=st.booleans())
    def replica_is_moved(self, number: int, assign: bool) -> None:
        """The provisioner marks a replica TERMINATING by itself."""
        volume = self.world.volume
        members = [uuid for uuid, state in volume.replicas.items()
                   if state is not State.TERMINATING]
        if (len(members) < 2 or len(volume.replicas) > 5
                or len(volume.spares) <= 6):
            return
        if assign or len(members) < 3:
            self.world.vendor.give(volume)
        elif volume.count:
            volume.count = max(2, volume.count - 1)
        self.world.vendor.terminate(volume, members[number % len(members)])

    @stateful.rule()
    def volume_grows(self) -> None:
        volume = self.world.volume
        if len(volume.replicas) < 4 and len(volume.spares) > 4:
            self.world.vendor.give(volume)
            if volume.count:
                volume.count += 1

    # the agent

    @stateful.rule(life=st.integers(0, 12))
    def agent_is_killed(self, life: int) -> None:
        self.world.agent.life = life
        self.turn()
        self.world.agent.restart()

    @stateful.rule(number=st.integers(0, 5))
    def target_dies_in_mid_pass(self, number: int) -> None:
        self.world.agent.between = lambda: self.world.kernel.lose(
            self.target_of(number))
        self.turn()
        self.world.agent.between = None

    @stateful.rule(periods=st.integers(1, 15), write=st.booleans())
    def passes(self, periods: int, write: bool = True) -> None:
        for _period in range(periods):
            self.turn(write)

    def turn(self, write: bool = True) -> None:
        world = self.world
        world.kernel.advance(PERIOD)
        if write:
            for raid in world.kernel.raids.values():
                world.kernel.write(raid)
        vendor = world.vendor
        known = {leg.device: leg.medium.uuid for leg in world.raid.members}
        live = {leg.device for leg in world.judge.good(world.raid)}
        disks = world.raid.raid_disks
        before = len(vendor.log)
        for action in world.agent.run():
            if not (vendor.silent or vendor.hides):
                break
            if (isinstance(action, act.FailLeg) and action.device in live
                    and known[action.device] in vendor.hides):
                raise Violation('S8: %s' % action)
            if isinstance(action, act.Resize) and action.raid_disks < disks:
                if world.volume.count is None and not vendor.silent and (
                        vendor.hides & set(
                            known.values())):
                    raise Violation('S8: %s' % action)
        for what, uuid in vendor.log[before:]:
            if vendor.silent and what != 'report':
                raise Violation('S8: %s %s' % (what, uuid))

    @stateful.invariant()
    def safe(self) -> None:
        if hasattr(self, 'world'):
            self.world.judge.after()
            assert set(self.world.judge.foreign_media) <= set(
                self.world.kernel.heads), 'S4: a stranger was disconnected'

    def teardown(self) -> None:
        if hasattr(self, 'world'):
            self.converge()

    def converge(self) -> None:
        """The faults are over: everything is healed, and stays so."""
        world = self.world
        vendor, volume = world.vendor, world.volume
        vendor.silent = vendor.deaf = vendor.slow = False
        vendor.hides = set()
        world.kernel.mend()
        for target in world.targets:
            world.kernel.restore(target)
        for _round in range(40):
            vendor.assign(volume)
            self.passes(10)
            if self.healed():
                break
        else:
            raise AssertionError('not healed: %s\n%s\n%s\n%s' % (
                self.healed(explain=True), volume.replicas,
                world.raid.members, world.agent.failed))
        self.passes(30)
        assert self.healed(), 'it does not stay healed'
        assert not world.passes(3), 'it never comes to rest'

    def healed(self, explain: bool = False) -> object:
        world = self.world
        raid, volume = world.raid, world.volume
        legs = {member.medium.uuid for member in world.judge.good(raid)}
        goal = volume.count or len(volume.replicas)
        told = {uuid: State(what.split()[1])
                for what, uuid in world.vendor.log if ' ' in what}
        facts = {
            'whole': len(legs) == raid.raid_disks == len(raid.members),
            'listed': legs == set(volume.replicas),
            'as many as meant': len(legs) >= goal,
            'told': set(volume.replicas.values()) == {State.AVAILABLE},
            'S6': all(told.get(uuid, State.AVAILABLE)
                      is State.AVAILABLE for uuid in volume.replicas),
            'writes go on': not raid.pending,
            'anchored': not world.agent.guarded or sum(
                any(path.tmo is None
                    for path in world.kernel.through(uuid))
                for uuid in legs) == 1}
        return facts if explain else all(facts.values())


# The same histories every time, unless HISTORIES=N asks for N new ones.
_WANTED = int(os.environ.get('HISTORIES', '0'))


class HistoryTest(History.TestCase):  # type: ignore[misc, valid-type]
    """A class of this module, so that the test is found by its name."""

    settings = hypothesis.settings(
        max_examples=_WANTED or 60, stateful_step_count=30, deadline=None,
        derandomize=not _WANTED, database=None, print_blob=True,
        report_multiple_bugs=False,
        phases=[hypothesis.Phase.generate],     # to shrink takes minutes
        suppress_health_check=list(hypothesis.HealthCheck))


if __name__ == '__main__':
    unittest.main()
