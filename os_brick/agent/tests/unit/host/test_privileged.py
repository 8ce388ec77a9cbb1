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
"""What runs as root: nothing but what the patterns let through."""

from __future__ import annotations

import errno
import os
import pathlib
import string
import subprocess
import sys
import tempfile
import threading
from unittest import mock

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from oslo_privsep import capabilities
from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.host import sockets

NQN = 'nqn.2014-08.org.nvmexpress:uuid:0f1e2d3c-0000-4000-8000-0000000000ab'
NASTY = ['', ' ', ';reboot', '$(reboot)', '`reboot`', '../..', '/etc/passwd',
         'a b', "'", '"', '\n', '\0', '-a', '--force', '*', '|sh', '>x', '&',
         ',ctrl_loss_tmo=0', '\u0663']


class PrivilegedCase(base.BaseTestCase):
    """Entry points run in this process, with programs of the test's own."""

    def setUp(self) -> None:
        super().setUp()
        privileged.default.set_client_mode(False)
        self.addCleanup(privileged.default.set_client_mode, True)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.said = os.path.join(self.folder, 'said')
        patch = mock.patch.object(commands, 'PROGRAMS',
                                  self.folder + ':/usr/bin:/bin')
        patch.start()
        self.addCleanup(patch.stop)
        for name in ('nvme', 'mdadm'):
            self.program(name)

    def program(self, name: str, then: str = '') -> None:
        """Let a program note its arguments, one a line, and do ``then``."""
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as script:
            script.write('#!/bin/sh\n'
                         'printf "%%s\\n" "${0##*/}" "$@" >> %s\n%s\n'
                         % (self.said, then))
        os.chmod(path, 0o755)

    def ran(self) -> list[str]:
        if not os.path.exists(self.said):
            return []
        with open(self.said, encoding='utf-8') as said:
            words = said.read().splitlines()
        os.unlink(self.said)
        return words


class TestCommands(PrivilegedCase):

    def test_what_is_run(self):
        for call, command in (
                ((privileged.connect, NQN, '192.0.2.1', 4420, 'tcp', NQN),
                 'nvme connect -t tcp -a 192.0.2.1 -s 4420 -n %s -q %s '
                 '-Q 128 -l -1' % (NQN, NQN)),
                ((privileged.connect, NQN, 'fe80::1%eth0.5', 4420, 'rdma',
                  NQN),
                 'nvme connect -t rdma -a fe80::1%%eth0.5 -s 4420 -n %s -q '
                 '%s -Q 128 -l -1' % (NQN, NQN)),
                ((privileged.remove, 'md_vol.1', 'nvme1n1'),
                 'mdadm --manage /dev/md_vol.1 --remove nvme1n1'),
                ((privileged.add, 'md127', 'nvme1n1'),
                 'mdadm --manage /dev/md127 --add --failfast /dev/nvme1n1'),
                ((privileged.re_add, 'md127', 'nvme1n1'),
                 'mdadm --manage /dev/md127 --re-add /dev/nvme1n1'),
                ((privileged.replace, 'md127', 'nvme1n1', 'nvme2n1'),
                 'mdadm --manage /dev/md127 --replace /dev/nvme1n1 --with '
                 '/dev/nvme2n1'),
                ((privileged.resize, 'md127', 3),
                 'mdadm --grow /dev/md127 --raid-devices=3'),
                ((privileged.resize, 'md127', 1),
                 'mdadm --grow /dev/md127 --raid-devices=1 --force')):
            call[0](*call[1:])
            self.assertEqual(command.split(), self.ran())

    def test_md_does_not_choose_whose_place_it_takes(self):
        states = {'nvme0n1': 'in_sync,write_error,want_replacement',
                  'nvme1n1': 'in_sync', 'nvme2n1': 'want_replacement'}
        for call in (privileged.add, privileged.re_add):
            for device, state in states.items():
                folder = os.path.join(self.folder, 'md127', 'md',
                                      'dev-' + device)
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, 'state'), 'w',
                          encoding='ascii') as attribute:
                    attribute.write(state + '\n')
            with mock.patch.object(privileged, 'BLOCK', self.folder):
                call('md127', 'nvme3n1')
            cleared = set()
            for device in states:
                with open(os.path.join(
                        self.folder, 'md127', 'md', 'dev-' + device, 'state'),
                        encoding='ascii') as attribute:
                    if attribute.read().startswith('-want_replacement'):
                        cleared.add(device)
            self.assertEqual({'nvme0n1', 'nvme2n1'}, cleared)
            self.assertIn('/dev/nvme3n1', self.ran())

    def test_a_failing_programs_words_are_in_the_error(self):
        self.program('mdadm', 'echo "mdadm: Cannot open /dev/nvme1n1:"\n'
                     'echo "Device or resource busy" >&2; exit 2')
        error = self.assertRaises(commands.CommandFailed, privileged.add,
                                  'md127', 'nvme1n1')
        for words in ('/dev/md127', '/dev/nvme1n1', '(2)',
                      'Device or resource busy'):
            self.assertIn(words, str(error))

    def test_a_program_that_fails_without_a_word(self):
        self.program('mdadm', 'exit 1')
        error = self.assertRaises(commands.CommandFailed, privileged.add,
                                  'md127', 'nvme1n1')
        self.assertIn('it said nothing', str(error))

    def test_a_program_that_is_not_installed_is_named(self):
        with mock.patch.object(commands, 'PROGRAMS', self.said):
            error = self.assertRaises(commands.CommandFailed,
                                      privileged.remove, 'md1', 'nvme1n1')
        self.assertIn('mdadm --manage /dev/md1 --remove nvme1n1', str(error))
        self.assertIn('No such file', str(error))

    def test_a_hanging_program_does_not_hang_the_caller(self):
        fifo = os.path.join(self.folder, 'never')
        os.mkfifo(fifo)
        # the shell itself opens it: nobody ever writes
        self.program('mdadm', 'exec < %s' % fifo)
        with mock.patch.object(commands, 'COMMAND_TIMEOUT', 0.3):
            error = self.assertRaises(
                commands.CommandFailed, privileged.remove, 'md127',
                'nvme1n1')
        self.assertIn('did not end within 0.3 s', str(error))
        self.assertIn('nvme1n1', str(error))

    def test_a_portal_that_is_connected_already_is_no_error(self):
        self.program('nvme', 'echo already connected; exit 1')
        privileged.connect(NQN, '192.0.2.1', 4420, 'tcp', NQN)
        self.program('nvme', 'echo Connection refused; exit 1')
        error = self.assertRaises(
            commands.CommandFailed, privileged.connect, NQN, '192.0.2.1',
            4420, 'tcp', NQN)
        self.assertIn('Connection refused', str(error))
        self.assertIn('192.0.2.1', str(error))

    def test_fast_io_fail_is_written_to_the_controller(self):
        os.mkdir(os.path.join(self.folder, 'nvme1'))
        path = os.path.join(self.folder, 'nvme1', 'fast_io_fail_tmo')
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder):
            for seconds in (-1, 5):
                privileged.set_fast_io_fail('nvme1', seconds)
                with open(path, encoding='ascii') as attribute:
                    self.assertEqual(str(seconds), attribute.read())
            error = self.assertRaises(
                commands.CommandFailed, privileged.set_fast_io_fail,
                'nvme2', 5)
        self.assertIn('nvme2/fast_io_fail_tmo', str(error))

    def test_a_shorter_delay_gives_no_connection_up_sooner(self):
        path = pathlib.Path(self.folder, 'nvme1')
        path.mkdir()
        written: list[tuple[str, ...]] = []
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder), \
                mock.patch.object(commands, 'write',
                                  lambda *words: written.append(words)):
            for limit, again in (('600\n', ['600']), ('off\n', [])):
                path.joinpath('ctrl_loss_tmo').write_text(limit)
                written.clear()
                privileged.set_reconnect_delay('nvme1', 2)
                self.assertEqual(
                    [('2', self.folder, 'nvme1', 'reconnect_delay')]
                    + [(one, self.folder, 'nvme1', 'ctrl_loss_tmo')
                       for one in again], written)

    def test_how_io_is_spread(self):
        path = pathlib.Path(self.folder, 'nvme-subsys3')
        path.mkdir()
        with mock.patch.object(privileged, 'SUBSYSTEMS', self.folder):
            path.joinpath('subsysnqn').write_text('nqn.t\n')
            privileged.set_iopolicy('nvme-subsys3', 'nqn.t', 'queue-depth')
            self.assertEqual('queue-depth',
                             path.joinpath('iopolicy').read_text())
            for name, policy in (('nvme3', 'numa'), ('../x', 'numa'),
                                 ('nvme-subsys3', 'Numa\n'),
                                 ('nvme-subsys3', '')):
                self.assertRaises(commands.BadArgument,
                                  privileged.set_iopolicy, name, 'nqn.t',
                                  policy)
            # the name is another target's by now, or nobody's
            for name, found in (('nvme-subsys3', 'but nqn.t'),
                                ('nvme-subsys9', 'but gone')):
                error = self.assertRaises(
                    commands.CommandFailed, privileged.set_iopolicy, name,
                    'nqn.other', 'numa')
                self.assertIn(found, str(error))

    def test_what_md_is_told_is_written_to_the_leg(self):
        path = os.path.join(self.folder, 'md127', 'md', 'dev-nvme1n1')
        os.makedirs(path)
        path = os.path.join(path, 'state')
        with mock.patch.object(privileged, 'BLOCK', self.folder):
            for call, text in (
                    ((privileged.set_failfast, True), 'failfast'),
                    ((privileged.set_failfast, False), '-failfast'),
                    ((privileged.fail,), 'faulty')):
                call[0]('md127', 'nvme1n1', *call[1:])
                with open(path, encoding='ascii') as attribute:
                    self.assertEqual(text, attribute.read())
                error = self.assertRaises(
                    commands.CommandFailed, call[0], 'md127', 'nvme2n1',
                    *call[1:])
                self.assertIn('md127/md/dev-nvme2n1/state', str(error))
        self.assertEqual([], self.ran())

    def test_the_limit_of_copies(self):
        path = pathlib.Path(self.folder, 'md127', 'md')
        path.mkdir(parents=True)
        with mock.patch.object(privileged, 'BLOCK', self.folder):
            for number, text in ((51201, '51201'), (0, 'system')):
                privileged.set_sync_speed_max('md127', number)
                self.assertEqual(
                    text, path.joinpath('sync_speed_max').read_text())
        for array, number in (('md127', -1), ('md127', 1 << 31),
                              ('md127', '7'), ('md127', True),
                              ('../md127', 7), ('sda', 7)):
            self.assertRaises(commands.BadArgument,
                              privileged.set_sync_speed_max, array, number)

    def test_how_long_md_marks(self):
        path = pathlib.Path(self.folder, 'md127', 'md', 'bitmap')
        path.mkdir(parents=True)
        with mock.patch.object(privileged, 'BLOCK', self.folder):
            privileged.set_bitmap_delay('md127', 25)
        self.assertEqual('25', path.joinpath('time_base').read_text())
        for array, seconds in (('md127', 0), ('md127', 3601), ('md127', 2.0),
                               ('../md127', 7), ('sda', 7)):
            self.assertRaises(commands.BadArgument,
                              privileged.set_bitmap_delay, array, seconds)

    def test_a_controller_is_told_to_go(self):
        os.mkdir(os.path.join(self.folder, 'nvme12'))
        path = os.path.join(self.folder, 'nvme12', 'delete_controller')
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder):
            privileged.disconnect('nvme12')
        with open(path, encoding='ascii') as attribute:
            self.assertEqual('1', attribute.read())

    def test_an_attribute_that_hangs_does_not_hang_the_caller(self):
        path = os.path.join(self.folder, 'md127', 'md', 'dev-nvme1n1')
        os.makedirs(path)
        path = os.path.join(path, 'state')
        os.mkfifo(path)     # nobody reads it, for now
        with mock.patch.object(privileged, 'BLOCK', self.folder), \
                mock.patch.object(commands, 'WRITE_TIMEOUT', 0.3):
            error = self.assertRaises(
                commands.CommandFailed, privileged.set_failfast, 'md127',
                'nvme1n1', False)
        self.assertIn('it hangs', str(error))
        with open(path, encoding='ascii') as fifo:
            self.assertEqual('-failfast', fifo.read())

    def test_what_hangs_still_is_not_begun_again(self):
        """No retry leaves another thread behind."""
        path = os.path.join(self.folder, 'nvme1')
        os.makedirs(path)
        os.mkfifo(os.path.join(path, 'delete_controller'))
        before = threading.active_count()
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder), \
                mock.patch.object(commands, 'WRITE_TIMEOUT', 0.01):
            for _try in range(5):
                error = self.assertRaises(
                    commands.CommandFailed, privileged.disconnect, 'nvme1')
                self.assertIn('it hangs', str(error))
            said, = privileged.disconnect_all(['nvme1'], 10)
        self.assertTrue(said.endswith(commands.HANGS), said)
        self.assertEqual(before + 1, threading.active_count())
        with open(os.path.join(path, 'delete_controller'),
                  encoding='ascii') as fifo:
            self.assertEqual('1', fifo.read())

    def test_one_that_hangs_does_not_hide_the_others(self):
        for name in ('nvme1', 'nvme3'):
            os.makedirs(os.path.join(self.folder, name))
        path = os.path.join(self.folder, 'nvme1', 'delete_controller')
        os.mkfifo(path)
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder):
            said = privileged.disconnect_all(
                ['nvme1', 'nvme2', 'nvme3'], 300)
        self.assertTrue(said[0].endswith(commands.HANGS), said)
        self.assertIn('No such file', said[1])
        self.assertEqual('', said[2])
        with open(path, encoding='ascii') as fifo:
            fifo.read()
        with mock.patch.object(privileged, 'BLOCK', self.folder):
            leg = os.path.join(self.folder, 'md127', 'md', 'dev-nvme1n1')
            os.makedirs(leg)
            self.assertEqual(['', True], [
                said if not said else 'No such' in said for said in
                privileged.fail_all([('md127', 'nvme1n1'),
                                     ('md126', 'nvme1n1')], 30000)])
            with open(os.path.join(leg, 'state'), encoding='ascii') as state:
                self.assertEqual('faulty', state.read())

    def test_asking_is_a_short_command_that_is_not_waited_for(self):
        done = os.path.join(self.folder, 'done')
        os.mkfifo(done)
        self.program('nvme', ': > %s' % done)    # waits for a reader
        privileged.send_keep_alive('nvme1', 500)
        with open(done, encoding='ascii') as end:
            end.read()
        self.assertEqual('nvme admin-passthru /dev/nvme1 --opcode=0x18 '
                         '--timeout=500'.split(), self.ran())

    def test_connections_that_cannot_be_closed(self):
        controllers = os.path.join(self.folder, 'controllers')
        here = 'traddr=192.0.2.1,trsvcid=4420'
        for name, address, state, queues in (
                ('nvme1', here, 'live', '3'),
                ('nvme2', here + ',src_addr=x', 'live', '5'),
                ('nvme3', 'traddr=192.0.2.1,trsvcid=4421', 'live', '100'),
                ('nvme4', 'traddr=192.0.2.2,trsvcid=4420', 'live', '100'),
                ('nvme5', 'traddr=banana,trsvcid=4420', 'live', '100'),
                # its connections are gone: they may be anybody's
                ('nvme6', here, 'connecting', '100'),
                ('nvme7', here, 'resetting', '100')):
            os.makedirs(os.path.join(controllers, name))
            for attribute, text in (('address', address),
                                    ('transport', 'tcp'), ('state', state),
                                    ('queue_count', queues)):
                with open(os.path.join(controllers, name, attribute), 'w',
                          encoding='ascii') as file:
                    file.write(text + '\n')
        with mock.patch.object(
                privileged, 'CONTROLLERS', controllers), mock.patch.object(
                sockets, 'close', side_effect=OSError(
                    errno.EOPNOTSUPP, 'Operation not supported')) as close:
            error = self.assertRaises(
                commands.CommandFailed, privileged.close_connections,
                '192.0.2.1', 4420)
        close.assert_called_once_with('192.0.2.1', 4420, 8)
        self.assertIn('192.0.2.1 port 4420', str(error))
        self.assertIn('not supported', str(error))

    def test_who_answers_a_read(self):
        with mock.patch.object(privileged, '_answers') as reads:
            reads.of.return_value = {'nvme1n1': True}
            self.assertEqual(['nvme1n1'], privileged.answering(
                ['nvme1n1', 'nvme2n1'], 200))
        reads.of.assert_called_once_with(['nvme1n1', 'nvme2n1'], 0.2)

    def test_superblocks_of_those_that_answer(self):
        with mock.patch.object(privileged, '_superblocks') as reads:
            read = {'nvme1n1': [b'block'], 'nvme2n1': 'I/O error'}
            reads.or_why_not.return_value = read
            self.assertEqual(
                read,
                privileged.superblocks(['nvme1n1', 'nvme2n1', 'nvme3n1'],
                                       1500))
        reads.or_why_not.assert_called_once_with(
            ['nvme1n1', 'nvme2n1', 'nvme3n1'], 1.5)
        self.assertRaises(commands.BadArgument, privileged.superblocks,
                          ['sda1'], 1500)

    def test_calls_that_hang_do_not_fill_the_helper(self):
        # a process of its own: other tests reset the options
        self.assertEqual('16', subprocess.run(
            [sys.executable, '-W', 'ignore', '-c',
             'from os_brick.agent.host import privileged\n'
             'print(privileged.default.conf.thread_pool_size)'],
            check=True, stdout=subprocess.PIPE, text=True).stdout.strip())

    def test_fewest_capabilities(self):
        self.assertEqual(
            [capabilities.CAP_SYS_ADMIN, capabilities.CAP_NET_ADMIN],
            privileged.CAPABILITIES)


class TestArguments(PrivilegedCase):

    def refused(self, entry_point, *arguments):
        self.assertRaises(commands.BadArgument, entry_point, *arguments)
        self.assertEqual([], self.ran(), str(arguments))

    def test_what_looks_right_and_something_after_it(self):
        for word in NASTY:
            self.refused(privileged.fail, 'md127' + word + '!', 'nvme1n1')
            self.refused(privileged.fail, 'md127', 'nvme1n1' + (word or '/'))
            self.refused(privileged.fail, word, 'nvme1n1')
            self.refused(privileged.fail, 'md127', word)
            self.refused(privileged.disconnect, 'nvme1' + (word or ' '))
            self.refused(privileged.set_fast_io_fail, word + '/nvme1', 1)
            self.refused(privileged.replace, 'md1', 'nvme1n1', word)
            if not word.startswith('-'):
                self.refused(privileged.connect, NQN + (word or ' '),
                             '192.0.2.1', 4420, 'tcp', NQN)
                self.refused(privileged.connect, NQN, '192.0.2.1', 4420,
                             'tcp', NQN + (word or ' '))
            self.refused(privileged.connect, NQN, 'fe80::1%eth0' + (
                word or '!'), 4420, 'tcp', NQN) if '-' not in word else None
            self.refused(privileged.connect, NQN, '192.0.2.1' + (
                word or '!'), 4420, 'tcp', NQN)
            self.refused(privileged.connect, NQN, '192.0.2.1', 4420, word,
                         NQN)

    def test_every_entry_point_looks_at_its_devices(self):
        for entry_point in (privileged.fail, privileged.remove,
                            privileged.add, privileged.re_add):
            self.refused(entry_point, 'md127', '../sda')
            self.refused(entry_point, '../md127', 'nvme1n1')
            self.refused(entry_point, 'md127', 'sda')
            self.refused(entry_point, 'md127', None)
        self.refused(privileged.set_failfast, 'md1', 'sda', True)
        self.refused(privileged.set_failfast, '../md1', 'nvme1n1', True)
        self.refused(privileged.send_keep_alive, 'nvme1n1', 500)
        self.refused(privileged.send_keep_alive, '../sda', 500)
        self.refused(privileged.answering, ['nvme1n1/../sda'], 500)
        self.refused(privileged.replace, 'md1', 'sda', 'nvme1n1')
        self.refused(privileged.replace, 'sda', 'nvme1n1', 'nvme1n1')
        self.refused(privileged.resize, 'sda', 2)

    def test_numbers(self):
        for number in (0, 65, -1, True, '2', 2.0, None):
            self.refused(privileged.resize, 'md127', number)
        for number in (0, 60001, True, '1', None, 1.0):
            self.refused(privileged.send_keep_alive, 'nvme1', number)
            self.refused(privileged.answering, ['nvme1n1'], number)
        for number in (-2, 3601, True, '1', '1\n', None, 1.0):
            self.refused(privileged.set_fast_io_fail, 'nvme1', number)
        for number in (0, 65536, -1, True, '4420', None):
            self.refused(privileged.connect, NQN, '192.0.2.1', number,
                         'tcp', NQN)
            self.refused(privileged.close_connections, '192.0.2.1', number)

    def test_an_address_is_a_number(self):
        for address in ('target.example.org', '192.0.2.256', '', 5, None,
                        'fe80::1%', '192.0.2.1,host_iface=x', '::1%a,b'):
            self.refused(privileged.connect, NQN, address, 4420, 'tcp', NQN)
            self.refused(privileged.close_connections, address, 4420)

    def test_text_of_any_kind_brings_no_second_word(self):
        """Whatever passes is made of harmless characters only."""
        harmless = set(string.ascii_letters + string.digits + '._:@+~-%')
        text = strategies.one_of(
            strategies.text(max_size=12),
            strategies.text(''.join(NASTY), max_size=6).map(
                lambda tail: 'nvme1n1' + tail),
            strategies.text(''.join(NASTY), max_size=6).map(
                lambda tail: 'nqn.2014-08' + tail),
            strategies.text(''.join(NASTY) + '_', max_size=6).map(
                lambda tail: 'md_' + tail))

        @settings(max_examples=400, deadline=None, database=None)
        @given(text)
        @example('nvme\u0661n\u0661')
        @example('nvme1n1\n')
        @example('md_..')
        def check(word):
            with mock.patch.object(commands, 'run') as run, \
                    mock.patch.object(commands, 'write') as write, \
                    mock.patch.object(commands, 'write_all') as write_all:
                for entry_point, arguments in (
                        (privileged.fail, (word, 'nvme1n1')),
                        (privileged.fail, ('md1', word)),
                        (privileged.fail_all, ([(word, 'nvme1n1')], 1)),
                        (privileged.fail_all, ([('md1', word)], 1)),
                        (privileged.disconnect, (word,)),
                        (privileged.disconnect_all, ([word], 1)),
                        (privileged.replace, ('md1', 'nvme1n1', word)),
                        (privileged.connect,
                         (word, '::1', 1, 'tcp', NQN)),
                        (privileged.connect,
                         (NQN, word, 1, 'tcp', NQN)),
                        (privileged.connect, (NQN, '::1', 1, word, NQN)),
                        (privileged.connect,
                         (NQN, '::1', 1, 'tcp', word))):
                    try:
                        entry_point(*arguments)
                    except commands.BadArgument:
                        continue
                    self.assertLessEqual(set(word), harmless)
                    self.assertNotEqual('-', word[0])
            for call in run.call_args_list:
                for argument in call.args:
                    self.assertNotIn('/..', argument.replace('/dev/', ''))
            for parts in [call.args for call in write.call_args_list] + [
                    call.args[1][0] for call in write_all.call_args_list]:
                for part in parts:
                    self.assertNotIn(part, ('', '.', '..'))
                    if part not in (privileged.BLOCK,
                                    privileged.CONTROLLERS):
                        self.assertNotIn('/', part)

        check()
