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
"""Who the agent is to KumoScale: a token, a token file, or OAuth 2.

A secret is never part of an error or a log line; ``secrets`` names all that
is known, so that the transport can strike them out of foreign texts too.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import re
import stat
import time

from oslo_config import cfg

from os_brick.agent.vendors import base
from os_brick.agent.vendors.kumoscale import answers

# POSTs a form to a URL; returns HTTP status and body.
PostForm = Callable[[str, dict[str, str]], tuple[int, bytes]]

# A line break or a blank in a header would be quoted, secret and all, in the
# error of the HTTP library.
_SECRET = re.compile(r'[\x21-\x7e]+\Z')
_EARLY = 30.0
_LIFETIME = 3600.0 * 24 * 365


class SecretFile:
    """A file that holds one secret; read again when it changes."""

    def __init__(self, option: str, path: str) -> None:
        self._option = option
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._secret = ''

    def read(self) -> str:
        """Return the secret.

        :raises Unauthorized: it cannot be read, or others could read it.
        """
        where = 'option %s: file %s' % (self._option, self._path)
        try:
            with open(self._path, encoding='ascii') as stream:
                status = os.fstat(stream.fileno())
                seen = (status.st_ino, status.st_size, status.st_mtime_ns,
                        status.st_ctime_ns)
                if seen == self._seen:
                    return self._secret
                if not stat.S_ISREG(status.st_mode):
                    raise base.Unauthorized('%s is no regular file' % where)
                if status.st_mode & 0o077:
                    raise base.Unauthorized(
                        '%s has mode %04o; it must be readable by the agent '
                        'alone (0600)' % (where, status.st_mode & 0o7777))
                secret = stream.read(65536).strip()
        except OSError as error:
            raise base.Unauthorized('%s cannot be read: %s' % (
                where, error.strerror)) from None
        except UnicodeDecodeError:
            secret = ''
        if not _SECRET.match(secret):
            raise base.Unauthorized('%s holds no token of printable ASCII '
                                    'characters' % where)
        self._seen, self._secret = seen, secret
        return secret


class Credentials:
    """What is sent as the bearer token.

    :param clock: seconds, monotonic.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._conf = conf
        self._clock = clock
        self._access_token = ''
        self._expires = 0.0
        self._files = {
            option: SecretFile(option, conf[option])
            for option in ('kioxia_provisioner_token_file',
                           'kioxia_client_secret_file') if conf[option]}
        self._known: dict[str, str] = {}

    @property
    def option(self) -> str:
        """The option to look at when the credentials are refused."""
        for option in ('kioxia_token_url', 'kioxia_provisioner_token_file',
                       'kioxia_provisioner_token'):
            if self._conf[option]:
                return ('kioxia_client_id' if option == 'kioxia_token_url'
                        else option)
        return ('kioxia_cert_file' if self._conf.kioxia_cert_file
                else 'kioxia_provisioner_token')

    def secrets(self) -> list[str]:
        """All secrets that are known, the longest first."""
        return sorted({secret for secret in self._known.values() if secret},
                      key=len, reverse=True)

    def check(self) -> None:
        """:raises ConfigurationError: this can never work."""
        conf = self._conf
        ways = [option for option in (
            'kioxia_provisioner_token', 'kioxia_provisioner_token_file',
            'kioxia_token_url') if conf[option]]
        if len(ways) > 1:
            raise base.ConfigurationError(
                'options %s exclude each other' % ' and '.join(ways))
        if not ways and not conf.kioxia_cert_file:
            raise base.ConfigurationError(
                'one of the options kioxia_provisioner_token, '
                'kioxia_provisioner_token_file, kioxia_token_url and '
                'kioxia_cert_file must be set')
        if conf.kioxia_token_url:
            self._check_oauth()
        try:
            if conf.kioxia_provisioner_token or conf[
                    'kioxia_provisioner_token_file']:
                self._configured('kioxia_provisioner_token')
        except base.Unauthorized as error:
            raise base.ConfigurationError(str(error)) from None

    def _check_oauth(self) -> None:
        conf = self._conf
        match = re.match(r'https://([^/?#]+)', conf.kioxia_token_url)
        if match is None or '@' in match.group(1):
            raise base.ConfigurationError(
                'option kioxia_token_url must be an https:// URL without '
                'user and password')
        if not conf.kioxia_client_id:
            raise base.ConfigurationError(
                'option kioxia_client_id must be set with kioxia_token_url')
        if bool(conf.kioxia_client_secret) == bool(
                conf.kioxia_client_secret_file):
            raise base.ConfigurationError(
                'one of the options kioxia_client_secret and '
                'kioxia_client_secret_file must be set with '
                'kioxia_token_url')
        try:
            self._configured('kioxia_client_secret')
        except base.Unauthorized as error:
            raise base.ConfigurationError(str(error)) from None

    def _configured(self, option: str) -> str:
        """Return a secret from its option or from its file."""
        source = self._files.get(option + '_file')
        secret = str(source.read() if source else self._conf[option] or '')
        if secret and not _SECRET.match(secret):
            raise base.Unauthorized(
                'option %s must consist of printable ASCII characters '
                'without blanks' % option)
        self._known[option] = secret
        return secret

    def bearer(self, post_form: PostForm) -> str:
        """Return the token to send now, '' where there is none.

        :raises ProvisionerError: it cannot be had.
        """
        if not self._conf.kioxia_token_url:
            return self._configured('kioxia_provisioner_token')
        if not self._access_token or self._clock() >= self._expires:
            self._fetch(post_form)
        return self._access_token

    def renew(self, refused: str, post_form: PostForm) -> str | None:
        """Return another token than the refused one, None if there is none.

        :raises ProvisionerError: it cannot be had.
        """
        if self._conf.kioxia_token_url:
            self._access_token = ''
        token = self.bearer(post_form)
        if self._conf.kioxia_token_url:
            return token
        return token if token != refused else None

    def _fetch(self, post_form: PostForm) -> None:
        """The client-credentials grant of RFC 6749, section 4.4."""
        conf = self._conf
        form = {'grant_type': 'client_credentials',
                'client_id': conf.kioxia_client_id,
                'client_secret': self._configured('kioxia_client_secret')}
        if conf.kioxia_client_scope:
            form['scope'] = conf.kioxia_client_scope
        where = 'option kioxia_token_url: %s' % conf.kioxia_token_url
        status, body = post_form(conf.kioxia_token_url, form)
        if status in (400, 401, 403):
            raise base.Unauthorized(
                '%s refused the client (HTTP %d); see the options '
                'kioxia_client_id, kioxia_client_secret and '
                'kioxia_client_scope' % (where, status))
        if status >= 500 or status == 429:
            raise base.Unavailable('%s answered HTTP %d' % (where, status))
        try:
            answer = answers.decode(body) if status == 200 else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        token = answer.get('access_token')
        if not isinstance(token, str) or not _SECRET.match(token):
            # the body is not quoted: it may hold a token
            raise base.BadAnswer('%s answered HTTP %d without an '
                                 'access_token' % (where, status))
        lifetime = answer.get('expires_in')
        if isinstance(lifetime, bool) or not isinstance(
                lifetime, (int, float)) or not 0 < lifetime < _LIFETIME:
            lifetime = _LIFETIME   # not said: until it is refused
        self._access_token = self._known['access_token'] = token
        self._expires = (self._clock() + lifetime
                         - min(_EARLY, lifetime / 4))
