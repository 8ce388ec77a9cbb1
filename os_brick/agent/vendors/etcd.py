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
"""The driver for a fleet: desired state in etcd, shared by many hosts.

Nobody else runs: each host reads its own volumes, takes spares from the one
pool and gives its replicas back, all by transactions; ``nvme-agent-fleet``
loads what the operator wants.  See ``doc/source/configuration/etcd.rst``.

A pass costs two requests: the lease of the host's key is renewed, and what
is below the host's key is read.  The lease lasts for three passes: it says
that this host's agent makes its passes, which a thread that renews it would
not.  Nothing is taken from a host because its lease has ended.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import json
import logging
import math
import os
import time
import urllib.parse

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors import certificates
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import examined
from os_brick.agent.vendors.fleet import limits
from os_brick.agent.vendors.fleet import memory
from os_brick.agent.vendors.fleet import patience
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import share
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire
from os_brick.agent.vendors import own_file

LOG = logging.getLogger(__name__)
#: Seconds that a host's key lives at least.
LEASE = 45
_LONGEST_MESSAGE = 1000

OPTS: list[cfg.Opt] = [
    cfg.ListOpt('etcd_endpoints', default=['http://127.0.0.1:2379'],
                help='URLs of the members of etcd, in the order in which '
                     'they are tried. The one that answered last is kept '
                     'to.'),
    cfg.StrOpt('etcd_prefix', default='/nvme-agent',
               regex=r'\A(/[\w.-]+)+\Z',
               help='Where the keys of the fleet are in etcd.'),
    cfg.StrOpt('etcd_user', default='',
               help='User of etcd; empty: none, where etcd knows no users.'),
    cfg.StrOpt('etcd_password', default='', secret=True,
               help='Password of etcd_user.'),
    cfg.StrOpt('etcd_password_file', default='',
               help='File with the password of etcd_user, readable by the '
                    'agent alone; read each time the agent logs in.'),
    cfg.StrOpt('etcd_ca_file', default='',
               help='PEM file with the CA certificates that the members of '
                    'etcd are verified against. Empty: those of the Python '
                    'package certifi.'),
    cfg.StrOpt('etcd_cert_file', default='',
               help='PEM file with the client certificate. Empty: none is '
                    'sent.'),
    cfg.StrOpt('etcd_key_file', default='',
               help='PEM file with the key of etcd_cert_file, not '
                    'encrypted.'),
    cfg.FloatOpt('etcd_timeout', default=5.0, min=0.1, max=60.0,
                 help='Seconds to wait for a connection to a member of etcd, '
                      'and again for its answer.'),
]


def connect(conf: cfg.ConfigOpts) -> wire.Wire:
    """Return the way to etcd that the options describe; no I/O to etcd.

    :raises base.ConfigurationError: it can never work.
    """
    for option in ('etcd_ca_file', 'etcd_cert_file', 'etcd_key_file'):
        path = conf[option]
        if path and not os.access(path, os.R_OK):
            raise base.ConfigurationError('option %s: %s cannot be read' % (
                option, path))
    if bool(conf.etcd_cert_file) != bool(conf.etcd_key_file):
        raise base.ConfigurationError(
            'options etcd_cert_file and etcd_key_file belong together')
    if conf.etcd_user and not (conf.etcd_password
                               or conf.etcd_password_file):
        raise base.ConfigurationError(
            'option etcd_user needs etcd_password or etcd_password_file')
    _password(conf)
    return wire.Wire(wire.Settings(
        tuple(conf.etcd_endpoints), conf.etcd_timeout, conf.etcd_user,
        lambda: _password(conf), conf.etcd_ca_file or True,
        (conf.etcd_cert_file, conf.etcd_key_file)
        if conf.etcd_cert_file else None))


def _password(conf: cfg.ConfigOpts) -> str:
    path = conf.etcd_password_file
    if conf.etcd_password or not path:
        return str(conf.etcd_password)
    try:
        with open(path, encoding='utf-8') as stream:
            return stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise base.ConfigurationError(
            'option etcd_password_file: %s cannot be read: %s' % (
                path, getattr(error, 'strerror', 'no UTF-8'))) from None


class EtcdDriver(base.ProvisionerDriver):
    """One host's agent in a fleet that shares its state in etcd."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return OPTS

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._keys = schema.Keys(conf.etcd_prefix)
        self._wire: wire.Wire | None = None
        self._share: share.Share | None = None
        self._host: model.Host | None = None
        self._lease = self._shown = 0
        self._event: int | None = None
        self._double = ''

    def set_up(self) -> None:
        self._memory = memory.Memory(own_file.path(self._conf.state_dir,
                                                   'etcd.json'))
        self._wire = connect(self._conf)
        self._patience = patience.Patience(self._wire)
        self._store = store.Store(self._patience)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def examine(self, host: model.Host, arrays: Collection[model.Array]
                ) -> model.Examination:
        self._wire = connect(self._conf)
        fleet, left_out = examined.look(store.Store(self._wire),
                                        self._keys, host.name)
        return model.Examination(self._wire.answering, self._version(),
                                 fleet, left_out, bool(
                                     self._conf.etcd_user
                                     or self._conf.etcd_cert_file))

    def _version(self) -> str:
        try:
            assert self._wire is not None
            return str(self._wire.call('maintenance/status', {}).get(
                'version', ''))
        except base.Unauthorized:
            return ''    # the agent's user needs no right to ask for it

    def certificates(self) -> Sequence[model.Certificate]:
        conf = self._conf
        urls = map(urllib.parse.urlsplit, conf.etcd_endpoints)
        return certificates.in_use(
            [(url.hostname or '', url.port or 2379) for url in urls
             if url.scheme == 'https'], conf.etcd_timeout, 'etcd_cert_file',
            conf.etcd_cert_file, conf.etcd_key_file)

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._meet(host)
        if self._lease and not self._store.keep_alive(self._lease):
            self._lease = 0
        if not self._lease or self._shown != self._generation():
            self._show(host, interval)

    def _show(self, host: model.Host, interval: float) -> None:
        """Write the host's key, which lives as long as its lease.

        One that lives and has an old generation does no harm, where etcd
        takes no writes.
        """
        try:
            self._write_alive(host, interval)
        except base.Unavailable:
            if not self._lease:
                raise

    def _write_alive(self, host: model.Host, interval: float) -> None:
        keys = self._keys
        key = keys.alive(host.name)
        view = self._store.read([key, keys.schema])
        there = view.get(key)
        self._double = _other_machine(there.text, host)
        if self._double:
            raise base.Rejected(self._double)
        lease = self._lease or self._store.grant(
            max(LEASE, math.ceil(3 * interval)))
        shown = self._generation() if self._believed(view) else 0
        lasting = keys.generation(host.name)
        puts: dict[str, str | None] = {key: json.dumps({
            'nqn': host.nqn, 'uuid': host.uuid, 'version': host.version,
            'since': time.time(), 'generation': shown})}
        if shown:
            puts[lasting] = str(shown)
        point = self._store.write(store.Write(
            puts, {key: there, keys.schema: view.get(keys.schema)},
            lease=lease, lasting=frozenset([lasting])))
        if point is not None:
            self._lease, self._shown = lease, shown

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        """Return the volumes that etcd lists for this host."""
        if self._double:
            raise base.BadAnswer(self._double)
        return self._meet(host).volumes(arrays)

    def delay_resyncs(self, under_way: Collection[model.Resync],
                      wanted: Collection[model.Resync]
                      ) -> Mapping[str, str] | None:
        ours = self._ours()
        # the agent works with what it was told in this pass
        ours.yield_all({resync.volume.uuid: resync.replica.uuid
                        for resync in under_way})
        seen = self._memory.seen
        if seen.fleet is None:
            raise base.Unavailable('etcd was not read yet')
        if not seen.fleet.limits.any:
            ours.places.forget()
            return None
        if not self._lease:
            raise base.Unavailable('this host has no lease in etcd')
        backings = {entry.uuid: entry.backing
                    for record in seen.volumes.values()
                    for entry in record.entries}
        return ours.places.settle(self._lease, *(limits.places_of(
            resyncs, backings, time.time(), str(self._lease))
            for resyncs in (under_way, wanted)))

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        self._ours().change(volume.uuid, lambda record: changes.report(
            record, replica.uuid, state, time.time()))

    def report_event(self, event: model.Event) -> None:
        host = self._host
        if host is None:
            return
        self._patience.begin()
        if self._event is None:
            self._event = self._last_event(host)
        self._event += 1
        message = event.message[:_LONGEST_MESSAGE]
        self._store.write(store.Write({
            self._keys.event(host.name, self._event): schema.dump_event(
                model.Event(event.kind, event.level, message, event.names),
                self._event, time.time())}))

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        ours = self._ours()
        if self._host is None:
            raise base.Unavailable('etcd was not read yet')
        spare, taken = ours.take_spare(volume.uuid, replica.uuid, self._host)
        if taken:
            LOG.info('volume %s: spare %s of %s is taken in the place of '
                     'replica %s', volume.alias, spare.uuid,
                     spare.target.nqn, replica.uuid)

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._ours().change(volume.uuid, lambda record: changes.retire(
            record, replica.uuid, time.time()))

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        times = self._ours().let_go(volume.uuid, replica.uuid)
        if times is not None:
            LOG.info('volume %s: replica %s was let go; "nvme-agent-fleet '
                     'give-back %s" returns it to the pool', volume.alias,
                     replica.uuid, replica.uuid)

    def _meet(self, host: model.Host) -> share.Share:
        self._memory.look()
        self._patience.begin()
        if self._share is None or self._host is None or (
                self._host.name != host.name):
            self._share = self._share_of(host.name)
        self._host = host
        return self._share

    def _share_of(self, host: str) -> share.Share:
        return share.Share(self._store, self._keys, self._memory, host)

    def _ours(self) -> share.Share:
        """Return what this host has; after a restart, as who it was before.

        :raises base.Unavailable: etcd was never read.
        """
        self._memory.look()
        self._patience.begin()
        if self._share is None:
            host = self._memory.seen.host
            if not host:
                raise base.Unavailable('etcd was not read yet')
            self._share = self._share_of(host)
        if self._double:
            raise base.BadAnswer(self._double)
        return self._share

    def _generation(self) -> int:
        fleet = self._memory.seen.fleet
        return fleet.generation if fleet else 0

    def _believed(self, view: store.View) -> bool:
        """Whether this is the store of which this host wrote what it knows.

        Another backup may have been restored since, of the same generation.
        """
        try:
            fleet = store.fleet(view, self._keys)
        except base.BadAnswer:
            return False
        return fleet.generation == self._generation() and not memory.judge(
            self._memory.seen, fleet, view.point)

    def _last_event(self, host: model.Host) -> int:
        prefix = self._keys.events(host.name)
        return max((schema.event_number(value.text) for value
                    in self._store.read([], [prefix]).found.values()),
                   default=-1)


def _other_machine(text: str, host: model.Host) -> str:
    """Return a complaint where the key is another machine's, or ''."""
    try:
        said = json.loads(text)
        nqn, uuid = said['nqn'], said['uuid']
    except (ValueError, KeyError, TypeError):
        return ''
    if nqn == host.nqn and uuid == host.uuid:
        return ''
    return ('another machine (NQN %s) is in etcd as the host %s; each needs '
            'a name of its own (option host_name)' % (nqn, host.name))
