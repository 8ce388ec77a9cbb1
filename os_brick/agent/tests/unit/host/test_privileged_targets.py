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
"""What the privileged helper reads from targets, and closes to them."""

from __future__ import annotations

import errno
import os
from unittest import mock

from os_brick.agent.host import commands
from os_brick.agent.host import privileged
from os_brick.agent.host import sockets
from os_brick.agent.tests.unit.host import privileged_case


class TestTargets(privileged_case.PrivilegedCase):

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
