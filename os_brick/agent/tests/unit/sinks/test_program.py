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
"""The sink exec: what a program is given, and when it is killed."""

from __future__ import annotations

import os
import tempfile
import time

import fixtures
from oslotest import base

from os_brick.agent import model
from os_brick.agent.sinks import base as sinks
from os_brick.agent.sinks import program
from os_brick.agent.tests.unit import small_world

HOST = model.Host('nqn.2014-08.org.example:host', None, 'compute', '1.0')
LONG = 60.0


def notice(kind: str = 'LEG_FAULTY', level: str = 'WARN',
           message: str = 'a leg has failed',
           names: tuple[tuple[str, str], ...] = (
               ('array', 'md127'), ('alias', 'vol1'), ('leg', 'nvme1n1'))
           ) -> sinks.Notice:
    return sinks.Notice(HOST, model.Event(kind, level, message, names), 1.5)


class ProgramTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, 'out')

    def sink(self, body: str, **values: object) -> program.ProgramSink:
        """A program that writes to ``out``, whose name is in its text."""
        path = os.path.join(self.folder, 'alert')
        with open(path, 'w', encoding='ascii') as script:
            script.write('#!/bin/sh\nout=%s\n%s\n' % (self.out, body))
        os.chmod(path, 0o755)
        conf = small_world.configuration()
        conf.register_opts(list(program.ProgramSink.options()))
        for name, value in {'event_exec': path, 'event_exec_timeout': LONG,
                            **values}.items():
            conf.set_override(name, value)
        return program.ProgramSink(conf)

    def written(self) -> str:
        with open(self.out, encoding='utf-8') as out:
            return out.read()

    def test_what_it_is_given(self) -> None:
        self.useFixture(fixtures.EnvironmentVariable('SECRET', 'xyz'))
        sink = self.sink('{ pwd; for one in "$@"; do echo "<$one>"; done; '
                         'env; cat; } > $out')
        sink.send(notice())
        lines = self.written().splitlines()
        self.assertEqual(['/', '<LEG_FAULTY>', '</dev/md127>', '<nvme1n1>'],
                         lines[:4])
        for line in ('NVME_AGENT_KIND=LEG_FAULTY', 'NVME_AGENT_LEVEL=WARN',
                     'NVME_AGENT_MESSAGE=a leg has failed',
                     'NVME_AGENT_HOST=compute', 'NVME_AGENT_TIME=1.500',
                     'NVME_AGENT_ARRAY=md127', 'NVME_AGENT_ALIAS=vol1',
                     'NVME_AGENT_LEG=nvme1n1'):
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if 'SECRET' in line])

    def test_arguments(self) -> None:
        for names, expected in (
                ((), ['K']), ((('alias', 'v'),), ['K', 'v']),
                ((('controller', 'nvme3'),), ['K', '', 'nvme3']),
                ((('array', 'md1'), ('alias', 'v')), ['K', '/dev/md1'])):
            self.assertEqual(expected, program.arguments(
                notice('K', names=names)))

    def test_nothing_is_evaluated(self) -> None:
        mark = os.path.join(self.folder, 'mark')
        evil = '$(touch %s); `touch %s`; touch %s' % (mark, mark, mark)
        self.sink('printf %s "$NVME_AGENT_MESSAGE" > $out').send(notice(
            message=evil + '\0\ud800\n', names=(('alias', evil),
                                                ('path', '/x'),
                                                ('a=b', 'c'))))
        self.assertEqual(evil + '?', self.written().rstrip())
        self.assertFalse(os.path.exists(mark))

    def test_the_level(self) -> None:
        sink = self.sink('echo "$1" >> $out', event_exec_level='WARN')
        for level in program.LEVELS:
            sink.send(notice('IS_' + level, level))
        self.assertEqual('IS_WARN\nIS_FATAL\n', self.written())

    def fails(self, sink: program.ProgramSink) -> str:
        return str(self.assertRaises(sinks.SinkError, sink.send, notice()))

    def test_it_fails(self) -> None:
        self.assertIn('ended with status 3', self.fails(self.sink('exit 3')))
        self.assertIn('ended with signal 15',
                      self.fails(self.sink('kill $$')))
        sink = self.sink('')
        os.unlink(os.path.join(self.folder, 'alert'))
        self.assertIn('cannot be run', self.fails(sink))

    def test_one_that_hangs_is_killed_with_its_children(self) -> None:
        sink = self.sink('sleep 1000 & echo $! > $out.new; mv $out.new $out; '
                         'wait', event_exec_timeout=0.5)
        said = ''
        until = time.monotonic() + LONG
        while not os.path.exists(self.out) and time.monotonic() < until:
            # on a busy machine it may be killed before it has begun
            said = self.fails(sink)
        self.assertIn('did not end within 0.5 s, and was killed', said)
        child = int(self.written())
        while time.monotonic() < until:
            try:
                with open('/proc/%d/stat' % child, encoding='ascii') as stat:
                    if stat.read().rpartition(')')[2].split()[0] == 'Z':
                        return
            except FileNotFoundError:
                return
            time.sleep(0.01)
        self.fail('the child lives')

    def test_what_can_never_work(self) -> None:
        for path in ('', 'alert', '/nowhere', self.folder, '/etc/passwd'):
            error = self.assertRaises(sinks.ConfigurationError, self.sink, '',
                                      event_exec=path)
            self.assertIn('option event_exec', str(error))
