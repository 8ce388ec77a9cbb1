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
"""Whether there is a way to an address is seen without sending."""

import errno
import os
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import routes
from os_brick.agent import model

LOCAL = model.Portal('127.0.0.1', 4420)


class TestRoutes(base.BaseTestCase):

    def state(self, words: str) -> str:
        net = self.useFixture(fixtures.TempDir()).path
        os.mkdir(os.path.join(net, 'lo'))
        with open(os.path.join(net, 'lo', 'operstate'), 'w') as state:
            state.write(words + '\n')
        return net

    def test_this_very_host(self):
        self.assertEqual('', routes.no_way(LOCAL))

    def test_an_interface_that_is_down(self):
        for word in ('down', 'lowerlayerdown'):
            self.assertIn('interface lo, on the way to %s, is %s' % (
                LOCAL, word), routes.no_way(LOCAL, self.state(word)))

    def test_an_interface_that_is_up_or_does_not_say(self):
        for word in ('up', 'unknown', 'dormant', ''):
            self.assertEqual('', routes.no_way(LOCAL, self.state(word)))
        self.assertEqual('', routes.no_way(LOCAL, '/nowhere'))

    def test_no_route(self):
        for number, expected in (
                (errno.ENETUNREACH, True), (errno.EADDRNOTAVAIL, True),
                (errno.EHOSTUNREACH, False), (errno.EACCES, False)):
            with mock.patch.object(routes, '_source', side_effect=OSError(
                    number, 'the words')):
                self.assertEqual(expected, 'no way to' in routes.no_way(
                    LOCAL), number)


class TestWords(base.BaseTestCase):
    """What a program says of this host is not blamed on a device."""

    def test_words(self):
        for words, kind in (
                ('mdadm: must be super-user to perform this action',
                 commands.CannotRun),
                ('mdadm: cannot open /dev/nvme1n1: Permission denied',
                 commands.CommandFailed),
                ('mdadm: add new device failed: Operation not permitted',
                 commands.CommandFailed),
                ('failed to open nvme-fabrics device', commands.CannotRun),
                ('mdadm: add new device failed: Invalid argument',
                 commands.CommandFailed)):
            error = self.assertRaises(
                commands.CommandFailed, commands.run, '/bin/sh', '-c',
                'echo "%s"; exit 1' % words)
            self.assertIs(kind, type(error))
