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
"""Where the KumoScale driver has its token from, and that it stays secret."""

import os

from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors import base

HOST = fixture.HOST


class TokenTestCase(fixture.KioxiaTestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, 'token')
        self.write(self.double.token)

    def write(self, text, mode=0o600):
        """Replace the file, as an operator's tool does."""
        new = self.path + '.new'
        with open(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600),
                  'w') as stream:
            stream.write(text + '\n')
        os.chmod(new, mode)
        os.rename(new, self.path)

    def by_file(self):
        return self.driver(kioxia_provisioner_token='',
                           kioxia_provisioner_token_file=self.path)

    def by_oauth(self, **options):
        self.double.clients['agent'] = 'the-clients-own-secret'
        return self.driver(**{**{
            'kioxia_provisioner_token': '',
            'kioxia_token_url': self.double.token_url,
            'kioxia_client_id': 'agent',
            'kioxia_client_secret': 'the-clients-own-secret'}, **options})

    def test_file_is_read_again(self):
        driver = self.by_file()
        driver.heartbeat(HOST, 30.0)
        self.double.expire_tokens()
        error = self.assertRaises(base.Unauthorized, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('kioxia_provisioner_token_file', str(error))
        self.write(self.double.grant())
        driver.heartbeat(HOST, 30.0)

    def test_file_must_be_the_agents_alone(self):
        driver = self.by_file()
        self.write(self.double.token, 0o640)
        error = self.assertRaises(base.Unauthorized, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('mode 0640', str(error))
        self.assertRaises(base.ConfigurationError, self.by_file)
        os.unlink(self.path)
        error = self.assertRaises(base.ConfigurationError, self.by_file)
        self.assertIn(self.path, str(error))

    def test_secret_that_would_be_quoted_by_the_http_library(self):
        for secret in ('two words', 'line\nbreak', 'tökn'):
            error = self.assertRaises(
                base.ConfigurationError, self.driver,
                kioxia_provisioner_token=secret)
            self.assertNotIn(secret, str(error))

    def test_oauth(self):
        driver = self.by_oauth()
        for _ in range(3):
            driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, self.double.token_requests)

    def test_oauth_secret_from_a_file(self):
        self.write('the-clients-own-secret')
        self.by_oauth(kioxia_client_secret='',
                      kioxia_client_secret_file=self.path).heartbeat(
                          HOST, 30.0)
        self.assertEqual(1, len(self.world.probes))

    def test_oauth_is_renewed_before_it_expires(self):
        now = [1000.0]
        driver = self.by_oauth()
        driver._rest._credentials._clock = lambda: now[0]
        driver.heartbeat(HOST, 30.0)
        now[0] += 3600.0 - 31.0
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, self.double.token_requests)
        now[0] += 2.0
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(2, self.double.token_requests)

    def test_oauth_is_renewed_once_when_refused(self):
        self.double.token_lifetime = None
        driver = self.by_oauth()
        driver.heartbeat(HOST, 30.0)
        self.double.expire_tokens()
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(2, self.double.token_requests)
        self.spoil('status401', count=None)
        error = self.assertRaises(base.Unauthorized, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('kioxia_client_id', str(error))
        self.assertEqual(3, self.double.token_requests)

    def test_oauth_client_is_refused(self):
        driver = self.by_oauth()
        self.double.clients['agent'] = 'another'
        error = self.assertRaises(base.Unauthorized, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('kioxia_client_secret', str(error))

    def test_oauth_is_down(self):
        driver = self.by_oauth(kioxia_token_url='https://127.0.0.2:1/t')
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('kioxia_token_url', str(error))

    def test_configuration(self):
        for option, options in (
                ('kioxia_provisioner_ip', {'kioxia_provisioner_ip': []}),
                ('kioxia_provisioner_token',
                 {'kioxia_provisioner_token': ''}),
                ('kioxia_provisioner_token_file',
                 {'kioxia_provisioner_token_file': self.path}),
                ('kioxia_token_url', {
                    'kioxia_provisioner_token': '',
                    'kioxia_token_url': 'http://x/t'}),
                ('kioxia_token_url', {
                    'kioxia_provisioner_token': '',
                    'kioxia_client_id': 'x', 'kioxia_client_secret': 'y',
                    'kioxia_token_url': 'https://u:pw@x/t'}),
                ('kioxia_client_id', {
                    'kioxia_provisioner_token': '',
                    'kioxia_token_url': 'https://x/t'}),
                ('kioxia_client_secret', {
                    'kioxia_provisioner_token': '',
                    'kioxia_client_id': 'x',
                    'kioxia_token_url': 'https://x/t'}),
                ('kioxia_ca_file', {'kioxia_ca_file': '/nowhere'}),
                ('kioxia_ca_file', {'kioxia_ca_file': self.path}),
                ('kioxia_cert_file', {'kioxia_cert_file': '/nowhere'}),
                ('kioxia_cert_file',
                 {'kioxia_cert_file': self.certificates.ca})):
            error = self.assertRaises(base.ConfigurationError, self.driver,
                                      **options)
            self.assertIn(option, str(error))

    def test_down_at_the_start_is_no_error(self):
        self.double.stop()
        self.driver()

    def test_secrets_stay_secret(self):
        """Whatever goes wrong, and whoever quotes them back at us."""
        texts, secrets = [], []
        volume = self.volume()
        for driver, own in ((self.driver(), self.double.token),
                            (self.by_file(), self.double.token),
                            (self.by_oauth(), 'the-clients-own-secret')):
            driver._conf.log_opt_values(
                fixture.logging.getLogger('test'), fixture.logging.DEBUG)
            before = set(self.double.tokens)
            driver.heartbeat(HOST, 30.0)
            known = [own, *(self.double.tokens - before)]
            secrets += known
            echo = ' '.join(known)
            for kind, value in [
                    ('body', echo), ('body', '[{"uuid": "%s"}]' % echo),
                    ('body', '[{"uuid": "%s", "alias": "%s"}]' % (
                        volume['uuid'], echo)),
                    ('refusal', echo), ('redirect', 'https://%s/' %
                                        known[-1]),
                    ('drop', ''), ('error500', ''), ('status401', ''),
                    ('truncated', ''), ('short', '')]:
                self.spoil(kind, value=value, path='^(volumes|targets)',
                           count=None)
                try:
                    driver.get_volumes(HOST, [self.array(volume)], [
                        volume['_replicas'][0]['uuid']])
                except base.ProvisionerError as error:
                    texts.append(str(error))
                    texts.append(repr(error.__cause__))
                self.double.faults.clear()
        self.assertGreater(len(texts), 20)
        everything = self.log.output + ''.join(texts)
        self.assertIn('***', everything)
        for secret in secrets:
            self.assertNotIn(secret, everything)
