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
"""Doing an action: the lock, the last look, and what is called."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent import clock
from os_brick.agent.host import attributes
from os_brick.agent.host import batch
from os_brick.agent.host import brick_lock
from os_brick.agent.host import commands
from os_brick.agent.host import effects
from os_brick.agent.host import evidence
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks

A, B, C, D = (small_world.uuid(1, letter) for letter in 'abcd')
VOLUME = model.Volume(small_world.uuid(1, 'f'), 'volume', None, (
    model.Replica(A), model.Replica(B), model.Replica(C)))
OWNED = ownership.Owned(frozenset(['md127']), frozenset([A, B, C]))
HOLDER = textwrap.dedent('''
    import sys
    import warnings
    warnings.simplefilter('ignore')
    from oslo_config import cfg
    import os_brick
    cfg.CONF([])
    from oslo_concurrency import lockutils
    lockutils.set_defaults(sys.argv[1])
    from os_brick import opts
    opts.set_defaults(cfg.CONF)
    from os_brick.initiator.connectors import base

    @base.synchronized('connect_volume', external=True)
    def attach():
        print('held', flush=True)
        sys.stdin.readline()

    attach()
    print('free', flush=True)
    sys.stdin.readline()
''')


class ActionsCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakesys.FakeHost(self.folder())
        for name, uuid in (('nvme1', A), ('nvme2', B), ('nvme3', C)):
            self.host.controller(name)
            self.host.namespace(name + 'n1', uuid, (name,))
        self.host.array('md127', ('nvme1n1', 'nvme2n1'), alias='volume')
        self.host.set_array('md127', **fakesys.WRITTEN)
        self.locks = self.folder()
        self.conf = small_world.configuration(lock_timeout=1.0)
        self.conf.set_override('lock_path', self.locks, 'os_brick')
        self.scanner = sysfs.Scanner(self.host.root)
        self.stopping = False
        self.privileged = mock.Mock(spec=effects.Effects)
        real = effects.Effects()
        self.privileged.try_lock.side_effect = real.try_lock
        self.privileged.probe_all.side_effect = real.probe_all
        self.privileged.close_connections.return_value = 1
        self.privileged.no_way.return_value = ''
        self.privileged.fail_all.side_effect = (
            lambda legs, _milliseconds: [''] * len(legs))
        self.privileged.disconnect_all.side_effect = (
            lambda names, _milliseconds: [''] * len(names))
        self.executor = execute.Executor(
            self.conf, self.scanner, small_world.HOST,
            lambda: self.stopping, self.privileged)
        self.blocks: dict[str, list[bytes]] = {}
        self.privileged.superblocks.side_effect = self.superblocks

    def superblocks(self, devices: list[str],
                    _milliseconds: int) -> dict[str, list[bytes]]:
        snapshot = sysfs.Scanner(self.host.root).scan()
        found = superblocks.contents(snapshot, snapshot.array('md127'))
        return {device: self.blocks.get(device, [
            superblocks.block(copy) for copy in found[device].superblocks])
            for device in devices}

    def put(self, where, name, value):
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)
        return value

    def folder(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def do(self, action: act.Action) -> None:
        self.executor.execute(action, VOLUME, OWNED)

    def urgently(self, *actions: act.Action) -> None:
        self.assertEqual([None] * len(actions), self.executor.execute_all(
            [batch.Step(action, VOLUME) for action in actions], OWNED))

    def refused(self, action: act.Action, *words: str,
                kind: type[Exception] = execute.Refused) -> None:
        error = self.assertRaises(kind, self.do, action)
        for word in words:
            self.assertIn(word, str(error))

    def called(self) -> list[tuple[object, ...]]:
        return [(name,) + arguments for name, arguments, _words
                in self.privileged.mock_calls
                if name not in ('superblocks', 'try_lock', 'probe_all')]


class TestRules(ActionsCase):

    def test_s1_the_last_good_leg_is_not_failed(self):
        self.host.set_controller('nvme1', state='connecting')
        self.refused(act.FailLeg('', 'md127', 'nvme2n1'), 'S1')
        self.assertEqual([], self.called())

    def test_S11_the_other_leg_is_asked_before_a_working_one_goes(self):
        volume = model.Volume(VOLUME.uuid, 'volume', None, (
            model.Replica(A, model.ReplicaState.TERMINATING),
            model.Replica(B)))
        action = act.FailLeg('', 'md127', 'nvme1n1')
        self.privileged.answering.return_value = []
        error = self.assertRaises(execute.Refused, self.executor.execute,
                                  action, volume, OWNED)
        self.assertIn('S11: nvme2n1 of md127 did not answer', str(error))
        self.privileged.fail.assert_not_called()
        self.privileged.answering.return_value = ['nvme2n1']
        self.executor.execute(action, volume, OWNED)
        self.privileged.fail.assert_called_once_with('md127', 'nvme1n1')

    def test_nobody_is_asked_for_what_is_refused_anyway(self):
        self.refused(act.FailLeg('', 'md127', 'nvme1n1'), 'S3')
        self.privileged.answering.assert_not_called()

    def test_the_look_is_taken_after_the_lock_is_held(self):
        """What another one did meanwhile is seen."""
        action = act.AddLeg('', 'md127', 'nvme3n1', C, False)
        scan = self.scanner.scan
        seen = []

        def look():
            seen.append(os.path.exists(os.path.join(
                self.locks, 'os-brick-connect_volume')))
            self.host.set_array('md127', raid_disks=2)
            self.host.hold('nvme3n1', 'md127')
            return scan()

        with mock.patch.object(self.scanner, 'scan', look):
            self.refused(action, 'S2', 'in use by md127')
        self.assertEqual([True], seen)
        self.assertEqual([], self.called())

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

    def test_a_helper_that_is_lost_is_not_the_replicas_fault(self):
        action = self.carry()
        self.privileged.superblocks.side_effect = commands.CannotRun('gone')
        self.refused(action, 'gone', kind=execute.HostUnfit)

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
        self.assertEqual([('erase_superblock', 'nvme3n1'),
                          ('add', 'md127', 'nvme3n1')], self.called())

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
        self.assertEqual([('re_add', 'md127', 'nvme3n1')], self.called())

    def test_what_is_copied_whole_is_known_to_md_by_nothing(self):
        """mdadm --add goes by the bitmap, too, where there is a superblock."""
        legs = self.scanner.scan().array('md127').uuid
        action = dataclasses.replace(self.carry(superblocks.of(
            5, 1, [0, 1], array=legs)), returning=False)
        self.do(action)
        self.assertEqual([('erase_superblock', 'nvme3n1'),
                          ('add', 'md127', 'nvme3n1')], self.called())
        # one that carries none is not touched before
        self.carry()
        self.do(action)
        self.assertEqual([('add', 'md127', 'nvme3n1')], self.called()[2:])

    def test_S10_a_clock_that_was_set_back_is_taken_into_account(self):
        legs = self.scanner.scan().array('md127').uuid
        action = self.carry(superblocks.of(5, 1, [0, 1], array=legs,
                                           updated=5000.0))
        self.refused(action, 'later than any leg')
        self.executor._set_back = lambda: 6000.0
        self.do(action)
        self.assertEqual([('re_add', 'md127', 'nvme3n1')], self.called())

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
        self.assertEqual([('re_add', 'md127', 'nvme3n1')], self.called())

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

    def test_s4_a_foreign_array_is_not_touched(self):
        error = self.assertRaises(
            execute.Refused, self.executor.execute,
            act.RemoveLeg('', 'md127', 'nvme1n1'), VOLUME, ownership.Owned())
        self.assertIn('S4', str(error))

    def test_s2_what_cannot_be_looked_at_is_not_free(self):
        """No descriptor left: nothing was tried, and no leg is to blame."""
        why = 'this host cannot be looked at: Too many open files'
        with mock.patch.object(self.scanner, 'scan', mock.Mock(
                side_effect=attributes.Exhausted(why))):
            self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False), why)
        self.assertEqual([], self.called())

    def test_a_stale_plan_is_refused(self):
        self.refused(act.RemoveLeg('', 'md9', 'nvme1n1'), 'gone')


class TestCalls(ActionsCase):

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
                 ('add', 'md1', 'nvme1n1')),
                (act.AddLeg('', 'md1', 'nvme1n1', A, True),
                 ('re_add', 'md1', 'nvme1n1')),
                (act.ReplaceLeg('', 'md1', 'nvme1n1', 'nvme2n1'),
                 ('replace', 'md1', 'nvme1n1', 'nvme2n1')),
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

    def test_a_failing_command_says_why(self):
        self.privileged.add.side_effect = commands.CommandFailed(
            'mdadm --add /dev/nvme3n1 failed (1): busy')
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False),
                     '/dev/nvme3n1', 'busy', kind=execute.NotDone)

    def test_an_argument_that_is_refused_says_why(self):
        self.privileged.add.side_effect = commands.BadArgument('no device')
        self.refused(act.AddLeg('', 'md127', 'nvme3n1', C, False),
                     'no device', kind=execute.NotDone)


class TestConnect(ActionsCase):

    def listener(self) -> model.Portal:
        server = socket.socket()
        self.addCleanup(server.close)
        server.bind(('127.0.0.1', 0))
        server.listen()
        return model.Portal('127.0.0.1', server.getsockname()[1])

    def deaf(self) -> model.Portal:
        # bound and not listening: nobody else can listen there either
        server = socket.socket()
        self.addCleanup(server.close)
        server.bind(('127.0.0.1', 0))
        return model.Portal('127.0.0.1', server.getsockname()[1])

    def connect(self, *portals: model.Portal) -> act.Connect:
        return act.Connect('', C, model.Target('nqn.test', portals), portals)

    def test_only_portals_that_answer_are_connected(self):
        deaf, good = self.deaf(), self.listener()
        self.do(self.connect(deaf, good))
        self.assertEqual([('connect', 'nqn.test', '127.0.0.1', good.port,
                           'tcp', small_world.HOST.nqn)], self.called())

    def test_each_portal_is_a_step_and_so_is_each_action(self):
        """Each may take the time of a command, which systemd waits for."""
        steps: list[str] = []
        executor = execute.Executor(
            self.conf, self.scanner, small_world.HOST,
            effects=self.privileged, progress=lambda: steps.append('step'))

        def hang(*_words: object) -> None:
            steps.append('hangs')
            raise commands.TimedOut('nvme connect did not end within 60 s')

        self.privileged.connect.side_effect = hang
        self.assertRaises(
            execute.NotDone, executor.execute, self.connect(
                self.listener(), self.listener()), VOLUME, OWNED)
        self.assertEqual(['step', *2 * ['step', 'hangs']], steps)
        executor.execute(act.Resize('', 'md127', 3), VOLUME, OWNED)
        self.assertEqual('step', steps[-1])

    def test_no_portal_answers(self):
        deaf = self.deaf()
        self.refused(self.connect(deaf), 'nqn.test', str(deaf), 'refused',
                     kind=execute.NotDone)
        self.assertEqual([], self.called())
        self.assertEqual([], os.listdir(self.locks))

    def test_the_lock_is_not_held_while_a_portal_is_probed(self):
        held = []
        real = socket.create_connection

        def probe(*words):
            held.append(os.listdir(self.locks))
            return real(*words)

        with mock.patch.object(effects.socket, 'create_connection', probe):
            self.do(self.connect(self.listener()))
        self.assertEqual([[]], held)

    def test_one_portal_failing_does_not_stop_the_other(self):
        one, two = self.listener(), self.listener()
        for error in (commands.CommandFailed('refused'),
                      commands.BadArgument('no NQN')):
            self.privileged.connect.side_effect = [error, None]
            self.do(self.connect(one, two))
            self.assertEqual(2, len(self.called()))
            self.privileged.reset_mock()

    def test_all_portals_failing(self):
        self.privileged.connect.side_effect = commands.CommandFailed('why')
        self.refused(self.connect(self.listener()), 'why',
                     kind=execute.NotDone)

    def test_s4_a_target_of_nobodys_replica_is_not_connected(self):
        portal = self.listener()
        self.refused(act.Connect('', small_world.uuid(7, 'a'), model.Target(
            'nqn.test', (portal,)), (portal,)), 'S4')


class TestLock(ActionsCase):
    """The very file that os-brick locks, told by os-brick itself."""

    action = act.SetFastIoFail('', 'nvme1', None)

    def attach(self) -> 'subprocess.Popen[str]':
        """Another process, in the middle of an attach."""
        process = subprocess.Popen(
            [sys.executable, '-c', HOLDER, self.locks], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual('held\n', process.stdout.readline())
        return process

    def test_nothing_is_done_while_os_brick_attaches(self):
        process = self.attach()
        self.assertEqual(['os-brick-connect_volume'],
                         os.listdir(self.locks))
        self.refused(self.action, self.locks, 'os-brick-connect_volume',
                     'more than 1 s', kind=execute.LockHeld)
        self.assertEqual([], self.called())
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write('\n')
        process.stdin.flush()
        self.assertEqual('free\n', process.stdout.readline())
        self.do(self.action)
        self.assertEqual(1, len(self.called()))

    def test_an_attach_that_ends_in_time_is_waited_for(self):
        process = self.attach()
        self.conf.set_override('lock_timeout', 60.0)

        def wait(_seconds):
            if process.poll() is None:
                process.communicate('\n\n')

        with mock.patch.object(clock.HOST, 'sleep', wait):
            self.do(self.action)
        self.assertEqual(1, len(self.called()))

    def test_os_brick_waits_for_the_agent(self):
        from os_brick.initiator.connectors import base as connectors
        taken = []

        @connectors.synchronized('connect_volume', external=True,
                                 lock_path=self.locks, blocking=False)
        def attach():
            taken.append('attached')

        self.privileged.set_fast_io_fail.side_effect = (
            lambda *words: attach())
        self.do(self.action)
        self.assertEqual([], taken)
        attach()
        self.assertEqual(['attached'], taken)

    def test_the_lock_is_let_go_when_the_action_fails(self):
        self.privileged.set_fast_io_fail.side_effect = [
            commands.CommandFailed('no'), RuntimeError('defect'), None]
        self.refused(self.action, 'no', kind=execute.NotDone)
        self.assertRaises(RuntimeError, self.do, self.action)
        self.do(self.action)

    def test_at_the_end_it_is_not_waited_for_long(self):
        self.attach()
        self.conf.set_override('lock_timeout', 3600.0)
        self.stopping = True
        self.put(brick_lock, 'STOP_PATIENCE', 0.1)
        self.refused(self.action, kind=execute.LockHeld)

    def test_what_is_urgent_goes_on_without_the_lock(self):
        """Its holder may hang on the very I/O that is to be ended."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 3600.0)
        self.urgently(self.action)
        self.assertEqual(1, len(self.called()))

    def test_healing_does_not_wait_long_for_what_the_guard_found_held(self):
        """Else what a pass has to tell comes when all its waiting is over."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.put(brick_lock, 'HELD_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 3600.0)
        self.urgently(self.action)
        self.refused(self.action, 'for more than 0.1 s',
                     kind=execute.LockHeld)

    def test_a_silent_connection_does_not_wait_for_the_lock(self):
        """Nor does the setting without which it would not be closed."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.host.controller('nvme9', address='192.0.2.9')
        self.host.namespace('nvme9n1', C, ('nvme9',))
        self.urgently(self.action, act.ResetConnection(
            '', 'nvme9', model.Portal('192.0.2.9', 4420)), self.action)
        called = [name for name, _arguments, _words
                  in self.privileged.mock_calls]
        self.assertEqual(['set_fast_io_fail', 'close_connections'],
                         called[:called.index('try_lock')])
        self.assertEqual('set_fast_io_fail', called[-1])

    def test_what_is_urgent_does_not_wait_for_another_thread(self):
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 1.0)
        hangs, ended = threading.Event(), threading.Event()

        def hang(*_words):
            hangs.set()
            ended.wait(60.0)

        self.privileged.fail.side_effect = hang
        self.privileged.answering.return_value = ['nvme1n1']
        self.host.write('sys/class/nvme-fabrics/ctl/nvme2/state',
                        'connecting')
        thread = threading.Thread(target=self.do, args=(
            act.FailLeg('', 'md127', 'nvme2n1'),))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)
        self.assertTrue(hangs.wait(60.0))
        self.refused(self.action, 'another action', kind=execute.LockHeld)
        self.urgently(self.action)
        self.assertEqual(['answering', 'fail', 'set_fast_io_fail'],
                         [call[0] for call in self.called()])

    def test_who_answers(self):
        self.privileged.answering.side_effect = [
            ['nvme1n1'], commands.CommandFailed('no dd')]
        self.assertEqual({'nvme1n1'}, self.executor.answering(
            {'nvme2n1', 'nvme1n1'}))
        self.privileged.answering.assert_called_once_with(
            ['nvme1n1', 'nvme2n1'], evidence.ANSWER_WITHIN)
        self.assertRaises(execute.NotDone, self.executor.answering, {'x'})

    def test_a_lock_directory_that_cannot_be_used_is_named(self):
        path = os.path.join(self.locks, 'file')
        with open(path, 'w', encoding='ascii'):
            pass
        self.conf.set_override('lock_path', path + '/locks', 'os_brick')
        self.refused(self.action, path, 'lock_path', kind=execute.NotDone)
