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
"""The head of an HTTP answer: it ends in time, and the request was sent.

A time-out of requests is one for each read.  Who sends a byte of a head now
and then, or one ``100 Continue`` after the other, would be waited for without
an end (S14).  And TLS has one error for what fails before a request is sent
and after: that of a read is told apart here.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import http.client
import socket
import ssl
import threading
from typing import Any

import requests
from requests import adapters
from urllib3 import connection
from urllib3 import connectionpool


class _Connection:
    """What is added to a connection of urllib3's.

    :ivar seconds: for a head, from when the request was sent.
    """

    seconds: float
    sock: socket.socket

    def getresponse(self, *args: Any, **words: Any) -> Any:
        """:raises TimeoutError: the head did not end in time.

        :raises ConnectionResetError: what came is no TLS (any more), or not
            all of it.
        """
        sock = self.sock    # an answer that ends with it takes it away
        with _until(sock, self.seconds) as late:
            try:
                found = super().getresponse(  # type: ignore[misc]
                    *args, **words)
                found.socket_of = sock
            except (OSError, http.client.HTTPException) as error:
                if not late.is_set():
                    if isinstance(error, ssl.SSLError) and not _of_ours(
                            error):
                        raise ConnectionResetError(str(error)) from error
                    raise
        if late.is_set():
            # what is cut off looks like a head that has ended
            raise TimeoutError('timed out')
        if _cut_off(found):
            found.close()
            raise ConnectionResetError('the head of the answer was cut off')
        return found


def _cut_off(found: Any) -> bool:
    """Whether the connection ended before the head did.

    http.client takes that for the end of the head, and what is missing of it
    for an empty body.  A whole head says how long its body is, or that the
    connection ends with it (RFC 9112, sections 6.3 and 9.6).
    """
    said = found.headers.get('Connection', '').lower()
    # before 2.0 urllib3 has it from http.client
    length = (found.length_remaining if hasattr(found, 'length_remaining')
              else found.length)
    return (found.version >= 11 and length is None
            and not found.chunked
            and 'close' not in map(str.strip, said.split(',')))


def _of_ours(error: ssl.SSLError) -> bool:
    """Whether the other side refuses our certificate, and so the request.

    With TLS 1.3 it says so only after the handshake.
    """
    return any(word in (error.reason or '')
               for word in ('CERTIFICATE', 'UNKNOWN_CA'))


def ending(raw: Any, seconds: float
           ) -> contextlib.AbstractContextManager[threading.Event]:
    """Let the connection of an answer end if this takes longer.

    :param raw: urllib3's response, of a session that ``bound`` has.
    :returns: gives the event that is set when it has ended.
    """
    # before 2.0 urllib3 wraps what the connection has returned
    answer = raw if hasattr(raw, 'socket_of') else raw._original_response
    return _until(answer.socket_of, seconds)


@contextlib.contextmanager
def _until(sock: socket.socket, seconds: float) -> Iterator[threading.Event]:
    late, over, turn = threading.Event(), threading.Event(), threading.Lock()

    def end() -> None:
        with turn:
            if over.is_set():
                return    # it was called off in the last moment
            late.set()
        with contextlib.suppress(OSError):
            # not that of ssl, which would take the encryption off
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        with turn:
            over.set()


class _Adapter(adapters.HTTPAdapter):
    """Makes such connections, for one session."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def init_poolmanager(self, *args: Any, **words: Any) -> None:
        super().init_poolmanager(*args, **words)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {'ConnectionCls': type(
                kind.__name__, (_Connection, kind),
                {'seconds': self._seconds})})
            for scheme, pool, kind in (
                ('http', connectionpool.HTTPConnectionPool,
                 connection.HTTPConnection),
                ('https', connectionpool.HTTPSConnectionPool,
                 connection.HTTPSConnection))}


def bound(session: requests.Session, seconds: float) -> None:
    """Have the heads of all its answers end within some seconds each."""
    for prefix in ('https://', 'http://'):
        session.mount(prefix, _Adapter(seconds))
