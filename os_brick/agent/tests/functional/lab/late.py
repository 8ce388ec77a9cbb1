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
"""A block device that holds one write back while it serves all others.

It is the kernel's network block device, and this process is its server, over
a socket pair: nothing else is needed for it.  A device-mapper device cannot
do that: it keeps the order of what it is sent.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pathlib
import socket
import struct
import threading

from os_brick.agent.tests.functional.lab import process

LOG = logging.getLogger(__name__)

# linux/nbd.h
_SET_SOCK, _SET_BLKSIZE, _DO_IT, _CLEAR_SOCK = 0xab00, 0xab01, 0xab03, 0xab04
_SET_SIZE_BLOCKS, _DISCONNECT, _SET_FLAGS = 0xab07, 0xab08, 0xab0a
_HAS_FLAGS, _SEND_FLUSH = 1, 4
_READ, _WRITE, _END = 0, 1, 2
_REQUEST = struct.Struct('>IIQQI')
_REPLY = struct.Struct('>IIQ')
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_BLOCK = 4096


class LateDevice:
    """:param path: the file that holds the blocks.

    :ivar held: set once a write is held back.
    """

    def __init__(self, path: pathlib.Path, size: int) -> None:
        process.run('modprobe', 'nbd')
        self._blocks = os.open(path, os.O_RDWR)
        ours, theirs = socket.socketpair()
        self._socket, self._theirs = ours, theirs
        self._lock = threading.Lock()
        self._marker: bytes | None = None
        self._late: tuple[int, int, bytes] | None = None
        self.held = threading.Event()
        self.device, self._nbd = self._free()
        fcntl.ioctl(self._nbd, _SET_BLKSIZE, _BLOCK)
        fcntl.ioctl(self._nbd, _SET_SIZE_BLOCKS, size // _BLOCK)
        fcntl.ioctl(self._nbd, _SET_FLAGS, _HAS_FLAGS | _SEND_FLUSH)
        fcntl.ioctl(self._nbd, _SET_SOCK, theirs.fileno())
        self._threads = [threading.Thread(target=body, daemon=True)
                         for body in (self._serve, self._attach)]
        for thread in self._threads:
            thread.start()

    def _free(self) -> tuple[str, int]:
        for path in sorted(pathlib.Path('/sys/class/block').glob('nbd*')):
            if not (path / 'pid').exists() and 'p' not in path.name:
                device = '/dev/' + path.name
                return device, os.open(device, os.O_RDWR)
        raise RuntimeError('no network block device is free')

    def _attach(self) -> None:
        """Lend the kernel a thread; it returns at the end."""
        try:
            fcntl.ioctl(self._nbd, _DO_IT)
        except OSError as error:
            LOG.info('%s has ended: %s', self.device, error)

    def hold(self, marker: bytes) -> None:
        """Hold the next write back whose content begins like this."""
        with self._lock:
            self._marker = marker

    def release(self) -> None:
        """Execute what was held back."""
        with self._lock:
            late, self._late = self._late, None
        if late is not None:
            handle, place, content = late
            LOG.info('%s executes what it held back', self.device)
            os.pwrite(self._blocks, content, place)
            self._answer(handle)

    def close(self) -> None:
        """Execute what is left, and give the device back."""
        self.release()
        process.attempt(fcntl.ioctl, self._nbd, _DISCONNECT)
        process.attempt(fcntl.ioctl, self._nbd, _CLEAR_SOCK)
        for thread in self._threads:
            thread.join(30)
        os.close(self._nbd)
        self._socket.close()
        self._theirs.close()
        os.close(self._blocks)

    def _serve(self) -> None:
        while True:
            try:
                magic, kind, handle, place, length = _REQUEST.unpack(
                    self._receive(_REQUEST.size))
            except (OSError, EOFError):
                return
            if magic != _REQUEST_MAGIC or kind & 0xffff == _END:
                return
            if kind & 0xffff == _READ:
                self._answer(handle, os.pread(self._blocks, length, place))
            elif kind & 0xffff == _WRITE:
                self._write(handle, place, self._receive(length))
            else:
                self._answer(handle)

    def _write(self, handle: int, place: int, content: bytes) -> None:
        with self._lock:
            if self._marker is not None and content.startswith(self._marker):
                LOG.info('%s holds back a write of %d bytes at %d',
                         self.device, len(content), place)
                self._marker = None
                self._late = (handle, place, content)
                self.held.set()
                return
        os.pwrite(self._blocks, content, place)
        self._answer(handle)

    def _receive(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._socket.recv(length)
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b''.join(parts)

    def _answer(self, handle: int, content: bytes = b'') -> None:
        self._socket.sendall(_REPLY.pack(_REPLY_MAGIC, 0, handle) + content)
