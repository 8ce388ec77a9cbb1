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
"""S14: an answer ends, head and body, for whichever driver asks."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import socket
import threading

from oslotest import base

from os_brick.agent.vendors import base as vendors
from os_brick.agent.vendors.fleet import wire as etcd
from os_brick.agent.vendors.kumoscale import wire as kumoscale

LIMIT, STEP = 0.5, 0.05
#: Seconds for which a hostile server goes on: much longer than the limit.
PATIENCE = 20.0


class AnswersTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.end = threading.Event()
        self.addCleanup(self.end.set)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self.listener.close)
        self.url = 'http://127.0.0.1:%d' % self.listener.getsockname()[1]

    def serve(self, *pieces: bytes) -> None:
        """Answer with pieces, the last one again and again, if not b''."""
        def body() -> None:
            with contextlib.suppress(OSError):
                client = self.listener.accept()[0]
                with client:
                    client.recv(65536)
                    client.sendall(b''.join(pieces[:-1]))
                    while pieces[-1] and not self.end.wait(STEP):
                        client.sendall(pieces[-1])
        threading.Thread(target=body, daemon=True).start()

    def ends(self, call: Callable[[], object]) -> Exception:
        """Return what a call raised, which has to end by itself."""
        raised: list[Exception] = []

        def body() -> None:
            try:
                call()
            except Exception as error:
                raised.append(error)
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive(), 'it is waited for without an end')
        self.assertEqual(1, len(raised), 'it was taken for an answer')
        return raised[0]

    def kioxia(self) -> Exception:
        wire = kumoscale.Wire(kumoscale.Settings(
            (), 0, True, None, PATIENCE, LIMIT), list)
        self.addCleanup(wire.close)
        return self.ends(lambda: wire.send('POST', self.url))

    def etcd(self) -> Exception:
        wire = etcd.Wire(etcd.Settings((self.url,), LIMIT))
        self.addCleanup(wire.close)
        return self.ends(lambda: wire.call('kv/txn', {}))

    def test_a_head_that_trickles(self) -> None:
        for driver, kind in ((self.kioxia, kumoscale.Slow),
                             (self.etcd, vendors.Unavailable)):
            self.serve(b'HTTP/1.1 200 OK\r\nServer: ', b'a')
            self.assertIsInstance(driver(), kind)

    def test_to_continue_without_an_end(self) -> None:
        for driver, kind in ((self.kioxia, kumoscale.Slow),
                             (self.etcd, vendors.Unavailable)):
            self.serve(b'HTTP/1.1 100 Continue\r\n\r\n')
            self.assertIsInstance(driver(), kind)

    def test_a_head_that_is_cut_off(self) -> None:
        """It is no word that anything was done (S6)."""
        for head in (b'HTTP/1.1 200', b'HTTP/1.1 200 OK\r\nServer: x',
                     b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chun'):
            for driver, kind in ((self.kioxia, kumoscale.Lost),
                                 (self.etcd, vendors.Unavailable)):
                self.serve(head, b'')
                self.assertIsInstance(driver(), kind)

    def test_a_body_that_trickles(self) -> None:
        """In chunks, of a length that is said, and to the connection's end."""
        for head, piece in ((b'Transfer-Encoding: chunked\r\n\r\n',
                             b'1\r\n \r\n'),
                            (b'Content-Length: 9999\r\n\r\n', b' '),
                            (b'Connection: close\r\n\r\n', b' ')):
            for driver, kind in ((self.kioxia, kumoscale.Slow),
                                 (self.etcd, vendors.Unavailable)):
                self.serve(b'HTTP/1.1 200 OK\r\n' + head, piece)
                self.assertIsInstance(driver(), kind, str(head))

    def test_a_body_that_is_cut_off(self) -> None:
        """What is there of it may be an answer, and another one (S8)."""
        for rest in (b'Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n',
                     b'Transfer-Encoding: chunked\r\n\r\n4\r\n[]',
                     b'Content-Length: 3\r\n\r\n[]'):
            for driver, kind in ((self.kioxia, kumoscale.Lost),
                                 (self.etcd, vendors.Unavailable)):
                self.serve(b'HTTP/1.1 200 OK\r\n' + rest, b'')
                self.assertIsInstance(driver(), kind, str(rest))
