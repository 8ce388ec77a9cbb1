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
"""No call of the helper waits for ever, and none closes a fresh one."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import socket
import threading
import time
from typing import Any
from unittest import mock

from oslo_config import cfg
from oslo_privsep import comm
from oslo_privsep import daemon
from oslo_privsep import priv_context
from oslotest import base

from os_brick.agent.host import commands
from os_brick.agent.host import helper

PATIENCE = 60.0
Serve = Callable[[Any], Any]


def obedient(message: Any) -> Any:
    if message[0] == comm.Message.PING:
        return (comm.Message.PONG.value,)
    return (comm.Message.RET.value, 'done')


def busy(message: Any) -> Any:
    """All but pings hang."""
    return obedient(message) if message[0] == comm.Message.PING else None


class HelperCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.context = helper.Context(
            __name__, cfg_section='privsep_of_this_test', capabilities=[])
        self.serve: Serve = obedient
        self.starts: list[str] = []
        self.ends: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.addCleanup(self.clean_up)
        self.put(helper, 'PING', 0.2)
        self.put(priv_context.PrivContext, 'start', self.begin)
        self.call = self.context.entrypoint_with_timeout(0.2)(work)
        vars(work).clear()

    def clean_up(self) -> None:
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        for end in self.ends:
            end.close()

    def put(self, where: object, name: str, value: object) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def begin(self, method: object) -> None:
        """In place of sudo: a helper that is a thread."""
        self.starts.append('start')
        ours, theirs = socket.socketpair()
        self.ends += [ours, theirs]
        serving = threading.Thread(target=self.run_helper, args=(theirs,),
                                   daemon=True)
        serving.start()
        with mock.patch.object(daemon._ClientChannel, 'exchange_ping'):
            channel = daemon._ClientChannel(ours, self.context)
        self.threads += [serving, channel.reader_thread]
        self.context.channel = channel

    def run_helper(self, end: socket.socket) -> None:
        channel = comm.ServerChannel(end)
        for number, message in channel:
            answer = self.serve(message)
            if answer is not None:
                with contextlib.suppress(OSError):
                    channel.send((number, answer))

    def lost(self, *words: object) -> str:
        return str(self.assertRaises(helper.HelperLost, self.call, *words))


def work(*words: object) -> None:
    """What the helper is asked for."""


class TestCalls(HelperCase):

    def test_a_call_is_done(self):
        self.assertEqual('done', self.call())
        self.assertEqual('done', self.call())
        self.assertEqual(1, len(self.starts))

    def test_one_that_hangs_ends_and_leaves_the_helper_alone(self):
        self.serve = busy
        self.assertIn('has not done work within 0.2 s', self.lost())
        self.serve = obedient
        self.assertEqual('done', self.call())
        self.assertEqual(1, len(self.starts))

    def test_a_helper_that_answers_nobody_is_replaced(self):
        self.call()
        self.serve = lambda message: None
        self.lost()
        self.serve = obedient
        self.assertEqual('done', self.call())
        self.assertEqual(2, len(self.starts))

    def test_a_helper_that_reads_nothing_is_replaced(self):
        self.call()
        self.context.channel.writer.writesock.settimeout(0.2)
        stuck = threading.Event()
        self.addCleanup(stuck.set)
        self.serve = lambda message: stuck.wait(PATIENCE) and None
        self.lost()
        for _time in range(100):
            if len(self.starts) > 1:
                break
            try:
                self.call('x' * 100000)
            except helper.HelperLost:
                pass
        self.assertEqual(2, len(self.starts))

    def test_no_send_to_the_helper_waits_for_ever(self):
        self.call()
        self.assertEqual(helper.SEND,
                         self.context.channel.writer.writesock.gettimeout())

    def test_a_helper_that_has_ended_is_started_again(self):
        self.call()
        renewed: list[int] = []
        self.context.renew = lambda: renewed.append(1)
        self.ends[1].shutdown(socket.SHUT_RDWR)
        self.context.channel.reader_thread.join(PATIENCE)
        self.assertEqual('done', self.call())
        self.assertEqual(2, len(self.starts))
        self.assertEqual([1], renewed)

    def test_one_that_ends_in_a_call_is_said(self):
        self.call()
        end = self.ends[1]
        self.serve = lambda message: end.shutdown(socket.SHUT_RDWR)
        self.assertIn('is gone', self.lost())
        self.serve = obedient
        self.assertEqual('done', self.call())

    def test_no_replica_is_blamed_for_it(self):
        self.assertTrue(issubclass(helper.HelperLost, commands.CannotRun))

    def test_an_error_of_what_was_done_is_no_loss_of_the_helper(self):
        self.serve = lambda message: (comm.Message.ERR.value,
                                      'builtins.FileNotFoundError', ('why',))
        self.assertRaises(FileNotFoundError, self.call)
        self.assertTrue(self.context.channel.running)


class TestRestart(HelperCase):

    def test_a_second_thread_does_not_close_what_the_first_has_started(self):
        self.call()
        fresh = self.context.channel
        self.context.stop()
        self.assertIs(fresh, self.context.channel)
        self.assertEqual('done', self.call())

    def test_a_start_that_hangs_is_not_joined_by_another(self):
        self.put(helper, 'FIRST', 0.1)
        go_on = threading.Event()
        begun: list[int] = []
        begin = self.begin

        def hang(_context: object, method: object) -> None:
            begun.append(1)
            go_on.wait(PATIENCE)
            begin(method)

        self.put(priv_context.PrivContext, 'start', hang)
        for _time in range(3):
            self.assertIn('could not be started: it takes longer than',
                          self.lost())
        self.assertEqual([1], begun)
        starting = self.context._starting
        go_on.set()
        starting.join(PATIENCE)
        self.assertEqual('done', self.call())

    def test_the_first_start_has_more_time(self):
        self.put(helper, 'START', 0.0)
        begin = self.begin

        def slow(_context: object, method: object) -> None:
            time.sleep(0.1)
            begin(method)

        self.put(priv_context.PrivContext, 'start', slow)
        self.assertEqual('done', self.call())
        self.assertLess(helper.START, helper.FIRST)

    def test_a_start_that_fails_is_said_and_tried_again(self):
        self.put(priv_context.PrivContext, 'start', mock.Mock(
            side_effect=[SystemExit('sudo: a password is required')]))
        self.assertIn('a password is required', self.lost())
        self.put(priv_context.PrivContext, 'start', self.begin)
        self.assertEqual('done', self.call())

    def test_many_threads_start_one_helper(self):
        together = threading.Barrier(8, timeout=PATIENCE)
        done: list[object] = []

        def call() -> None:
            together.wait()
            done.append(self.call())

        threads = [threading.Thread(target=call) for _number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(['done'] * 8, done)
        self.assertEqual(1, len(self.starts))


class TestLimits(base.BaseTestCase):

    def test_every_call_has_a_limit(self):
        from os_brick.agent.host import privileged
        self.assertEqual(helper.LONG, privileged.default.timeout)
        self.assertGreater(helper.LONG, commands.COMMAND_TIMEOUT)
        self.assertIsInstance(cfg.CONF, cfg.ConfigOpts)
        with mock.patch.object(priv_context.PrivContext, '_wrap') as wrap:
            privileged.set_failfast('md1', 'nvme1n1', True)
        self.assertEqual(helper.SHORT, wrap.call_args.kwargs['_wrap_timeout'])
