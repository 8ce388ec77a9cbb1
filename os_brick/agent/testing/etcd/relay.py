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
"""A line to a real member of etcd that can be cut, stalled and lied on."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import http.client
import http.server
import json
import socket
import socketserver
import threading
from typing import Any
import urllib.parse


class Relay:
    """Passes each request on to a member, and its answer back.

    :param member: the URL of the member, http.
    :ivar port: where it listens, the same one always.
    :ivar requests: how many came.
    :ivar tokens: those that clients have shown.
    """

    def __init__(self, member: str) -> None:
        self.member = urllib.parse.urlsplit(member).netloc
        self.port = 0
        self.requests = 0
        self.tokens: set[str] = set()
        self._mood = ''
        self._lie = b''
        self._go_on = threading.Event()
        self._server: _Server | None = None
        self.open()

    @property
    def url(self) -> str:
        return 'http://127.0.0.1:%d' % self.port

    def open(self) -> None:
        self._go_on.clear()
        self._server = _Server(self.port, self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,),
                         daemon=True, name='relay').start()

    def close(self) -> None:
        """Refuse connections, and break those that there are."""
        self._go_on.set()
        if self._server is not None:
            self._server.end()
            self._server = None

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self.open()

    def silent(self) -> contextlib.AbstractContextManager[None]:
        """Take requests, and pass none on."""
        return self._in('silent')

    def losing(self) -> contextlib.AbstractContextManager[None]:
        """Lose the answers to transactions that rest on something."""
        return self._in('losing')

    def lying(self, answer: bytes
              ) -> contextlib.AbstractContextManager[None]:
        """Answer everything with this."""
        return self._in('lying', answer)

    @contextlib.contextmanager
    def _in(self, mood: str, lie: bytes = b'') -> Iterator[None]:
        self._go_on.clear()
        self._mood, self._lie = mood, lie
        try:
            yield
        finally:
            self._mood = ''
            self._go_on.set()

    def answer(self, line: http.client.HTTPConnection, path: str,
               body: bytes, headers: dict[str, str]
               ) -> tuple[int, bytes] | None:
        """Return status and body, None: there is no answer.

        :raises OSError: the member cannot be reached.
        """
        self.requests += 1
        if 'Authorization' in headers:
            self.tokens.add(headers['Authorization'])
        mood, lie = self._mood, self._lie
        if mood == 'silent':
            self._go_on.wait()
            return None
        if mood == 'lying':
            return 200, lie
        line.request('POST', path, body, headers)
        response = line.getresponse()
        answered = response.status, response.read()
        if mood == 'losing' and _rests_on_something(body):
            return None
        return answered


def _rests_on_something(body: bytes) -> bool:
    said: Any = json.loads(body)
    return bool(said.get('compare'))


class _Server(socketserver.ThreadingTCPServer):
    """Listens in a member's place."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, relay: Relay) -> None:
        self.relay = relay
        self.lines: set[socket.socket] = set()
        super().__init__(('127.0.0.1', port), _Handler)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for line in list(self.lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Passes one connection's requests on."""

    server: _Server
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.lines.add(self.connection)
        self._member = http.client.HTTPConnection(self.server.relay.member,
                                                  timeout=30)

    def finish(self) -> None:
        self._member.close()
        self.server.lines.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *words: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        headers = {name: value for name, value in self.headers.items()
                   if name in ('Authorization', 'Content-Type')}
        answered = None
        with contextlib.suppress(OSError, http.client.HTTPException):
            answered = self.server.relay.answer(self._member, self.path,
                                                body, headers)
        if answered is None:
            self.close_connection = True
            return
        status, said = answered
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(said)))
            self.end_headers()
            self.wfile.write(said)
