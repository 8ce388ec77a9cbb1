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
"""A CA of the double's own, a server and a client certificate, by openssl."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; ``server`` and ``client`` hold the key too."""

    ca: str
    server: str
    client: str
    stranger: str


def make(directory: str, names: str = 'IP:127.0.0.1,IP:127.0.0.2,'
         'DNS:localhost') -> Certificates:
    """Make a CA, and a server certificate for ``names`` (subjectAltName)."""
    top = pathlib.Path(directory)
    _authority(top / 'ca')
    _issue(top / 'server', top / 'ca', names)
    _issue(top / 'client', top / 'ca', 'DNS:client')
    # an authority that nobody trusts
    _authority(top / 'stranger')
    return Certificates(str(top / 'ca.pem'), str(top / 'server.both.pem'),
                        str(top / 'client.both.pem'),
                        str(top / 'stranger.pem'))


def nameless(directory: str) -> str:
    """Make one more client certificate, without a CommonName.

    :param directory: in which ``make`` has made the others.
    """
    top = pathlib.Path(directory)
    _issue(top / 'nameless', top / 'ca', 'DNS:client', '/O=nvme-agent')
    return str(top / 'nameless.both.pem')


def _authority(path: pathlib.Path) -> None:
    _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
             '-subj', '/CN=%s' % path.name, '-keyout', '%s.key' % path,
             '-out', '%s.pem' % path)


def _issue(path: pathlib.Path, ca: pathlib.Path, names: str,
           subject: str = '') -> None:
    _openssl('req', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:prime256v1', '-nodes', '-subj',
             subject or '/CN=%s' % path.name, '-keyout', '%s.key' % path,
             '-out', '%s.csr' % path)
    extensions = pathlib.Path('%s.ext' % path)
    extensions.write_text('subjectAltName=%s\n' % names)
    _openssl('x509', '-req', '-in', '%s.csr' % path, '-CA', '%s.pem' % ca,
             '-CAkey', '%s.key' % ca, '-CAcreateserial', '-days', '2',
             '-extfile', str(extensions), '-out', '%s.pem' % path)
    both = pathlib.Path('%s.both.pem' % path)
    both.touch(0o600)
    both.write_text(pathlib.Path('%s.key' % path).read_text()
                    + pathlib.Path('%s.pem' % path).read_text())


def _openssl(*arguments: str) -> None:
    subprocess.run(('openssl',) + arguments, check=True, timeout=60,
                   stdin=subprocess.DEVNULL, capture_output=True)
