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
"""Volumes and records as text, for the ledger.

A field that another version of the agent knew and this one does not is left
out: an upgrade may be taken back.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

from os_brick.agent.healing import replica_record
from os_brick.agent import model


def dump_record(record: replica_record.ReplicaRecord) -> str:
    return json.dumps({
        **vars(record),
        'reported': record.reported and record.reported.value,
        'target': record.target and dataclasses.asdict(record.target)})


@functools.lru_cache(maxsize=4096)
def load_record(content: str) -> replica_record.ReplicaRecord:
    fields = _known(replica_record.ReplicaRecord, json.loads(content))
    if fields.get('reported'):
        fields['reported'] = model.ReplicaState(fields['reported'])
    fields['known'] = tuple(fields.get('known', ()))
    fields['target'] = _target(fields.get('target'))
    return replica_record.ReplicaRecord(**fields)


def dump_volume(volume: model.Volume) -> str:
    """Since when a replica is in its state is not kept: nobody asks."""
    fields = dataclasses.asdict(volume)
    for replica in fields['replicas']:
        replica['state'] = replica['state'].value
        del replica['state_since']
    return json.dumps(fields)


def load_volume(content: str) -> model.Volume:
    fields = _known(model.Volume, json.loads(content))
    fields['replicas'] = tuple(map(_replica, fields['replicas']))
    return model.Volume(**fields)


def _replica(content: dict[str, Any]) -> model.Replica:
    fields = _known(model.Replica, content)
    fields['state'] = model.ReplicaState(fields['state'])
    fields['target'] = _target(fields.get('target'))
    return model.Replica(**fields)


def _target(content: dict[str, Any] | None) -> model.Target | None:
    return None if content is None else model.Target(
        content['nqn'], tuple(
            model.Portal(**portal) for portal in content['portals']))


def _known(kind: Any, content: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in content.items() if name in names}
