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
"""The driver keeps the contract of the agent."""

import contextlib
import shutil
import tempfile
import unittest
from unittest import mock

from acme_agent import driver
from os_brick.agent.testing.conformance import hooks
from os_brick.agent.testing.conformance import suite
from tests import fake_acme

TOKEN = 'acme-6ead4711'
NONSENSE = {'an HTML page': '<html>Log in</html>', 'half of a list':
            '[{"uuid": "0000', 'nothing': '', 'a number': '5',
            'another answer': '{"status": "ok"}'}


class TestAcmeConformance(suite.DriverConformance, unittest.TestCase):

    vendor = 'acme'
    aliases = ('vol-1', 'vol-2')
    story_examples = history_examples = 5

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place = tempfile.mkdtemp(prefix='acme-')
        cls.addClassCleanup(shutil.rmtree, cls.place)
        cls.certificate = fake_acme.make_certificate(cls.place)

    def setUp(self):
        super().setUp()
        self.acme = fake_acme.Acme(self.certificate, TOKEN)
        self.acme.start()
        self.addCleanup(self.acme.stop)
        self.addCleanup(self.acme.released.set)

    def make_driver(self):
        return self.made()

    def made(self, **settings):
        timeout = 2.0 if 'silence' in self._testMethodName else 20.0
        return driver.AcmeDriver(self.configure(driver.AcmeDriver, **{
            'acme_url': self.acme.url, 'acme_token': TOKEN,
            'acme_ca_file': self.certificate, 'acme_timeout': timeout,
            **settings}))

    def secrets(self):
        return [TOKEN]

    @contextlib.contextmanager
    def outage(self):
        self.acme.stop()
        try:
            yield
        finally:
            self.acme.start()

    @contextlib.contextmanager
    def _in(self, mood):
        self.acme.mood = mood
        try:
            yield
        finally:
            self.acme.mood = ''
            self.acme.released.set()

    def silence(self):
        return self._in('silence')

    def lost_answer(self):
        return self._in('lost')

    def hostile_answers(self):
        return [(name, self._in(text or ' '))
                for name, text in NONSENSE.items()]

    @contextlib.contextmanager
    def refused_credentials(self):
        self.acme.token = 'another'
        yield
        self.acme.token = TOKEN

    @contextlib.contextmanager
    def broken_volume(self):
        self.acme.volumes[1]['size'] = 'much'
        yield 'vol-2'
        self.acme.volumes[1]['size'] = 2 ** 30

    @contextlib.contextmanager
    def without_spares(self):
        self.acme.spares = 0
        yield

    def impossible_settings(self):
        for option in ('acme_url', 'acme_token'):
            yield option, self.made(**{option: None})
        yield 'acme_ca_file', self.made(acme_ca_file='/nonexistent')

    def live_changes(self):
        yield hooks.LiveChange('acme_timeout', 7.0, self._waits_for_7_s)
        self.acme.token = 'renewed-4711'
        yield hooks.LiveChange('acme_token', self.acme.token, self.ask_it)

    def ask_it(self, made):
        self.assertIsNone(self.error_of(lambda: self.ask(made)))

    def _waits_for_7_s(self, made):
        with mock.patch.object(
                made._session, 'request',
                side_effect=made._session.request) as request:
            self.ask(made)
        self.assertEqual(7.0, request.call_args.kwargs['timeout'])
