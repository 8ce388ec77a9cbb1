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

import builtins
import contextlib
import errno
import os
import resource
import signal
import sys
import tempfile
from typing import Any
from unittest import mock

import fixtures
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

    def test_a_number_that_is_none(self) -> None:
        """A nan is never below a limit: a guard with it would do nothing."""
        for option in opts.OPTS:
            if not isinstance(option, cfg.FloatOpt):
                continue
            said = self.said('[DEFAULT]\n%s = nan\n' % option.name)
            self.assertEqual('option %s in FILE: nan is no number of seconds'
                             % option.name, said)
        self.assertIn('inf is no number of seconds', self.said(
            '[DEFAULT]\nlock_timeout = inf\n'))

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


class OnlyOneTest(base.BaseTestCase):
    """S14: a disk that takes nothing does not keep the guard from starting."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.conf: Any = {}
        for option in ('run_dir', 'state_dir'):
            self.conf[option] = os.path.join(self.folder, option)
            os.mkdir(self.conf[option])
        self.path = os.path.join(self.conf['state_dir'], 'agent.pid')

    def no_agent_starts_beside(self) -> None:
        elsewhere: Any = {**self.conf, 'run_dir': self.folder}
        why = self.assertRaises(starting.CannotStart, contextlib.ExitStack()
                                .enter_context, starting.only_one(elsewhere))
        self.assertEqual(starting.SECOND, why.status)

    def read_only(self, number: int = errno.EROFS) -> None:
        def opened(path: str, mode: str = 'r', **words: Any) -> Any:
            if path == self.path and mode != 'r':
                raise OSError(number, os.strerror(number), path)
            return builtins.open(path, mode, **words)
        patched = mock.patch.object(starting, 'open', opened, create=True)
        patched.start()
        self.addCleanup(patched.stop)

    def test_a_state_directory_that_is_read_only(self) -> None:
        with starting.only_one(self.conf):
            pass
        self.read_only()
        with starting.only_one(self.conf):
            self.no_agent_starts_beside()

    def test_no_permission_is_no_disk_s_fault(self) -> None:
        with starting.only_one(self.conf):
            pass
        self.read_only(errno.EACCES)
        why = self.assertRaises(starting.CannotStart, contextlib.ExitStack()
                                .enter_context, starting.only_one(self.conf))
        self.assertEqual(starting.NO_ROOM, why.status)

    def test_one_that_is_read_only_and_empty(self) -> None:
        self.read_only()
        why = self.assertRaises(starting.CannotStart, contextlib.ExitStack()
                                .enter_context, starting.only_one(self.conf))
        self.assertIn(os.strerror(errno.EROFS), str(why))

    def test_one_that_is_full(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        with starting.only_one(self.conf):
            self.no_agent_starts_beside()
