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
"""KumoScale's answers: what is believed of them, and what it means; pure.

Nothing of an answer is used before its type and range have been looked at.
What cannot be believed raises ValueError with the field's name and the
offending text, shortened.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import hashlib
import json
import re
from typing import Any

from os_brick.agent import model

Json = Any

_EXCERPT = 120
_STATES = {state.value.lower(): state for state in model.ReplicaState}
_STATE_WORDS = {
    model.ReplicaState.AVAILABLE: 'Available',
    model.ReplicaState.SYNCHRONIZING: 'Synchronizing',
    model.ReplicaState.MISSING: 'Missing',
}
# Milliseconds in 31 years: no replica has been in one state for so long, and
# no date since 2001 is smaller.
_DATE_FROM = 1e12
_MAX_DOWN_MINUTES = 60 * 24 * 366 * 100
_NQN = re.compile(r'nqn\.[\x21-\x7e]{1,219}\Z')
_ADDRESS = re.compile(r'[0-9A-Za-z.:_%-]{1,253}\Z')
_RDMA = ('rocev2', 'rdma')


def excerpt(text: object) -> str:
    """Return a text on one line, printable and short enough for a log."""
    line = ' '.join(str(text)[:4 * _EXCERPT].split())
    line = ''.join(c if c.isprintable() else '?' for c in line)
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + '...'


def decode(body: bytes) -> Json:
    """Return the JSON of a body.

    :raises ValueError: it is none, also where Python would be lenient.
    """
    def refuse(word: str) -> None:
        raise ValueError('%s is no number' % word)

    try:
        return json.loads(body.decode('utf-8'), parse_constant=refuse)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def host_name(name: str) -> str:
    """Return a host's name in the form in which Cinder registers it."""
    name = name.replace('.', '-').lower()
    if len(name) > 32:
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return name


def state_word(state: model.ReplicaState) -> str:
    """Return KumoScale's word for a state that may be set.

    :raises ValueError: an agent does not set this state.
    """
    try:
        return _STATE_WORDS[state]
    except KeyError:
        raise ValueError('a replica cannot be set %s' % state.value) from None


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A volume that is believed.

    :ivar backends: replica uuid -> persistentID of its backend.
    :ivar unplaced: replicas without a backend, which are not the volume's.
    """

    volume: model.Volume
    backends: dict[str, str]
    unplaced: tuple[model.Replica, ...] = ()

    def with_targets(self, targets: dict[str, model.Target]) -> model.Volume:
        return dataclasses.replace(self.volume, replicas=tuple(
            dataclasses.replace(replica, target=targets.get(replica.uuid))
            for replica in self.volume.replicas))


def _text(entry: Json, key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value or len(value) > 1024:
        raise ValueError('%s: "%s" is no text: %s' % (
            where, key, excerpt(repr(value))))
    return value


def _uuid(entry: Json, where: str) -> str:
    text = _text(entry, 'uuid', where)
    try:
        return model.normalise_uuid(text)
    except ValueError:
        raise ValueError('%s: "uuid" is none: %s' % (
            where, excerpt(repr(text)))) from None


def _number(entry: Json, key: str, where: str, low: float,
            high: float) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if (isinstance(value, bool) or not isinstance(value, (int, float))
            or not low <= value <= high):
        raise ValueError('%s: "%s" is no number from %d to %d: %s' % (
            where, key, low, high, excerpt(repr(value))))
    return value


def _object(entry: Json, where: str) -> Json:
    if not isinstance(entry, dict):
        raise ValueError('%s is no object: %s' % (
            where, excerpt(repr(entry))))
    return entry


def named(entry: Json) -> str:
    """Return what a volume calls itself, for an error about it."""
    if isinstance(entry, dict):
        for key in ('alias', 'uuid'):
            if isinstance(entry.get(key), str):
                return excerpt(entry[key])
    return 'without a name'


def claims(entry: Json) -> Iterator[str]:
    """Yield the alias and all UUIDs of a volume, unchecked."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get('alias'), str):
        yield entry['alias']
    location = entry.get('location')
    for owner in [entry] + (location if isinstance(location, list) else []):
        if isinstance(owner, dict) and isinstance(owner.get('uuid'), str):
            try:
                yield model.normalise_uuid(owner['uuid'])
            except ValueError:
                pass   # a text that is no UUID claims nothing


def parse_volume(entry: Json, now: float) -> Parsed:
    """Return a volume.

    :param now: seconds since the epoch.
    :raises ValueError: it cannot be believed.
    """
    where = 'volume %s' % named(entry)
    entry = _object(entry, where)
    uuid = _uuid(entry, where)
    alias = _text(entry, 'alias', where)
    count = _number(entry, 'numReplicas', where, 1, 64)
    minutes = _number(entry, 'maxReplicaDownTime', where, 0,
                      _MAX_DOWN_MINUTES)
    location = entry.get('location')
    if not isinstance(location, list):
        raise ValueError('%s: "location" is no list: %s' % (
            where, excerpt(repr(location))))
    replicas: list[model.Replica] = []
    unplaced: list[model.Replica] = []
    backends: dict[str, str] = {}
    for item in location:
        replica, backend = _replica(item, where, now)
        if replica.uuid in backends:
            raise ValueError('%s lists replica %s twice' % (
                where, replica.uuid))
        backends[replica.uuid] = backend
        # without a backend there is nothing to reach the replica by
        (replicas if backend else unplaced).append(replica)
    volume = model.Volume(
        uuid=uuid, alias=alias, replicas=tuple(replicas),
        replica_count=None if count is None else int(count),
        max_replica_down_time=None if minutes is None else 60.0 * minutes)
    return Parsed(volume, backends, tuple(unplaced))


def _replica(item: Json, where: str,
             now: float) -> tuple[model.Replica, str]:
    item = _object(item, '%s, a replica' % where)
    uuid = _uuid(item, '%s, a replica' % where)
    where = '%s, replica %s' % (where, uuid)
    word = _text(item, 'replicaState', where)
    state = _STATES.get(word.lower())
    if state is None:
        raise ValueError('%s: the state %s is not known' % (
            where, excerpt(repr(word))))
    backend = _object(item.get('backend'), '%s: "backend"' % where)
    persistent_id = backend.get('persistentID')
    if persistent_id is not None and not isinstance(persistent_id, str):
        raise ValueError('%s: "persistentID" is no text: %s' % (
            where, excerpt(repr(persistent_id))))
    spent = _number(item, 'currentStateTime', where, -1e15, 1e15)
    return (model.Replica(uuid, state, _since(spent, now)),
            persistent_id or '')


def _since(milliseconds: float | None, now: float) -> float | None:
    """Turn a duration, or a date, into a date; both come in milliseconds."""
    if milliseconds is None or milliseconds < 0:
        return None   # the provisioner's clock was set back meanwhile
    if milliseconds >= _DATE_FROM:
        return min(milliseconds / 1000.0, now)
    return now - milliseconds / 1000.0


@dataclasses.dataclass(frozen=True)
class Subsystem:
    """A target: its NQN and the backend it is on, '' where not said."""

    nqn: str
    backend: str


def parse_targets(entries: Iterable[Json]) -> list[Subsystem]:
    """Return the targets of a volume for a host.

    :raises ValueError: one cannot be believed.
    """
    found = []
    for entry in entries:
        entry = _object(entry, 'a target')
        # the older API has targetName, the newer one has name
        nqn = entry.get('targetName') or entry.get('name')
        if not isinstance(nqn, str) or not _NQN.match(nqn):
            raise ValueError('a target has no NQN in "targetName" or '
                             '"name": %s' % excerpt(repr(nqn)))
        backend = entry.get('backend')
        if backend is None:
            backend = {}
        backend = _object(backend, 'target %s: "backend"' % excerpt(nqn))
        persistent_id = backend.get('persistentID') or ''
        if not isinstance(persistent_id, str):
            raise ValueError('target %s: "persistentID" is no text: %s' % (
                excerpt(nqn), excerpt(repr(persistent_id))))
        found.append(Subsystem(nqn, persistent_id))
    return found


def parse_portals(entries: Iterable[Json],
                  persistent_id: str) -> tuple[model.Portal, ...]:
    """Return the portals of one backend; none where it is not listed.

    :raises ValueError: the backend cannot be believed.
    """
    for entry in entries:
        entry = _object(entry, 'a backend')
        if entry.get('persistentID') != persistent_id:
            continue
        where = 'backend %s' % excerpt(persistent_id)
        portals = entry.get('portals')
        if not isinstance(portals, list):
            raise ValueError('%s: "portals" is no list: %s' % (
                where, excerpt(repr(portals))))
        return tuple(dict.fromkeys(_portal(portal, where)
                                   for portal in portals))
    return ()


def _portal(entry: Json, where: str) -> model.Portal:
    where += ', a portal'
    entry = _object(entry, where)
    address = _text(entry, 'ip', where)
    if not _ADDRESS.match(address):
        raise ValueError('%s: "ip" is no address: %s' % (
            where, excerpt(repr(address))))
    port = entry.get('port')
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port[:9])
    if isinstance(port, bool) or not isinstance(port, int):
        raise ValueError('%s: "port" is no number: %s' % (
            where, excerpt(repr(port))))
    transport = str(entry.get('transport') or 'tcp').lower()
    return model.Portal(address, port,
                        'rdma' if transport in _RDMA else 'tcp')
