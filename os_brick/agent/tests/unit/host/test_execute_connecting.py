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
"""Connecting a target: its portals are asked first, and one by one."""

from __future__ import annotations

import os
import socket
from unittest import mock

from os_brick.agent.host import commands
from os_brick.agent.host import effects
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.host import execute_case
from os_brick.agent.tests.unit import small_world

C, VOLUME, OWNED = execute_case.C, execute_case.VOLUME, execute_case.OWNED


class TestConnect(execute_case.ActionsCase):

    def listener(self) -> model.Portal:
        server = socket.socket()
        self.addCleanup(server.close)
        server.bind(('127.0.0.1', 0))
        server.listen()
        return model.Portal('127.0.0.1', server.getsockname()[1])

    def deaf(self) -> model.Portal:
        # bound and not listening: nobody else can listen there either
        server = socket.socket()
        self.addCleanup(server.close)
        server.bind(('127.0.0.1', 0))
        return model.Portal('127.0.0.1', server.getsockname()[1])

    def connect(self, *portals: model.Portal) -> act.Connect:
        return act.Connect('', C, model.Target('nqn.test', portals), portals)

    def test_only_portals_that_answer_are_connected(self):
        deaf, good = self.deaf(), self.listener()
        self.do(self.connect(deaf, good))
        self.assertEqual([('connect', 'nqn.test', '127.0.0.1', good.port,
                           'tcp', small_world.HOST.nqn)], self.called())

    def test_each_portal_is_a_step_and_so_is_each_action(self):
        """Each may take the time of a command, which systemd waits for."""
        steps: list[str] = []
        executor = execute.Executor(
            self.conf, self.scanner, small_world.HOST,
            effects=self.privileged, progress=lambda: steps.append('step'))

        def hang(*_words: object) -> None:
            steps.append('hangs')
            raise commands.TimedOut('nvme connect did not end within 60 s')

        self.privileged.connect.side_effect = hang
        self.assertRaises(
            execute.NotDone, executor.execute, self.connect(
                self.listener(), self.listener()), VOLUME, OWNED)
        self.assertEqual(['step', *2 * ['step', 'hangs']], steps)
        executor.execute(act.Resize('', 'md127', 3), VOLUME, OWNED)
        self.assertEqual('step', steps[-1])

    def test_no_portal_answers(self):
        deaf = self.deaf()
        self.refused(self.connect(deaf), 'nqn.test', str(deaf), 'refused',
                     kind=execute.NotDone)
        self.assertEqual([], self.called())
        self.assertEqual([], os.listdir(self.locks))

    def test_the_lock_is_not_held_while_a_portal_is_probed(self):
        held = []
        real = socket.create_connection

        def probe(*words):
            held.append(os.listdir(self.locks))
            return real(*words)

        with mock.patch.object(effects.socket, 'create_connection', probe):
            self.do(self.connect(self.listener()))
        self.assertEqual([[]], held)

    def test_one_portal_failing_does_not_stop_the_other(self):
        one, two = self.listener(), self.listener()
        for error in (commands.CommandFailed('refused'),
                      commands.BadArgument('no NQN')):
            self.privileged.connect.side_effect = [error, None]
            self.do(self.connect(one, two))
            self.assertEqual(2, len(self.called()))
            self.privileged.reset_mock()

    def test_all_portals_failing(self):
        self.privileged.connect.side_effect = commands.CommandFailed('why')
        self.refused(self.connect(self.listener()), 'why',
                     kind=execute.NotDone)

    def test_s4_a_target_of_nobodys_replica_is_not_connected(self):
        portal = self.listener()
        self.refused(act.Connect('', small_world.uuid(7, 'a'), model.Target(
            'nqn.test', (portal,)), (portal,)), 'S4')
