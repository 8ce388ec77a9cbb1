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
"""The guard's thread goes on: wake-ups, defects, looks that fail."""

from __future__ import annotations

import threading
from unittest import mock

from os_brick.agent.daemon import guard_loop
from os_brick.agent.guard import roles
from os_brick.agent.host import attributes
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.daemon import guard_loop_case

PATIENCE = 30.0


class TestFailedLook(guard_loop_case.GuardianCase):
    """A look that fails has seen nothing: the next one makes up for it."""

    def setUp(self) -> None:
        super().setUp()
        self.looks(1.0)
        self.woken.clear()

    def fail_once(self) -> None:
        """The next look's scan fails, and nothing announces another one."""
        with mock.patch.object(self.guardian._looker, '_scan', side_effect=(
                attributes.Exhausted('this host cannot be looked at'))):
            self.assertRaises(attributes.Exhausted, self.guardian.look)
        self.time += 0.1

    def test_a_loss_is_not_missed(self) -> None:
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.fail_once()
        self.looks(0.6)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_the_passes_are_woken_all_the_same(self) -> None:
        self.lose('B')
        self.fail_once()
        self.looks(1.0)
        self.assertEqual(1, len(self.woken))

    def test_a_wake_up_is_not_missed(self) -> None:
        self.guardian.wake()
        self.fail_once()
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.looks(5.0)
        scan.assert_called_once_with()

    def test_a_wake_up_before_the_connections_are_read(self) -> None:
        self.guardian.wake()
        with mock.patch.object(self.guardian, '_reader', mock.Mock(
                read=mock.Mock(side_effect=attributes.Exhausted('none')))):
            self.assertRaises(attributes.Exhausted, self.guardian.look)
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.guardian.look()
        scan.assert_called_once_with()

    def test_what_is_due_stays_due(self) -> None:
        self.time += self.conf.poll_interval
        self.fail_once()
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.guardian.look()
        scan.assert_called_once_with()


class TestThread(guard_loop_case.GuardianCase):

    def test_a_storm_of_wake_ups_does_not_make_looks_a_storm(self) -> None:
        looked = threading.Event()

        def look() -> float:
            looked.set()
            return 0.0

        with mock.patch.object(guard_loop, 'GAP', PATIENCE), \
                mock.patch.object(self.guardian, 'look', look):
            self.guardian.ensure_running()
            self.assertTrue(looked.wait(PATIENCE))
            looked.clear()
            for _time in range(100):
                self.guardian.wake()
            self.assertFalse(looked.wait(0.2))
            self.guardian.stop()

    def test_at_rest_it_wakes_up_once_for_each_look(self) -> None:
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            self.time += seconds

        stopping = mock.Mock()
        stopping.is_set.side_effect = [False, False, False, True]
        with mock.patch.object(self.guardian, '_bell', mock.Mock(wait=wait)), \
                mock.patch.object(self.guardian._worker, 'stopping',
                                  stopping), \
                mock.patch.object(self.guardian, 'look', lambda: 0.5):
            self.guardian._run()
        self.assertEqual([0.5] * 3, waits)
        stopping.wait.assert_not_called()

    def test_a_defect_is_said_once_and_the_guard_goes_on(self) -> None:
        decide, ready = roles.decide, threading.Event()
        calls: list[int] = []

        def broken(*arguments: object, **words: object) -> object:
            calls.append(1)
            if len(calls) < 3:
                raise ZeroDivisionError('why')
            ready.set()
            return decide(*arguments, **words)   # type: ignore

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(roles, 'decide', broken):
            self.guardian._looker.kept.due = 0.0
            self.guardian.ensure_running()
            while not ready.wait(0.05):
                self.guardian.wake()
            self.guardian.stop()
        self.assertEqual(1, self.log.output.count('defect: ZeroDivision'))
        self.assertEqual({'nvme11': None}, self.fast)

    def test_what_would_exit_leaves_no_host_unguarded(self) -> None:
        looked = threading.Event()
        errors: list[BaseException] = [SystemExit(3), SystemExit(3)]

        def look() -> float:
            if errors:
                raise errors.pop()
            looked.set()
            return PATIENCE

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(self.guardian, 'look', look):
            self.guardian.ensure_running()
            self.assertTrue(looked.wait(PATIENCE))
            self.guardian.stop()
        self.assertEqual(1, self.log.output.count('defect: SystemExit: 3'))

    def test_what_cannot_be_looked_at_is_said_and_changes_nothing(
            self) -> None:
        """S9, with no descriptor left: nothing is taken for gone."""
        scan, ready = self.guardian._looker._scan, threading.Event()
        before: list[dict[str, float | None]] = []

        def exhausted() -> snapshots.HostSnapshot:
            before.append(dict(self.fast))
            if len(before) < 3:
                raise attributes.Exhausted('this host cannot be looked at')
            ready.set()
            return scan()

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(self.guardian._looker, '_scan', exhausted):
            self.guardian._looker.kept.due = 0.0
            self.guardian.ensure_running()
            while not ready.wait(0.05):
                self.guardian.wake()
            self.guardian._worker.stop(self.guardian._bell.set)
        self.assertEqual([{}] * 3, before[:3])
        self.assertEqual({'nvme11': 1.0}, self.fast)
        self.assertEqual(1, self.log.output.count('cannot be looked at'))
        self.assertNotIn('defect', self.log.output)
        self.assertIn('io_guard: works again', self.log.output)
