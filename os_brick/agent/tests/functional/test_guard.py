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
"""The writer goes on while a replica dies; a slow one is left alone."""

from __future__ import annotations

from typing import Any

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import redundancy
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story

CUT = 'done: (FailLeg|Disconnect|ResetConnection)'


class GuardTest(story.StoryTestCase):
    """With a long grace period: what happens here is the guard's doing."""

    def guarded(self, alias: str, **target: Any
                ) -> tuple[connector.Volume, agent_lib.Agent,
                           targets.Target, targets.Target]:
        """A volume, its agent, the anchor's target and the other one."""
        volume = self.session.attach(alias, **target)
        agent = self.watched(volume, grace=600)
        return (volume, agent, *self.roles(volume))

    def roles(self, volume: connector.Volume
              ) -> tuple[targets.Target, targets.Target]:
        """Wait until one target waits and the other one does not."""
        members = [target for target, _ns in volume.replicas]

        def dealt() -> list[targets.Target] | None:
            waits = [target for target in members
                     if self.fast_io_fail(target) == {'off'}]
            legs = self.failfast(volume)
            return waits if len(waits) == 1 and legs == {
                self.uuid(target) for target in members
                if target not in waits} else None
        anchor = waiting.wait_until(dealt, 'the roles are dealt')[0]
        return anchor, next(one for one in members if one is not anchor)

    def fast_io_fail(self, target: targets.Target) -> set[str]:
        return {(host.CONTROLLERS / one.name / 'fast_io_fail_tmo'
                 ).read_text().strip() for one
                in host.controllers(target.nqn)}

    def failfast(self, volume: connector.Volume) -> set[str | None]:
        """UUIDs of the legs with md's failfast flag."""
        array = host.array(volume.alias)
        return {leg.uuid for leg in array.legs if 'failfast' in leg.states
                } if array else set()

    def goes_on(self, writer: writer_lib.Writer) -> None:
        writer.wait_for_writes(100, story.LONG)

    def test_a_silent_anchor(self) -> None:
        """Its packets are dropped; the kernel would need some 12 s."""
        volume, agent, anchor, _other = self.guarded('vol-silent')
        writer = self.session.write(volume)
        anchor.lose_power()
        agent.wait_for_log('done: ResetConnection', story.LONG)
        agent.wait_for_log('done: FailLeg|is faulty', story.LONG)
        self.goes_on(writer)
        anchor.restore_power()
        self.wait_whole(volume, *[target for target, _ns
                                  in volume.replicas])
        self.roles(volume)
        self.assert_nothing_lost(writer, volume)

    def test_a_dead_anchor_with_writes_that_wait(self) -> None:
        """The fault falls between two writes: nothing ends them but us."""
        volume, agent, anchor, _other = self.guarded('vol-anchor')
        writer = self.session.write(volume, burst=20, gap=1.0)
        anchor.kill()
        agent.wait_for_log('done: FailLeg|is faulty', story.LONG)
        self.goes_on(writer)
        anchor.revive()
        self.wait_whole(volume, *[target for target, _ns
                                  in volume.replicas])
        self.assert_nothing_lost(writer, volume)

    def test_an_idle_array_rides_a_short_loss_out(self) -> None:
        """No writer hurries the agent; md may write its own for a while."""
        volume, agent, _anchor, other = self.guarded('vol-idle')
        other.kill()
        agent.wait_for_log('was lost', story.LONG)
        other.revive()
        agent.wait_for_log('is live again', story.LONG)
        self.wait_whole(volume, *[target for target, _ns
                                  in volume.replicas])
        self.assertNotRegex(agent.log(), CUT)

    def test_slow_targets_are_left_alone(self) -> None:
        """Seconds for each write, and a network that turns slow."""
        volume, agent, anchor, other = self.guarded('vol-slow', slow=True)
        writer = self.session.write(volume)
        anchor.namespace.backing.set_delay(3)
        for target, delay in ((anchor, 0.0), (other, 0.5), (other, 1.5)):
            target.delay(delay)
            writer.wait_for_writes(4, story.LONG)
        self.assertGreater(writer.status().longest_pause, 2.0)
        anchor.namespace.backing.set_delay(0)
        other.delay(0)
        self.assertNotRegex(agent.log(), CUT)
        self.assertEqual(2, len(self.legs(volume)))
        self.assert_nothing_lost(writer, volume)

    def test_a_namespace_vanishes(self) -> None:
        """The connection lives; the leg is dropped and let go."""
        volume, agent, anchor, other = self.guarded('vol-vanish')
        writer = self.session.write(volume)
        anchor.namespace.remove()
        agent.wait_for_log('is faulty|was removed', story.LONG)
        self.goes_on(writer)
        waiting.wait_until(lambda: self.fast_io_fail(other) == {'off'},
                           'the other leg is the anchor', story.LONG)
        anchor.namespace.restore()
        self.wait_whole(volume, anchor, other)
        self.assert_nothing_lost(writer, volume)

    def test_planned_exchange_keeps_redundancy(self) -> None:
        """The operator moves a replica; the array is never degraded."""
        volume, agent, anchor, other = self.guarded('vol-move')
        writer = self.session.write(volume)
        with redundancy.Watch(volume.alias) as watch:
            agent.write_inventory(inventory.text([connector.Volume(
                volume.alias, [(other, other.namespace),
                               (self.spares[0], self.spares[0].namespace)],
                volume.uuid)]))
            self.wait_whole(volume, other, self.spares[0])
            agent.wait_for_log(story.CONFIRM % self.uuid(anchor), story.LONG)
            self.assertEqual(0, watch.worst)
        self.assertGreater(watch.samples, 100)
        self.assertRegex(agent.log(), 'done: ReplaceLeg')
        self.assert_nothing_lost(writer, volume)

    def test_s7_killed_while_it_guards(self) -> None:
        """Whatever it was about to do, another agent finishes it."""
        volume = self.session.attach('vol-kill')
        agent = self.watched(volume, grace=600)
        writer = self.session.write(volume)
        members = [target for target, _ns in volume.replicas]
        for step in ('was lost', 'done: FailLeg|is faulty'):
            anchor, _other = self.roles(volume)
            anchor.kill()
            agent.wait_for_log(step, story.LONG)
            agent.kill()
            agent.start()
            self.goes_on(writer)
            anchor.revive()
            self.wait_whole(volume, *members)
        self.assert_nothing_lost(writer, volume)

    def test_s9_no_leg_is_left_failing_fast_by_a_dead_agent(self) -> None:
        """SIGKILL, then all targets go: a pause, no error."""
        volume, agent, anchor, other = self.guarded('vol-left')
        writer = self.session.write(volume)
        agent.kill()
        anchor.lose_power()
        other.lose_power()
        writer.wait_for_stall(15, story.LONG)
        anchor.restore_power()
        other.restore_power()
        self.goes_on(writer)
        agent.start()
        self.wait_whole(volume, anchor, other)
        self.assert_nothing_lost(writer, volume)
