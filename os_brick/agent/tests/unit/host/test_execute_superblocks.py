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
"""What superblocks say, just before a leg is added or let go (S10)."""

from __future__ import annotations

import dataclasses
from unittest import mock

from os_brick.agent.host import commands
from os_brick.agent.host import execute
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock
from os_brick.agent.tests.unit.host import execute_case
from os_brick.agent.tests.unit import superblocks

A, B, C = execute_case.A, execute_case.B, execute_case.C


class TestSuperblocks(execute_case.ActionsCase):

    def test_a_helper_that_is_lost_is_not_the_replicas_fault(self):
        action = self.carry()
        self.privileged.superblocks.side_effect = commands.CannotRun('gone')
        self.refused(action, 'gone', kind=execute.HostUnfit)

    def carry(self, *copies: superblock.Superblock) -> act.AddLeg:
        """Let nvme3n1 carry these, and return what would add it."""
        self.blocks['nvme3n1'] = [superblocks.block(copy) for copy in copies]
        return act.AddLeg('', 'md127', 'nvme3n1', C, True)

    def test_S10_what_was_in_charge_itself_is_not_added(self):
        legs = self.scanner.scan().array('md127').uuid
        action = self.carry(superblocks.of(5, 1, array=legs))
        self.refused(action, 'without any of the legs',
                     kind=execute.Divergent)
        self.assertEqual([], self.called())
        self.do(dataclasses.replace(action, erase=True))
        self.assertEqual([('erase_superblock', 'nvme3n1', C),
                          ('add', 'md127', 'nvme3n1', C)], self.called())

    def test_what_the_operator_gave_up_raises_no_alarm_when_it_is_in_use(
            self):
        legs = self.scanner.scan().array('md127').uuid
        action = dataclasses.replace(self.carry(superblocks.of(
            5, 1, array=legs)), erase=True)
        self.host.hold('nvme3n1', 'dm-0')
        error = self.assertRaises(execute.Refused, self.do, action)
        self.assertNotIsInstance(error, execute.Divergent)
        self.assertIn('in use by dm-0', str(error))

    def test_S10_what_was_in_charge_itself_is_not_disconnected(self):
        self.privileged.answering.return_value = ['nvme1n1', 'nvme2n1']
        legs = self.scanner.scan().array('md127').uuid
        action = act.Disconnect('', 'nvme3')
        self.carry(superblocks.of(5, 1, array=legs))
        error = self.assertRaises(execute.Divergent, self.do, action)
        self.assertEqual(C, error.replica)
        self.assertIn('nvme3n1 was in charge', str(error))
        self.privileged.disconnect.assert_not_called()
        self.do(dataclasses.replace(action, left=(
            (C, act.Departure(given_up=True)),)))
        self.carry(superblocks.of(5, 1, [0, 1], array=legs))
        self.do(action)
        self.assertEqual([mock.call('nvme3')] * 2,
                         self.privileged.disconnect.mock_calls)

    def test_S10_what_is_behind_is_added(self):
        legs = self.scanner.scan().array('md127').uuid
        self.do(self.carry(superblocks.of(5, 1, [0, 1], array=legs)))
        self.assertEqual([('re_add', 'md127', 'nvme3n1', C)], self.called())

    def test_what_is_copied_whole_is_known_to_md_by_nothing(self):
        """mdadm --add goes by the bitmap, too, where there is a superblock."""
        legs = self.scanner.scan().array('md127').uuid
        action = dataclasses.replace(self.carry(superblocks.of(
            5, 1, [0, 1], array=legs)), returning=False)
        self.do(action)
        self.assertEqual([('erase_superblock', 'nvme3n1', C),
                          ('add', 'md127', 'nvme3n1', C)], self.called())
        # one that carries none is not touched before
        self.carry()
        self.do(action)
        self.assertEqual([('add', 'md127', 'nvme3n1', C)], self.called()[2:])

    def test_S10_a_clock_that_was_set_back_is_taken_into_account(self):
        legs = self.scanner.scan().array('md127').uuid
        action = self.carry(superblocks.of(5, 1, [0, 1], array=legs,
                                           updated=5000.0))
        self.refused(action, 'later than any leg')
        self.executor._set_back = lambda: 6000.0
        self.do(action)
        self.assertEqual([('re_add', 'md127', 'nvme3n1', C)], self.called())

    def test_S10_the_count_with_which_the_array_came_up_stays(self):
        """The legs have ten events; the copy that comes later has twenty."""
        legs = self.scanner.scan().array('md127').uuid
        action = self.carry(superblocks.of(5, 20, [0, 1], array=legs))
        self.executor.note_origins(self.scanner.scan())
        for device in ('nvme1n1', 'nvme2n1'):
            self.blocks[device] = [superblocks.block(superblocks.of(
                int(device[4]) - 1, 30, [0, 1], array=legs))]
        self.refused(action, '20 changes against 10')
        # the next pass is told: it raises the alarm
        self.assertRaises(execute.Divergent, self.do, action)
        # one that it has put in itself is judged by what md says now
        self.executor._origins.put_in(self.scanner.scan().array('md127'), C)
        self.do(action)
        self.assertEqual([('re_add', 'md127', 'nvme3n1', C)], self.called())

    def test_S10_what_is_put_in_is_noted(self):
        legs = self.scanner.scan().array('md127').uuid
        self.executor.note_origins(self.scanner.scan())
        self.do(self.carry(superblocks.of(5, 1, [0, 1], array=legs)))
        found, = self.executor.past().origins.values()
        self.assertEqual({A, B, C}, found.legs)

    def test_S10_another_arrays_copy_is_of_no_use(self):
        """Not Refused: it counts against the replica, not the moment."""
        error = self.assertRaises(execute.NotDone, self.do, self.carry(
            superblocks.of(5, 1, [0, 1],
                           array='0d5a1d3e-0000-4000-8000-000000000bad')))
        self.assertNotIsInstance(error, execute.Refused)
        self.assertIn('S10', str(error))
        self.assertEqual([], self.called())

    def test_S10_nothing_is_added_unread(self):
        """Neither the copy nor a leg has answered in time; or no helper."""
        action = self.carry()
        read = self.superblocks
        for missing in ('nvme3n1', 'nvme1n1 nvme2n1'):
            self.privileged.superblocks.side_effect = (
                lambda devices, _limit: {
                    device: blocks for device, blocks
                    in read(devices, _limit).items()
                    if device not in missing})
            if missing != 'nvme3n1':
                action = self.carry(superblocks.of(5, 1, [0, 1]))
            self.refused(action, 'S10')
        self.privileged.superblocks.side_effect = commands.CommandFailed('no')
        self.assertRaises(execute.NotDone, self.do, action)
        self.assertEqual([], self.called())

    def fails(self, device: str) -> None:
        """Let reads of a device's superblock fail."""
        read = self.superblocks
        self.privileged.superblocks.side_effect = (
            lambda devices, limit: {**read(
                [other for other in devices if other != device], limit),
                device: 'I/O error'})

    def test_a_disk_that_cannot_be_read_is_of_no_use(self):
        action = self.carry()
        self.fails('nvme3n1')
        error = self.assertRaises(execute.NotDone, self.do, action)
        self.assertNotIsInstance(error, execute.Refused)
        self.assertIn('nvme3n1 cannot be read: I/O error', str(error))
        self.assertEqual([], self.called())

    def test_S10_what_the_loss_of_a_connection_fails_says_nothing(self):
        """Of the disk behind it: the copy may be whole, and be needed."""
        self.fails('nvme3n1')
        self.assertEqual('I/O error', self.executor.superblocks(
            ['nvme3n1'])['nvme3n1'].unreadable)
        for state in ('connecting', 'deleting'):
            self.host.set_controller('nvme3', state=state)
            self.assertEqual({}, self.executor.superblocks(['nvme3n1']))
        self.host.lose_namespace('nvme3n1')
        self.assertEqual({}, self.executor.superblocks(['nvme3n1']))

    def test_S10_what_takes_its_time_is_not_disconnected(self):
        self.privileged.answering.return_value = ['nvme1n1', 'nvme2n1']
        action = act.Disconnect('', 'nvme3')
        read = self.superblocks
        self.privileged.superblocks.side_effect = (
            lambda devices, limit: {
                device: blocks for device, blocks
                in read(devices, limit).items() if device != 'nvme3n1'})
        self.refused(action, 'nvme3n1 did not answer a read')
        self.privileged.disconnect.assert_not_called()
        self.fails('nvme3n1')
        self.do(action)
        self.privileged.disconnect.assert_called_once_with('nvme3')

    def test_what_another_host_writes_to_is_not_added_to(self):
        action = self.carry()
        legs = self.scanner.scan().array('md127').uuid
        self.blocks['nvme1n1'] = [superblocks.block(
            superblocks.of(0, 12, array=legs))]
        self.refused(action, 'another host may be writing')
        self.assertEqual([], self.called())
