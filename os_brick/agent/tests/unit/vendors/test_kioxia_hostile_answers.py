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
"""The KumoScale driver is answered with what is no answer."""

from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.vendors import base

HOST = fixture.HOST


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
