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
"""Lines in the journal have the priority of their level."""

from __future__ import annotations

import io
import logging
import os
import tempfile
from unittest import mock

from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as log_lib
from oslotest import base

from os_brick.cmd import journal


class JournalTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.stream = tempfile.TemporaryFile('w+')
        self.addCleanup(self.stream.close)

    def journal(self):
        """Let the stream be the journal's."""
        status = os.fstat(self.stream.fileno())
        return mock.patch.dict(os.environ, JOURNAL_STREAM='%d:%d' % (
            status.st_dev, status.st_ino))

    def text(self) -> str:
        self.stream.seek(0)
        return self.stream.read()

    def logger(self) -> logging.Logger:
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
        root = logging.getLogger()
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        log = logging.getLogger('os_brick.agent.journal_test')
        log.setLevel(logging.DEBUG)
        return log

    def test_each_level_has_its_priority(self) -> None:
        log = self.logger()
        with self.journal():
            journal.mark_log()
            for level in (logging.DEBUG, logging.INFO, logging.WARNING,
                          logging.ERROR, logging.CRITICAL):
                log.log(level, 'a word')
        self.assertEqual(
            '<7>DEBUG a word\n<6>INFO a word\n<4>WARNING a word\n'
            '<3>ERROR a word\n<2>CRITICAL a word\n', self.text())

    def test_each_line_of_a_traceback_has_it(self) -> None:
        log = self.logger()
        with self.journal():
            journal.mark_log()
            try:
                raise ValueError('why')
            except ValueError:
                log.exception('a defect')
        lines = self.text().splitlines()
        self.assertGreater(len(lines), 3)
        self.assertEqual([], [line for line in lines
                              if not line.startswith('<3>')])

    def test_a_terminal_sees_none(self) -> None:
        log = self.logger()
        with mock.patch.dict(os.environ, JOURNAL_STREAM='1:2'):
            journal.mark_log()
            journal.say('nvme-agent: no', logging.ERROR, self.stream)
        log.info('a word')
        self.assertEqual('nvme-agent: no\nINFO a word\n', self.text())

    def test_no_line_says_its_reason_twice(self) -> None:
        """oslo.log appends the exception that is being handled."""
        conf = cfg.ConfigOpts()
        log_lib.register_options(conf)
        conf([])
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(formatters.ContextFormatter(
            fmt='%(name)s: %(message)s', config=conf))
        root = logging.getLogger()
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        journal.mark_log()
        for name in ('os_brick.agent.x', 'os_brick.cmd.agent', '__main__',
                     'oslo.service'):
            try:
                raise OSError('the disk is full')
            except OSError as error:
                logging.getLogger(name).warning('not done: %s', error)
        said = 'not done: the disk is full'
        lines = self.text().splitlines()
        self.assertEqual([said] * 3, [
            line[line.index('not done'):] for line in lines[:3]])
        # what a library says is its own affair
        self.assertTrue(lines[3].endswith(
            said + ': OSError: the disk is full'), lines[3])
        try:
            raise OSError('the disk is full')
        except OSError:
            logging.getLogger('os_brick.agent.x').exception('a defect')
        self.assertIn('Traceback', self.text())

    def test_the_word_of_a_wrong_start_is_an_error(self) -> None:
        with self.journal():
            journal.say('nvme-agent: no', logging.ERROR, self.stream)
        self.assertEqual('<3>nvme-agent: no\n', self.text())

    def test_a_stream_without_a_descriptor_is_no_journal(self) -> None:
        with self.journal():
            self.assertFalse(journal.connected(io.StringIO()))
            self.assertFalse(journal.connected(None))
