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
"""A KumoScale provisioner's double: HTTPS, tokens, faults, a request log.

    with Double(certificates.make(directory)) as double:
        double.world.add_backend(...)
        double.faults.add(faults.Fault('drop', path='^volumes'))

It listens on one port of several addresses, as a provisioner with several
management addresses does; ``stop`` and ``start`` take one of them away and
bring it back.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import http.server
import json
import secrets
import socket
import socketserver
import ssl
import threading
import time
from typing import Any
import urllib.parse

from os_brick.agent.testing.kumoscale import api
from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.testing.kumoscale import control
from os_brick.agent.testing.kumoscale import faults
from os_brick.agent.testing.kumoscale import state


@dataclasses.dataclass(frozen=True)
class Request:
    """One request, as the double has it in its log.

    :ivar server: index of the address that it came to.
    :ivar moment: seconds, monotonic, at which it was carried out.
    :ivar seen: what the double's ``witness`` said just before that.
    """

    server: int
    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    moment: float = 0.0
    seen: Any = None


class _Server(http.server.ThreadingHTTPServer):
    """One address of the double."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], index: int,
                 double: Double) -> None:
        self.index = index
        self.double = double
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(double.certificates.server)
        context.load_verify_locations(double.certificates.ca)
        context.verify_mode = (ssl.CERT_REQUIRED if double.client_certificate
                               else ssl.CERT_OPTIONAL)
        # a client that stalls in its handshake must not stop the others
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        """Bind without asking the name service for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what the tests are about."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Close all connections that clients keep alive."""
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.open.discard(connection)   # the client was faster


class Double:
    """The provisioner, at one address or at several.

    :param made: its certificates, see ``certificates.make``.
    :ivar witness: asked for each call, by its method and path, what the world
        outside is like before the call is carried out.
    """

    def __init__(self, made: certificates.Certificates,
                 addresses: Sequence[str] = ('127.0.0.1', '127.0.0.2'),
                 port: int = 0, token: str = '',
                 client_certificate: bool = False) -> None:
        self.addresses = tuple(addresses)
        self.port = port
        self.client_certificate = client_certificate
        self.certificates = made
        self.tokens = {token or 'token-' + secrets.token_hex(16)}
        self.clients: dict[str, str] = {}
        self.token_lifetime: float | None = 3600.0
        self.world = state.World()
        self.faults = faults.Faults()
        self.requests: list[Request] = []
        self.witness: Callable[[str, str], Any] = lambda method, path: None
        self.token_requests = 0
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self._running: dict[int, tuple[_Server, threading.Thread]] = {}

    def __enter__(self) -> Double:
        self.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def token(self) -> str:
        return sorted(self.tokens)[0]

    @property
    def token_url(self) -> str:
        return 'https://%s:%d/oauth/token' % (self.addresses[0], self.port)

    def start(self, index: int | None = None) -> None:
        """Listen on one address, or on all that it does not listen on."""
        for i, address in enumerate(self.addresses):
            if i in self._running or index not in (None, i):
                continue
            server = _Server((address, self.port), i, self)
            self.port = server.server_address[1]
            thread = threading.Thread(
                target=server.serve_forever, daemon=True,
                kwargs={'poll_interval': 0.02})
            thread.start()
            self._running[i] = (server, thread)

    def stop(self, index: int | None = None) -> None:
        """Refuse connections on one address or on all, and cut the old."""
        for i in list(self._running):
            if index in (None, i):
                server, thread = self._running.pop(i)
                server.shutdown()
                thread.join()
                server.cut()
                server.server_close()

    def close(self) -> None:
        self.closing.set()
        self.stop()

    def grant(self) -> str:
        token = 'granted-' + secrets.token_hex(16)
        self.tokens.add(token)
        return token

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def calls(self, start: int = 0) -> list[str]:
        """The requests as 'METHOD path', in order."""
        return ['%s %s' % (request.method, request.path)
                for request in self.requests[start:]]


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the requests of one connection."""

    protocol_version = 'HTTP/1.1'
    # headers and body leave in two writes, which must not wait for an ACK
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The double keeps its own log of requests."""

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path).strip('/')
        query = dict(urllib.parse.parse_qsl(url.query))
        raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        double = self.server.double
        if path == 'oauth/token':
            self._grant(raw)
            return
        fault = double.faults.strike(self.command, path, self.server.index)
        if fault and fault.kind == 'delay':
            double.closing.wait(float(fault.value))
            fault = None
        kind = fault.kind if fault else ''
        body = None
        status, text = 200, b''
        try:
            body = json.loads(raw) if raw.strip() else {}
        except ValueError:
            kind, status = 'bad', 400
            text = json.dumps(api.refusal('BadJson', 'no JSON')).encode()
        with double.lock:
            moment = time.monotonic()
            seen = double.witness(self.command, path)
            if kind != 'bad' and not (fault and fault.instead):
                status, text = self._answer(url.path, query, body)
            elif fault:
                status, text = fault.answer()
            double.requests.append(Request(
                self.server.index, self.command, path, query, body, status,
                moment, seen))
        if kind in ('drop', 'drop_after'):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if kind == 'empty':
            text = b'[]'
        if kind == 'truncated':
            text = text[:max(1, len(text) // 2)]
        self._send(status, text, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, path: str, query: dict[str, str],
                body: Any) -> tuple[int, bytes]:
        double = self.server.double
        given = self.headers.get('Authorization', '')
        if given.removeprefix('Bearer ') not in double.tokens and not (
                double.client_certificate):
            return 401, b'HTTP Status 401 - Unauthorized'
        if path.startswith('/control/'):
            found = control.answer(double.faults, double.calls(),
                                   self.command, path, body)
            return 200, json.dumps(found).encode()
        answer = api.answer(double.world, self.command, path, query, body)
        return 200, json.dumps(answer).encode()

    def _grant(self, raw: bytes) -> None:
        double = self.server.double
        form = dict(urllib.parse.parse_qsl(raw.decode()))
        double.token_requests += 1
        wanted = double.clients.get(form.get('client_id', ''))
        if form.get('grant_type') != 'client_credentials' or (
                not wanted or form.get('client_secret') != wanted):
            self._send(401, b'{"error": "invalid_client"}')
            return
        granted: dict[str, object] = {
            'access_token': double.grant(), 'token_type': 'bearer'}
        if double.token_lifetime is not None:
            granted['expires_in'] = double.token_lifetime
        self._send(200, json.dumps(granted).encode())

    def _send(self, status: int, text: bytes,
              fault: faults.Fault | None = None) -> None:
        kind = fault.kind if fault else ''
        length = len(text)
        if fault and kind == 'huge':
            length = int(fault.value)
        if kind == 'trickle':
            length = 1 << 30
        if kind == 'short':
            length += 100
            self.close_connection = True
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(length))
        if fault and kind == 'redirect':
            self.send_header('Location', fault.value)
        self.end_headers()
        self.wfile.write(text)
        if kind == 'huge':
            chunk = b'[' + b' ' * 65535
            for _ in range(length // len(chunk)):
                self.wfile.write(chunk)
            self.close_connection = True
        if kind == 'trickle':
            self.close_connection = True
            while not self.server.double.closing.wait(0.02):
                self.wfile.write(b' ')
