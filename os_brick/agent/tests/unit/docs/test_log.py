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
"""The page of the log has every sentence that the sources can log.

A new warning without a row there, and a row whose sentence is no longer said,
both fail here.
"""

from __future__ import annotations

import ast
import os
import re

from oslotest import base

from os_brick.agent.tests.unit.cmd import command_case
from os_brick.agent.tests.unit.docs import sentences

#: Sentences that are nothing but another one's words -> the files that say
#: them.  Whoever adds one says where its words are documented.
RELAYED = {
    '…': {
        'agent/log_once.py',    # a traceback's subject; events, health codes
        'agent/daemon/limits.py',    # PAUSED, RESUMED: Events
        'agent/vendors/kioxia.py',    # kioxia_tls_insecure: kioxia.rst
        'agent/vendors/local.py'},    # local-inventory.rst
    '…: …': {
        'agent/log_once.py',    # says it for all the others
        'agent/daemon/knowledge.py',    # LEFT_ALONE: health.rst
        'agent/daemon/service.py',    # a pass failed: PASS_FAILED
        'agent/daemon/serving.py',    # its replicas, replica R
        'agent/provisioner/outbox.py',    # the provisioner's words
        'agent/vendors/kumoscale/targets.py',
        'agent/vendors/kumoscale/volumes.py'}}
_ROW = re.compile(r'^   \* - ``(.*)``$', re.M)


class LogTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        path = os.path.join(command_case.TREE, 'doc', 'source', 'admin',
                            'log.rst')
        if not os.path.exists(path):
            self.skipTest('not run from a source tree')
        with open(path, encoding='utf-8') as stream:
            self.page, _, rest = stream.read().partition(
                '\nEvents\n======\n')
        self.events = rest.partition('\nFor programs\n')[0]
        self.said: dict[str, set[str]] = {}
        for sentence, where in sentences.in_tree(
                os.path.join(command_case.TREE, 'os_brick')):
            self.said.setdefault(sentence, set()).add(where)

    def test_every_sentence_has_its_row(self) -> None:
        rows = _ROW.findall(self.page)
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual({}, {
            sentence: where for sentence, where in self.said.items()
            if sentence not in rows and sentence not in RELAYED},
            'write a row in doc/source/admin/log.rst')
        self.assertEqual(set(), {*rows} - self.said.keys(),
                         'nothing says this any more')

    def test_what_is_relayed_is_known(self) -> None:
        for sentence, files in RELAYED.items():
            self.assertEqual(files, {where.partition(':')[0] for where
                                     in self.said[sentence]}, sentence)

    def test_every_kind_of_event_has_its_row(self) -> None:
        found = set()
        for path in ('model/events.py', 'daemon/serving.py',
                     'daemon/limits.py', 'reporting/changes.py'):
            with open(os.path.join(command_case.TREE, 'os_brick', 'agent',
                                   path), encoding='utf-8') as stream:
                found |= {
                    node.value for node in ast.walk(ast.parse(stream.read()))
                    if isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and re.fullmatch(r'[A-Z]{3,}(_[A-Z]+)*', node.value)}
        self.assertEqual(found - {'INFO', 'WARN', 'FATAL'},
                         {*_ROW.findall(self.events)})


class SentencesTest(base.BaseTestCase):
    """What is found in a source, and what is not."""

    def test_each_way_to_log(self) -> None:
        for source, found in (
                ("LOG.warning('a %s b', x)", 'a … b'),
                ("LOG.error('%s: %d %%' % (x, y))", '…: … %'),
                ("LOG.exception('a ' 'b')", 'a b'),
                ("LOG.critical(words)", '…'),
                ("LOG.warning('%(path)s is', {})", '… is'),
                ("LOG.info('a')", None), ("LOG.debug('a')", None),
                ("LOG.log(logging.INFO, 'a')", None),
                ("LOG.log(logging.DEBUG if x else logging.INFO, 'a')", None),
                ("LOG.log(level, 'a')", 'a'),
                ("LOG.log(logging.ERROR if x else logging.INFO, 'a')", 'a'),
                ("self._log_once.trouble('a %s' % x, 'b: %s' % y)",
                 'a …: b: …'),
                ("self._log_once.trouble(x, 'b', logging.INFO)", None),
                ("self._log_once.trouble(x, 'b', logging.CRITICAL)", '…: b'),
                ("log_once.defect('a', error)", 'a: defect: …'),
                ("other.trouble('a', 'b')", None)):
            self.assertEqual([found] * (found is not None), [
                sentence for sentence, _line in sentences.in_source(source)],
                source)
