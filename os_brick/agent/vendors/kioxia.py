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
"""The driver for KIOXIA KumoScale: its options, and each call's meaning.

Requests in a steady pass: one host_probe, and the volumes: one for each
array up to ``_SINGLY`` arrays, one in all beyond.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import logging
import math
import ssl
import urllib.parse

from oslo_config import cfg
from oslo_config import types

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.vendors import base
from os_brick.agent.vendors import certificates
from os_brick.agent.vendors.kumoscale import answers
from os_brick.agent.vendors.kumoscale import auth
from os_brick.agent.vendors.kumoscale import rest_client
from os_brick.agent.vendors.kumoscale import targets
from os_brick.agent.vendors.kumoscale import volumes
from os_brick.agent.vendors.kumoscale import wire

LOG = logging.getLogger(__name__)
# Both public agents leave a volume of four alone: there is no room for a
# fifth replica while one is exchanged.
_FULL = 4
_INSECURE = ('kioxia_tls_insecure is set: the provisioner is not verified, '
             'its token can be stolen')
_NO_VOLUME = '00000000-0000-0000-0000-000000000000'
_COMING = (model.ReplicaState.SYNCHRONIZING, model.ReplicaState.AVAILABLE)

OPTS: list[cfg.Opt] = [
    cfg.ListOpt('kioxia_provisioner_ip', default=[],
                item_type=types.HostAddress(),
                help='Management addresses of the KumoScale provisioner, in '
                     'the order in which they are tried. The one that '
                     'answered last is kept to.'),
    cfg.PortOpt('kioxia_provisioner_port', default=8090, min=1,
                help='TCP port of the KumoScale provisioner.'),
    cfg.StrOpt('kioxia_provisioner_token', default='', secret=True,
               help='Token for the KumoScale provisioner.'),
    cfg.StrOpt('kioxia_provisioner_token_file', default='',
               help='File with the token, readable by the agent alone; read '
                    'again when it changes.'),
    cfg.StrOpt('kioxia_cert_file', default='',
               help='PEM file with the client certificate and its key, not '
                    'encrypted. Empty: none is sent.'),
    cfg.StrOpt('kioxia_ca_file', default='',
               help='PEM file with the CA certificates that the provisioner '
                    'is verified against. Empty: those of the system.'),
    cfg.BoolOpt('kioxia_tls_insecure', default=False,
                help='Do not verify the provisioner: anybody on the network '
                     'can then read the token and give orders to this '
                     'host.'),
    cfg.StrOpt('kioxia_token_url', default='',
               help='URL (https) that grants tokens by OAuth 2 client '
                    'credentials.'),
    cfg.StrOpt('kioxia_client_id', default='',
               help='Client for kioxia_token_url.'),
    cfg.StrOpt('kioxia_client_secret', default='', secret=True,
               help='Secret of the client.'),
    cfg.StrOpt('kioxia_client_secret_file', default='',
               help='File with the secret of the client, readable by the '
                    'agent alone; read again when it changes.'),
    cfg.StrOpt('kioxia_client_scope', default='',
               help='Scope asked of kioxia_token_url; empty: none.'),
    cfg.StrOpt('kioxia_tenant', default='', regex=r'\A[\w.-]{0,128}\Z',
               help='UUID of the tenant that owns the volumes; empty: the '
                    'default tenant.'),
    cfg.BoolOpt('kioxia_same_rack_allowed', default=False,
                help='Whether a replacement may be placed in the rack of '
                     'another replica, as the option of that name in '
                     'Cinder.'),
    cfg.FloatOpt('kioxia_connect_timeout', default=5.0, min=0.1, max=60.0,
                 help='Seconds to wait for a connection to one address of '
                      'the provisioner.'),
    cfg.FloatOpt('kioxia_read_timeout', default=30.0, min=0.1, max=600.0,
                 help='Seconds to wait for an answer of the provisioner.'),
]


class KioxiaDriver(base.ProvisionerDriver):
    """The agent's side of a KumoScale provisioner."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return OPTS

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._host: model.Host | None = None
        self._prefix = ''
        # volume -> its replicas that may have got another one since it was
        # last listed
        self._served: dict[str, set[str]] = {}
        # volume -> all that was listed last, also what the agent left out
        self._listed: dict[str, frozenset[str]] = {}

    def set_up(self) -> None:
        self._settings = self._connect()
        if not self._settings.verify:
            LOG.warning('%s', _INSECURE)

    def _connect(self) -> wire.Settings:
        """Get ready to ask; nothing is sent.

        :raises base.ConfigurationError: this can never work.
        """
        conf = self._conf
        if not conf.kioxia_provisioner_ip:
            raise base.ConfigurationError(
                'option kioxia_provisioner_ip must name the provisioner')
        credentials = auth.Credentials(conf)
        credentials.check()
        settings = wire.Settings(
            tuple(conf.kioxia_provisioner_ip), conf.kioxia_provisioner_port,
            self._verify(), self._certificate(), conf.kioxia_connect_timeout,
            conf.kioxia_read_timeout)
        if conf.kioxia_tenant:
            self._prefix = conf.kioxia_tenant + '/'
        self._rest = rest_client.Rest(settings, credentials)
        log = self._log_once = log_once.LogOnce()
        self._targets = targets.Targets(self._rest, self._prefix, log)
        self._volumes = volumes.Volumes(self._rest, self._prefix, log)
        return settings

    def examine(self, host: model.Host, arrays: Collection[model.Array]
                ) -> model.Examination:
        settings = self._settings = self._connect()
        said = self._rest.call('GET', 'info')
        version = said.get('version') if isinstance(said, dict) else None
        # an answer of the volumes needs the credentials, with no array too
        self._volumes.now(_NO_VOLUME)
        listed = self.get_volumes(host, arrays, ())
        return model.Examination(
            self._rest.answering, '' if version is None else str(version),
            listed, (() if settings.verify else (_INSECURE,))
            + self._log_once.standing(), credentials=True)

    def certificates(self) -> Sequence[model.Certificate]:
        settings = self._settings
        return certificates.in_use(
            [(address, settings.port) for address in settings.addresses],
            settings.connect_timeout, 'kioxia_cert_file', settings.cert)

    def close(self) -> None:
        rest: rest_client.Rest | None = getattr(self, '_rest', None)
        if rest is not None:
            rest.close()

    def _verify(self) -> str | bool:
        """Return what the provisioner is verified against."""
        path: str = self._conf.kioxia_ca_file
        if self._conf.kioxia_tls_insecure:
            return False
        if path:
            try:
                ssl.create_default_context(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise base.ConfigurationError(
                    'option kioxia_ca_file: %s cannot be used: %s' % (
                        path, error)) from None
            return path
        system = ssl.get_default_verify_paths()
        found = system.cafile or system.capath
        if not found:
            raise base.ConfigurationError(
                'option kioxia_ca_file must be set: this system has no '
                'store of CA certificates')
        return found

    def _certificate(self) -> str | None:
        path: str = self._conf.kioxia_cert_file
        if not path:
            return None
        try:
            # a pass phrase must not be asked for on the terminal
            ssl.create_default_context().load_cert_chain(path, password='')
        except (OSError, ssl.SSLError, ValueError) as error:
            raise base.ConfigurationError(
                'option kioxia_cert_file: %s cannot be used; it must hold a '
                'certificate and its unencrypted key: %s' % (
                    path, error)) from None
        return path

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._host = host
        self._rest.quiet = interval
        self._rest.wake()
        probe = {'hostNqn': host.nqn, 'name': answers.host_name(host.name),
                 'clientType': 'Agent', 'version': host.version,
                 'duration': math.ceil(interval)}
        if host.uuid:
            probe['hostId'] = host.uuid
        self._rest.call('POST', 'host_probe', probe)

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        self._host = host
        wanted = {model.normalise_uuid(uuid) for uuid in targets_for}
        self._targets.begin(wanted)
        listed = self._volumes.of(arrays)
        for parsed in listed:
            self._served.pop(parsed.volume.uuid, None)
            self._listed[parsed.volume.uuid] = frozenset(
                replica.uuid for replica in parsed.volume.replicas)
        # of what is detached nothing is asked any more
        here = frozenset(self._volumes.found.values())
        self._served = {uuid: served for uuid, served
                        in self._served.items() if uuid in here}
        self._listed = {uuid: listed_last for uuid, listed_last
                        in self._listed.items() if uuid in here}
        return [parsed.with_targets(self._targets.resolve(
            host, parsed, wanted, arrays)) for parsed in listed]

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        self._rest.call('PATCH', '%s/%s' % (
            self._replica(volume, replica), answers.state_word(state)))

    def report_event(self, event: model.Event) -> None:
        host = self._host
        names = [name for noun, name in event.names
                 if noun not in events.FIGURES]
        self._rest.call('POST', 'forward_log', {
            'loggingType': 'EVENT', 'level': event.level,
            'host': answers.host_name(host.name) if host else '',
            'appName': 'nvme-agent', 'message': event.message,
            'parametersList': names}, repeatable=False)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        if volume.replica_count is not None and volume.replica_count >= _FULL:
            raise base.Rejected(
                'volume %s has %d replicas; KumoScale has no room for '
                'another while one is exchanged' % (
                    volume.alias, volume.replica_count))
        # a request whose answer was lost may have been carried out, and the
        # provisioner may have acted by itself
        served = self._served.setdefault(volume.uuid, set())
        new = self._unknown(volume)
        enough = len(new) > len(served - {replica.uuid})
        served.add(replica.uuid)
        if enough:
            LOG.info('volume %s: replica %s has been added already',
                     volume.alias, ', '.join(new))
            return
        try:
            self._rest.call(
                'POST', '%sreplica/%s' % (self._prefix, volume.uuid),
                {'sameRackAllowed': self._conf.kioxia_same_rack_allowed},
                repeatable=False)
        except base.Rejected:
            served.discard(replica.uuid)
            raise

    def _unknown(self, volume: model.Volume) -> list[str]:
        """Return the replicas that came since a volume was listed."""
        current = self._volumes.now(volume.uuid)
        if current is None:
            return []
        known = {known.uuid for known in volume.replicas}
        known |= self._listed.get(volume.uuid, frozenset())
        # one whose backend was lost is no replacement
        known |= {lost.uuid for lost in current.unplaced
                  if lost.state not in _COMING}
        return sorted(set(current.backends) - known)

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        try:
            self._rest.call('PATCH', self._replica(volume, replica))
        except rest_client.Refused as refused:
            if refused.word in rest_client.NOT_THERE:
                return
            current = self._volumes.now(volume.uuid)
            if current is None:
                raise
            listed = current.volume.replica(replica.uuid)
            if listed is None and replica.uuid not in current.backends:
                return
            if listed is None or (listed.state is not
                                  model.ReplicaState.TERMINATING):
                raise

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        try:
            self._rest.call('DELETE', self._replica(volume, replica))
        except rest_client.Refused as refused:
            if refused.word in rest_client.NOT_THERE:
                return
            current = self._volumes.now(volume.uuid)
            if current is None or replica.uuid in current.backends:
                raise

    def _replica(self, volume: model.Volume, replica: model.Replica) -> str:
        return '%sreplica/%s/%s' % (self._prefix, urllib.parse.quote(
            volume.uuid), replica.uuid)
