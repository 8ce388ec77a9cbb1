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
"""What wakes the service before its next turn.

Three things are watched by one thread: /proc/mdstat, which poll(2) reports on
any change of an array; the datagram socket on which os-brick's hook announces
an attachment; and the state of the NVMe-oF controllers, which has to be read,
because the kernel announces no loss.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import os
import select
import socket
import threading
from typing import TextIO

from os_brick.agent import journal

LOG = logging.getLogger(__name__)
MDSTAT = '/proc/mdstat'
CONTROLLERS = '/sys/class/nvme-fabrics/ctl'


class Watch:
    """:param wake: called, from the watching thread, on any change."""

    def __init__(self, socket_path: str, interval: Callable[[], float],
                 wake: Callable[[], None]) -> None:
        self._path = socket_path
        self._interval = interval
        self._wake = wake
        self._stop = threading.Event()
        self._journal = journal.Journal()
        self._thread: threading.Thread | None = None
        self._bell, self._ringer = socket.socketpair(socket.AF_UNIX,
                                                     socket.SOCK_DGRAM)
        self._bell.setblocking(False)

    def ensure_running(self) -> None:
        """Start the thread, also again after it died."""
        if self._stop.is_set() or (self._thread is not None
                                   and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._run, name='watch',
                                        daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._ringer.send(b'stop')
        if self._thread is not None:
            self._thread.join()
        self._bell.close()
        self._ringer.close()

    def _run(self) -> None:
        try:
            with contextlib.ExitStack() as opened:
                poller = select.poll()
                poller.register(self._bell, select.POLLIN)
                nudges = self._listen(opened)
                if nudges is not None:
                    poller.register(nudges, select.POLLIN)
                self._loop(poller, nudges, opened)
        except Exception as error:
            if self._journal.trouble('watching for changes', '%s: %s; it is '
                                     'begun again with the next pass' % (
                                         type(error).__name__, error)):
                LOG.debug('the watch ended', exc_info=True)

    def _listen(self, opened: contextlib.ExitStack) -> socket.socket | None:
        """Bind the socket; without it the rest is watched all the same."""
        nudges = opened.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            nudges.bind(self._path)
            os.chmod(self._path, 0o666)
        except OSError as error:
            LOG.warning('%s: %s; an attachment is seen with the next pass '
                        'only', self._path, error.strerror or error)
            return None
        nudges.setblocking(False)
        return nudges

    def _loop(self, poller: select.poll, nudges: socket.socket | None,
              opened: contextlib.ExitStack) -> None:
        mdstat: TextIO | None = None
        states = _states()
        while not self._stop.is_set():
            if mdstat is None:
                mdstat = _open_mdstat()
                if mdstat is not None:
                    opened.enter_context(mdstat)
                    poller.register(mdstat, select.POLLPRI | select.POLLERR)
            ready = {descriptor for descriptor, _event
                     in poller.poll(self._interval() * 1000)}
            if nudges is not None and nudges.fileno() in ready:
                _drain(nudges)
            if mdstat is not None and mdstat.fileno() in ready:
                mdstat.seek(0)
                mdstat.read()
            seen = _states()
            if not self._stop.is_set() and (ready or seen != states):
                states = seen
                self._wake()


def _open_mdstat() -> TextIO | None:
    """Open it, None while md is not loaded."""
    try:
        mdstat = open(MDSTAT, encoding='ascii', errors='replace')
    except OSError:
        return None
    mdstat.read()
    return mdstat


def _drain(nudges: socket.socket) -> None:
    while True:
        try:
            nudges.recv(64)
        except BlockingIOError:
            return


def _states() -> dict[str, str]:
    states: dict[str, str] = {}
    try:
        names = os.listdir(CONTROLLERS)
    except OSError:
        return states
    for name in names:
        try:
            with open(os.path.join(CONTROLLERS, name, 'state'),
                      encoding='ascii', errors='replace') as attribute:
                states[name] = attribute.read()
        except OSError:
            continue
    return states
