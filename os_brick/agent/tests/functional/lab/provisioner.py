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
"""A KumoScale provisioner whose backends are the lab's real targets.

The project's double answers the agent over HTTPS.  What it is told to do, it
does: a new replica is a new namespace on a spare target, a target lets a host
in when a volume on it was published to that host, and a namespace is gone as
soon as its removal was confirmed.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import pathlib
from typing import Any

from os_brick.agent.testing.kumoscale import certificates
from os_brick.agent.testing.kumoscale import server
from os_brick.agent.testing.kumoscale import state
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import targets as targets_lib
from os_brick.agent.tests.functional.lab import waiting

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/kumoscale')
HOST_NQN = pathlib.Path('/etc/nvme/hostnqn')
HOSTS = targets_lib.NVMET / 'hosts'
#: The machine's root has no UUID of its own; the agent is told this one.
HOST_UUID = '5d1e4f2c-0001-4000-8000-0000000000ab'
#: Asked in every pass, or told of what was seen: they change nothing.
_CHANGES_NOTHING = ('host_probe', 'forward_log')


@functools.lru_cache(maxsize=None)
def _certificates() -> certificates.Certificates:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    DIRECTORY.chmod(0o755)   # the agent's user reads the CA's certificate
    return certificates.make(str(DIRECTORY))


@dataclasses.dataclass(frozen=True)
class Seen:
    """The host at the moment at which a request arrived.

    :ivar arrays: by alias.
    """

    arrays: dict[str, host.Array]
    controllers: tuple[host.Controller, ...]

    def connected(self, target: targets_lib.Target) -> bool:
        """Whether there was a connection to that target, live or not."""
        return any(one.nqn == target.nqn for one in self.controllers)

    def holds(self, uuid: str) -> bool:
        """Whether that replica was a leg of an array, in whatever state."""
        return any(array.leg(uuid) for array in self.arrays.values())


def _look(method: str, path: str) -> Seen | None:
    if method == 'GET' or path in _CHANGES_NOTHING:
        return None
    by_name = host.arrays()
    links = {link.name: link.resolve().name
             for link in pathlib.Path('/dev/md').glob('*')}
    return Seen({alias: by_name[name] for alias, name in links.items()
                 if name in by_name}, tuple(host.controllers()))


class World(state.World):
    """The double's rules, carried out on targets."""

    def __init__(self) -> None:
        super().__init__()
        self._targets: dict[str, targets_lib.Target] = {}
        self._behind: dict[str, tuple[targets_lib.Target,
                                      targets_lib.Namespace]] = {}

    def take(self, target: targets_lib.Target) -> None:
        """Make a target one of the backends; nobody is let in any more."""
        if target.name not in self._targets:
            self._targets[target.name] = target
            self.add_backend(target.name, target.portals)
            _open(target, False)

    def adopt(self, volume: connector.Volume, minutes: float) -> None:
        """Know an attached volume, published to this host.

        :param minutes: its maxReplicaDownTime; a fraction shortens it.
        """
        self.create_volume('', {
            'uuid': volume.uuid, 'alias': volume.alias, 'storageClass': {
                'numReplicas': 0, 'maxReplicaDownTime': minutes}})
        kept = self.volumes[volume.uuid]
        kept['numReplicas'] = len(volume.replicas)
        for target, namespace in volume.replicas:
            self.take(target)
            self._behind[namespace.uuid] = target, namespace
            kept['_replicas'].append({
                'uuid': namespace.uuid, '_backend': target.name,
                'replicaState': 'Available', '_since': self.clock()})
        self.publish('', {'volId': volume.uuid, 'hostId': HOST_UUID})

    def target_of(self, uuid: str) -> targets_lib.Target:
        """Where a replica is."""
        return self._behind[uuid][0]

    def nqn(self, uuid: str) -> str:
        """Return the NQN under which a replica is served."""
        return self._behind[uuid][0].nqn

    def _place(self, volume: Any, same_rack: bool, state: str,
               racks: list[str] | None = None) -> Any:
        replica = super()._place(volume, same_rack, state, racks)
        target = self._targets[replica['_backend']]
        size = max(self._behind[other['uuid']][1].size
                   for other in volume['_replicas'][:-1])
        namespace = target.add_namespace(size)
        replica['uuid'] = namespace.uuid
        self._behind[namespace.uuid] = target, namespace
        LOG.info('provisioner: volume %s gets replica %s on %s',
                 volume['alias'], namespace.uuid, target.name)
        return replica

    def publish(self, tenant: str, body: Any) -> str:
        """Let the host in on each target of the volume."""
        result = super().publish(tenant, body)
        for nqn, known in self.hosts.items():
            if known['uuid'] == body.get('hostId'):
                for replica in self.volumes[body['volId']]['_replicas']:
                    _admit(self.target_of(replica['uuid']), nqn)
        return result

    def confirm_delete(self, tenant: str, volume_id: str,
                       replica_id: str) -> None:
        """Take the namespace away: whoever still holds it loses it."""
        super().confirm_delete(tenant, volume_id, replica_id)
        self._behind[replica_id][1].remove()

    def close(self) -> None:
        """Let everybody in again, as the clean-up of the targets wants."""
        for target in self._targets.values():
            process.attempt(_open, target, True)
        for nqn in self.hosts:
            path = HOSTS / nqn
            if path.exists():
                process.attempt(path.rmdir)


def _subsystem(target: targets_lib.Target) -> pathlib.Path:
    return targets_lib.NVMET / 'subsystems' / target.nqn


def _open(target: targets_lib.Target, to_all: bool) -> None:
    path = _subsystem(target)
    # the kernel takes no list of hosts while it lets all in
    if to_all:
        for link in (path / 'allowed_hosts').iterdir():
            link.unlink()
    (path / 'attr_allow_any_host').write_text('%d' % to_all)


def _admit(target: targets_lib.Target, nqn: str) -> None:
    (HOSTS / nqn).mkdir(exist_ok=True)
    link = _subsystem(target) / 'allowed_hosts' / nqn
    if not link.is_symlink():
        LOG.info('provisioner: target %s lets this host in', target.name)
        link.symlink_to(HOSTS / nqn)


class Provisioner:
    """The double, listening; ``close`` ends it.

    :ivar world: what it knows; change it while holding ``lock``.
    """

    def __init__(self) -> None:
        self.double = server.Double(_certificates())
        self.world = self.double.world = World()
        self.lock = self.double.lock
        self.double.witness = _look
        nqn = HOST_NQN.read_text().strip()
        # as Cinder's driver registers a host before it publishes to it
        self.world.probe({'hostNqn': nqn, 'hostId': HOST_UUID,
                          'name': 'lab', 'clientType': 'Openstack'})
        self.double.start()

    @property
    def options(self) -> dict[str, Any]:
        """What the agent has to be told."""
        return {'provisioner_driver': 'kioxia', 'host_uuid': HOST_UUID,
                'kioxia_provisioner_ip': ','.join(self.double.addresses),
                'kioxia_provisioner_port': self.double.port,
                'kioxia_provisioner_token': self.double.token,
                'kioxia_ca_file': self.double.certificates.ca}

    def requests(self, pattern: str = '') -> list[server.Request]:
        """Return the requests whose path begins so, in order."""
        return [request for request in list(self.double.requests)
                if request.path.startswith(pattern)]

    def changes(self, volume: connector.Volume) -> list[str]:
        """What the agent asked to change of a volume's replicas, in order.

        As 'add', and 'Missing UUID', 'retire UUID', 'confirm UUID'.
        """
        return [_words(request) for request
                in self.requests('replica/' + volume.uuid)]

    def change(self, volume: connector.Volume, words: str) -> Seen:
        """Return what the host was like when a change was asked for."""
        seen = self.request(volume, words).seen
        assert isinstance(seen, Seen)
        return seen

    def request(self, volume: connector.Volume,
                words: str) -> server.Request:
        """Return the first request for that change of a volume."""
        return next(request for request
                    in self.requests('replica/' + volume.uuid)
                    if _words(request) == words)

    def wait_for_change(self, volume: connector.Volume, words: str,
                        limit: float) -> None:
        """Wait until that change of a volume was asked for."""
        waiting.wait_until(lambda: words in self.changes(volume),
                           'the agent asks the provisioner: %s' % words,
                           limit)

    def wait_for_passes(self, count: int, limit: float) -> None:
        """Wait until the agent has begun so many more passes."""
        goal = len(self.requests('host_probe')) + count
        waiting.wait_until(
            lambda: len(self.requests('host_probe')) >= goal,
            'the agent has sent %d more probes' % count, limit)

    def replicas(self, volume: connector.Volume) -> dict[str, str]:
        """Return the states of a volume's replicas, by UUID."""
        with self.lock:
            return {replica['uuid']: replica['replicaState'] for replica
                    in self.world.volumes[volume.uuid]['_replicas']}

    def log_requests(self) -> None:
        """Write what was asked to the log of the test."""
        for request in self.requests():
            if request.path != 'host_probe' and (
                    request.method != 'GET'):
                LOG.info('asked at %.3f: %s %s %s', request.moment,
                         request.method, request.path, request.body)

    def close(self) -> None:
        """Stop answering, and give the targets back as they were."""
        self.world.close()
        self.double.close()


def _words(request: server.Request) -> str:
    parts = request.path.split('/')[2:]
    if not parts:
        return 'add'
    if len(parts) == 2:
        return '%s %s' % (parts[1], parts[0])
    return '%s %s' % ('confirm' if request.method == 'DELETE' else 'retire',
                      parts[0])
