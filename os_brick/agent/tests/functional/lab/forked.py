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
"""Run the project's programs as forks of one process that has imported them.

See ``forkserver``.  The agent's privileged helper is started by sudo as
always, under the same rule; what sudo runs is then not the console script but
a few lines that hand over its arguments and descriptors.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import logging
import marshal
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

from os_brick.agent.tests.functional.lab import forkserver
from os_brick.agent.tests.functional.lab import waiting

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/forks')
SOCKET = DIRECTORY / 'socket'
LOG_PATH = DIRECTORY / 'server.log'

# It has to start fast: no site, and nothing but what is built in.
_HELPER = '''#!%(python)s -IS
import marshal
import posix
import sys
import _socket

request = marshal.dumps({
    'argv': sys.argv, 'user': None, 'umask': %(umask)d,
    'environment': {name.decode(): value.decode()
                    for name, value in posix.environ.items()}})
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
server.connect(%(socket)r)
server.sendmsg([request], [(
    _socket.SOL_SOCKET, _socket.SCM_RIGHTS,
    b''.join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2)))])
server.recv(32)   # its pid
status = int(server.recv(32) or b'1')
posix._exit(status if status >= 0 else 128 - status)
'''


class Forked:
    """A process, with what ``subprocess.Popen`` would offer of it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(connection.recv(32))
        self.returncode: int | None = None
        connection.setblocking(False)

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs.

        :raises ConnectionError: the server is gone, and nobody knows.
        """
        if self.returncode is None:
            try:
                answer = self._connection.recv(32)
            except BlockingIOError:
                return None
            if not answer:
                raise ConnectionError('the fork server has ended: %s' % log())
            self._connection.close()
            self.returncode = int(answer)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def wanted() -> bool:
    """Whether a test's programs are forked, unless it says otherwise."""
    return os.environ.get('LAB_FORK', '1') != '0'


def log() -> str:
    """Return what the server had to say."""
    return LOG_PATH.read_text() if LOG_PATH.exists() else ''


@functools.lru_cache(maxsize=None)
def server() -> subprocess.Popen[bytes]:
    """Start the server, once for this process; it imports meanwhile."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    helper = privsep_helper()
    helper.write_text(_HELPER % {'python': sys.executable, 'umask': 0o22,
                                 'socket': str(SOCKET)})
    helper.chmod(0o755)
    with LOG_PATH.open('wb') as said:
        return subprocess.Popen(
            [sys.executable, '-I', forkserver.__file__, str(SOCKET),
             ' ' * forkserver.TITLE],
            stdin=subprocess.PIPE, stdout=said, stderr=said, cwd='/',
            env={'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8'})


def privsep_helper() -> pathlib.Path:
    """Return the path of what sudo runs in the place of privsep-helper."""
    return DIRECTORY / 'privsep-helper'


def start(argv: list[str], user: str | None, environment: Mapping[str, str],
          output: int, errors: int | None = None,
          shortened: Mapping[str, float] | None = None) -> Forked:
    """Fork a console script's program.

    :param argv: its command line, as if it were executed.
    :param user: as whom it runs; None: as the server.
    :param output: the descriptor for standard output.
    :param errors: that for standard error; None: the same.
    :param shortened: constants of the program that get another value.
    """
    process = server()

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError('the fork server has ended with %s: %s'
                               % (process.returncode, log()))
        return SOCKET.exists()
    waiting.wait_until(ready, 'the fork server has imported')
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(60)
    connection.connect(str(SOCKET))
    request = {'argv': argv, 'user': user, 'environment': dict(environment),
               'umask': 0o22, 'shortened': dict(shortened or {})}
    with open(os.devnull, 'rb') as nothing:
        socket.send_fds(connection, [marshal.dumps(request)],
                        [nothing.fileno(), output,
                         output if errors is None else errors])
    return Forked(connection)
