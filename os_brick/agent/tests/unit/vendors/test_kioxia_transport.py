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
"""The KumoScale driver's transport: fail-over, TLS, tokens, bad answers."""

import os
import subprocess

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.vendors import base

HOST = fixture.HOST


class FailOverTestCase(fixture.KioxiaTestCase):

    def servers(self):
        return [request.server for request in self.double.requests]

    def test_one_connection_is_kept(self):
        driver = self.driver()
        for _ in range(3):
            driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, self.log.output.count('new HTTPS connection'))

    def test_keeps_to_the_address_that_answered(self):
        driver = self.driver()
        self.double.stop(0)
        driver.heartbeat(HOST, 30.0)
        self.double.start(0)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([1, 1], self.servers())
        self.double.stop(1)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([1, 1, 0], self.servers())

    def test_a_request_that_was_not_sent_goes_elsewhere(self):
        """Also one that must not be repeated."""
        volume = self.volume()
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(volume)], [])
        self.double.stop(0)
        driver.request_replacement(found, found.replicas[0])
        self.assertEqual(3, len(volume['_replicas']))

    def test_failing_primary(self):
        driver = self.driver()
        for kind in ('drop', 'error500', 'short'):
            self.spoil(kind, server=0, count=None)
            driver.heartbeat(HOST, 30.0)
            self.assertEqual(1, self.servers()[-1], kind)
            driver._rest._current = 0
            self.double.faults.clear()
        self.assertEqual([], self.pauses)

    def test_repeated_with_back_off(self):
        driver = self.driver()
        self.spoil('drop', count=2)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([0.5], self.pauses)
        self.assertEqual(1, len(self.world.probes))

    def test_repeating_ends(self):
        driver = self.driver()
        for kind in ('drop', 'error500', 'short'):
            before = len(self.calls())
            self.spoil(kind, count=None)
            self.assertRaises(base.Unavailable, driver.heartbeat, HOST, 30.0)
            self.assertEqual(4, len(self.calls()) - before, kind)
            self.double.faults.clear()

    def test_an_event_is_sent_once(self):
        driver = self.driver()
        self.spoil('drop_after', count=None)
        self.assertRaises(base.Unavailable, driver.report_event,
                          model.Event('X', 'INFO', 'message'))
        self.assertEqual(1, len(self.world.logs))

    def test_an_outage_costs_one_attempt_for_each_heartbeat(self):
        volume = self.volume()
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(volume)], [])
        self.double.stop()
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        for address in self.double.addresses:
            self.assertIn('https://%s:%d' % (address, self.double.port),
                          str(error))
        self.double.start()
        before = len(self.calls())
        for call in (
                lambda: driver.get_volumes(HOST, [self.array(volume)], []),
                lambda: driver.report_replica_state(
                    found, found.replicas[0], model.ReplicaState.MISSING)):
            self.assertRaises(base.Unavailable, call)
        self.assertEqual(before, len(self.calls()))
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, len(driver.get_volumes(
            HOST, [self.array(volume)], [])))

    def test_silence_ends_without_a_heartbeat(self):
        now = [0.0]
        driver = self.probed()
        driver._rest._clock = lambda: now[0]
        self.double.stop()
        event = model.Event('X', 'INFO', 'message')
        self.assertRaises(base.Unavailable, driver.report_event, event)
        self.double.start()
        self.assertRaises(base.Unavailable, driver.report_event, event)
        now[0] = 31.0
        driver.report_event(event)
        self.assertEqual(1, len(self.world.logs))

    def test_read_time_out(self):
        driver = self.driver(kioxia_read_timeout=0.2)
        self.spoil('delay', value='600', count=None)
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('no answer within 0.2 s', str(error))

    def test_an_answer_that_does_not_end(self):
        driver = self.driver(kioxia_read_timeout=1.0)
        self.spoil('trickle', count=None)
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('did not end within 1 s', str(error))


class HostileAnswerTestCase(fixture.KioxiaTestCase):

    def raised(self, error, *words, driver=None, **fields):
        driver = driver or self.probed()
        self.spoil(path='^volumes', count=None, **fields)
        found = self.assertRaises(
            error, driver.get_volumes, HOST,
            [self.array({'alias': 'vol-1', '_replicas': []})], [])
        for word in words:
            self.assertIn(word, str(found))
        self.double.faults.clear()
        self.assertLess(len(str(found)), 600)

    def test_html(self):
        self.raised(base.BadAnswer, 'no JSON', '<html>', kind='html')

    def test_truncated(self):
        self.volume()
        self.raised(base.BadAnswer, 'no JSON', kind='truncated')

    def test_too_large(self):
        self.raised(base.BadAnswer, 'larger than 16777216 bytes',
                    kind='huge', value=str(100 << 20))

    def test_redirect(self):
        with server.Double(self.certificates) as other:
            self.raised(base.BadAnswer, 'redirect', '127.0.0.1:%d' %
                        other.port, kind='redirect',
                        value='https://u:pw@127.0.0.1:%d/x' % other.port)
            self.assertEqual([], other.requests)
        self.assertNotIn('pw@', self.log.output)

    def test_error_500(self):
        self.raised(base.Unavailable, 'HTTP 500', kind='error500')

    def test_credentials(self):
        for kind in ('unauthorized', 'forbidden', 'status401'):
            self.raised(base.Unauthorized, 'kioxia_provisioner_token',
                        kind=kind)

    def test_an_alias_is_no_refusal(self):
        volume = self.volume('Status 401')
        self.assertEqual(1, len(self.probed().get_volumes(
            HOST, [self.array(volume)], [])))

    def test_refusal_of_a_read(self):
        self.raised(base.BadAnswer, 'InternalError', 'refused on request',
                    kind='refusal', value='InternalError')

    def test_refusal_of_a_read_because_it_is_not_there(self):
        driver = self.probed()
        self.spoil('refusal', path='^volumes', value='NotExists')
        self.assertEqual([], driver.get_volumes(HOST, [self.array(
            {'alias': 'vol-1', '_replicas': []})], []))

    def test_not_a_list(self):
        for text in ('{}', '42', '"text"', 'null', '', '{"status": 7}'):
            self.raised(base.BadAnswer, kind='body', value=text)

    def test_lenient_json(self):
        for text in ('[NaN]', '[' * 100000, '[1e', '\x00', '["\ud800"]'
                     .encode('utf-8', 'replace').decode() + ']',
                     '[%s]' % ('9' * 10000)):
            driver = self.probed()
            self.spoil('body', value=text, path='^volumes', count=None)
            try:
                found = driver.get_volumes(HOST, [self.array(
                    {'alias': 'vol-1', '_replicas': []})], [])
            except base.BadAnswer:
                found = []
            self.assertEqual([], found)
            self.double.faults.clear()

    def test_a_text_is_shortened_and_printable(self):
        self.raised(base.BadAnswer, kind='body',
                    value='\x1b[31m\n' + 'x' * 100000)
        self.assertNotIn('\x1b', self.log.output)


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

    def test_environment_is_ignored(self):
        netrc = os.path.join(self.directory, 'netrc')
        with open(netrc, 'w') as stream:
            stream.write('machine 127.0.0.1 login a password b\n')
        self.useFixture(fixture.fixtures.EnvironmentVariable('NETRC', netrc))
        self.useFixture(fixture.fixtures.EnvironmentVariable(
            'HTTPS_PROXY', 'http://127.0.0.1:1'))
        self.driver().heartbeat(HOST, 30.0)
        self.assertEqual(1, len(self.world.probes))


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
