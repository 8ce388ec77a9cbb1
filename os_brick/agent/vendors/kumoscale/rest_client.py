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
"""The HTTPS transport to KumoScale's provisioner.

One session for all calls.  The management addresses are tried in order,
beginning with the one that answered last; what has certainly not reached one
address is sent to the next, and what is safe to repeat is also sent again
after it may have.  While no address can be reached, further calls fail at
once until ``wake`` or until ``quiet`` seconds have passed, so that an outage
costs one attempt for each pass and not one for each volume.

An answer is the provisioner's own when it is JSON in its shape.  An HTTP
status is any gateway's on the way: it never tells that a call was declined,
nor that it was carried out, and what was to be told is told again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import re
import time
import urllib.parse

from os_brick.agent.vendors import base
from os_brick.agent.vendors.kumoscale import answers
from os_brick.agent.vendors.kumoscale import auth
from os_brick.agent.vendors.kumoscale import wire

_ROUNDS = 2
_BACK_OFF = 0.5
_BUSY = (408, 425, 429)
NOT_THERE = ('NotExists', 'DeviceNotFound')
_WORD = re.compile(r'[A-Za-z][A-Za-z ]{0,63}\Z')
_WORDS = NOT_THERE + ('AlreadyPublished', 'VolumeNotPublished')


class Refused(base.Rejected):
    """A refusal with the provisioner's own status word."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


class Unreachable(base.Unavailable):
    """No address answers; asking again at once is useless."""


class Rest:
    """Asks the provisioner, at whichever address answers.

    :param clock: seconds, monotonic.
    :param pause: waits for seconds.
    """

    def __init__(self, settings: wire.Settings, credentials:
                 auth.Credentials,
                 clock: Callable[[], float] = time.monotonic,
                 pause: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._pause = pause
        self._current = 0
        self._slow = 0
        self._silence = ''
        self._silent_until = 0.0
        self.quiet = 30.0
        self._wire = wire.Wire(settings, credentials.secrets)

    @property
    def answering(self) -> str:
        """The URL of the address that has answered last."""
        return self._url(self._current, '')

    def close(self) -> None:
        self._wire.close()

    def wake(self) -> None:
        """Let the next call try, however it went before."""
        self._silence = ''

    def get(self, path: str,
            query: Mapping[str, str] | None = None) -> list[answers.Json]:
        """Return the list that a read answers.

        :raises ProvisionerError: none came.
        """
        try:
            found = self.call('GET', path, query=query)
        except Refused as refused:
            if refused.word in NOT_THERE:
                return []
            raise
        if not isinstance(found, list):
            raise base.BadAnswer('GET %s answered no list: %s' % (
                path, self._wire.excerpt(repr(found))))
        return found

    def call(self, method: str, path: str, body: answers.Json = None,
             query: Mapping[str, str] | None = None,
             repeatable: bool = True) -> answers.Json:
        """Return the answer's JSON, None where it is empty.

        :param repeatable: doing it twice is like doing it once.
        :raises ProvisionerError: see each class.
        """
        if self._silence and self._clock() < self._silent_until:
            raise Unreachable(self._silence)
        try:
            answer = self._anywhere(method, path, body, query, repeatable)
        except Unreachable as error:
            self._silence = str(error)
            self._silent_until = self._clock() + self.quiet
            raise
        self._silence = ''
        self._slow = 0
        try:
            return self._judge('%s %s' % (method, path), answer)
        except base.BadAnswer:
            # what stands at this address may not be a provisioner
            self._current = (self._current + 1) % len(
                self._settings.addresses)
            raise

    def _anywhere(self, method: str, path: str, body: answers.Json,
                  query: Mapping[str, str] | None,
                  repeatable: bool) -> wire.Answer:
        count = len(self._settings.addresses)
        what = '%s %s' % (method, path)
        for turn in range(_ROUNDS):
            troubles = []
            lost = slow = False
            answer = None
            for index in [(self._current + i) % count for i in range(count)]:
                url = self._url(index, path)
                try:
                    answer = self._authorized(method, url, body, query)
                except wire.NotSent as error:
                    troubles.append(str(error))
                    continue
                except wire.Lost as error:
                    troubles.append(str(error))
                    lost = True
                    slow |= isinstance(error, wire.Slow)
                    if repeatable:
                        continue
                    self._current = (index + 1) % count
                    raise base.Unavailable(
                        '%s: %s; whether it was carried out is not known' % (
                            what, error)) from None
                self._current = index
                if answer.status < 500 or not repeatable:
                    return answer
            if slow or not (lost or answer):
                break
            if turn + 1 < _ROUNDS:
                self._pause(_BACK_OFF)
        if answer is not None:
            return answer
        text = '%s: %s' % (what, '; '.join(troubles))
        self._slow += slow
        if not lost or self._slow > 1:
            raise Unreachable(text)
        self._current = (self._current + 1) % count
        raise base.Unavailable(text)

    def _url(self, index: int, path: str) -> str:
        address = self._settings.addresses[index]
        if ':' in address:
            address = '[%s]' % address.strip('[]')
        return 'https://%s:%d/%s' % (address, self._settings.port, path)

    def _authorized(self, method: str, url: str, body: answers.Json,
                    query: Mapping[str, str] | None) -> wire.Answer:
        token = self._credentials.bearer(self._post_form)
        answer = self._exchange(method, url, token, body, query)
        if answer.denied == 401:
            renewed = self._credentials.renew(token, self._post_form)
            if renewed is not None:
                answer = self._exchange(method, url, renewed, body, query)
        if answer.denied:
            raise base.Unauthorized(
                '%s %s: %s (%d); see option %s' % (
                    method, url, 'the credentials are refused'
                    if answer.denied == 401 else
                    'the credentials do not permit it', answer.denied,
                    self._credentials.option))
        return answer

    def _exchange(self, method: str, url: str, token: str,
                  body: answers.Json,
                  query: Mapping[str, str] | None) -> wire.Answer:
        headers = {'Authorization': 'Bearer ' + token} if token else {}
        return self._wire.send(method, url, headers=headers, json=body,
                               params=query)

    def _post_form(self, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        where = 'option kioxia_token_url: '
        try:
            answer = self._wire.send('POST', url, data=form)
        except (wire.NotSent, wire.Lost) as error:
            raise Unreachable(where + str(error)) from None
        return answer.status, answer.body

    def _judge(self, what: str, answer: wire.Answer) -> answers.Json:
        """Return what an answer says, or raise what it means."""
        if 300 <= answer.status < 400:
            host = urllib.parse.urlsplit(answer.location).netloc
            host = self._wire.excerpt(host.rpartition('@')[2]) or 'nowhere'
            raise base.BadAnswer('%s: a redirect to %s is not followed' % (
                what, host))
        problem = said = ''
        found: answers.Json = None
        if answer.body.strip():
            try:
                found = answers.decode(answer.body)
            except ValueError as error:
                said = self._wire.excerpt(
                    answer.body.decode('utf-8', 'replace'))
                problem = '%s: %s' % (error, said)
        word = _own_word(found)
        if isinstance(found, dict):
            said = self._wire.excerpt(found.get('description', ''))
        if answer.status >= 500 and word not in _WORDS or (
                answer.status in _BUSY):
            raise base.Unavailable('%s: HTTP %d: %s' % (
                what, answer.status, said))
        if word not in ('', 'Success'):
            raise Refused(word, '%s: %s: %s' % (
                what, self._wire.excerpt(word), said))
        if answer.status >= 400:
            raise base.BadAnswer(
                '%s: HTTP %d, not in the words of a provisioner: %s' % (
                    what, answer.status, said or self._wire.excerpt(
                        answer.body.decode('utf-8', 'replace'))))
        if problem:
            raise base.BadAnswer('%s: the answer is no JSON: %s' % (
                what, problem))
        if isinstance(found, dict) and 'status' in found and not word:
            raise base.BadAnswer(
                '%s: the answer is not in the words of a provisioner: %s' % (
                    what, self._wire.excerpt(repr(found))))
        if not what.startswith('GET ') and found is not None and not word:
            raise base.BadAnswer(
                '%s: the answer has no status: %s' % (
                    what, self._wire.excerpt(repr(found))))
        return found


def _own_word(found: answers.Json) -> str:
    """Return the status word of an answer in KumoScale's shape, else ''.

    A refusal of its own comes with a description.
    """
    if not isinstance(found, dict):
        return ''
    word = found.get('status')
    if word == 'Success':
        return 'Success'
    if (isinstance(word, str) and _WORD.match(word)
            and isinstance(found.get('description'), str)):
        return word
    return ''
