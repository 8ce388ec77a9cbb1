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
"""What the guard's thread sets while nothing is lost, and puts back."""

from __future__ import annotations

from unittest import mock

from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import guard_loop_case


class TestRoles(guard_loop_case.GuardianCase):

    def test_the_roles_are_dealt_and_kept(self) -> None:
        self.looks(60.0)
        self.assertEqual({'nvme11': 1.0}, self.fast)
        self.assertEqual(1, len(self.did(act.SetFastIoFail)))

    def test_no_leg_fails_fast_where_nothing_is_said(self) -> None:
        self.conf.clear_override('legs_fail_fast')
        self.looks(60.0)
        self.assertEqual({}, self.fast)
        self.assertEqual({}, dict(self.guardian.anchors))

    def test_no_leg_fails_fast_any_more_after_a_reload(self) -> None:
        self.looks(60.0)
        self.conf.set_override('legs_fail_fast', 'none')
        self.looks(60.0)
        self.assertEqual({'nvme11': None}, self.fast)

    def test_nothing_is_scanned_while_nothing_happens(self) -> None:
        self.looks(5.0)
        with mock.patch.object(self.host, 'scan') as scan:
            self.looks(20.0)
        scan.assert_not_called()

    def test_a_claim_that_comes_later_is_taken_in_at_once(self) -> None:
        known = self.guardian._known_volumes
        self.guardian.publish(ownership.KnownVolumes())
        self.looks(1.0)
        self.assertEqual({}, self.fast)
        self.guardian.publish(known)
        self.looks(0.1)
        self.assertEqual({'nvme11': 1.0}, self.fast)

    def test_it_leaves_no_leg_failing_fast(self) -> None:
        self.looks(1.0)
        self.guardian.stop()
        self.assertEqual({'nvme11': None}, self.fast)

    def test_it_leaves_none_of_a_volume_that_was_dropped(self) -> None:
        """Known is what the arrays were matched with, not what came later."""
        self.looks(1.0)
        self.guardian.publish(ownership.KnownVolumes())
        self.guardian.stop()
        self.assertEqual({'nvme11': None}, self.fast)

    def test_switched_off_it_leaves_no_leg_failing_fast(self) -> None:
        self.looks(1.0)
        self.conf.set_override('io_guard', 'off')
        self.looks(1.0)
        self.assertEqual({'nvme11': None}, self.fast)
        self.host.did.clear()
        self.lose('A')
        self.flow = model.IoCounters(0, 1)
        self.looks(10.0)
        self.assertEqual([], self.host.did)

    def test_it_only_observes_where_dry_run_is_set(self) -> None:
        self.conf.set_override('io_guard', 'on')
        self.conf.set_override('dry_run', True)
        self.looks(90.0)
        self.assertEqual([], self.host.did)
        self.assertIn('it would be done', self.log.output)

    def test_observing_says_what_would_be_done_once(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.looks(90.0)
        self.assertEqual([], self.host.did)
        self.assertEqual(1, len([
            line for line in self.log.output.splitlines()
            if 'SetFastIoFail' in line and 'it would be done' in line]))


class TestTimes(guard_loop_case.GuardianCase):
    """The keep-alive time of live connections."""

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('keep_alive_timeout', 2)

    def test_it_is_set_and_put_back(self) -> None:
        self.looks(60.0)
        both = {'nvme10': 2.0, 'nvme11': 2.0}
        self.assertEqual(both, self.keep_alive)
        self.assertEqual(2, len(self.did(act.SetKeepAlive)))
        self.guardian.stop()
        self.assertEqual(dict.fromkeys(both, 5.0), self.keep_alive)

    def test_it_is_set_on_the_next_connection_of_the_name(self) -> None:
        """Cut off and made anew between two looks, it has its own times."""
        self.identities = {'nvme10': 1, 'nvme11': 2}
        self.looks(60.0)
        self.identities['nvme10'] = 3
        self.keep_alive['nvme10'] = 5.0
        self.looks(60.0)
        self.assertEqual({'nvme10': 2.0, 'nvme11': 2.0}, self.keep_alive)
        self.assertEqual(3, len(self.did(act.SetKeepAlive)))

    def test_nothing_is_set_while_something_is_wrong(self) -> None:
        self.conf.set_override('keep_alive_timeout', 0)
        self.flow = model.IoCounters(0, 1)
        self.looks(2.0)
        self.conf.set_override('keep_alive_timeout', 2)
        self.looks(60.0)
        self.assertEqual([], self.did(act.SetKeepAlive))
        self.flow = model.IoCounters(1, 0)
        self.looks(60.0)
        self.assertEqual(2, len(self.did(act.SetKeepAlive)))

    def test_a_target_that_refuses_is_named_once(self) -> None:
        def refuse(action: act.Action) -> None:
            if isinstance(action, act.SetKeepAlive):
                raise execute.NotDone('the target refuses it (status 0x2)')
        self.host.broken = refuse
        self.looks(300.0)
        self.assertEqual(2, self.log.output.count('the target refuses it'))

    def test_left_alone_where_nobody_asks(self) -> None:
        self.conf.set_override('keep_alive_timeout', 0)
        self.looks(60.0)
        self.guardian.stop()
        self.assertEqual({}, self.keep_alive)


class TestBitmapDelay(guard_loop_case.GuardianCase):

    def test_md_looks_as_often_as_the_option_says(self) -> None:
        self.host.bitmap_delay = 5.0
        for seconds, wanted in ((0, []), (40, [40.0]), (30, []),
                                (60, [60.0])):
            self.conf.set_override('bitmap_delay', seconds)
            self.host.did.clear()
            self.looks(20.0)
            self.assertEqual(wanted, [
                action.seconds for action in self.host.did
                if isinstance(action, act.SetBitmapDelay)], str(seconds))
