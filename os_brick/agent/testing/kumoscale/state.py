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
"""What the double's provisioner knows, and the rules by which it changes.

No HTTP here.  Entities are kept as the JSON objects in which they are
answered.  A refusal is an exception with the provisioner's status word.
"""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any
import uuid as uuid_lib

Json = Any

SETTABLE = ('Available', 'Synchronizing', 'Missing')


class Refusal(Exception):
    """The provisioner does not do what it is asked.

    :param word: the ``status`` of the answer.
    """

    def __init__(self, word: str, description: str) -> None:
        super().__init__(description)
        self.word = word


def _new_uuid() -> str:
    return str(uuid_lib.uuid4())


class World:
    """Backends, volumes, hosts and tasks of one provisioner.

    :ivar shared_target: the newest layout: one target for each volume.
    :ivar dates: currentStateTime is a date instead of a duration.
    :ivar fresh: the state of a replica that was just added.
    :ivar most_replicas: how many a volume may list at once.
    :param clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.new_uuid = _new_uuid
        self.shared_target = False
        self.dates = False
        self.fresh = 'Synchronizing'
        self.most_replicas = 4
        self.new_names = False
        self.backends: dict[str, Json] = {}
        self.volumes: dict[str, Json] = {}
        self.hosts: dict[str, Json] = {}
        self.published: set[tuple[str, str, str]] = set()
        self.tasks: dict[str, Json] = {}
        self.tenants: dict[str, Json] = {}
        self.logs: list[Json] = []
        self.probes: list[Json] = []

    # set up by a test or a person

    def add_backend(self, persistent_id: str,
                    portals: list[tuple[str, int, str]], rack: str = '',
                    zone: str = '', region: str = '') -> Json:
        self.backends[persistent_id] = {
            'persistentID': persistent_id, 'state': 'Available',
            'portals': [{'ip': ip, 'port': port, 'transport': transport}
                        for ip, port, transport in portals],
            'mgmtIPs': [portals[0][0]] if portals else [],
            'rack': rack or persistent_id, 'zone': zone, 'region': region}
        return self.backends[persistent_id]

    def add_tenant(self, name: str, tenant_id: str = '') -> Json:
        tenant: Json = {
            'tenantId': tenant_id or _new_uuid(), 'name': name,
            'capacity': 1024, 'consumedCapacity': 0, 'totalIOPS': 0,
            'totalBW': 0}
        self.tenants[tenant['tenantId']] = tenant
        return tenant

    # reads: lists throughout

    def get_volumes(self, tenant: str, uuid: str = '',
                    alias: str = '') -> list[Json]:
        return [self._shown(volume) for volume in self.volumes.values()
                if volume['_tenant'] == tenant
                and (not uuid or volume['uuid'] == uuid)
                and (not alias or volume['alias'] == alias)]

    def _shown(self, volume: Json) -> Json:
        shown = {key: value for key, value in volume.items()
                 if not key.startswith('_')}
        now = self.clock()
        shown['location'] = [
            {'uuid': replica['uuid'],
             'backend': {'persistentID': replica['_backend']},
             'replicaState': replica['replicaState'],
             'currentStateTime': int(1000 * (
                 replica['_since'] if self.dates
                 else now - replica['_since']))}
            for replica in volume['_replicas']]
        return shown

    def get_targets(self, host: str, volume_id: str) -> list[Json]:
        found = []
        for volume in self.volumes.values():
            if volume_id and volume['uuid'] != volume_id:
                continue
            key = 'name' if self.new_names else 'targetName'
            for replica in volume['_replicas']:
                if host and (host, volume['uuid'],
                             replica['uuid']) not in self.published:
                    continue
                if self.shared_target:
                    found.append({key: self.nqn(volume['uuid']),
                                  'numNamespaces': 1})
                    break
                found.append({key: self.nqn(replica['uuid']), 'backend': {
                    'persistentID': replica['_backend']},
                    'numNamespaces': 1})
        return found

    def nqn(self, uuid: str) -> str:
        return 'nqn.2019-10.com.kioxia:%s' % uuid

    # what clients ask for

    def probe(self, body: Json) -> None:
        if not body.get('hostNqn') or not body.get('name'):
            raise Refusal('ParametersError', 'hostNqn and name are needed')
        self.probes.append(body)
        self.hosts[body['hostNqn']] = {
            'nqn': body['hostNqn'], 'uuid': body.get('hostId'),
            'name': body['name'], 'clientType': body.get('clientType'),
            'version': body.get('version'), 'state': 'Available',
            'lastProbeTime': int(1000 * self.clock()),
            'duration': body.get('duration')}

    def create_volume(self, tenant: str, body: Json) -> Json:
        storage = body.get('storageClass') or {}
        volume: Json = {
            'uuid': body.get('uuid') or _new_uuid(),
            'alias': body.get('alias'), 'capacity': body.get('capacity'),
            'numReplicas': storage.get('numReplicas', 1),
            'maxReplicaDownTime': storage.get('maxReplicaDownTime') or 0,
            'writable': True, 'protocol': body.get('protocol', 'NVMeoF'),
            'replicable': True, 'snapshotID': None, '_tenant': tenant,
            '_same_rack': bool(storage.get('sameRackAllowed')),
            '_replicas': []}
        if volume['uuid'] in self.volumes:
            raise Refusal('AlreadyExists', 'volume %s' % volume['uuid'])
        for _ in range(volume['numReplicas']):
            self._place(volume, volume['_same_rack'], 'Available')
        self.volumes[volume['uuid']] = volume
        return {'status': 'Success', 'resID': volume['uuid']}

    def _place(self, volume: Json, same_rack: bool, state: str,
               racks: list[str] | None = None) -> Json:
        """Put a replica on the emptiest backend that may hold it."""
        used = {replica['_backend'] for replica in volume['_replicas']}
        used_racks = {self.backends[name]['rack'] for name in used}
        load = {name: sum(replica['_backend'] == name
                          for other in self.volumes.values()
                          for replica in other['_replicas'])
                for name in self.backends}
        free = [name for name, backend in self.backends.items()
                if name not in used and backend['state'] == 'Available'
                and (same_rack or backend['rack'] not in used_racks)
                and (not racks or backend['rack'] in racks)]
        if not free:
            raise Refusal('NoSpace', 'no backend for another replica of %s'
                          % volume['alias'])
        replica = {'uuid': self.new_uuid(), 'replicaState': state,
                   '_backend': min(free, key=lambda name: (load[name], name)),
                   '_since': self.clock()}
        volume['_replicas'].append(replica)
        return replica

    def delete_volume(self, tenant: str, uuid: str) -> None:
        self._volume(tenant, uuid)
        if any(volume == uuid for _, volume, _ in self.published):
            raise Refusal('VolumeInUse', 'it is published')
        del self.volumes[uuid]

    def publish(self, tenant: str, body: Json) -> str:
        volume = self._volume(tenant, body.get('volId'))
        host = body.get('hostId') or ''
        if host and not any(known['uuid'] == host
                            for known in self.hosts.values()):
            raise Refusal('HostNotExists', 'host %s is not known' % host)
        new = {(host, volume['uuid'], replica['uuid'])
               for replica in volume['_replicas']}
        if new <= self.published:
            return 'AlreadyPublished'
        self.published |= new
        return 'Success'

    def unpublish(self, tenant: str, body: Json) -> str:
        volume = self._volume(tenant, body.get('volId'))
        gone = {entry for entry in self.published
                if entry[:2] == (body.get('hostId') or '', volume['uuid'])}
        self.published -= gone
        return 'Success' if gone else 'VolumeNotPublished'

    def set_state(self, tenant: str, volume_id: str, replica_id: str,
                  state: str) -> None:
        replica = self.replica(tenant, volume_id, replica_id)
        if state not in SETTABLE:
            raise Refusal('ParametersError', 'state %s' % state)
        if replica['replicaState'] == 'Terminating':
            raise Refusal('InvalidState', 'the replica is Terminating')
        self.change(replica, state)

    def change(self, replica: Json, state: str) -> None:
        if replica['replicaState'] != state:
            replica['replicaState'] = state
            replica['_since'] = self.clock()

    def add_replica(self, tenant: str, volume_id: str, body: Json) -> None:
        volume = self._volume(tenant, volume_id)
        if len(volume['_replicas']) >= self.most_replicas:
            raise Refusal('TooManyReplicas', 'there are %d replicas' % len(
                volume['_replicas']))
        self._place(volume, bool(body.get('sameRackAllowed')),
                    self.fresh, body.get('racks'))

    def delete_replica(self, tenant: str, volume_id: str,
                       replica_id: str) -> None:
        volume = self._volume(tenant, volume_id)
        replica = self.replica(tenant, volume_id, replica_id)
        if replica['replicaState'] == 'Terminating':
            raise Refusal('InvalidState', 'the replica is Terminating')
        if not any(other['replicaState'] == 'Available' and other is not
                   replica for other in volume['_replicas']):
            raise Refusal('LastReplica', 'no other replica is Available')
        self.change(replica, 'Terminating')

    def confirm_delete(self, tenant: str, volume_id: str,
                       replica_id: str) -> None:
        volume = self._volume(tenant, volume_id)
        replica = self.replica(tenant, volume_id, replica_id)
        if replica['replicaState'] != 'Terminating':
            raise Refusal('InvalidState', 'the replica is %s' % replica[
                'replicaState'])
        volume['_replicas'].remove(replica)
        self.published = {entry for entry in self.published
                          if entry[2] != replica_id}

    def replica(self, tenant: str, volume_id: str, replica_id: str) -> Json:
        for replica in self._volume(tenant, volume_id)['_replicas']:
            if replica['uuid'] == replica_id:
                return replica
        raise Refusal('NotExists', 'replica %s' % replica_id)

    def _volume(self, tenant: str, uuid: str | None) -> Json:
        volume = self.volumes.get(uuid or '')
        if volume is None or volume['_tenant'] != tenant:
            raise Refusal('NotExists', 'volume %s' % uuid)
        return volume
