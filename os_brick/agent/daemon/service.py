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
"""The daemon: an oslo.service service with one looping call.

The launchers of oslo.service's threading back end fork a worker and keep the
parent; one process is all this daemon needs, so the service and the looping
call are used without them and the signals are handled here.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
import signal
import threading

from oslo_config import cfg
from oslo_service import loopingcall
from oslo_service import service

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import liveness
from os_brick.agent.daemon import pace
from os_brick.agent.daemon import watch
from os_brick.agent.host import attributes
from os_brick.agent import log_once

LOG = logging.getLogger(__name__)
notify = liveness.notify
PASSES, GUARD = 'passes', 'guard'
FAILED = 'a pass failed, the next one is on time'


class AgentService(service.Service):  # type: ignore[misc]
    """Runs passes, and stops in good order.

    :param run_pass: does one pass; says in how many seconds another one is
        wanted at the latest, None: there is no hurry.
    :param life: told that the passes do well; what they and the guard tell
        of their steps goes to it, too.
    :param guard: kept running, woken with the passes, stopped after the
        last one.
    :param leave: called after all of that.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 run_pass: Callable[[], float | None],
                 guard: guard_loop.GuardLoop,
                 stopping: threading.Event,
                 clock: clocks.Clock = clocks.HOST,
                 life: liveness.Liveness | None = None,
                 leave: Callable[[], None] = lambda: None) -> None:
        super().__init__(threads=1)
        self._conf = conf
        self._run_pass = run_pass
        self._guard = guard
        self._leave = leave
        self._stopping = stopping
        self._log_once = log_once.LogOnce()
        self._wake = threading.Event()
        self._delay = 0.0
        self._clock = clock
        self._life = life or liveness.Liveness(clock)
        self._pace = pace.Pace(conf)
        self._loop = loopingcall.DynamicLoopingCall(self._one_pass)
        self._watch = watch.Watch(
            os.path.join(conf.run_dir, 'nudge.sock'), self._changed,
            conf.nudge_group)
        guard.wake_passes = self._wake.set

    def start(self) -> None:
        self._delay = self._pace.first()
        self._life.expect(PASSES, self._delay)
        self._guard.ensure_running()
        self._loop.start(stop_on_exception=False)
        notify('READY=1')

    def stop(self, graceful: bool = True) -> None:
        """Let the action under way end; start nothing new."""
        self._stopping.set()
        self._wake.set()
        self._loop.stop()
        notify('STOPPING=1')

    def wait(self) -> None:
        self._loop.wait()
        self._watch.stop()
        for leave in (self._guard.stop, self._leave):
            try:
                leave()
            except Exception:
                LOG.exception('the host could not be left as it should be')

    def _changed(self) -> None:
        self._guard.wake()
        self._wake.set()

    def _one_pass(self) -> float:
        self._watch.ensure_running()
        self._guard.ensure_running()
        self._wake.wait(self._delay)
        self._stopping.wait(self._pace.rest(self._clock.monotonic()))
        self._let_the_guard_go_first()
        self._wake.clear()
        if self._stopping.is_set():
            # a wake-up eaten here would be missed by the next pass
            raise loopingcall.LoopingCallDone()
        began = self._clock.monotonic()
        wanted: float | None = None
        well = False
        try:
            wanted = self._run_pass()
        except attributes.Exhausted as error:
            self._life.failed(PASSES)
            LOG.error('%s: %s', FAILED, error)
        except BaseException as error:
            self._life.failed(PASSES)
            # a SystemExit of the driver would end the thread without a word
            self._log_once.defect(FAILED, error)
        else:
            self._log_once.forget(FAILED)
            well = True
        self._delay = self._pace.after(began, self._clock.monotonic(),
                                       wanted)
        if well:
            self._life.well(PASSES, self._delay)
        return 0.0

    def _let_the_guard_go_first(self) -> None:
        """The machine keeps running before anything is told or healed."""
        end = self._clock.monotonic() + guard_loop.FIRST
        while self._guard.pressed and not self._stopping.is_set():
            left = end - self._clock.monotonic()
            if left <= 0:
                return
            self._stopping.wait(min(left, guard_loop.GAP))


def run(agent: AgentService, conf: cfg.ConfigOpts,
        check: Callable[[], None] = lambda: None) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP takes in mutable options.

    :param check: raises where the configuration files, as they are now, hold
        what could not be used.
    """
    signals: list[int] = []
    arrived = threading.Event()

    def take(number: int, _frame: object) -> None:
        signals.append(number)
        arrived.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, take)
    agent.start()
    while True:
        arrived.wait()
        arrived.clear()
        while signals:
            if signals.pop(0) != signal.SIGHUP:
                LOG.info('stopping: the action under way is finished first')
                agent.stop()
                agent.wait()
                return
            LOG.info('SIGHUP: reading the configuration again')
            try:
                check()
                conf.mutate_config_files()
            except (Exception, SystemExit) as error:
                LOG.error('the new configuration is not used: %s', error)
