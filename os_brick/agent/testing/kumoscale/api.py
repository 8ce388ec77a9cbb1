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
"""The double's calls: from a method and a path to the world and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import urllib.parse
import uuid as uuid_lib

from os_brick.agent.testing.kumoscale import state

Json = Any
Query = Mapping[str, str]

SUCCESS = {'status': 'Success', 'description': 'Success.'}
# Only these calls may carry a tenant before their name.
_TENANTED = ('volumes', 'volumes_by_alias', 'replica', 'publish',
             'unpublish')


def refusal(word: str, description: str) -> Json:
    return {'status': word, 'description': description}


def answer(world: state.World, method: str, path: str, query: Query,
           body: Json) -> Json:
    """Carry out one call; return the JSON of its answer.

    :param path: still quoted: a slash may be part of an alias.
    """
    parts = [urllib.parse.unquote(part) for part in path.split('/') if part]
    tenant = ''
    if len(parts) > 1 and parts[0] in world.tenants and (
            parts[1] in _TENANTED):
        tenant = parts.pop(0)
    if not parts:
        return refusal('NotFound', 'no such call')
    call = _CALLS.get((method, parts[0], len(parts) - 1))
    if call is None:
        return refusal('NotFound', 'no such call: %s %s' % (method, path))
    try:
        return call(world, tenant, parts[1:], query, body)
    except state.Refusal as refused:
        return refusal(refused.word, str(refused))


def _done(result: str | None = None) -> Json:
    if result in (None, 'Success'):
        return dict(SUCCESS)
    return refusal(str(result), str(result))


def _info(world: state.World, *unused: Any) -> Json:
    return {'version': '3.20', 'totalFreeSpace': 1024}


def _backends(world: state.World, tenant: str, parts: list[str],
              query: Query, body: Json) -> Json:
    return [backend for name, backend in world.backends.items()
            if not parts or name == parts[0]]


def _hosts(world: state.World, tenant: str, parts: list[str],
           query: Query, body: Json) -> Json:
    wanted = query.get('hostName')
    return [host for host in world.hosts.values()
            if wanted in (None, host['name'])]


def _targets(world: state.World, tenant: str, parts: list[str],
             query: Query, body: Json) -> Json:
    host, volume = query.get('hostId', ''), query.get('volId', '')
    if not host and not volume:
        return refusal('ParametersError', 'All parameters missing')
    return world.get_targets(host, volume)


def _add_tenant(world: state.World, tenant: str, parts: list[str],
                query: Query, body: Json) -> Json:
    made = world.add_tenant(body['name'], body.get('tenantId', ''))
    return {'status': 'Success', 'resID': made['tenantId']}


def _forward_log(world: state.World, tenant: str, parts: list[str],
                 query: Query, body: Json) -> Json:
    if body.get('loggingType') != 'EVENT' or body.get('level') not in (
            'INFO', 'WARN', 'FATAL'):
        return refusal('ParametersError', 'loggingType or level')
    world.logs.append(body)
    return dict(SUCCESS)


def _tasks(world: state.World, tenant: str, parts: list[str],
           query: Query, body: Json) -> Json:
    return [task for task in world.tasks.values()
            if query.get('hostId') in (None, task.get('hostId'))
            and query.get('taskId') in (None, task['taskId'])]


def _put_task(world: state.World, tenant: str, parts: list[str],
              query: Query, body: Json) -> Json:
    task = world.tasks.get(body.get('taskId'))
    if task is None:
        return refusal('NotExists', 'task %s' % body.get('taskId'))
    task.update(body)
    return dict(SUCCESS)


def add_task(world: state.World, host_id: str, kind: str,
             configuration: list[Json]) -> Json:
    """Give a host work to do; returns the task."""
    task: Json = {
        'taskId': str(uuid_lib.uuid4()), 'hostId': host_id, 'type': kind,
        'state': 'IDLE', 'progress': 0, 'taskStatus': '',
        'statusDescription': '', 'taskConfiguration': configuration}
    world.tasks[task['taskId']] = task
    return task


def _drop_task(world: state.World, tenant: str, parts: list[str],
               query: Query, body: Json) -> Json:
    if world.tasks.pop(query.get('taskId', ''), None) is None:
        return refusal('NotExists', 'task %s' % query.get('taskId'))
    return dict(SUCCESS)


_CALLS: dict[tuple[str, str, int], Any] = {
    ('GET', 'info', 0): _info,
    ('GET', 'backends', 0): _backends,
    ('GET', 'backends', 1): _backends,
    ('GET', 'hosts', 0): _hosts,
    ('GET', 'targets', 0): _targets,
    ('GET', 'tasks', 0): _tasks,
    ('PUT', 'tasks', 0): _put_task,
    ('DELETE', 'tasks', 0): _drop_task,
    ('GET', 'tenants', 0): lambda w, t, p, q, b: list(w.tenants.values()),
    ('POST', 'tenants', 0): _add_tenant,
    ('POST', 'host_probe', 0): lambda w, t, p, q, b: _done(w.probe(b)),
    ('POST', 'forward_log', 0): _forward_log,
    ('GET', 'volumes', 0): lambda w, t, p, q, b: w.get_volumes(t),
    ('GET', 'volumes', 1): lambda w, t, p, q, b: w.get_volumes(t, uuid=p[0]),
    ('GET', 'volumes_by_alias', 1): lambda w, t, p, q, b: w.get_volumes(
        t, alias=p[0]),
    ('POST', 'volumes', 0): lambda w, t, p, q, b: w.create_volume(t, b),
    ('DELETE', 'volumes', 1): lambda w, t, p, q, b: _done(
        w.delete_volume(t, p[0])),
    ('POST', 'publish', 0): lambda w, t, p, q, b: _done(w.publish(t, b)),
    ('POST', 'unpublish', 0): lambda w, t, p, q, b: _done(w.unpublish(t, b)),
    ('PATCH', 'replica', 3): lambda w, t, p, q, b: _done(
        w.set_state(t, *p)),
    ('POST', 'replica', 1): lambda w, t, p, q, b: _done(
        w.add_replica(t, p[0], b)),
    ('PATCH', 'replica', 2): lambda w, t, p, q, b: _done(
        w.delete_replica(t, *p)),
    ('DELETE', 'replica', 2): lambda w, t, p, q, b: _done(
        w.confirm_delete(t, *p)),
}
