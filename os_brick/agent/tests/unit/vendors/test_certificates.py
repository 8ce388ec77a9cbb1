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
"""When a certificate ends, as openssl says and as it is read."""

from __future__ import annotations

import datetime
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from unittest import mock

from oslotest import base

from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import certificates

LONG = 60


class CertificateCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def make(self, days: int, name: str = 'one') -> str:
        """Return the path of a file with a certificate and its key."""
        key, cert = self.folder / (name + '.key'), self.folder / name
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:prime256v1', '-nodes', '-days', str(days),
             '-subj', '/CN=x', '-keyout', str(key), '-out', str(cert)],
            check=True, timeout=LONG, capture_output=True)
        both = self.folder / (name + '.pem')
        both.write_text(key.read_text() + cert.read_text())
        return str(both)

    def says(self, path: str) -> float:
        """What openssl says of it."""
        said = subprocess.run(
            ['openssl', 'x509', '-enddate', '-noout', '-in', path],
            check=True, timeout=LONG, capture_output=True, text=True).stdout
        return datetime.datetime.strptime(
            said.strip(), 'notAfter=%b %d %H:%M:%S %Y GMT').replace(
                tzinfo=datetime.timezone.utc).timestamp()


class FileTest(CertificateCase):

    def test_both_kinds_of_time(self) -> None:
        # from 2050 on it is a GeneralizedTime
        for days in (2, 12000):
            path = self.make(days, 'd%d' % days)
            self.assertEqual(self.says(path), certificates.of_file(path))
            self.assertAlmostEqual(time.time() + days * 86400,
                                   certificates.of_file(path), delta=LONG)

    def test_of_a_chain_the_first_that_ends(self) -> None:
        path, other = self.make(20, 'a'), self.make(10, 'b')
        with open(path, 'a', encoding='ascii') as chain:
            chain.write(pathlib.Path(other).read_text(encoding='ascii'))
        self.assertEqual(self.says(other), certificates.of_file(path))

    def test_what_is_none(self) -> None:
        path = self.make(2)
        der = ssl.PEM_cert_to_DER_cert(
            (self.folder / 'one').read_text(encoding='ascii'))
        for content in (b'', b'0', bytes(100), b'\xff' * 100, der[:100],
                        der[:-1], der[1:]):
            self.assertRaises(ValueError, certificates.ends, content)
        pathlib.Path(path).write_bytes(b'\xff\x00')
        self.assertRaises(ValueError, certificates.of_file, path)
        for wrong in (path, '/nowhere'):
            error = self.assertRaises(
                vendor.ConfigurationError, certificates.in_use, [], 1.0,
                'acme_cert_file', wrong)
            self.assertIn('acme_cert_file', str(error))
            self.assertIn(wrong, str(error))


class ServerTest(CertificateCase):

    def serve(self, path: str) -> int:
        """Show a certificate, once; return the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        listening = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listening.close)
        listening.settimeout(LONG)

        def once() -> None:
            plain, _address = listening.accept()
            plain.settimeout(LONG)
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

        thread = threading.Thread(target=once)
        thread.start()
        self.addCleanup(thread.join)
        return int(listening.getsockname()[1])

    def test_one_that_nobody_trusts_has_a_date_too(self) -> None:
        path = self.make(3)
        self.assertEqual(self.says(path), certificates.of_server(
            '127.0.0.1', self.serve(path), LONG))

    def test_those_that_answer_are_listed(self) -> None:
        path = self.make(3)
        with socket.create_server(('127.0.0.1', 0)) as gone:
            closed = int(gone.getsockname()[1])
        found = certificates.in_use(
            [('127.0.0.1', closed), ('127.0.0.1', self.serve(path))], LONG,
            'acme_cert_file', path)
        self.assertEqual(['of the provisioner at 127.0.0.1',
                          'of this host (option acme_cert_file)'],
                         [one.whose for one in found])
        self.assertEqual({self.says(path)}, {one.ends_at for one in found})

    def test_many_that_are_silent_are_not_waited_for_in_turn(self) -> None:
        asked: list[float] = []
        now = [0.0]

        def silent(host: str, port: int, timeout: float, *more: object
                   ) -> float:
            asked.append(timeout)
            now[0] += 2 * timeout
            raise OSError('it says nothing')

        with mock.patch.object(certificates, 'of_server', silent), \
                mock.patch('time.monotonic', lambda: now[0]):
            self.assertEqual([], certificates.in_use(
                [('192.0.2.1', 1)] * 50, 60.0, 'acme_cert_file'))
        self.assertEqual([certificates.PATIENCE] * 2, asked)

    def test_a_silent_server_is_not_waited_for(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as silent:
            port = silent.getsockname()[1]
            self.assertRaises(OSError, certificates.of_server, '127.0.0.1',
                              port, 0.05)
