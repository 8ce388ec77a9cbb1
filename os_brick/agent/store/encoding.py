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

from collections.abc import Iterable
import dataclasses
import json
from typing import Any

from os_brick.agent.healing import replica_record
from os_brick.agent import model


def dump_record(record: replica_record.ReplicaRecord) -> str:
    return json.dumps({
        **vars(record),
        'reported': record.reported and record.reported.value,
        'target': record.target and dataclasses.asdict(record.target)})


def load_record(content: str) -> replica_record.ReplicaRecord:
    fields = _known(replica_record.ReplicaRecord, json.loads(content))
    if fields.get('reported'):
        fields['reported'] = model.ReplicaState(fields['reported'])
    fields['known'] = tuple(fields.get('known', ()))
    fields['target'] = _target(fields.get('target'))
    return replica_record.ReplicaRecord(**fields)


class Decoded:
    """The records that were made of the last text of each replica.

    A pass reads those of each volume that is here, and most have not changed.
    Texts of before are of no use: times in them change with each fault.
    """

    def __init__(self) -> None:
        # volume -> replica -> its text, and what that says
        self._kept: dict[str, dict[
            str, tuple[str, replica_record.ReplicaRecord]]] = {}

    def read(self, volume: str, texts: Iterable[tuple[str, str]]
             ) -> dict[str, replica_record.ReplicaRecord]:
        """Return replica -> what its text says.

        :param texts: replica and text, all of those that the volume has.
        """
        before = self._kept.pop(volume, {})
        made = {}
        for replica, text in texts:
            kept = before.get(replica)
            made[replica] = (kept if kept is not None and kept[0] == text
                             else (text, load_record(text)))
        records = {replica: record for replica, (_text, record)
                   in made.items()}
        self._kept[volume] = made
        self.changed(volume, records)
        return records

    def changed(self, volume: str,
                records: replica_record.ReplicaRecords) -> None:
        """Keep nothing of a volume that is not here: others come."""
        if all(record.detached_at is not None
               for record in records.values()):
            self._kept.pop(volume, None)


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
