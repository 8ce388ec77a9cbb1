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
"""When a certificate ends: one in a file, and one that a server shows.

A server's is asked for by a connection of its own that verifies nothing and
sends nothing: the date is wanted most of one that is no longer valid.
"""

from __future__ import annotations

from collections.abc import Iterable
import re
import socket
import ssl
import time

from os_brick.agent import model
from os_brick.agent.vendors import base

#: Seconds for one server, to connect and again for the handshake; and for
#: all of them: a pass waits for it.
PATIENCE, BOUND = 5.0, 20.0
_PEM = re.compile('-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----',
                  re.DOTALL)


def in_use(servers: Iterable[tuple[str, int]], timeout: float, option: str,
           cert: str | None = None, key: str | None = None
           ) -> list[model.Certificate]:
    """Return those of the servers that answer, and this host's.

    :param option: names ``cert``.
    :raises base.ProvisionerError: one of them makes no sense.
    """
    found = []
    until = time.monotonic() + BOUND
    for host, port in servers:
        left = until - time.monotonic()
        if left <= 0:
            break    # the next time may be a better one
        try:
            found.append(model.Certificate(
                'of the provisioner at %s' % host,
                of_server(host.strip('[]'), port,
                          min(timeout, PATIENCE, left), cert, key)))
        except ValueError as error:
            raise base.BadAnswer('the certificate of %s: %s' % (
                host, error)) from None
        except OSError:
            # that it does not answer is found out, and said, elsewhere
            continue
    if cert:
        try:
            found.append(model.Certificate(
                'of this host (option %s)' % option, of_file(cert)))
        except (OSError, ValueError) as error:
            raise base.ConfigurationError('option %s: %s' % (
                option, error)) from None
    return found


def of_file(path: str) -> float:
    """Return when the first of a PEM file's certificates ends.

    Of several, a chain, the first that ends breaks it.

    :returns: seconds since the epoch.
    :raises OSError: it cannot be read.
    :raises ValueError: it holds none.
    """
    with open(path, encoding='ascii', errors='replace') as stream:
        found = _PEM.findall(stream.read())
    if not found:
        raise ValueError('%s holds no certificate' % path)
    return min(ends(ssl.PEM_cert_to_DER_cert(text)) for text in found)


def of_server(host: str, port: int, timeout: float, cert: str | None = None,
              key: str | None = None) -> float:
    """Return when the certificate of a server ends.

    :param timeout: seconds, to connect and again for the handshake.
    :param cert: the PEM file of this host's, for servers that want one.
    :raises OSError: it shows none.
    :raises ValueError: what it shows is none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key, password='')
    with socket.create_connection((host, port), timeout) as plain:
        # the time-out of a handshake is that of all of it
        with context.wrap_socket(plain, server_hostname=host) as wrapped:
            return ends(wrapped.getpeercert(True) or b'')


def ends(der: bytes) -> float:
    """Return the end of a certificate's validity, since the epoch.

    :raises ValueError: it is no certificate.
    """
    # a driver without certificates does not load it
    from cryptography import x509
    try:
        return x509.load_der_x509_certificate(
            der).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise ValueError('it is no certificate: %s' % error) from None
