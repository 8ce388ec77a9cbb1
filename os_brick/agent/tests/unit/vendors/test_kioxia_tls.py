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
"""Whom the KumoScale driver trusts, and by which certificate it is known."""

import os
import socket
import ssl
import subprocess
import threading

from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.vendors import base
from os_brick.agent.vendors.kumoscale import wire

HOST = fixture.HOST


class TlsTestCase(fixture.KioxiaTestCase):

    def test_a_stranger_is_told_nothing(self):
        driver = self.driver(kioxia_ca_file=self.certificates.stranger)
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('kioxia_ca_file', str(error))
        self.assertEqual([], self.double.requests)

    def test_the_system_store_by_default(self):
        driver = self.driver(kioxia_ca_file='')
        self.assertRaises(base.Unavailable, driver.heartbeat, HOST, 30.0)
        self.assertEqual([], self.double.requests)

        self.useFixture(fixture.fixtures.EnvironmentVariable(
            'SSL_CERT_FILE', self.certificates.ca))
        self.driver(kioxia_ca_file='').heartbeat(HOST, 30.0)
        self.assertEqual(1, len(self.world.probes))

    def test_another_hosts_certificate(self):
        with server.Double(self.certificates, ['127.0.0.3']) as double:
            driver = self.driver(kioxia_provisioner_ip=['127.0.0.3'],
                                 kioxia_provisioner_port=double.port)
            error = self.assertRaises(base.Unavailable, driver.heartbeat,
                                      HOST, 30.0)
            self.assertIn('127.0.0.3', str(error))
            self.assertEqual([], double.requests)

    def test_insecure_is_warned_about(self):
        driver = self.driver(kioxia_ca_file='', kioxia_tls_insecure=True)
        self.assertIn('kioxia_tls_insecure', self.log.output)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, len(self.world.probes))

    def test_client_certificate(self):
        with server.Double(self.certificates,
                           client_certificate=True) as double:
            options = {'kioxia_provisioner_port': double.port,
                       'kioxia_provisioner_token': ''}
            self.driver(kioxia_cert_file=self.certificates.client,
                        **options).heartbeat(HOST, 30.0)
            self.assertEqual(1, len(double.world.probes))
            options['kioxia_provisioner_token'] = 'token'
            self.assertRaises(base.Unavailable,
                              self.driver(**options).heartbeat, HOST, 30.0)

    def test_encrypted_key_is_refused_and_not_asked_for(self):
        path = os.path.join(self.directory, 'encrypted.pem')
        subprocess.run(
            ['openssl', 'ec', '-aes256', '-passout', 'pass:phrase', '-in',
             self.certificates.client, '-out', path], check=True,
            timeout=60, capture_output=True)
        with open(path, 'a') as both, open(
                self.certificates.client) as client:
            both.write(client.read().partition('-----END PRIVATE KEY-----'
                                               )[2])
        error = self.assertRaises(base.ConfigurationError, self.driver,
                                  kioxia_cert_file=path)
        self.assertIn('unencrypted key', str(error))

    def test_an_answer_that_is_no_tls_any_more(self):
        """The request has arrived, and may have been carried out."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates.server)
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        done = threading.Event()
        self.addCleanup(done.set)

        def serve():
            stream = context.wrap_socket(listener.accept()[0],
                                         server_side=True)
            stream.recv(65536)
            with socket.socket(fileno=stream.detach()) as plain:
                # a record whose tag does not fit
                plain.sendall(b'\x17\x03\x03\x00\x20' + bytes(32))
                done.wait(30.0)
        threading.Thread(target=serve, daemon=True).start()
        sender = wire.Wire(wire.Settings(
            (), 0, self.certificates.ca, None, 20.0, 30.0), list)
        self.addCleanup(sender.close)
        self.assertRaises(wire.Lost, sender.send, 'POST',
                          'https://127.0.0.1:%d/replica'
                          % listener.getsockname()[1])

    def test_environment_is_ignored(self):
        netrc = os.path.join(self.directory, 'netrc')
        with open(netrc, 'w') as stream:
            stream.write('machine 127.0.0.1 login a password b\n')
        self.useFixture(fixture.fixtures.EnvironmentVariable('NETRC', netrc))
        self.useFixture(fixture.fixtures.EnvironmentVariable(
            'HTTPS_PROXY', 'http://127.0.0.1:1'))
        self.driver().heartbeat(HOST, 30.0)
        self.assertEqual(1, len(self.world.probes))
