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
import logging
import os
import select
import socket
import threading

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
        self._thread: threading.Thread | None = None

    def ensure_running(self) -> None:
        """Start the thread, also again after it died."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._thread is not None:
            LOG.warning('the watching thread has died; it is started again')
        self._thread = threading.Thread(target=self._run, name='watch',
                                        daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nudges:
            nudges.bind(self._path)
            os.chmod(self._path, 0o666)
            nudges.setblocking(False)
            self._loop(nudges)

    def _loop(self, nudges: socket.socket) -> None:
        poller = select.poll()
        poller.register(nudges, select.POLLIN)
        mdstat = None
        states = _states()
        while not self._stop.is_set():
            if mdstat is None and os.path.exists(MDSTAT):
                mdstat = open(MDSTAT, encoding='ascii', errors='replace')
                mdstat.read()
                poller.register(mdstat, select.POLLPRI | select.POLLERR)
            woken = False
            for descriptor, _event in poller.poll(self._interval() * 1000):
                woken = True
                if descriptor == nudges.fileno():
                    _drain(nudges)
                elif mdstat is not None:
                    mdstat.seek(0)
                    mdstat.read()
            seen = _states()
            if woken or seen != states:
                states = seen
                self._wake()
        if mdstat is not None:
            mdstat.close()


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
                      encoding='ascii') as attribute:
                states[name] = attribute.read()
        except OSError:
            continue
    return states
