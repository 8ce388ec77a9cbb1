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
"""The lock path out of nova's configuration, as it is found on hosts."""

from __future__ import annotations

import builtins
import errno
import os
import tempfile
from typing import Any
from unittest import mock

from oslotest import base

from os_brick.agent.checks import host
from os_brick.cmd import nova_file


class NovaFileTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = self.written('nova.conf', '')

    def written(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        return path

    def found(self, text: str, *more: str) -> host.NovaLock:
        self.written('nova.conf', text)
        return nova_file.lock([self.path, '/nowhere/nova.conf', *more])

    def test_what_it_is(self) -> None:
        for text, expected in (
                ('[oslo_concurrency]\nlock_path = /a\n', '/a'),
                ('[oslo_concurrency]\nlock_path = /a\n'
                 '[os_brick]\nlock_path = /b\n', '/b'),
                ('[oslo_concurrency]\nlock_path = /a\nlock_path = /c\n',
                 '/c'),
                ('[DEFAULT]\nstate_path = /var/lib/nova\n'
                 '[oslo_concurrency]\nlock_path = $state_path/tmp\n',
                 '/var/lib/nova/tmp'),
                ('[oslo_concurrency]\nlock_path = ${state_path}/tmp\n'
                 '[DEFAULT]\nbase = /var\nstate_path = $base/lib/nova\n',
                 '/var/lib/nova/tmp'),
                ('[os_brick]\nlock_path = $oslo_concurrency.lock_path/b\n'
                 '[oslo_concurrency]\nlock_path = /a\n', '/a/b'),
                ('[os_brick]\nlock_path = $$HOME\n', '$HOME'),
                # what it has besides does not disturb
                ('[DEFAULT]\nget = 1\na-b = 1\na_b = 2\nconfig_source = x\n'
                 '[database]\nconnection = mysql://a:$b@c\n'
                 '[os_brick]\nlock_path = /a\n', '/a')):
            self.assertEqual(host.NovaLock(expected), self.found(text), text)

    def test_the_file_that_is_read_later_counts(self) -> None:
        os.mkdir(os.path.join(self.folder, 'nova.conf.d'))
        first = '[DEFAULT]\nstate_path = /a\n'
        self.written('nova.conf.d/b.conf', '[DEFAULT]\nstate_path = /b\n')
        self.written('nova.conf.d/c.old', '[DEFAULT]\nstate_path = /c\n')
        self.assertEqual(host.NovaLock('/b/l'), self.found(
            first + '[os_brick]\nlock_path = $state_path/l\n',
            os.path.join(self.folder, 'nova.conf.d')))

    def test_a_host_without_nova(self) -> None:
        self.assertEqual(host.NovaLock(), nova_file.lock(
            ['/nowhere/nova.conf', os.path.join(self.path, 'x')]))

    def test_what_is_not_set(self) -> None:
        for text, words in (
                ('', 'sets no lock_path'),
                ('[DEFAULT]\nlock_path = /a\n', 'sets no lock_path'),
                ('[oslo_concurrency]\nlock_path = $state_path/tmp\n',
                 'refers to what nova.conf does not set'),
                ('[os_brick]\nlock_path = $lock_path\n', 'refers to what')):
            found = self.found(text)
            self.assertIn(words, found.unknown)
            self.assertEqual(host.NovaLock(unknown=found.unknown), found)

    def test_what_may_not_be_read(self) -> None:
        """Root may read anything: it is refused here as to another user."""
        refused = PermissionError(errno.EACCES, 'x')
        true_open, true_stat = builtins.open, os.stat

        def unopened(path: Any, *more: Any, **named: Any) -> Any:
            if path == self.path:
                raise refused
            return true_open(path, *more, **named)

        def unentered(path: Any, *more: Any, **named: Any) -> Any:
            if path == self.path:
                raise refused
            return true_stat(path, *more, **named)

        for owner, name, fake in ((builtins, 'open', unopened),
                                  (os, 'stat', unentered)):
            with mock.patch.object(owner, name, fake):
                self.assertEqual(
                    host.NovaLock(unread=self.path + ': Permission denied'),
                    nova_file.lock([self.path]))

    def test_a_line_that_is_wrong_is_not_shown(self) -> None:
        found = self.found('[DEFAULT]\npassword hunter2\n')
        self.assertEqual(self.path + ': it cannot be parsed', found.unread)

    def test_one_that_can_be_read_is_believed(self) -> None:
        bad = self.written('bad.conf', '[')
        self.assertEqual(host.NovaLock('/a'), self.found(
            '[os_brick]\nlock_path = /a\n', bad))
