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
"""The writer goes on while a replica dies."""

from __future__ import annotations

from os_brick.agent.tests.functional import guard_story
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import redundancy
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class GuardTest(guard_story.GuardTestCase):
    """Targets that die, and what the guard sets."""

    def test_a_dead_anchor_with_writes_that_wait(self) -> None:
        """The fault falls between two writes: nothing ends them but us."""
        volume, agent, anchor, _other = self.anchored('vol-anchor')
        writer = self.session.write(volume, burst=20, gap=2.0)
        writer.wait_for_gap(story.LONG)
        anchor.kill()
        agent.wait_for_log(story.LOST_LEG, story.LONG)
        self.goes_on(writer)
        anchor.revive()
        self.wait_whole(volume, *[target for target, _ns
                                  in volume.replicas])
        self.assert_nothing_lost(writer, volume)

    def test_an_idle_array_rides_a_short_loss_out(self) -> None:
        """No writer hurries the agent; md may write its own for a while."""
        volume, agent, _anchor, other = self.anchored('vol-idle')
        host.controllers(other.nqn)[0].set('reconnect_delay', 1)
        other.kill()
        agent.wait_for_log('was lost', story.LONG)
        other.revive()
        agent.wait_for_log('is live again', story.LONG)
        self.wait_whole(volume, *[target for target, _ns
                                  in volume.replicas])
        self.assertNotRegex(agent.log(), guard_story.CUT)

    def test_the_next_connection_of_a_name_has_its_times(self) -> None:
        """It is cut off and made anew, and the kernel gives the name again."""
        volume, agent, lost, other = self.guarded('vol-name')
        writer = self.session.write(volume)
        before = self._wait_for_times(lost)
        lost.kill()
        agent.wait_for_log('done: Disconnect', story.LONG)
        lost.revive()
        self.wait_whole(volume, lost, other)
        self.assertEqual(before, self._wait_for_times(lost))
        self.assert_nothing_lost(writer, volume)

    def _wait_for_times(self, target: targets.Target) -> str:
        """Wait until the kernel tries to reconnect as the agent wants.

        :returns: the connection's name.
        """
        name = host.controllers(target.nqn)[0].name
        delay = host.CONTROLLERS / name / 'reconnect_delay'
        waiting.wait_until(lambda: delay.read_text().strip() == '2',
                           'reconnect_delay of %s is set' % name, story.LONG)
        return name

    def test_a_target_that_listens_again_is_not_cut_off(self) -> None:
        """The kernel may be reconnecting it; nobody knows since when."""
        volume = self.session.attach('vol-again')
        lost, other = (target for target, _ns in volume.replicas)
        # a write that is under way may end with an error
        writer = self.session.write(volume, burst=20, gap=2.0)
        host.controllers(lost.nqn)[0].set('reconnect_delay', 40)
        writer.wait_for_gap(story.LONG)
        lost.kill()
        host.wait_for_state(lost.nqn, 'connecting', story.LONG)
        writer.wait_for_stall(1, story.LONG)
        lost.revive()
        with redundancy.Watch(volume.alias) as watch:
            agent = self.watched(volume, grace=600)
            agent.wait_for_log('listens again', story.LONG)
            host.wait_for_state(lost.nqn, 'live', story.LONG)
            self.goes_on(writer)
            self.assertEqual(0, watch.worst)
        self.assertNotRegex(agent.log(), guard_story.CUT)
        self.assert_nothing_lost(writer, volume)

    def test_a_namespace_vanishes(self) -> None:
        """The connection lives; the leg is dropped and let go."""
        volume, agent, anchor, other = self.anchored('vol-vanish')
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
        volume, agent, anchor, other = self.anchored('vol-move')
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

    def test_s7_killed_at_each_step_of_guarding(self) -> None:
        """Whatever it was about to do, another agent finishes it."""
        volume = self.session.attach('vol-kill')
        agent = self.watched(volume, grace=600, legs_fail_fast='but-one')
        writer = self.session.write(volume)
        members = [target for target, _ns in volume.replicas]
        for step in ('was lost', 'SetFastIoFail .* waits for a lost path',
                     story.LOST_LEG, 'done: Disconnect',
                     r'SetFailfast .* on=False'):
            anchor, _other = self.roles(volume)
            agent.skip_log()
            anchor.kill()
            # an agent that was killed late may have gone further already
            agent.wait_for_log(step, story.LONG)
            agent.kill()
            agent.start()
            self.goes_on(writer)
            anchor.revive()
            self.wait_whole(volume, *members)
        self.assert_nothing_lost(writer, volume)

    def test_s9_no_leg_is_left_failing_fast_by_a_dead_agent(self) -> None:
        """SIGKILL, then all targets go: a pause, no error."""
        volume, agent, one, other = self.guarded('vol-left')
        writer = self.session.write(volume)
        agent.kill()
        for target in (one, other):
            target.kill()
        for target in (one, other):
            host.wait_for_state(target.nqn, 'connecting', story.LONG)
        # what fails fast does so after a second
        writer.wait_for_stall(5, story.LONG)
        for target in (one, other):
            target.revive()
        self.goes_on(writer)
        agent.start()
        self.wait_whole(volume, one, other)
        self.assert_nothing_lost(writer, volume)

    def test_what_was_set_by_hand(self) -> None:
        """The stricter is kept, the looser replaced, named, and put back."""
        volume = self.session.attach('vol-hand')
        members = [target for target, _ns in volume.replicas]
        for target in members:
            host.controllers(target.nqn)[0].set('fast_io_fail_tmo', 30)
        agent = self.watched(volume, grace=600, io_fail_timeout=5,
                             legs_fail_fast='but-one')
        anchor, other = self.roles(volume)
        waiting.wait_until(lambda: self.fast_io_fail(other) == {'5'},
                           'the looser is replaced', story.LONG)
        waiting.wait_until(lambda: agent.log().count('30 s was set') == 2,
                           'both are named', story.LONG)
        agent.stop()
        self.assertEqual({'30'}, self.fast_io_fail(other))
        self.assertEqual({'off'}, self.fast_io_fail(anchor))
        host.controllers(other.nqn)[0].set('fast_io_fail_tmo', 2)
        agent.start()
        for seconds in (3, 4):
            # the second time, all of what followed the first is done
            host.controllers(anchor.nqn)[0].set('fast_io_fail_tmo', seconds)
            agent.wait_for_log('waits for a lost path; %d s was set'
                               % seconds, story.LONG)
        self.assertEqual({'2'}, self.fast_io_fail(other))
        self.assertEqual({'off'}, self.fast_io_fail(anchor))

    def test_observed_only(self) -> None:
        """It says what it would do, and a writer waits for ever."""
        volume = self.session.attach('vol-seen')
        members = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=600, io_guard='observe',
                             legs_fail_fast='but-one')
        would = r'%s.*it would be done'
        agent.wait_for_log(would % 'SetFastIoFail')
        # a write under way might end with an error, and md drop the leg
        writer = self.session.write(volume, burst=20, gap=4.0)
        dead = members[0]
        host.controllers(dead.nqn)[0].set('reconnect_delay', 1)
        writer.wait_for_gap(story.LONG)
        dead.kill()
        agent.wait_for_log(would % 'FailLeg', story.LONG)
        for target in members:
            self.assertEqual({'off'}, self.fast_io_fail(target))
        self.assertEqual({self.uuid(target) for target in members},
                         self.failfast(volume))
        self.assertNotRegex(agent.log(), guard_story.CUT)
        dead.revive()
        self.wait_whole(volume, *members)
        self.assert_nothing_lost(writer, volume)
