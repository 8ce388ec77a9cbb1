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

import string
from unittest import mock

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies

from os_brick.agent.host import commands
from os_brick.agent.host import namespaces
from os_brick.agent.host import privileged
from os_brick.agent.tests.unit.host import privileged_case

NQN, A = privileged_case.NQN, privileged_case.A
NASTY = ['', ' ', ';reboot', '$(reboot)', '`reboot`', '../..', '/etc/passwd',
         'a b', "'", '"', '\n', '\0', '-a', '--force', '*', '|sh', '>x', '&',
         ',ctrl_loss_tmo=0', '\u0663']


class TestArguments(privileged_case.PrivilegedCase):

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
            self.refused(privileged.set_iopolicy,
                         'nvme-subsys1' + (word or '/../x'), NQN, 'numa')
            self.refused(privileged.replace, 'md1', 'nvme1n1', word, A)
            self.refused(privileged.erase_superblock, 'nvme1n1', word)
            self.refused(privileged.erase_superblock, 'nvme1n1',
                         A + (word or ' '))
            if not word.startswith('-'):
                self.refused(privileged.connect, NQN + (word or ' '),
                             '192.0.2.1', 4420, 'tcp', NQN)
                self.refused(privileged.connect, NQN, '192.0.2.1', 4420,
                             'tcp', NQN + (word or ' '))
            if '-' not in word:    # which a device's name may have
                self.refused(privileged.connect, NQN, 'fe80::1%eth0' + (
                    word or '!'), 4420, 'tcp', NQN)
            self.refused(privileged.connect, NQN, '192.0.2.1' + (
                word or '!'), 4420, 'tcp', NQN)
            self.refused(privileged.connect, NQN, '192.0.2.1', 4420, word,
                         NQN)

    def test_every_entry_point_looks_at_its_devices(self):
        for entry_point, *uuid in (
                (privileged.fail,), (privileged.remove,),
                (privileged.add, A), (privileged.re_add, A)):
            self.refused(entry_point, 'md127', '../sda', *uuid)
            self.refused(entry_point, '../md127', 'nvme1n1', *uuid)
            self.refused(entry_point, 'md127', 'sda', *uuid)
            self.refused(entry_point, 'md127', None, *uuid)
        self.refused(privileged.set_failfast, 'md1', 'sda', True)
        self.refused(privileged.set_failfast, '../md1', 'nvme1n1', True)
        self.refused(privileged.send_keep_alive, 'nvme1n1', 500)
        self.refused(privileged.send_keep_alive, '../sda', 500)
        self.refused(privileged.answering, ['nvme1n1/../sda'], 500)
        self.refused(privileged.replace, 'md1', 'sda', 'nvme1n1', A)
        self.refused(privileged.replace, 'sda', 'nvme1n1', 'nvme1n1', A)
        self.refused(privileged.erase_superblock, 'sda', A)
        self.refused(privileged.resize, 'sda', 2)

    def test_a_namespace_is_told_by_a_uuid(self):
        """One that has none is not what is meant by nothing."""
        self.host.controller('nvme2')
        self.host.namespace('nvme2n1', None, ('nvme2',))
        for uuid in (None, '', 'None', 5, A.upper(), A[1:]):
            self.refused(privileged.add, 'md1', 'nvme2n1', uuid)
            self.refused(privileged.re_add, 'md1', 'nvme2n1', uuid)
            self.refused(privileged.replace, 'md1', 'nvme1n1', 'nvme2n1',
                         uuid)
            self.refused(privileged.erase_superblock, 'nvme2n1', uuid)

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
                    mock.patch.object(commands, 'write_all'
                                      ) as write_all, \
                    mock.patch.object(namespaces, 'require'):
                for entry_point, arguments in (
                        (privileged.fail, (word, 'nvme1n1')),
                        (privileged.fail, ('md1', word)),
                        (privileged.fail_all, ([(word, 'nvme1n1')], 1)),
                        (privileged.fail_all, ([('md1', word)], 1)),
                        (privileged.disconnect, (word,)),
                        (privileged.disconnect_all, ([word], 1)),
                        (privileged.replace, ('md1', 'nvme1n1', word, A)),
                        (privileged.erase_superblock, (word, A)),
                        (privileged.erase_superblock, ('nvme1n1', word)),
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
