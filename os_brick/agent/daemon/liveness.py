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
"""Whether the passes and the guard make progress, for systemd's watchdog."""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
import socket
import threading

from os_brick.agent import clock as clocks

LOG = logging.getLogger(__name__)
#: Seconds that one step may take: a command and what is waited for before it,
#: or a call of the provisioner with all of its time-outs.
STEP = 180.0
#: Seconds between two words to systemd at least.
GAP = 5.0
#: Seconds in which systemd ends what it was asked to start anew; one that
#: does not know how (before 243), or is none, never does.
OBEYED = 30.0
#: Seconds that systemd is given to take a word: who brings it is the guard.
PATIENCE = 0.5


def notify(message: str) -> None:
    """Tell systemd, where it asked to be told (sd_notify(3))."""
    path = os.environ.get('NOTIFY_SOCKET', '')
    if not path:
        return
    address = '\0' + path[1:] if path.startswith('@') else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            # it may not read: its own disk may be the one that stands still
            systemd.settimeout(PATIENCE)
            systemd.sendto(message.encode(), address)
    except OSError as error:
        LOG.debug('systemd was not told %s: %s', message, error)


class Liveness:
    """Feeds the watchdog while all of its threads make progress.

    Any of them feeds it, so that it is fed though one of them rests for an
    hour; none does when one of them has hung, died or failed for too long.
    Of one that has hung or died, and has not failed, systemd is told at once
    (sd_notify(3), ``WATCHDOG=trigger``): who fails is left some time to do
    well again, while the other one goes on with its work.  Where there is no
    systemd, as in a container, or it does not obey, the process ends itself:
    whatever runs it is to start it again.

    :param tell: tells systemd.
    :param end: ends the process.
    """

    def __init__(self, clock: clocks.Clock = clocks.HOST,
                 tell: Callable[[str], None] | None = None,
                 end: Callable[[], object] = os.abort) -> None:
        self._clock = clock
        self._tell = tell
        self._end = end
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._spared: set[str] = set()
        self._failing: set[str] = set()
        self._told: float | None = None
        self._hung_at: float | None = None
        self._asked_at: float | None = None

    def expect(self, who: str, rest: float = 0.0) -> None:
        """Expect to hear of a thread; it was begun, and no more is known."""
        with self._lock:
            self._until[who] = self._clock.monotonic() + rest + STEP

    def well(self, who: str, rest: float = 0.0) -> None:
        """All is well with a thread.

        :param rest: seconds for which it will do nothing.
        """
        with self._lock:
            self._failing.discard(who)
        self._heard(who, rest)

    def step(self, who: str) -> None:
        """A thread has taken a step; that counts unless it failed before."""
        if who not in self._failing:
            self._heard(who, 0.0)

    def failed(self, who: str) -> None:
        """A thread has failed; it has to do well before its steps count."""
        with self._lock:
            self._failing.add(who)

    def _heard(self, who: str, rest: float) -> None:
        with self._lock:
            now = self._clock.monotonic()
            self._spared.discard(who)
            if self._until.get(who, now) < now:
                self._spare_all(now)
            self._until[who] = now + rest + STEP
            late = {one for one, until in self._until.items() if until < now}
            hung = self._hung(late - self._failing, now)
            if not hung and late or (
                    self._told is not None and now - self._told < GAP):
                return
            self._told = now
        if hung:
            self._start_anew(hung, now)
        else:
            self._asked_at = None
            (self._tell or notify)('WATCHDOG=1')

    def _start_anew(self, hung: set[str], now: float) -> None:
        """Have this process ended."""
        if self._asked_at is None:
            self._asked_at = now
            LOG.critical(
                'the thread of the %s has taken no step for %d s: it hangs, '
                'or has died. The agent is ended, to be started anew',
                ' and of the '.join(sorted(hung)), STEP)
        (self._tell or notify)('WATCHDOG=trigger')
        if (not os.environ.get('NOTIFY_SOCKET')
                or now - self._asked_at >= OBEYED):
            self._end()

    def _spare_all(self, now: float) -> None:
        """Give every thread the time of a step anew: one was late itself.

        The whole process may have stood still (a freezer, a hypervisor), and
        the step that another one takes goes on only now.  That is so once
        until it is heard again: one that hangs has no more of it.
        """
        for who in self._until.keys() - self._spared:
            self._until[who] = max(self._until[who], now + STEP)
            self._spared.add(who)

    def _hung(self, late: set[str], now: float) -> set[str]:
        """Return who is late, once that was seen twice some time apart.

        The whole process may have stood still for a moment, and whoever goes
        on first would take all others for hung.
        """
        if not late:
            self._hung_at = None
        elif self._hung_at is None:
            self._hung_at = now
        elif now - self._hung_at >= GAP:
            return late
        return set()
