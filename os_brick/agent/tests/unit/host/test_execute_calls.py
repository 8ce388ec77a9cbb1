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
"""What an action calls, and what it says of a call that failed."""

from __future__ import annotations

import fixtures

from os_brick.agent.host import commands
from os_brick.agent.host import evidence
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.host import execute_case
from os_brick.agent.tests.unit import small_world

A, C, D = execute_case.A, execute_case.C, execute_case.D


class TestCalls(execute_case.ActionsCase):

    def test_each_action_is_one_call(self):
        self.put(execute.rules, 'refusal', lambda *words: None)
        target = model.Target('nqn.test', (
            model.Portal('192.0.2.1', 4420, 'rdma'),))
        for action, call in (
                (act.Connect('', C, target, target.portals),
                 ('connect', 'nqn.test', '192.0.2.1', 4420, 'rdma',
                  small_world.HOST.nqn)),
                (act.Disconnect('', 'nvme1'), ('disconnect', 'nvme1')),
                (act.SetFastIoFail('', 'nvme1', 1.6),
                 ('set_fast_io_fail', 'nvme1', 2)),
                (act.SetFastIoFail('', 'nvme1', None),
                 ('set_fast_io_fail', 'nvme1', -1)),
                (act.ResetConnection('', 'nvme1', None),
                 ('send_keep_alive', 'nvme1', 1000)),
                (act.SetFailfast('', 'md1', 'nvme1n1', False),
                 ('set_failfast', 'md1', 'nvme1n1', False)),
                (act.SetSyncSpeedMax('', 'md1', 51201),
                 ('set_sync_speed_max', 'md1', 51201)),
                (act.FailLeg('', 'md1', 'nvme1n1'),
                 ('fail', 'md1', 'nvme1n1')),
                (act.SetBitmapDelay('', 'md1', 25.0),
                 ('set_bitmap_delay', 'md1', 25)),
                (act.KeepMarked('', 'md1', 'nvme1n1'),
                 ('keep_marked', 'md1', 'nvme1n1', 500)),
                (act.RemoveLeg('', 'md1', 'nvme1n1'),
                 ('remove', 'md1', 'nvme1n1')),
                (act.AddLeg('', 'md1', 'nvme1n1', A, False),
                 ('add', 'md1', 'nvme1n1', A)),
                (act.AddLeg('', 'md1', 'nvme1n1', A, True),
                 ('re_add', 'md1', 'nvme1n1', A)),
                (act.ReplaceLeg('', 'md1', 'nvme1n1', 'nvme2n1', C),
                 ('replace', 'md1', 'nvme1n1', 'nvme2n1', C)),
                (act.Resize('', 'md1', 3), ('resize', 'md1', 3))):
            self.do(action)
            self.assertEqual([call], self.called())
            self.privileged.reset_mock()

    def test_what_somebody_else_has_done_meanwhile_has_ended(self):
        """udev takes a leg out whose device goes."""
        self.host.set_leg('md127', 'nvme1n1', state='faulty')

        def too_late(*_words):
            self.host.remove('sys/class/block/md127/md/dev-nvme1n1')
            raise commands.CommandFailed('it is no component')

        self.privileged.remove.side_effect = too_late
        self.refused(act.RemoveLeg('', 'md127', 'nvme1n1'), 'first',
                     kind=not_done.Ended)

    def test_what_fails_and_has_not_ended_is_said(self):
        self.host.set_leg('md127', 'nvme1n1', state='faulty')
        self.privileged.remove.side_effect = commands.CommandFailed('busy')
        error = self.assertRaises(
            execute.NotDone, self.do,
            act.RemoveLeg('', 'md127', 'nvme1n1'))
        self.assertNotIsInstance(error, not_done.Ended)
        self.assertIn('busy', str(error))

    def test_an_unknown_action_is_a_defect(self):
        self.put(execute.rules, 'refusal', lambda *words: None)
        self.assertRaises(TypeError, self.do, act.Action(''))

    def test_a_silent_connection_is_closed_or_asked(self):
        """What cannot be closed is asked all the same, and that is said."""
        log = self.useFixture(fixtures.FakeLogger())
        self.host.controller('nvme9', address='192.0.2.9')
        self.host.namespace('nvme9n1', C, ('nvme9',))
        reset = act.ResetConnection('', 'nvme9', model.Portal(
            '192.0.2.9', 4420))
        close = ('close_connections', '192.0.2.9', 4420)
        ask = ('send_keep_alive', 'nvme9', 1000)
        self.privileged.close_connections.side_effect = [
            3, 0, commands.CommandFailed('it cannot be closed')]
        for _time in range(3):
            self.do(reset)
        self.assertEqual([close, close, ask, close, ask], self.called())
        self.assertEqual(2, log.output.count('nvme9 takes a second longer'))
        self.assertIn('no TCP connection to tcp://192.0.2.9:4420 was found',
                      log.output)
        self.assertIn('it cannot be closed', log.output)

    def test_S4_what_else_is_connected_to_a_silent_portal(self):
        """Of whatever name it is, and be it only about to be connected."""
        self.host.controller('nvme8', address='192.0.2.9')
        self.host.namespace('nvme8n1', C, ('nvme8',))
        reset = act.ResetConnection('', 'nvme8', model.Portal(
            '192.0.2.9', 4420))
        self.host.controller('nvme7', '(efault)', '192.0.2.9',
                             state='connecting')
        self.refused(reset, 'S4', 'nvme7 carries no replica')
        self.host.set_controller('nvme7', address='traddr=192.0.2.7')
        self.do(reset)
        self.host.controller('nvme9', 'testnqn', '192.0.2.9')
        self.host.namespace('nvme9n1', D, ('nvme9',))
        self.refused(reset, 'S4', 'nvme9n1 is no replica')
        self.assertEqual(1, len(self.called()))

    def test_a_leg_whose_bitmap_no_longer_fits_is_copied(self):
        self.privileged.re_add.side_effect = commands.CommandFailed('no')
        self.do(act.AddLeg('', 'md127', 'nvme3n1', C, True))
        self.assertEqual(['re_add', 'add'],
                         [call[0] for call in self.called()])

    def test_a_re_add_that_hangs_is_not_followed_by_an_add(self):
        """It may still be at work; and os-brick's lock is held meanwhile."""
        self.privileged.re_add.side_effect = commands.TimedOut(
            'mdadm --re-add /dev/nvme3n1 did not end within 60 s')
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, True),
                     'did not end within 60 s', kind=execute.NotDone)
        self.assertEqual(['re_add'], [call[0] for call in self.called()])

    def test_a_name_of_another_device_is_not_the_replicas_fault(self):
        """Nor is it tried once more, by another command."""
        other = commands.NotMeant('nvme3n1 is %s, not %s' % (D, C))
        self.privileged.re_add.side_effect = other
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, True), str(other))
        self.assertEqual([('re_add', 'md127', 'nvme3n1', C)], self.called())
        self.privileged.erase_superblock.side_effect = other
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False,
                                erase=True), str(other))
        self.assertEqual([('erase_superblock', 'nvme3n1', C)],
                         self.called()[1:])

    def test_a_failing_command_says_why(self):
        self.privileged.add.side_effect = commands.CommandFailed(
            'mdadm --add /dev/nvme3n1 failed (1): busy')
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False),
                     '/dev/nvme3n1', 'busy', kind=execute.NotDone)

    def test_an_argument_that_is_refused_says_why(self):
        self.privileged.add.side_effect = commands.BadArgument('no device')
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False),
                     'no device', kind=execute.NotDone)

    def test_who_answers(self):
        self.privileged.answering.side_effect = [
            ['nvme1n1'], commands.CommandFailed('no dd')]
        self.assertEqual({'nvme1n1'}, self.executor.answering(
            {'nvme2n1', 'nvme1n1'}))
        self.privileged.answering.assert_called_once_with(
            ['nvme1n1', 'nvme2n1'], evidence.ANSWER_WITHIN)
        self.assertRaises(execute.NotDone, self.executor.answering, {'x'})


class TestBlame(execute_case.ActionsCase):

    def test_a_program_that_is_missing_is_not_the_replicas_fault(self):
        missing = commands.CannotRun('mdadm cannot be run: No such file')
        self.privileged.add.side_effect = missing
        self.privileged.re_add.side_effect = missing
        self.privileged.connect.side_effect = missing
        target = model.Target('nqn.x', (model.Portal('192.0.2.1', 4420,
                                                     'rdma'),))
        for action in (act.AddLeg('', 'md127', 'nvme3n1', C, False),
                       act.AddLeg('', 'md127', 'nvme3n1', C, True),
                       act.Connect('', C, target, target.portals)):
            self.refused(action, 'mdadm', kind=execute.HostUnfit)

    def test_a_way_that_is_missing_is_not_the_replicas_fault(self):
        self.privileged.connect.side_effect = commands.CommandFailed('no')
        ways = (model.Portal('192.0.2.1', 4420, 'rdma'),
                model.Portal('192.0.2.2', 4420, 'rdma'))
        action = act.Connect('', C, model.Target('nqn.x', ways), ways)
        no_way = {ways[0]: 'no way to it'}
        self.privileged.no_way.side_effect = lambda way: no_way.get(way, '')
        error = self.assertRaises(execute.NotDone, self.do, action)
        self.assertNotIsInstance(error, execute.HostUnfit)
        no_way[ways[1]] = 'eth1 is down'
        self.refused(action, 'no way to it; eth1 is down',
                     kind=execute.Offline)
