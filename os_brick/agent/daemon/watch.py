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
"""What wakes the service before its next pass.

Three things are watched by one thread: /proc/mdstat, which poll(2) reports on
any change of an array; the kernel's uevents of NVMe and md devices; and the
datagram socket on which os-brick's hook announces an attachment.  A loss of a
connection the kernel announces to nobody: see ``guard_loop``.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import grp
import logging
import os
import select
import socket
import time
from typing import TextIO

import pyudev

from os_brick.agent.daemon import worker

LOG = logging.getLogger(__name__)
MDSTAT = '/proc/mdstat'
#: Seconds between two tries to open /proc/mdstat, before md is loaded.
AGAIN = 5.0
#: Seconds for which the socket is not listened to after a nudge, so that who
#: may write to it cannot make each second cost the provisioner a call.
NUDGE_GAP = 5.0
#: Nudges that are taken at once; the others wait until the gap is over.
_AT_ONCE = 64


class Watch:
    """The thread that waits for a change of this host.

    :param wake: called, from the watching thread, on any change.
    :param group: whose members may write to the socket; '': the agent's own.
    """

    def __init__(self, socket_path: str, wake: Callable[[], None],
                 group: str = '') -> None:
        self._path = socket_path
        self._group = group
        self._wake = wake
        self._worker = worker.Worker('watching for changes', self._run)
        self._bell, self._ringer = socket.socketpair(socket.AF_UNIX,
                                                     socket.SOCK_DGRAM)
        self._bell.setblocking(False)

    def ensure_running(self) -> None:
        """Start the thread, also again after it died."""
        self._worker.ensure_running()

    def stop(self) -> None:
        if self._worker.stopping.is_set():
            return
        self._worker.stop(lambda: self._ringer.send(b'stop'))
        self._bell.close()
        self._ringer.close()

    def _run(self) -> None:
        with contextlib.ExitStack() as opened:
            poller = select.poll()
            poller.register(self._bell, select.POLLIN)
            nudges = self._listen(opened)
            if nudges is not None:
                poller.register(nudges, select.POLLIN)
            uevents = _uevents()
            if uevents is not None:
                poller.register(uevents, select.POLLIN)
            self._loop(poller, nudges, uevents, opened)

    def _listen(self, opened: contextlib.ExitStack) -> socket.socket | None:
        """Bind the socket; without it the rest is watched all the same."""
        nudges = opened.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            # the mode that the socket's file gets, less the umask
            os.fchmod(nudges.fileno(), 0o660)
            nudges.bind(self._path)
            os.chmod(self._path, 0o660)
        except OSError as error:
            LOG.warning('%s: %s; an attachment is seen with the next pass '
                        'only', self._path, error.strerror or error)
            return None
        self._open_to_group()
        nudges.setblocking(False)
        return nudges

    def _open_to_group(self) -> None:
        if not self._group:
            return
        try:
            os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)
        except (KeyError, OSError) as error:
            LOG.warning(
                '%s cannot be given to the group %s (option nudge_group): '
                '%s; os-brick cannot announce an attachment', self._path,
                self._group, error if isinstance(error, OSError)
                else 'there is no such group')

    def _loop(self, poller: select.poll, nudges: socket.socket | None,
              uevents: pyudev.Monitor | None,
              opened: contextlib.ExitStack) -> None:
        mdstat: TextIO | None = None
        deaf_until: float | None = None
        while not self._worker.stopping.is_set():
            if mdstat is None:
                mdstat = _open_mdstat()
                if mdstat is not None:
                    opened.enter_context(mdstat)
                    poller.register(mdstat, select.POLLPRI | select.POLLERR)
            waits = [] if mdstat is not None else [AGAIN]
            if deaf_until is not None:
                waits.append(max(0.0, deaf_until - time.monotonic()))
            ready = {descriptor for descriptor, _event in poller.poll(
                1000 * min(waits) if waits else None)}
            changed = False
            if nudges is not None and nudges.fileno() in ready:
                _drain(nudges)
                changed = True
                poller.unregister(nudges)
                deaf_until = time.monotonic() + NUDGE_GAP
            elif nudges is not None and deaf_until is not None and (
                    time.monotonic() >= deaf_until):
                poller.register(nudges, select.POLLIN)
                deaf_until = None
            if uevents is not None and uevents.fileno() in ready:
                changed |= _of_ours(uevents)
            if mdstat is not None and mdstat.fileno() in ready:
                mdstat.seek(0)
                mdstat.read()
                changed = True
            if changed and not self._worker.stopping.is_set():
                self._wake()


def _uevents() -> pyudev.Monitor | None:
    """Listen to the kernel, None where that is not possible."""
    try:
        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), 'kernel')
        monitor.filter_by('block')
        monitor.filter_by('nvme')
        monitor.start()
    except (OSError, ImportError) as error:
        LOG.warning('uevents cannot be received: %s; a device that comes or '
                    'goes is seen with the next pass only', error)
        return None
    return monitor


def _of_ours(uevents: pyudev.Monitor) -> bool:
    """Take in all that have come; True where one may matter here."""
    found = False
    while True:
        device = uevents.poll(0)
        if device is None:
            return found
        found |= device.sys_name.startswith(('nvme', 'md'))


def _open_mdstat() -> TextIO | None:
    """Open it, None while md is not loaded."""
    try:
        mdstat = open(MDSTAT, encoding='ascii', errors='replace')
    except OSError:
        return None
    mdstat.read()
    return mdstat


def _drain(nudges: socket.socket) -> None:
    for _nudge in range(_AT_ONCE):
        try:
            nudges.recv(64)
        except BlockingIOError:
            return
