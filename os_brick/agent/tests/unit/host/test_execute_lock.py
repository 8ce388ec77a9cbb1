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
"""os-brick's lock: what waits for it, how long, and what goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from unittest import mock

from os_brick.agent import clock
from os_brick.agent.host import brick_lock
from os_brick.agent.host import commands
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.host import execute_case

C = execute_case.C
HOLDER = textwrap.dedent('''
    import sys
    import warnings
    warnings.simplefilter('ignore')
    from oslo_config import cfg
    import os_brick
    cfg.CONF([])
    from oslo_concurrency import lockutils
    lockutils.set_defaults(sys.argv[1])
    from os_brick import opts
    opts.set_defaults(cfg.CONF)
    from os_brick.initiator.connectors import base

    @base.synchronized('connect_volume', external=True)
    def attach():
        print('held', flush=True)
        sys.stdin.readline()

    attach()
    print('free', flush=True)
    sys.stdin.readline()
''')


class TestLock(execute_case.ActionsCase):
    """The very file that os-brick locks, told by os-brick itself."""

    action = act.SetFastIoFail('', 'nvme1', None)

    def attach(self) -> 'subprocess.Popen[str]':
        """Another process, in the middle of an attach."""
        process = subprocess.Popen(
            [sys.executable, '-c', HOLDER, self.locks], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual('held\n', process.stdout.readline())
        return process

    def test_nothing_is_done_while_os_brick_attaches(self):
        process = self.attach()
        self.assertEqual(['os-brick-connect_volume'],
                         os.listdir(self.locks))
        self.refused(self.action, self.locks, 'os-brick-connect_volume',
                     'more than 1 s', kind=execute.LockHeld)
        self.assertEqual([], self.called())
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write('\n')
        process.stdin.flush()
        self.assertEqual('free\n', process.stdout.readline())
        self.do(self.action)
        self.assertEqual(1, len(self.called()))

    def test_an_attach_that_ends_in_time_is_waited_for(self):
        process = self.attach()
        self.conf.set_override('lock_timeout', 60.0)

        def wait(_seconds):
            if process.poll() is None:
                process.communicate('\n\n')

        with mock.patch.object(clock.HOST, 'sleep', wait):
            self.do(self.action)
        self.assertEqual(1, len(self.called()))

    def test_os_brick_waits_for_the_agent(self):
        from os_brick.initiator.connectors import base as connectors
        taken = []

        @connectors.synchronized('connect_volume', external=True,
                                 lock_path=self.locks, blocking=False)
        def attach():
            taken.append('attached')

        self.privileged.set_fast_io_fail.side_effect = (
            lambda *words: attach())
        self.do(self.action)
        self.assertEqual([], taken)
        attach()
        self.assertEqual(['attached'], taken)

    def test_the_lock_is_let_go_when_the_action_fails(self):
        self.privileged.set_fast_io_fail.side_effect = [
            commands.CommandFailed('no'), RuntimeError('defect'), None]
        self.refused(self.action, 'no', kind=execute.NotDone)
        self.assertRaises(RuntimeError, self.do, self.action)
        self.do(self.action)

    def test_at_the_end_it_is_not_waited_for_long(self):
        self.attach()
        self.conf.set_override('lock_timeout', 3600.0)
        self.stopping = True
        self.put(brick_lock, 'STOP_PATIENCE', 0.1)
        self.refused(self.action, kind=execute.LockHeld)

    def test_what_is_urgent_goes_on_without_the_lock(self):
        """Its holder may hang on the very I/O that is to be ended."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 3600.0)
        self.urgently(self.action)
        self.assertEqual(1, len(self.called()))

    def test_healing_does_not_wait_long_for_what_the_guard_found_held(self):
        """Else what a pass has to tell comes when all its waiting is over."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.put(brick_lock, 'HELD_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 3600.0)
        self.urgently(self.action)
        self.refused(self.action, 'for more than 0.1 s',
                     kind=execute.LockHeld)

    def test_a_silent_connection_does_not_wait_for_the_lock(self):
        """Nor does the setting without which it would not be closed."""
        self.attach()
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.host.controller('nvme9', address='192.0.2.9')
        self.host.namespace('nvme9n1', C, ('nvme9',))
        self.urgently(self.action, act.ResetConnection(
            '', 'nvme9', model.Portal('192.0.2.9', 4420)), self.action)
        called = [name for name, _arguments, _words
                  in self.privileged.mock_calls]
        self.assertEqual(['set_fast_io_fail', 'close_connections'],
                         called[:called.index('try_lock')])
        self.assertEqual('set_fast_io_fail', called[-1])

    def test_what_is_urgent_does_not_wait_for_another_thread(self):
        self.put(brick_lock, 'URGENT_PATIENCE', 0.1)
        self.conf.set_override('lock_timeout', 1.0)
        hangs, ended = threading.Event(), threading.Event()

        def hang(*_words):
            hangs.set()
            ended.wait(60.0)

        self.privileged.fail.side_effect = hang
        self.privileged.answering.return_value = ['nvme1n1']
        self.host.write('sys/class/nvme-fabrics/ctl/nvme2/state',
                        'connecting')
        thread = threading.Thread(target=self.do, args=(
            act.FailLeg('', 'md127', 'nvme2n1'),))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)
        self.assertTrue(hangs.wait(60.0))
        self.refused(self.action, 'another action', kind=execute.LockHeld)
        self.urgently(self.action)
        self.assertEqual(['answering', 'fail', 'set_fast_io_fail'],
                         [call[0] for call in self.called()])

    def test_a_lock_directory_that_cannot_be_used_is_named(self):
        path = os.path.join(self.locks, 'file')
        with open(path, 'w', encoding='ascii'):
            pass
        self.conf.set_override('lock_path', path + '/locks', 'os_brick')
        self.refused(self.action, path, 'lock_path', kind=execute.NotDone)
