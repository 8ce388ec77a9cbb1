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
"""A RabbitMQ of a test's own, and a way to it that can be cut.

The server is Debian's (rabbitmq-server), installed or only unpacked; it is
run from a directory of its own, on ports of its own, and leaves nothing
behind.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import glob
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

LONG = 180
STARTED = 'Server startup complete'
_CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:%d
loopback_users = none
default_user = agent
default_pass = secret
log.console = true
"""


def program() -> str:
    """Return the server's path, '' where this machine has none."""
    places = ['/usr/lib/rabbitmq', *(os.path.join(one, 'rabbitmq') for one in
                                     os.environ['PATH'].split(os.pathsep))]
    found = [path for place in places for path in sorted(glob.glob(
        os.path.join(place, 'lib/rabbitmq_server-*/sbin/rabbitmq-server')))]
    return found[-1] if found and shutil.which('erl') else ''


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as one:
        return int(one.getsockname()[1])


class Broker:
    """One RabbitMQ with a name server of its own.

    :raises AssertionError: it does not start; the text has what it said.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix='nvme-agent-rabbitmq-')
        self.port, names, between = free_port(), free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        server = program()
        for name, text in (('rabbitmq.conf', _CONFIGURATION % self.port),
                           ('plugins', '')):
            with open(self._path(name), 'w', encoding='ascii') as stream:
                stream.write(text)
        environment = {
            'PATH': os.environ['PATH'], 'HOME': self.folder, 'LANG': 'C.UTF-8',
            'ERL_EPMD_PORT': str(names), 'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODENAME': 'test@localhost',
            'RABBITMQ_DIST_PORT': str(between),
            'RABBITMQ_MNESIA_BASE': self._path('db'),
            'RABBITMQ_LOG_BASE': self._path('log'), 'RABBITMQ_LOGS': '-',
            'RABBITMQ_CONFIG_FILE': self._path('rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_ENABLED_PLUGINS_FILE': self._path('plugins'),
            'RABBITMQ_PLUGINS_DIR': os.path.join(os.path.dirname(
                os.path.dirname(server)), 'plugins'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '-kernel inet_dist_use_interface {127,0,0,1}'}
        try:
            # in the foreground: else Erlang leaves one behind
            self._start(['epmd', '-port', str(names)], environment)
            self._start([server], environment)
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def said(self) -> str:
        with open(self._path('out'), encoding='utf-8',
                  errors='replace') as stream:
            return stream.read()

    def stop(self) -> None:
        for one in reversed(self._processes):
            # the shell that started it has its own group
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _start(self, words: list[str], environment: dict[str, str]) -> None:
        with open(self._path('out'), 'ab') as out:
            self._processes.append(subprocess.Popen(
                words, env=environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True))

    def _wait(self) -> None:
        until, server = time.monotonic() + LONG, self._processes[-1]
        while STARTED not in self.said:
            if time.monotonic() > until or server.poll() is not None:
                raise AssertionError('no broker: %s' % self.said[-4000:])
            time.sleep(0.1)


class Way:
    """Passes bytes on to a port; it can be cut.

    :ivar port: where it listens, the same one always.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self._lines: set[socket.socket] = set()
        self._server: _Server | None = None
        self.open()

    def open(self) -> None:
        self._server = _Server(('127.0.0.1', self.port), self.carry)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and break those that there are."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for line in list(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.open()

    def carry(self, client: socket.socket) -> None:
        """Pass on what a client and the broker have for each other."""
        with socket.create_connection(('127.0.0.1', self._target)) as server:
            pair = client, server
            self._lines |= {*pair}
            back = threading.Thread(target=_pump, args=(server, client),
                                    daemon=True)
            back.start()
            _pump(client, server)
            back.join()
            self._lines -= {*pair}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], carry: object) -> None:
        self.carry = carry
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):

    def handle(self) -> None:
        self.server.carry(self.request)  # type: ignore[attr-defined]


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
