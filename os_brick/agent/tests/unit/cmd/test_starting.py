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
"""What a wrong start says, and what it does not lose."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from unittest import mock

from oslo_config import cfg
from oslotest import base

from os_brick.agent.host import privileged
from os_brick.agent import opts
from os_brick.cmd import helping
from os_brick.cmd import starting


class WrongValueTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'agent.conf')

    def said(self, text: str) -> str:
        with open(self.path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        conf = cfg.ConfigOpts()
        opts.register(conf)
        try:
            conf(['--config-file', self.path])
            opts.check(conf)
        except cfg.Error as error:
            return starting.wrong_value(error).replace(self.path, 'FILE')
        return ''

    def test_an_option(self) -> None:
        for line, words in (
                ('poll_interval = 0', 'option poll_interval in FILE: Should '
                 'be greater than or equal to 1'),
                ('poll_interval = soon', "option poll_interval in FILE: "
                 "'soon' is no number"),
                ('max_resyncs = 1.5', "option max_resyncs in FILE: '1.5' is "
                 "no whole number"),
                ('exchange_hours = 25-3', "option exchange_hours in FILE: "
                 "'25-3' is not written as it has to be; see "
                 "agent.conf.sample"),
                ('io_guard = yes', 'option io_guard in FILE: Valid values '
                 "are [on, observe, off], but found 'yes'"),
                ('dry_run = maybe', 'option dry_run in FILE: Unexpected '
                 "boolean value 'maybe'"), ('dry_run = true', '')):
            self.assertEqual(words, self.said('[DEFAULT]\n%s\n' % line))

    def test_a_line(self) -> None:
        self.assertEqual(
            'the configuration file FILE, line 2: No \':\' or \'=\' found in '
            'assignment: \'poll_interval\'',
            self.said('[DEFAULT]\npoll_interval\n'))
        self.assertIn('the configuration file FILE, line 1: Invalid section',
                      self.said('[DEFAULT\n'))

    def test_what_is_not_known_stays_as_it_is(self) -> None:
        self.assertEqual('something new', starting.wrong_value(
            cfg.Error('something\nnew')))

    def test_where_the_sample_is(self) -> None:
        with tempfile.TemporaryDirectory() as prefix, mock.patch.object(
                sys, 'prefix', prefix):
            self.assertEqual('agent.conf.sample', starting.sample())
            folder = os.path.join(prefix, 'etc', 'nvme-agent')
            os.makedirs(folder)
            path = os.path.join(folder, 'agent.conf.sample')
            with open(path, 'w', encoding='ascii'):
                pass
            self.assertEqual(path, starting.sample())
            with mock.patch.object(os.path, 'exists', lambda one: one == path):
                error = self.assertRaises(
                    starting.CannotStart, starting.look_at_files, [],
                    '/etc/nvme-agent/agent.conf')
            self.assertTrue(str(error).endswith('see ' + path), str(error))


class HelpingTest(base.BaseTestCase):

    def test_an_interrupt_while_the_helper_starts_is_not_lost(self) -> None:
        """It may take long, where sudo asks for a password say."""
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(
            signal.SIGINT, signal.default_int_handler))
        blocked: set[int] = set()

        def ready() -> None:
            blocked.update(signal.pthread_sigmask(signal.SIG_BLOCK, []))
            os.kill(os.getpid(), signal.SIGINT)
        ended = False
        with mock.patch.object(privileged, 'ready', ready):
            try:
                helping.start()
            except KeyboardInterrupt:
                ended = True
        self.assertTrue(ended)
        # the helper inherits that: it is not for it
        self.assertIn(signal.SIGINT, blocked)
        self.assertNotIn(signal.SIGINT, signal.pthread_sigmask(
            signal.SIG_BLOCK, []))
