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
# -- begin --
"""The driver for an imaginary provisioner; an example to start from."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import json
import logging
import re
import ssl
import time
from typing import Any

from oslo_config import cfg
import requests

from os_brick.agent import model
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
# What cannot be sent in a header would be quoted in the library's error.
_TOKEN = re.compile(r'[!-~]+\Z')
_LARGEST = 64 * 1024 * 1024

OPTS = [
    cfg.URIOpt('acme_url', schemes=['https'],
               help='Base URL of the ACME provisioner.'),
    cfg.StrOpt('acme_token', secret=True, mutable=True,
               help='Token of this host for the ACME provisioner.'),
    cfg.StrOpt('acme_ca_file',
               help='PEM file with the CA certificates that the provisioner '
                    'is verified against. Default: those of the system.'),
    cfg.FloatOpt('acme_timeout', default=10.0, min=0.1, max=60.0,
                 mutable=True,
                 help='Seconds for one call to the ACME provisioner.'),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Entry point oslo.config.opts: what the sample file is made of."""
    return [('DEFAULT', OPTS)]


class AcmeDriver(base.ProvisionerDriver):
    """Speaks JSON over HTTPS."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return OPTS

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._session = requests.Session()
        self._left_out: dict[str, str] = {}

    def set_up(self) -> None:
        for option in ('acme_url', 'acme_token'):
            if not self._conf[option]:
                raise base.ConfigurationError('option %s is not set' % option)
        path = self._conf.acme_ca_file
        if path:
            try:
                ssl.create_default_context(cafile=path)
            except OSError as error:
                raise base.ConfigurationError(
                    'option acme_ca_file: %s cannot be used: %s' % (
                        path, error)) from None
            self._session.verify = path
        # neither proxies nor a .netrc of whoever started the agent
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def examine(self, host: model.Host, arrays: Collection[model.Array]
                ) -> model.Examination:
        self.set_up()    # here it opens nothing
        volumes, left_out = self._listed(host)
        return model.Examination(
            self._conf.acme_url, volumes=volumes, credentials=True,
            troubles=tuple('volume left out: %s: %s' % pair
                           for pair in left_out.items()))

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._tell('PUT', '/hosts/' + host.nqn,
                   {'name': host.name, 'uuid': host.uuid, 'next': interval})

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        volumes, left_out = self._listed(host)
        self._say(left_out)
        return volumes

    def _listed(self, host: model.Host
                ) -> tuple[list[model.Volume], dict[str, str]]:
        """Return the volumes, and why which description is not believed."""
        path = '/hosts/%s/volumes' % host.nqn
        answer = self._call('GET', path)
        if not isinstance(answer, list):
            raise base.BadAnswer('%s%s is no list' % (
                self._conf.acme_url, path))
        volumes: list[model.Volume] = []
        left_out: dict[str, str] = {}
        for entry in answer:
            try:
                volumes.append(_volume(entry))
            except (AttributeError, KeyError, TypeError,
                    ValueError) as error:
                left_out[str(entry)[:80]] = repr(error)
        return volumes, left_out

    def _say(self, left_out: dict[str, str]) -> None:
        """Say once that a volume's description is not believed."""
        for entry, why in left_out.items():
            if self._left_out.get(entry) != why:
                LOG.warning('%s: volume left out: %s: %s',
                            self._conf.acme_url, entry, why)
        self._left_out = left_out

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        self._tell('PUT', _path(volume, replica) + '/state', state.value)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        # The replica is the key: asked twice, ACME assigns one spare.
        self._tell('PUT', _path(volume, replica) + '/replacement')

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._tell('PUT', _path(volume, replica) + '/retired',
                   gone_is_fine=True)

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self._tell('DELETE', _path(volume, replica), gone_is_fine=True)

    def _tell(self, method: str, path: str, body: object = None,
              gone_is_fine: bool = False) -> None:
        """Call, and believe only ACME's own word that it was done.

        What stands in between may answer anything with a status of 200.
        """
        try:
            answer = self._call(method, path, body)
        except _Gone:
            if gone_is_fine:
                return
            raise
        if answer != {'done': True}:
            raise base.BadAnswer('%s %s%s: ACME did not say that it is done'
                                 % (method, self._conf.acme_url, path))

    def _call(self, method: str, path: str, body: object = None) -> Any:
        url = self._conf.acme_url + path
        # read when it is used: the operator may have changed it
        timeout = self._conf.acme_timeout
        token = self._conf.acme_token
        if not _TOKEN.match(token):
            raise base.Unauthorized('option acme_token holds what cannot be '
                                    'sent')
        try:
            with self._session.request(
                    method, url, json=body, timeout=timeout, stream=True,
                    headers={'Authorization': 'Bearer ' + token},
                    allow_redirects=False) as response:
                text = _read(response, time.monotonic() + timeout)
        except (requests.RequestException, OSError) as error:
            raise base.Unavailable('%s %s: %s' % (
                method, url, type(error).__name__)) from None
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        status = response.status_code
        if status == 401:
            raise base.Unauthorized(
                '%s %s: 401; see option acme_token' % (method, url))
        if status in (404, 409) and isinstance(answer, dict):
            kind = _Gone if status == 404 else base.Rejected
            raise kind('%s %s: %s' % (method, url, str(
                answer.get('error'))[:200]))
        if status != 200:
            raise base.Unavailable('%s %s: HTTP status %d' % (
                method, url, status))
        if answer is None:
            raise base.BadAnswer('%s %s: no JSON' % (method, url))
        return answer


class _Gone(base.Rejected):
    """ACME does not know it."""


def _read(response: requests.Response, until: float) -> bytes:
    """Read an answer to its end: the library's time-out is for one byte."""
    text = b''
    for chunk in response.iter_content(65536):
        text += chunk
        if len(text) > _LARGEST or time.monotonic() > until:
            raise requests.Timeout('the answer does not end')
    return text


def _path(volume: model.Volume, replica: model.Replica) -> str:
    return '/volumes/%s/replicas/%s' % (volume.uuid, replica.uuid)


def _volume(entry: dict[str, Any]) -> model.Volume:
    return model.Volume(
        uuid=entry['uuid'], alias=entry['alias'], size=entry['size'],
        replica_count=entry['replica_count'],
        max_replica_down_time=entry.get('max_replica_down_time'),
        replicas=tuple(
            model.Replica(
                uuid=replica['uuid'],
                state=model.ReplicaState(replica['state']),
                target=model.Target(
                    replica['nqn'],
                    tuple(model.Portal(address, port)
                          for address, port in replica['portals'])))
            for replica in entry['replicas']))
