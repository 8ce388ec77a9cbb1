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
"""Which programs the privileged helper runs, and how they may fail."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

from oslo_privsep import capabilities

from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.tests.unit.host import privileged_case

NQN, A, B = privileged_case.NQN, privileged_case.A, privileged_case.B


class TestPrograms(privileged_case.PrivilegedCase):

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
                ((privileged.add, 'md127', 'nvme1n1', A),
                 'mdadm --manage /dev/md127 --add --failfast /dev/nvme1n1'),
                ((privileged.re_add, 'md127', 'nvme1n1', A),
                 'mdadm --manage /dev/md127 --re-add /dev/nvme1n1'),
                ((privileged.replace, 'md127', 'nvme0n1', 'nvme1n1', A),
                 'mdadm --manage /dev/md127 --replace /dev/nvme0n1 --with '
                 '/dev/nvme1n1'),
                ((privileged.erase_superblock, 'nvme1n1', A),
                 'mdadm --zero-superblock /dev/nvme1n1'),
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
                call('md127', 'nvme1n1', A)
            cleared = set()
            for device in states:
                with open(os.path.join(
                        self.folder, 'md127', 'md', 'dev-' + device, 'state'),
                        encoding='ascii') as attribute:
                    if attribute.read().startswith('-want_replacement'):
                        cleared.add(device)
            self.assertEqual({'nvme0n1', 'nvme2n1'}, cleared)
            self.assertIn('/dev/nvme1n1', self.ran())

    def test_nothing_is_written_to_another_namespace(self):
        for call in ((privileged.add, 'md127', 'nvme1n1', B),
                     (privileged.re_add, 'md127', 'nvme1n1', B),
                     (privileged.replace, 'md127', 'nvme0n1', 'nvme1n1', B),
                     (privileged.erase_superblock, 'nvme1n1', B)):
            error = self.assertRaises(commands.NotMeant, *call)
            self.assertEqual('nvme1n1 is %s, not %s' % (A, B), str(error))
            self.assertEqual([], self.ran(), str(call))

    def test_a_name_is_looked_at_when_all_else_is_done(self):
        """What md is told before may take as long as it likes."""
        def told(*_words):
            self.host.lose_namespace('nvme1n1')

        for call in (privileged.add, privileged.re_add):
            with mock.patch.object(privileged, '_nobody_is_replaced', told):
                self.assertRaises(commands.NotMeant, call, 'md127', 'nvme1n1',
                                  A)
            self.assertEqual([], self.ran())
            self.host.namespace('nvme1n1', A, ('nvme1',))

    def test_a_failing_programs_words_are_in_the_error(self):
        self.program('mdadm', 'echo "mdadm: Cannot open /dev/nvme1n1:"\n'
                     'echo "Device or resource busy" >&2; exit 2')
        error = self.assertRaises(commands.CommandFailed, privileged.add,
                                  'md127', 'nvme1n1', A)
        for words in ('/dev/md127', '/dev/nvme1n1', '(2)',
                      'Device or resource busy'):
            self.assertIn(words, str(error))

    def test_a_program_that_fails_without_a_word(self):
        self.program('mdadm', 'exit 1')
        error = self.assertRaises(commands.CommandFailed, privileged.add,
                                  'md127', 'nvme1n1', A)
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

    def test_asking_is_a_short_command_that_is_not_waited_for(self):
        done = os.path.join(self.folder, 'done')
        os.mkfifo(done)
        self.program('nvme', ': > %s' % done)    # waits for a reader
        privileged.send_keep_alive('nvme1', 500)
        with open(done, encoding='ascii') as end:
            end.read()
        self.assertEqual('nvme admin-passthru /dev/nvme1 --opcode=0x18 '
                         '--timeout=500'.split(), self.ran())


class TestMeans(privileged_case.PrivilegedCase):
    """What the helper itself has: threads and capabilities."""

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
