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
import logging
from typing import Any

from oslo_config import cfg
import requests

from os_brick.agent import model
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)

OPTS = [
    cfg.URIOpt('acme_url', schemes=['https'],
               help='Base URL of the ACME provisioner.'),
    cfg.StrOpt('acme_token', secret=True,
               help='Token of this host for the ACME provisioner.'),
    cfg.FloatOpt('acme_timeout', default=10.0, min=0.1, max=60.0,
                 help='Seconds to wait for a connection and for an answer.'),
]


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
        self._session.headers['Authorization'] = (
            'Bearer ' + self._conf.acme_token)

    def close(self) -> None:
        self._session.close()

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._call('PUT', '/hosts/' + host.nqn,
                   {'name': host.name, 'uuid': host.uuid, 'next': interval})

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        answer = self._call('GET', '/hosts/%s/volumes' % host.nqn)
        if not isinstance(answer, list):
            raise base.BadAnswer('%s/hosts/%s/volumes is no list' % (
                self._conf.acme_url, host.nqn))
        volumes = []
        for entry in answer:
            try:
                volumes.append(_volume(entry))
            except (AttributeError, KeyError, TypeError,
                    ValueError) as error:
                self._leave_out(str(entry)[:80], repr(error))
        return volumes

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        self._call('PUT', _path(volume, replica) + '/state', state.value)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        # The replica is the key: asked twice, ACME assigns one spare.
        self._call('PUT', _path(volume, replica) + '/replacement')

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._call('PUT', _path(volume, replica) + '/retired')

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self._call('DELETE', _path(volume, replica), gone_is_fine=True)

    def _leave_out(self, entry: str, why: str) -> None:
        """Say once that a volume's description is not believed."""
        if self._left_out.get(entry) != why:
            self._left_out[entry] = why
            LOG.warning('%s: volume left out: %s: %s', self._conf.acme_url,
                        entry, why)

    def _call(self, method: str, path: str, body: object = None,
              gone_is_fine: bool = False) -> Any:
        url = self._conf.acme_url + path
        try:
            response = self._session.request(
                method, url, json=body, timeout=self._conf.acme_timeout,
                allow_redirects=False)
        except requests.RequestException as error:
            raise base.Unavailable('%s %s: %s' % (
                method, url, type(error).__name__)) from error
        if response.status_code == 401:
            raise base.Unauthorized(
                '%s %s: 401; see option acme_token' % (method, url))
        if response.status_code == 404 and gone_is_fine:
            return None
        if response.status_code in (404, 409):
            raise base.Rejected('%s %s: %s' % (
                method, url, response.text[:200]))
        if response.status_code >= 300:
            raise base.Unavailable('%s %s: HTTP status %d' % (
                method, url, response.status_code))
        if method != 'GET':
            return None
        try:
            return response.json()
        except ValueError as error:
            raise base.BadAnswer('%s %s: no JSON' % (method, url)) from error


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
