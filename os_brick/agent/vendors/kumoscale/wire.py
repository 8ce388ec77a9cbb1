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
"""One HTTPS exchange with KumoScale: TLS, time-outs, a bound on its size.

Tells apart what has certainly not reached the other side, what may have, and
what took too long; the layer above decides what that means for a call.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import re
from typing import NoReturn
import urllib.parse
import warnings

import requests
from urllib3 import exceptions as urllib3_exceptions

from os_brick.agent.vendors import base
from os_brick.agent.vendors import bodies
from os_brick.agent.vendors import heads
from os_brick.agent.vendors.kumoscale import answers

_DENIED = re.compile(r'Status (401|403)\b')
# Shorter ones could be part of something harmless.
_LONG_SECRET = 12


class TooLarge(base.BadAnswer):
    """The answer is larger than what is read."""


class NotSent(Exception):
    """The request has certainly not reached the provisioner."""


class Lost(Exception):
    """The request may have been carried out; no usable answer came."""


class Slow(Lost):
    """No answer came within the read time-out."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the provisioner is reached; from the options.

    :ivar verify: False, or the path of the CA certificates.

    Time-outs are seconds, ``size`` is bytes.
    """

    addresses: tuple[str, ...]
    port: int
    verify: str | bool
    cert: str | None
    connect_timeout: float
    read_timeout: float
    size: int = 16 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes
    location: str = ''

    @property
    def denied(self) -> int:
        """401 or 403 where the credentials are refused, else 0."""
        if self.status in (401, 403):
            return self.status
        head = self.body[:4096].decode('utf-8', 'replace').lstrip()
        # what stands in a list is some volume's property, no refusal
        match = None if head.startswith('[') else _DENIED.search(head)
        return int(match.group(1)) if match else 0


class Wire:
    """Sends one request and reads its answer.

    :param secrets: all that must not appear in a text.
    """

    def __init__(self, settings: Settings,
                 secrets: Callable[[], list[str]]) -> None:
        self._settings = settings
        self._secrets = secrets
        self._session = requests.Session()
        # neither a proxy nor the .netrc of the environment: the latter would
        # take the place of the token
        self._session.trust_env = False
        heads.bound(self._session, settings.read_timeout)
        self._session.verify = settings.verify
        self._session.cert = settings.cert
        self._session.headers.update({
            'Accept': 'application/json', 'Accept-Encoding': 'identity',
            'User-Agent': 'nvme-agent'})
        if settings.verify is False:
            warnings.filterwarnings('ignore', 'Unverified HTTPS request')

    def close(self) -> None:
        self._session.close()

    def send(self, method: str, url: str, headers: Mapping[str, str] = {},
             json: answers.Json = None, data: answers.Json = None,
             params: Mapping[str, str] | None = None) -> Answer:
        settings = self._settings
        where = '%s://%s' % urllib.parse.urlsplit(url)[:2]
        try:
            response = self._session.request(
                method, url, headers=headers, json=json, data=data,
                params=params, stream=True, allow_redirects=False,
                timeout=(settings.connect_timeout, settings.read_timeout))
            with contextlib.closing(response):
                body = self._body(where, response)
                return Answer(response.status_code, self._strike(body),
                              response.headers.get('Location', ''))
        except (requests.RequestException,
                urllib3_exceptions.HTTPError) as error:
            self._explain(where, error)

    def _body(self, where: str, response: requests.Response) -> bytes:
        """Read a body that may neither be too large nor take too long."""
        try:
            return bodies.read(response, self._settings.size,
                               self._settings.read_timeout)
        except bodies.TooLarge:
            raise TooLarge('%s: the answer is larger than %d bytes' % (
                where, self._settings.size)) from None
        except TimeoutError:
            raise Slow('%s: the answer did not end within %g s' % (
                where, self._settings.read_timeout)) from None
        except OSError as error:
            raise Lost('%s: the connection was lost: %s' % (
                where, self.excerpt(error))) from None

    def _explain(self, where: str, error: Exception) -> NoReturn:
        inner = error.args[0] if error.args else error
        reason: object = getattr(inner, 'reason', None) or inner
        text = '%s: %s' % (where, self.excerpt(reason))
        if isinstance(error, requests.exceptions.SSLError):
            raise NotSent('%s (see options kioxia_ca_file and '
                          'kioxia_cert_file)' % text) from None
        if isinstance(error, requests.ConnectTimeout):
            raise NotSent('%s: no connection within %g s' % (
                where, self._settings.connect_timeout)) from None
        if isinstance(reason, urllib3_exceptions.NewConnectionError):
            raise NotSent(text) from None
        if isinstance(error, (requests.ReadTimeout,
                              urllib3_exceptions.ReadTimeoutError)):
            raise Slow('%s: no answer within %g s' % (
                where, self._settings.read_timeout)) from None
        if isinstance(error, (requests.ConnectionError,
                              requests.exceptions.ChunkedEncodingError,
                              urllib3_exceptions.HTTPError)):
            raise Lost('%s: the connection was lost: %s' % (
                where, self.excerpt(reason))) from None
        # its text may quote what was sent
        raise base.Unavailable('%s: %s' % (
            where, type(error).__name__)) from None

    def excerpt(self, text: object) -> str:
        """Shorten a foreign text and strike out every known secret."""
        line = str(text)
        for secret in self._secrets():
            line = line.replace(secret, '***')
        return answers.excerpt(re.sub(r'Bearer \S+', 'Bearer ***', line))

    def _strike(self, body: bytes) -> bytes:
        """An answer that echoes a secret must not carry it into errors."""
        for secret in self._secrets():
            if len(secret) >= _LONG_SECRET:
                body = body.replace(secret.encode(), b'***')
        return body
