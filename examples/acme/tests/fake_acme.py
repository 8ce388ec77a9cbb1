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
"""ACME's provisioner in memory, over HTTPS, and what can go wrong with it."""

from __future__ import annotations

import http.server
import json
import pathlib
import ssl
import subprocess
import threading


def uuid(number):
    return '00000000-0000-4000-8000-%012d' % number


def make_certificate(directory):
    """Return the path of a certificate with its key, for 127.0.0.1."""
    path = pathlib.Path(directory) / 'acme.pem'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
         '/CN=acme', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout',
         path.with_suffix('.key'), '-out', path],
        check=True, capture_output=True)
    return str(path)


class Acme:
    """:ivar mood: what is wrong: '', silence, lost, or the text to answer."""

    def __init__(self, certificate, token):
        self.token = token
        self.spares = 100
        self.mood = ''
        self.released = threading.Event()
        self.lock = threading.Lock()
        self._last = 100
        self.volumes = [self._volume(1), self._volume(2)]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(
            certificate, certificate.replace('.pem', '.key'))
        self._port = 0
        self._server = None

    @property
    def url(self):
        return 'https://127.0.0.1:%d' % self._port

    def start(self):
        handler = type('Handler', (_Handler,), {'acme': self})
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', self._port), handler)
        self._server.socket = self._context.wrap_socket(
            self._server.socket, server_side=True,
            do_handshake_on_connect=False)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, daemon=True,
            kwargs={'poll_interval': 0.02})
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _volume(self, number):
        return {'uuid': uuid(number), 'alias': 'vol-%d' % number,
                'size': 2 ** 30, 'replica_count': 2,
                'max_replica_down_time': 600,
                'replicas': [self._replica(10 * number + slot, 'AVAILABLE')
                             for slot in range(2)]}

    @staticmethod
    def _replica(number, state):
        return {'uuid': uuid(number), 'state': state,
                'nqn': 'nqn.2014-08.com.acme:%d' % number,
                'portals': [['192.0.2.%d' % (number % 250 + 1), 4420]]}

    def answer(self, method, path, body):
        """Return HTTP status and JSON."""
        parts = path.strip('/').split('/')
        if parts[0] == 'hosts':
            return 200, (self.volumes if method == 'GET'
                         else {'done': True})
        volume = next((volume for volume in self.volumes
                       if volume['uuid'] == parts[1]), None)
        replica = next((replica for replica in volume['replicas']
                        if replica['uuid'] == parts[3]), None)
        if replica is None:
            return 404, {'error': 'no replica %s' % parts[3]}
        gone = replica['state'] == 'TERMINATING'
        verb = parts[4] if len(parts) > 4 else 'delete'
        if verb == 'state':
            if gone:
                return 409, {'error': 'the replica is TERMINATING'}
            replica['state'] = body
        elif verb == 'replacement' and 'successor' not in replica:
            if not self.spares:
                return 409, {'error': 'there is no spare'}
            self.spares -= 1
            self._last += 1
            replica['successor'] = uuid(self._last)
            volume['replicas'].append(self._replica(self._last, 'UNKNOWN'))
        elif verb == 'retired':
            replica['state'] = 'TERMINATING'
        elif verb == 'delete':
            if not gone:
                return 409, {'error': 'the replica is to stay'}
            volume['replicas'].remove(replica)
        return 200, {'done': True}


class _Handler(http.server.BaseHTTPRequestHandler):
    # a connection for each request: none outlives an outage
    protocol_version = 'HTTP/1.0'
    disable_nagle_algorithm = True

    def log_message(self, format, *arguments):
        """The tests look at the driver's log."""

    def _serve(self):
        acme = self.acme
        raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if acme.mood == 'silence':
            acme.released.wait()
            self.close_connection = True
            return
        if self.headers['Authorization'] != 'Bearer ' + acme.token:
            status, text = 401, '{"error": "who are you?"}'
        elif acme.mood and acme.mood != 'lost':
            status, text = 200, acme.mood
        else:
            with acme.lock:
                status, answer = acme.answer(
                    self.command, self.path, json.loads(raw or b'null'))
                text = json.dumps(answer)
            if acme.mood == 'lost':
                self.close_connection = True
                return
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = do_DELETE = _serve
