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
"""The way to the privileged helper: no call of it waits without a bound.

oslo.privsep limits how long an answer is waited for, where it is told to; it
does not limit how long sudo may take, nor a send to a helper that reads no
more, and of two threads that find the helper gone the second one would close
what the first has just started.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import socket
import threading
from typing import Any

from oslo_privsep import comm
from oslo_privsep import priv_context

from os_brick.agent.host import commands

LOG = logging.getLogger(__name__)
#: Seconds for a call that runs a program, and for one that runs none.
LONG, SHORT = commands.COMMAND_TIMEOUT + 15.0, 10.0
#: Seconds for the helper to start, to read a call, and to answer a ping.
START, SEND, PING = 30.0, 5.0, 5.0
#: And for its first start, which nobody's I/O waits for yet: on a host whose
#: disk or processors are busy, giving up would only begin it anew.  The unit's
#: TimeoutStartSec is longer, so that the reason is said.
FIRST = 90.0


class HelperLost(commands.CannotRun):
    """The helper does not answer, has ended, or cannot be started."""


class Context(priv_context.PrivContext):
    """A context of oslo.privsep whose calls end.

    :ivar renew: called after the helper was started once more.
    """

    def __init__(self, prefix: str, **words: Any) -> None:
        super().__init__(prefix, timeout=LONG, **words)
        self._lock = threading.Lock()
        self._starting: threading.Thread | None = None
        self._why = ''
        self._started = 0
        self.renew: Callable[[], object] = lambda: None

    def helper_command(self, sockpath: str) -> list[str]:
        """Return what starts the helper; it writes no file of its own.

        It reads the agent's configuration, and runs as root: a log file in a
        directory that the agent's user may write could be a link to any file.
        """
        command: list[str] = super().helper_command(sockpath)
        place = command.index('--privsep_context')
        return [*command[:place], '--log-file=', '--log-dir=',
                *command[place:]]

    def start(self, method: priv_context.Method
              = priv_context.Method.ROOTWRAP) -> None:
        """Start the helper, where it does not run.

        :raises HelperLost: it does not start, or takes too long to.
        """
        with self._lock:
            if self.channel is not None:
                return
            limit = START if self._started else FIRST
            begun = self._starting
            if begun is None or not begun.is_alive():
                # one that hangs is not joined by another one
                self._why = 'it takes longer than %g s' % limit
                self._starting = threading.Thread(
                    target=self._start, args=(method,), daemon=True,
                    name='starting the privileged helper')
                self._starting.start()
            starting = self._starting
        assert starting is not None
        starting.join(limit)
        if self.channel is None:
            raise HelperLost('the privileged helper could not be started: %s'
                             % self._why)
        if begun is not starting and self._started > 1:
            LOG.warning('the privileged helper was started once more')
            self.renew()

    def _start(self, method: priv_context.Method) -> None:
        try:
            super().start(method)
            if self.channel is not None:
                self.channel.writer.writesock.settimeout(SEND)
            self._started += 1
        except BaseException as error:
            self._why = str(error) or type(error).__name__

    def stop(self) -> None:
        """Let go of a helper that has ended; one that runs is kept."""
        with self._lock:
            channel = self.channel
            if channel is None or channel.running:
                return
            self.channel = None
        with contextlib.suppress(OSError):
            channel.close()

    def _wrap(self, func: Callable[..., Any], *args: Any,
              _wrap_timeout: float | None = None, **kwargs: Any) -> Any:
        channel = self.channel
        try:
            return super()._wrap(func, *args, _wrap_timeout=_wrap_timeout,
                                 **kwargs)
        except comm.PrivsepTimeout:
            if not self._answers(channel):
                self._abandon(channel)
            raise HelperLost(
                'the privileged helper has not done %s within %g s' % (
                    func.__name__, _wrap_timeout or LONG)) from None
        except OSError as error:
            # the channel's own, and no answer of the helper
            used = channel or self.channel
            if (used is None or used.running and not isinstance(
                    error, (TimeoutError, ConnectionError))):
                raise
            self._abandon(used)
            raise HelperLost(
                'the privileged helper is gone (%s); the next action starts '
                'it' % error) from error

    def _answers(self, channel: comm.ClientChannel | None) -> bool:
        """Whether the helper has a thread left that answers."""
        if channel is None:
            return True
        try:
            reply = channel.send_recv((comm.Message.PING.value,), PING)
        except Exception:
            return False
        return bool(reply[0] == comm.Message.PONG.value)

    def _abandon(self, channel: comm.ClientChannel | None) -> None:
        """Leave a helper behind that does not answer; it ends when it can."""
        if channel is None:
            return
        ending: comm.ClientChannel = channel
        with self._lock:
            if self.channel is channel:
                self.channel = None
        with contextlib.suppress(OSError):
            # whoever waits for an answer of it is told
            ending.writer.writesock.shutdown(socket.SHUT_RDWR)
