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
"""What a piece of code opens, connects to and starts (sys.addaudithook)."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import sys
import threading

_STARTS = frozenset({'subprocess.Popen', 'os.exec', 'os.posix_spawn',
                     'os.spawn', 'os.system', 'os.fork', 'os.forkpty'})
_WRITES = frozenset({'open to write', 'os.mkdir', 'os.rename', 'os.remove',
                     'sqlite3.connect'})
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_IO = frozenset({'open', 'os.listdir', 'os.scandir', 'os.mkdir',
                 'os.rename', 'os.remove',
                 'socket.connect', 'socket.bind', 'socket.getaddrinfo',
                 'sqlite3.connect'})
_CODE = ('.py', '.pyc', '.so')
#: Where the kernel shows and offers block devices.
_DEVICES = ('/dev/nvme', '/dev/md', '/dev/disk', '/dev/mapper', '/sys/block',
            '/sys/class/block', '/sys/class/nvme', '/sys/devices',
            '/proc/mdstat', '/proc/partitions')
_watching: dict[int, list[tuple[str, str]]] = {}
_installed = threading.Event()


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    seen = _watching.get(threading.get_ident())
    if seen is None or event not in _IO and event not in _STARTS:
        return
    seen.append((event, str(arguments[0]) if arguments else ''))
    if event == 'open' and isinstance(arguments[2], int) and (
            arguments[2] & _TO_WRITE):
        seen.append(('open to write', seen[-1][1]))


@contextlib.contextmanager
def watch() -> Iterator[list[tuple[str, str]]]:
    """Collect what this thread does as (event, what), imports left out."""
    if not _installed.is_set():
        _installed.set()
        sys.addaudithook(_hook)     # there is no way to remove one again
    found: list[tuple[str, str]] = []
    ident = threading.get_ident()
    _watching[ident] = found
    try:
        yield found
    finally:
        del _watching[ident]
        found[:] = [(event, what) for event, what in found
                    if not _is_code(what)
                    and event not in ('os.listdir', 'os.scandir')
                    or what.startswith(_DEVICES)]


def _is_code(path: str) -> bool:
    return path.endswith(_CODE) or '__pycache__' in path


def of_writing(seen: list[tuple[str, str]]) -> list[str]:
    """Return what of it changes a file, or may."""
    return ['%s of %s' % pair for pair in seen
            if pair[0] in _WRITES and 'mode=ro' not in pair[1]]


def of_devices(seen: list[tuple[str, str]]) -> list[str]:
    """Return what of it is about this host's devices, or a program."""
    return ['%s of %s' % pair for pair in seen
            if pair[0] in _STARTS or pair[1].startswith(_DEVICES)]
