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
"""What the privileged helper writes to sysfs, and what hangs there."""

from __future__ import annotations

import os
import pathlib
import threading
from unittest import mock

from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.tests.unit.host import privileged_case


class TestAttributes(privileged_case.PrivilegedCase):

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


class TestHanging(privileged_case.PrivilegedCase):

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
        with mock.patch.object(privileged, 'CONTROLLERS', self.folder), \
                mock.patch.object(commands, 'WRITE_TIMEOUT', 0.01):
            for _try in range(5):
                error = self.assertRaises(
                    commands.CommandFailed, privileged.disconnect, 'nvme1')
                self.assertIn('it hangs', str(error))
            said, = privileged.disconnect_all(['nvme1'], 10)
        self.assertTrue(said.endswith(commands.HANGS), said)
        self.assertEqual(1, sum(path in thread.name
                                for thread in threading.enumerate()))
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
