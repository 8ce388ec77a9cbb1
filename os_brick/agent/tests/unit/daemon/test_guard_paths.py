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
"""The guard and legs of several paths: nvme10 and nvme12 lead to leg A."""

from __future__ import annotations

import dataclasses
from unittest import mock

from os_brick.agent.daemon import guard_look
from os_brick.agent.daemon import guard_loop
from os_brick.agent.host import activity
from os_brick.agent.host import batch
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import guard_loop_case
from os_brick.agent.tests.unit import small_world

OTHER = model.Portal('192.0.2.99', 4420)


class PathsTest(guard_loop_case.GuardianCase):

    def setUp(self) -> None:
        super().setUp()
        self.one_path = False
        self.asked_at: list[float] = []
        self.conf.set_override('legs_fail_fast', 'none')
        plain = self.host.scan
        patch = mock.patch.object(self.host, 'scan',
                                  lambda: self.with_path(plain()))
        patch.start()
        self.addCleanup(patch.stop)
        self.nqn = next(one.nqn for one in self.scan().controllers
                        if one.name == 'nvme10')
        self.policy = 'numa'
        self.refused = False
        self.guardian = guard_loop.GuardLoop(
            self.conf, self.scan, self.host,  # type: ignore[arg-type]
            mock.Mock(read=self.beat), self.unanswered,
            clock=small_world.Timer(lambda: self.time),
            subsystems=self.subsystems)
        self.guardian.publish(ownership.KnownVolumes(
            {volume.uuid: volume for volume
             in self.driver.volumes.values()}))

    def subsystems(self) -> dict[str, model.Subsystem]:
        self.asked_at.append(self.time)
        return {self.nqn: model.Subsystem('nvme-subsys7', self.policy, 2)}

    def with_path(self, plain: snapshots.HostSnapshot
                  ) -> snapshots.HostSnapshot:
        if self.one_path:
            return plain
        first = plain.controller('nvme10')
        assert first is not None
        return dataclasses.replace(
            plain, controllers=(*plain.controllers, dataclasses.replace(
                first, name='nvme12', portal=OTHER,
                state=self.words.get('nvme12', 'live'))),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme10', 'nvme12'))
                if one.controllers == ('nvme10',) else one
                for one in plain.namespaces))

    def beat(self, arrays: object) -> activity.Activity:
        plain = super().beat(arrays)
        return dataclasses.replace(plain, states={
            **plain.states, 'nvme12': self.words.get('nvme12', 'live')})

    def do(self, action: act.Action) -> None:
        if isinstance(action, act.SetIoPolicy) and not self.refused:
            self.policy = action.policy
        if getattr(action, 'controller', '') != 'nvme12':
            super().do(action)    # the small host does not know that one

    def looks_with_io(self, seconds: float) -> None:
        """Some I/O ends before each look, and some is under way."""
        end = self.time + seconds
        while self.time < end:
            self.flow = model.IoCounters(self.flow.ended + 5, 3)
            self.time += self.guardian.look()

    def test_a_silent_path_beside_one_that_answers(self) -> None:
        """Each other I/O hangs, and the array never stands still."""
        self.looks_with_io(2.0)
        self.quiet = {OTHER: self.time}
        self.looks_with_io(0.8)
        self.assertEqual([], self.did(act.ResetConnection))
        self.looks_with_io(0.7)
        self.assertEqual([('nvme12', OTHER)], [
            (action.controller, action.portal)
            for action in self.did(act.ResetConnection)
            if isinstance(action, act.ResetConnection)])
        self.assertIn('may hang in part', self.log.output)
        self.assertEqual([], self.did(act.FailLeg))

    def test_one_that_was_given_up_and_is_back_falls_silent_again(
            self) -> None:
        """Whether it was asked within ten seconds or not."""
        self.looks_with_io(2.0)
        self.quiet = {OTHER: self.time}
        self.looks_with_io(1.5)
        self.words['nvme12'] = 'connecting'
        self.quiet = {}
        self.looks_with_io(1.0)
        self.words['nvme12'] = 'live'
        self.looks_with_io(1.0)
        self.quiet = {OTHER: self.time}
        self.looks_with_io(1.5)
        self.assertEqual(2, len(self.did(act.ResetConnection)))
        # one that is given up just now is not asked for it each time
        self.looks_with_io(5.0)
        self.assertEqual(2, len(self.did(act.ResetConnection)))

    def test_nothing_is_given_up_where_no_io_is_under_way(self) -> None:
        self.quiet = {OTHER: self.time}
        self.looks(5.0)
        self.assertEqual([], self.did(act.ResetConnection))

    def test_S1_both_paths_are_silent_and_the_array_goes_on(self) -> None:
        """It does so over another leg; what hangs will be seen to."""
        self.looks_with_io(2.0)
        self.quiet = {OTHER: self.time,
                      small_world.portal(1, 'A'): self.time}
        self.looks_with_io(5.0)
        self.assertEqual([], self.did(act.ResetConnection))

    def test_a_target_is_told_once_and_told_back(self) -> None:
        self.looks(60.0)
        self.assertEqual(['round-robin'], [
            getattr(action, 'policy') for action in self.did(act.SetIoPolicy)])
        self.conf.set_override('iopolicy', '')
        self.looks(60.0)
        self.assertEqual('numa', self.policy)
        self.conf.set_override('iopolicy', 'round-robin')
        self.looks(60.0)
        self.assertEqual('round-robin', self.policy)
        self.guardian.stop()
        self.assertEqual('numa', self.policy)

    def test_what_is_refused_does_not_hold_up_another_wish(self) -> None:
        self.refused = True
        self.conf.set_override('iopolicy', 'queue-depth')
        self.looks(120.0)
        self.assertEqual(1, len(self.did(act.SetIoPolicy)))
        self.refused = False
        self.conf.set_override('iopolicy', 'round-robin')
        self.looks(60.0)
        self.assertEqual('round-robin', self.policy)

    def test_nobody_asks_how_io_is_spread_where_no_leg_has_two_paths(
            self) -> None:
        self.one_path = True
        self.looks(120.0)
        self.guardian.stop()
        self.assertEqual([], self.asked_at)

    def test_a_target_of_which_one_path_is_left_is_told_back(self) -> None:
        self.looks(60.0)
        self.one_path = True
        self.looks(60.0)
        self.assertEqual('round-robin', self.policy)
        self.guardian.stop()
        self.assertEqual('numa', self.policy)

    def test_what_is_put_back_has_its_time(self) -> None:
        """A look that comes later does what was put off; here none does."""
        self.looks(60.0)
        self.assertEqual(batch.BUDGET, self.host.budget)
        self.guardian.stop()
        self.assertEqual(guard_look.RESTORING, self.host.budget)
