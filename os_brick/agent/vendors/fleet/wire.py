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
"""One request to etcd: its members in turn, TLS, the user, and a time limit.

``etcd3gw`` speaks to the JSON gateway of one member.  What it leaves to its
user is here: the next member where one does not answer, a user's token, a
limit on size and duration of an answer, and words for an operator.  Its watch
is not used: it does not notice that etcd has cancelled it.

A request may be sent twice.  Those that change something are made so that the
second time does nothing: transactions that compare, and puts of one value.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import ipaddress
import json
import types
from typing import Any
import urllib.parse

import requests
from urllib3 import exceptions as urllib3_exceptions

from os_brick.agent.vendors import base
from os_brick.agent.vendors import bodies
from os_brick.agent.vendors import heads

_MOST = 64 * 1024 * 1024
_SHOWN = 200
# gRPC status codes, as the gateway's body has them
_INVALID, _DENIED, _NO_TOKEN = 3, 7, 16
#: What etcd says where the token is no longer good.
_STALE = ('invalid auth token', 'revision of auth store is old')


@dataclasses.dataclass(frozen=True)
class Settings:
    """How etcd is reached; from the options.

    :ivar endpoints: URLs of the members, in the order in which to try.
    :ivar password: asked for each time a token is needed.
    :ivar timeout: seconds, for each member.
    """

    endpoints: tuple[str, ...]
    timeout: float
    user: str = ''
    password: Callable[[], str] = str
    verify: str | bool = True
    cert: tuple[str, str] | None = None


class _Refused(Exception):
    """etcd answered with an error: its words and its gRPC code."""

    def __init__(self, words: str, code: int | None) -> None:
        super().__init__(words)
        self.code = code


class _Session(requests.Session):
    """One whose answers end, in time and in size."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        # neither a proxy nor the .netrc of the environment: the latter would
        # take the place of the token
        self.trust_env = False
        self.verify = settings.verify
        self.cert = settings.cert
        self._timeout = settings.timeout
        heads.bound(self, settings.timeout)

    def send(self, request: requests.PreparedRequest,
             **kwargs: Any) -> requests.Response:
        kwargs.update(stream=True, allow_redirects=False)
        response = super().send(request, **kwargs)
        try:
            response._content = bodies.read(response, _MOST, self._timeout)
        except bodies.TooLarge:
            raise requests.exceptions.ReadTimeout(
                'the answer is larger than %d MiB' % (_MOST // 2 ** 20)
            ) from None
        except TimeoutError:
            raise requests.exceptions.ReadTimeout(
                'the answer did not end within %g s' % self._timeout
            ) from None
        except (OSError, urllib3_exceptions.HTTPError) as error:
            raise requests.exceptions.ConnectionError(error) from error
        finally:
            response.close()
        return response


class Wire:
    """Sends requests to whichever member answers.

    :raises base.ConfigurationError: it cannot work like this.
    """

    def __init__(self, settings: Settings) -> None:
        self._etcd3gw = _library()
        self._settings = settings
        self._token = ''
        self._password = ''
        self._session = _Session(settings)
        self._members = [self._client(url) for url in settings.endpoints]
        if not self._members:
            raise base.ConfigurationError(
                'option etcd_endpoints must name the members of etcd')

    @property
    def answering(self) -> str:
        """The URL of the member that has answered last."""
        return str(self._members[0].base_url)

    def close(self) -> None:
        self._session.close()

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post to the gateway and return its answer.

        :param path: such as ``kv/txn``.
        :raises base.Unavailable, base.Unauthorized, base.BadAnswer:
        """
        troubles = []
        kind: type[base.ProvisionerError] = base.Unavailable
        for _turn in range(len(self._members)):
            try:
                return self._at(self._members[0], path, body)
            except (base.Unavailable, base.BadAnswer) as error:
                troubles.append(str(error))
                kind = type(error)
                # the one that answers is asked first from now on
                self._members.append(self._members.pop(0))
        raise kind('; '.join(troubles))

    def _at(self, member: Any, path: str,
            body: dict[str, Any]) -> dict[str, Any]:
        where = member.base_url
        settings = self._settings
        try:
            if settings.user and not self._token:
                self._authenticate(member)
            try:
                return self._post(member, path, body)
            except _Refused as error:
                if not settings.user or not any(
                        words in str(error) for words in _STALE):
                    raise
            self._authenticate(member)
            return self._post(member, path, body)
        except _Refused as error:
            text = '%s: %s' % (where, error)
            if error.code in (_DENIED, _NO_TOKEN):
                raise base.Unauthorized(
                    '%s (see option etcd_user and the role of that user)'
                    % text) from None
            if error.code == _INVALID and ('user' in str(error)):
                raise base.Unauthorized('%s (see options etcd_user and '
                                        'etcd_password)' % text) from None
            if error.code == _INVALID:
                raise base.BadAnswer(text) from None
            raise base.Unavailable(text) from None

    def _authenticate(self, member: Any) -> None:
        self._token = ''
        self._session.headers.pop('Authorization', None)
        self._password = self._settings.password()
        try:
            answer = self._post(member, 'auth/authenticate', {
                'name': self._settings.user, 'password': self._password})
        except _Refused as error:
            if 'authentication is not enabled' in str(error):
                raise base.Unauthorized(
                    '%s: etcd knows no users, but option etcd_user is set'
                    % member.base_url) from None
            raise
        token = answer.get('token')
        if not isinstance(token, str) or not token:
            raise base.BadAnswer('%s: a login without a token'
                                 % member.base_url)
        self._token = token
        self._session.headers['Authorization'] = token

    def _post(self, member: Any, path: str,
              body: dict[str, Any]) -> dict[str, Any]:
        """:raises _Refused: etcd's own error."""
        where = member.base_url
        try:
            answer = member.post(member.get_url(path), json=body)
        except self._etcd3gw.exceptions.Etcd3Exception as error:
            refused = _refused(error.detail_text or '')
            if refused is not None:
                raise refused from None
            if 'CommonName' in str(error.detail_text):
                # in plain text, before etcd looks who asks
                raise base.Unauthorized(
                    '%s: etcd that knows users takes no client certificate '
                    'with a CommonName on this path (see option '
                    'etcd_cert_file); use one without, and etcd_user'
                    % where) from None
            raise base.Unavailable('%s: %s' % (
                where, self._excerpt(error.detail_text))) from None
        except requests.exceptions.JSONDecodeError:
            raise base.BadAnswer('%s: the answer to %s is not JSON' % (
                where, path)) from None
        except requests.exceptions.RequestException as error:
            raise base.Unavailable('%s: %s' % (
                where, self._excerpt(error))) from None
        except OSError as error:
            # requests says so of a certificate's file that is missing
            raise base.Unavailable('%s: %s (see options etcd_ca_file, '
                                   'etcd_cert_file and etcd_key_file)' % (
                                       where, error)) from None
        if not isinstance(answer, dict):
            raise base.BadAnswer('%s: the answer to %s is no object' % (
                where, path))
        return answer

    def _client(self, url: str) -> Any:
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port or 2379
        except ValueError:
            port = 0
        if (parts.scheme not in ('http', 'https') or not parts.hostname
                or not port or parts.path.strip('/') or parts.username):
            raise base.ConfigurationError(
                'option etcd_endpoints: %r is no URL such as '
                'https://etcd-1.example.org:2379' % url.rpartition('@')[2])
        if (parts.scheme == 'http' and self._settings.user
                and not _here(parts.hostname)):
            raise base.ConfigurationError(
                'option etcd_endpoints: %s would carry the password of '
                'etcd_user in the clear; use https' % url)
        return self._etcd3gw.Etcd3Client(
            parts.hostname, port, parts.scheme, session=self._session,
            timeout=self._settings.timeout, api_path='/v3/')

    def _excerpt(self, text: object) -> str:
        line = ' '.join(str(text).split())
        for secret in (self._token, self._password):
            if secret:
                line = line.replace(secret, '***')
        hint = ''
        if 'certificate' in line.lower() or 'SSL' in line:
            hint = ' (see options etcd_ca_file and etcd_cert_file)'
        return line[:_SHOWN] + hint


def _refused(text: str) -> _Refused | None:
    """Return etcd's own error, where the text is one."""
    try:
        said = json.loads(text)
        words = said.get('message') or said['error']
        return _Refused(' '.join(str(words).split())[:_SHOWN],
                        said.get('code'))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _library() -> types.ModuleType:
    try:
        import etcd3gw
    except ImportError:
        raise base.ConfigurationError(
            'option provisioner_driver: "etcd" needs the Python package '
            'etcd3gw; install os-brick-nvme-agent[etcd]') from None
    return etcd3gw
