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
"""os-brick's lock: held while this host is changed, waited for with a bound.

What ends hanging I/O is urgent and waits only briefly: whoever holds the
lock, an attach or detach or a step of healing, may itself be hanging on that
very I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.host import effects as host_effects
from os_brick.agent.host import not_done
from os_brick.agent import log_once

LOG = logging.getLogger(__name__)
#: Seconds between two tries to take the lock's file.
DELAY = 0.05
#: Seconds for which the lock is waited for: when the agent is to stop, when
#: what is urgent has just waited in vain, and by what is urgent.
STOP_PATIENCE = HELD_PATIENCE = 2.0
URGENT_PATIENCE = 0.5
#: Seconds for which it is taken to be held still, and not waited for again.
HELD = 10.0


class BrickLock:
    """Keeps os-brick out, and the other threads of this agent; for any.

    :param stopping: when it says True, the lock is not waited for long.
    """

    def __init__(self, conf: cfg.ConfigOpts, stopping: Callable[[], bool],
                 effects: host_effects.Effects, clock: clocks.Clock) -> None:
        self._conf = conf
        self._stopping = stopping
        self._effects = effects
        self._clock = clock
        # os-brick's lock keeps other processes out, not other threads
        self._mine = clock.lock()
        self._held_at: float | None = None
        self._log_once = log_once.LogOnce()

    @contextlib.contextmanager
    def held(self, urgent: bool) -> Iterator[None]:
        """Hold it; give up, or go on without it, after a while.

        :raises not_done.NotDone: it could not be taken.
        """
        began = self._clock.monotonic()
        patience = self._patience(urgent, began)
        mine = self._mine.acquire(timeout=patience)
        try:
            if not mine and not urgent:
                raise not_done.LockHeld('another action of this agent hangs')
            let_go = self._take(urgent, began) if mine else None
            if let_go is None:
                self._go_on_without(began, patience)
            elif urgent:
                self._held_at = None
            try:
                yield
            finally:
                if let_go is not None:
                    let_go()
        finally:
            if mine:
                self._mine.release()

    def _go_on_without(self, began: float, patience: float) -> None:
        if self._held_at is None:
            LOG.warning('os-brick\'s lock is not had within %g s, perhaps '
                        'for what hangs on this very I/O: going on without '
                        'it', URGENT_PATIENCE)
        elif patience:
            LOG.debug('os-brick\'s lock is still held: it was waited for '
                      '%g s in vain', patience)
        if self._held_at is None or began - self._held_at >= HELD:
            self._held_at = self._clock.monotonic()

    def _patience(self, urgent: bool, now: float) -> float:
        known = self._held_at is not None and now - self._held_at < HELD
        if urgent:
            return 0.0 if known else URGENT_PATIENCE
        patience = float(self._conf.lock_timeout)
        if self._stopping():
            return min(patience, STOP_PATIENCE)
        # what there is to tell is told when a pass has waited
        return min(patience, HELD_PATIENCE) if known else patience

    def _take(self, urgent: bool, began: float
              ) -> Callable[[], object] | None:
        """Take os-brick's; None where it is held and the action is urgent."""
        path = self._conf.os_brick.lock_path
        while True:
            try:
                let_go = self._effects.try_lock(path)
            except OSError as error:
                why = ('os-brick\'s lock in %s (option lock_path of '
                       '[os_brick]): %s' % (path, error))
                if urgent:
                    self._log_once.trouble('going on without the lock', why)
                    return None
                raise not_done.NotDone(why) from error
            if let_go is not None:
                return let_go
            patience = self._patience(urgent, began)
            if self._clock.monotonic() - began < patience:
                self._clock.sleep(DELAY)
                continue
            if urgent:
                return None
            raise not_done.LockHeld(
                'os-brick holds %s/%s%s (an attach or detach?) for '
                'more than %g s' % (path, host_effects.LOCK_PREFIX,
                                    host_effects.LOCK_NAME, patience))
