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
"""A program that reads the log finds what each line is about."""

from __future__ import annotations

import json
import logging
import pathlib
import re
from typing import Any
from unittest import mock

from oslo_log import formatters
from oslo_log import handlers
from oslotest import base

from os_brick.agent.host import not_done
from os_brick.agent import log_fields
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import journal

B = small_world.uuid(1, 'b')


class Kept(logging.Handler):
    """Keeps each line as a program that reads JSON gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(formatters.JSONFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [extra for line in self.lines
                if (extra := line['extra']).get('event') == event]


class JsonTest(healing_loop_case.CycleCase):
    """Leg B is lost, and replaced in the end."""

    def setUp(self) -> None:
        super().setUp()
        self.kept = Kept()
        logging.getLogger().addHandler(self.kept)
        self.addCleanup(logging.getLogger().removeHandler, self.kept)

    def test_each_kind_of_line_says_what_it_is_about(self):
        self.turn(2)
        self.lose()
        self.turn(20)
        lost, = self.kept.of('CONNECTION_LOST')
        self.assertEqual('nvme11', lost['controller'])
        self.assertEqual(3, lost['pass'])
        state = self.kept.of('REPLICA_STATE')[0]
        self.assertEqual(('volume1', B, 'missing'), (
            state['volume'], state['replica'], str(state['state']).lower()))
        request = self.kept.of('REQUEST')[0]
        self.assertEqual(('replace', B), (request['request'],
                                          request['replica']))
        self.assertIn('grace period', request['reason'])
        done = [line for line in self.kept.of('STEP_DONE')
                if line['step'] == 'AddLeg']
        self.assertEqual([(small_world.uuid(1, 'c'), 'md1')], [
            (line['replica'], line['array']) for line in done])

    def test_a_step_that_was_not_done_says_why(self):
        def broken(action: act.Action) -> None:
            if isinstance(action, act.RemoveLeg):
                raise not_done.NotDone('it is busy')

        self.host.broken = broken
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.lose()
        self.turn(3)
        found, = self.kept.of('STEP_NOT_DONE')
        self.assertEqual(('RemoveLeg', 'it is busy', 'nvme11n1'), (
            found['step'], found['reason'], found['device']))


class OfTest(base.BaseTestCase):

    def test_several_of_a_kind_are_all_there(self):
        log_fields.begin_pass(0)
        found = log_fields.of('X', [('replica', 'a'), ('replica', 'b'),
                                    ('alias', 'v'), ('token', 'secret')])
        self.assertEqual({'event': 'X', 'replica': 'a b', 'volume': 'v'},
                         found['extra'])

    def test_each_is_described_for_operators(self):
        page = pathlib.Path(__file__).parents[4].joinpath(
            'doc/source/admin/log.rst').read_text('utf-8')
        table = page.split('\nFor programs\n')[1]
        self.assertEqual(['event', *log_fields.NAMES], re.findall(
            r'^   \* - ``(\w+)``$', table, re.MULTILINE))

    def test_names_are_no_attributes_of_a_record(self):
        record = logging.makeLogRecord({})
        self.assertFalse({log_fields.PREFIX + name for name
                          in log_fields.NAMES} & set(vars(record)))


class JournalTest(base.BaseTestCase):

    def test_the_journal_gets_them_as_fields(self):
        sent = mock.Mock()
        with mock.patch.object(handlers, 'journal', sent):
            handler = handlers.OSJournalHandler()
            root = logging.getLogger()
            root.addHandler(handler)
            self.addCleanup(root.removeHandler, handler)
            journal.mark_log()
            logging.getLogger('test_log_fields').warning(
                'volume %s: it is', 'v', extra=log_fields.of(
                    'STEP_DONE', volume='v', seconds=1.5))
        fields = sent.send.call_args.kwargs
        self.assertEqual(('volume v: it is',), sent.send.call_args.args)
        self.assertEqual(('STEP_DONE', 'v', 1.5), (
            fields['NVME_AGENT_EVENT'], fields['NVME_AGENT_VOLUME'],
            fields['NVME_AGENT_SECONDS']))
        self.assertNotIn('NVME_AGENT_REPLICA', fields)
