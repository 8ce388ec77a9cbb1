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
"""What the passes write to the log, and how often."""

from __future__ import annotations

import dataclasses
from unittest import mock

from os_brick.agent.host import execute
from os_brick.agent.tests.unit.daemon import healing_loop_case


class TestWords(healing_loop_case.CycleCase):
    """What an operator reads: once, and with the names in it."""

    volumes = 2

    def test_a_trouble_is_said_once_and_its_end(self):
        self.refuse('volumes', 'heartbeat')
        self.turn(4)
        self.mend()
        self.turn(2)
        for subject in ('volumes', 'heartbeat'):
            self.assertEqual(1, len(self.lines(
                'provisioner, ' + subject, 'does not answer')))
            self.assertEqual(1, len(self.lines(
                'provisioner, ' + subject, 'works again')))

    def test_two_failing_actions_are_said_once_each(self):
        self.lose('B', 1)
        self.lose('B', 2)
        self.host.broken = mock.Mock(
            side_effect=execute.NotDone('mdadm failed (1): busy'))
        self.turn(8)
        for device in ('nvme11', 'nvme21'):
            self.assertEqual(1, len(self.lines(device, 'not done',
                                               'busy')), self.log.output)

    def test_that_no_superblock_can_be_read_costs_the_rest_nothing(self):
        with mock.patch.object(
                self.host, 'note_origins',
                side_effect=execute.NotDone('the helper is away')):
            self.lose()
            self.turn(3)
        self.assertEqual(1, len(self.lines('arrays that are new: not read',
                                           'the helper is away')))
        self.assertEqual(1, len(self.lines('volume1', 'is MISSING')))
        self.assertEqual([], self.lines('defect'))
        self.turn()
        self.assertEqual(1, len(self.lines('arrays that are new: works')))

    def test_problems_of_the_scan_are_said_once_each(self):
        scan = self.host.scan
        self.host.scan = lambda: dataclasses.replace(
            scan(), problems=('nvme8: nonsense', 'nvme9: nonsense'))
        self.restart()
        self.turn(3)
        self.assertEqual(1, len(self.lines('nvme8: nonsense')))
        self.assertEqual(1, len(self.lines('nvme9: nonsense')))

    def test_events_are_logged_and_handed_over_once(self):
        self.turn()
        self.lose()
        self.turn(3)
        self.assertEqual(1, len(self.lines('nvme11', 'was lost')))
        self.assertEqual(1, self.said('event').count(
            ('', 'CONNECTION_LOST')))
