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
"""A connection falls silent: who is asked, and what is given up."""

from __future__ import annotations

from unittest import mock

from os_brick.agent.guard import stall
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import guard_loop_case
from os_brick.agent.tests.unit import small_world


class TestSilent(guard_loop_case.GuardianCase):
    """The kernel calls the connection live; nothing comes back from it."""

    def silent(self, *letters: str) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(5, 1)
        for letter in letters:
            self.quiet[small_world.portal(1, letter)] = self.time
            self.answering.discard(self.host.name(1, letter) + 'n1')

    def given_up(self, letter: str) -> list[str]:
        """What was done to the connection, within 3 seconds."""
        self.silent(letter)
        self.looks(3.0)
        return [type(action).__name__ for action in self.host.did
                if getattr(action, 'controller', '')
                == self.host.name(1, letter)]

    def test_a_silent_anchor_is_given_up_and_cut_off(self) -> None:
        self.assertEqual(['ResetConnection', 'Disconnect'],
                         self.given_up('A'))
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_it_is_given_up_before_the_kernel_sends_a_keep_alive(
            self) -> None:
        """The time that it has begun to look more closely is not lost."""
        self.silent('A')
        self.looks(1.2)
        self.assertEqual(1, len(self.did(act.ResetConnection)))
        self.assertEqual(small_world.portal(1, 'A'), getattr(
            self.did(act.ResetConnection)[0], 'portal'))

    def copied_to_and_silent(self, letter: str, used: bool = True) -> None:
        """B is copied to; what waits for that is not counted as under way."""
        self.host.legs[1]['B'] = (1, {'spare'})
        self.looks(40.0)
        if used:
            self.flow = model.IoCounters(5, 0)
        self.looks(0.5)
        self.quiet[small_world.portal(1, letter)] = self.time
        self.answering.discard(self.host.name(1, letter) + 'n1')

    def test_a_leg_that_md_copies_to_falls_silent(self) -> None:
        self.copied_to_and_silent('B')
        self.looks(0.7)
        self.assertEqual([], self.did(act.ResetConnection))
        self.looks(1.0)
        self.assertEqual(['nvme11'], [
            getattr(action, 'controller') for action
            in self.did(act.ResetConnection)])

    def test_nobody_waits_for_what_md_copies(self) -> None:
        """It is not begun anew for a silence of some seconds."""
        self.copied_to_and_silent('B', used=False)
        with mock.patch.object(self.guardian._looker, '_unanswered',
                               side_effect=AssertionError):
            self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))

    def test_a_leg_that_md_copies_from_falls_silent(self) -> None:
        """There is no other one that holds the data."""
        self.copied_to_and_silent('A')
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.did(act.FailLeg))

    def test_one_that_was_refused_is_asked_for_again(self) -> None:
        """A refusal is no request that the kernel has heard."""
        tries: list[float] = []

        def refused(action: act.Action) -> None:
            if isinstance(action, act.ResetConnection):
                tries.append(self.time)
                raise not_done.Refused('S9: nobody would wait')
            self.do(action)

        with mock.patch.object(self.host, '_do', refused):
            self.silent('A')
            self.looks(4.0)
        self.assertGreater(len(tries), 1)
        self.looks(2.0)
        self.assertEqual(len(tries) + 1, len(self.did(act.ResetConnection)))

    def test_io_under_way_is_looked_at_again_soon(self) -> None:
        """It may have begun to stand still just after the last look."""
        self.looks(1.0)
        self.assertEqual(0.5, self.guardian.look())
        self.flow = model.IoCounters(5, 1)
        self.time += 0.5
        self.assertEqual(stall.MOMENT, self.guardian.look())
        self.conf.set_override('connection_check_interval', 0.2)
        self.flow = model.IoCounters(6, 1)
        self.time += 0.25
        self.assertEqual(0.2, self.guardian.look())

    def test_the_operator_may_have_more_patience(self) -> None:
        self.conf.set_override('io_stall_timeout', 5.0)
        self.silent('A')
        self.looks(4.8)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertNotEqual([], self.asked)
        self.looks(0.6)
        self.assertEqual(1, len(self.did(act.ResetConnection)))

    def test_another_silent_leg_is_given_up_once(self) -> None:
        """What hangs on it the kernel then ends: it fails fast."""
        self.assertEqual(['SetFastIoFail', 'ResetConnection'],
                         self.given_up('B')[:2])
        self.assertEqual(1, len(self.did(act.ResetConnection)))

    def test_one_that_acknowledges_is_slow_and_not_silent(self) -> None:
        self.silent()
        self.looks(2.0)
        with mock.patch.object(self.host, 'scan') as scan:
            self.looks(20.0)
        scan.assert_not_called()
        self.looks(3600.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.asked)

    def test_S9_nobody_is_given_up_when_nobody_answers(self) -> None:
        self.silent('A', 'B')
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.did(act.FailLeg))

    def test_an_answer_counts_for_a_second(self) -> None:
        """What has answered once may be silent now: it is asked again."""
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.quiet = {small_world.portal(1, 'B'): self.time}
        self.looks(1.1)
        self.assertTrue(self.asked)
        self.answering.clear()
        self.host.live['nvme11'] = True
        self.quiet.clear()
        # the array stands still all the time
        self.looks(300.0)
        self.lose('B')
        self.asked.clear()
        self.looks(5.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertIn(frozenset(['nvme10n1']), self.asked)
        # and then the other one may return first
        self.answering = {'nvme10n1'}
        self.looks(3.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.looks(1.5)
        self.assertEqual(1, len(self.did(act.FailLeg)))
        # who has answered is not asked again
        self.assertEqual({'nvme10n1'}, self.host.heard)

    def test_S9_the_other_leg_has_to_answer_a_read(self) -> None:
        self.silent('A')
        self.answering.clear()
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertIn(frozenset({'nvme11n1'}), self.asked)

    def test_a_read_that_cannot_be_tried_is_said_once(self) -> None:
        self.silent('A')
        self.host.answering = mock.Mock(  # type: ignore[attr-defined]
            side_effect=execute.NotDone('dd cannot be started'))
        self.looks(20.0)
        self.assertEqual(1, self.log.output.count('dd cannot be started'))
