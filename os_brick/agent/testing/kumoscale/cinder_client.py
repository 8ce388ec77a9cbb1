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
"""Drives a KumoScale provisioner with Cinder's own client, and tells.

Run as a script in an environment in which Cinder is installed:

    cinder_client.py IP,IP PORT TOKEN CERTIFICATE

Prints one JSON object: what the client made of each answer.  Cinder's client
needs nothing of the rest of Cinder, whose packages import very much: they
are stood in for by empty ones.
"""

import importlib
import importlib.machinery
import json
import sys
import types

HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:cinder'
HOST_ID = '5d1e4f2c-0001-4000-8000-0000000000ff'


def _client():
    """Import Cinder's client below packages that import nothing."""
    path = None
    for name in ('cinder', 'cinder.volume', 'cinder.volume.drivers',
                 'cinder.volume.drivers.kioxia'):
        found = importlib.machinery.PathFinder.find_spec(name, path)
        module = types.ModuleType(name)
        path = module.__path__ = list(found.submodule_search_locations)
        sys.modules[name] = module
    return (importlib.import_module(name + '.rest_client'),
            importlib.import_module(name + '.entities'))


def main(ips, port, token, certificate):
    rest_client, entities = _client()
    client = rest_client.KioxiaProvisioner(ips.split(','), certificate,
                                           token, int(port))
    told = {}

    def tell(name, response):
        found = response.prov_entities
        told[name] = [response.status, json.loads(json.dumps(
            found, default=lambda item: item.__dict__))]
        return found

    tell('info', client.get_info())
    tell('probe', client.host_probe(HOST_NQN, HOST_ID, 'compute-1', 'Agent',
                                    'cinder-driver-0.1', 30))
    tell('hosts', client.get_hosts_by_name('compute-1'))
    storage = entities.StorageClass(2, blockSize=4096, sameRackAllowed=False,
                                    maxReplicaDownTime=10)
    made = tell('create', client.create_volume(entities.VolumeCreate(
        'alias-1', 1, storage, 'THICK', 0, 'NVMeoF',
        '5d1e4f2c-0002-4000-8000-000000000001')))
    volume = made['resID']
    for name in ('publish', 'publish again'):
        tell(name, client.publish(HOST_ID, volume))
    found = tell('volume', client.get_volumes_by_uuid(volume))
    tell('alias', client.get_volumes_by_alias('alias-1'))
    tell('volumes', client.get_volumes())
    tell('unknown volume', client.get_volumes_by_uuid('nobody'))
    targets = tell('targets', client.get_targets(HOST_ID, volume))
    tell('backend', client.get_backend_by_id(
        targets[0].backend.persistentID))
    tell('backends', client.get_backends())
    old = found[0].location[0].uuid
    tell('missing', client.set_replica_state(volume, old, 'Missing'))
    tell('unknown replica', client.set_replica_state(volume, 'x', 'Missing'))
    tell('add', client.add_replica(
        entities.Replica(False, None, None, None), volume))
    tell('targets before', client.get_targets(HOST_ID, volume))
    tell('publish new', client.publish(HOST_ID, volume))
    tell('targets after', client.get_targets(HOST_ID, volume))
    tell('too early', client.delete_replica_confirm(volume, old))
    tell('delete', client.delete_replica(volume, old))
    tell('terminating', client.get_volumes_by_uuid(volume))
    tell('set terminating', client.set_replica_state(volume, old, 'Missing'))
    tell('confirm', client.delete_replica_confirm(volume, old))
    tell('exchanged', client.get_volumes_by_uuid(volume))
    tell('log', client.forward_log(entities.ForwardEntity(
        'EVENT', 'WARN', 'compute-1', 'Agent', 'message', ['a', 'b'])))
    task = tell('tasks', client.get_tasks(host_id=HOST_ID))[0]
    tell('update task', client.update_task(task.taskId, HOST_ID, 'RUNNING',
                                           50))
    tell('running task', client.get_tasks(task_id=task.taskId))
    tell('remove task', client.remove_task(task.taskId, HOST_ID))
    tell('no tasks', client.get_tasks(host_id=HOST_ID))
    tell('tenants', client.get_tenants())
    tenant = told['tenants'][1][0]['tenantId']
    tell('tenant volumes', client.get_volumes(tenant))
    for name in ('unpublish', 'unpublish again'):
        tell(name, client.unpublish(HOST_ID, volume))
    tell('delete volume', client.delete_volume(volume))
    client.token = 'expired'
    tell('bad token', client.get_volumes())
    json.dump(told, sys.stdout)


if __name__ == '__main__':
    main(*sys.argv[1:])
