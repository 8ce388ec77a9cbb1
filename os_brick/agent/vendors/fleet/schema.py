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
"""What stands in etcd: the keys, and each document's fields; pure.

Below the prefix, with HOST quoted as in a URL::

    schema                      version, fleet, generation, hold, limits
    owners/VOLUME               which host heals it; for operators' tools
    hosts/HOST/volumes/VOLUME   the volume, its replicas and their states
    hosts/HOST/intent           what is about to be done (see ``store``)
    hosts/HOST/fenced           why this host may only observe
    hosts/HOST/generation       for which it has written what it remembers
    alive/HOST                  under a lease: the agent makes its passes
    events/HOST/NN              the last hundred events, a ring
    spares/NAMESPACE            a namespace that may become a replica
    uses/NAMESPACE              the volume that has it, or had it
    cordons/TARGET              no spare of that target is taken
    resyncs/HOST/NAMESPACE      under a lease: what is copied to, or may be
    resync-turn                 changed by all that take such a place

A namespace belongs to one volume: ``uses`` is written in the transaction that
puts it into the volume's document and in the one that takes it out.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import urllib.parse

from os_brick.agent import model
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import limits as limits_room
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file

VERSION = 1
#: Stands for a healer of which nobody knows: no host has that name.
UNKNOWN = '?'
#: Events kept of a host.
EVENTS = 100


@dataclasses.dataclass(frozen=True)
class Keys:
    """Every key, below one prefix such as ``/nvme-agent``."""

    prefix: str

    @property
    def schema(self) -> str:
        return self.prefix + '/schema'

    @property
    def spares(self) -> str:
        return self.prefix + '/spares/'

    @property
    def uses(self) -> str:
        return self.prefix + '/uses/'

    @property
    def cordons(self) -> str:
        return self.prefix + '/cordons/'

    @property
    def owners(self) -> str:
        return self.prefix + '/owners/'

    @property
    def hosts(self) -> str:
        return self.prefix + '/hosts/'

    @property
    def alives(self) -> str:
        return self.prefix + '/alive/'

    @property
    def resyncs(self) -> str:
        return self.prefix + '/resyncs/'

    @property
    def turn(self) -> str:
        return self.prefix + '/resync-turn'

    def resyncs_of(self, host: str) -> str:
        return '%s%s/' % (self.resyncs, quote(host))

    def resync(self, host: str, namespace: str) -> str:
        return self.resyncs_of(host) + namespace

    def host(self, host: str) -> str:
        return '%s%s/' % (self.hosts, quote(host))

    def volumes(self, host: str) -> str:
        return self.host(host) + 'volumes/'

    def volume(self, host: str, volume: str) -> str:
        return self.volumes(host) + volume

    def fenced(self, host: str) -> str:
        return self.host(host) + 'fenced'

    def generation(self, host: str) -> str:
        return self.host(host) + 'generation'

    def intent(self, host: str) -> str:
        return self.host(host) + 'intent'

    def alive(self, host: str) -> str:
        return self.alives + quote(host)

    def events(self, host: str) -> str:
        return '%s/events/%s/' % (self.prefix, quote(host))

    def event(self, host: str, number: int) -> str:
        return '%s%02d' % (self.events(host), number % EVENTS)

    def cordon(self, target: str) -> str:
        return self.cordons + quote(target)


def quote(name: str) -> str:
    return urllib.parse.quote(name, safe='')


def unquote(name: str) -> str:
    return urllib.parse.unquote(name)


@dataclasses.dataclass(frozen=True)
class Fleet:
    """What ``schema`` says.

    :ivar fleet: a UUID; another one is another fleet.
    :ivar generation: raised by the operator who accepts a restored backup.
    :ivar hold: why no spare is to be taken; '': nothing is against it.
    :ivar limits: how much may be copied at once.
    """

    fleet: str
    generation: int = 1
    hold: str = ''
    limits: limits_room.Limits = limits_room.Limits()


@dataclasses.dataclass(frozen=True)
class Record:
    """A volume as one host has it.

    :ivar listing: what the operator wants; its ``replicas`` are empty.
    :ivar healer: the host that heals it.
    :ivar serial: grows with each write of the document.
    :ivar yielding: this host healed it, and its agent has not said yet that
        it no longer does.
    :ivar unheard: this host healed it; an operator has said that it has
        stopped, and its agent has not been back since.
    :ivar generation: of the fleet, when an operator said last who heals it.
    :ivar pending: a hand-over is not done, for all that this host knows.
    :ivar put_right: the fleet's generation, when this host wrote last what it
        remembers of it.
    """

    listing: inventory_file.Listing
    entries: tuple[assignments.Assignment, ...]
    healer: str
    serial: int = 1
    yielding: bool = False
    generation: int = 0
    pending: bool = False
    put_right: int = 0
    unheard: bool = False

    @property
    def valid_for(self) -> int:
        """The generation for which this is no news of a backup."""
        return max(self.generation, self.put_right)

    def heals(self, host: str) -> bool:
        """Say whether the host whose document this is may be healing."""
        return self.healer == host or self.yielding

    @property
    def uuid(self) -> str:
        return self.listing.uuid

    def entry(self, uuid: str) -> assignments.Assignment | None:
        for entry in self.entries:
            if entry.uuid == uuid:
                return entry
        return None


@dataclasses.dataclass(frozen=True)
class Use:
    """Who has a namespace.

    :ivar volume: the volume that has it; None: it was let go.
    :ivar times: how many times it was let go.
    """

    volume: str | None
    times: int
    backing: inventory_file.Backing


def dump_fleet(fleet: Fleet) -> str:
    return _dump({'version': VERSION, 'fleet': fleet.fleet,
                  'generation': fleet.generation, 'hold': fleet.hold,
                  'limits': limits_room.dump(fleet.limits)})


def load_fleet(text: str) -> Fleet:
    said = fields.Fields(text)
    version = said.number('version')
    if version != VERSION:
        raise fields.Nonsense('it is of version %d; this release knows %d' % (
            version, VERSION))
    return Fleet(said.text('fleet'), said.number('generation'),
                 said.text('hold', ''), limits_room.load(said.get('limits')))


def dump_record(record: Record) -> str:
    listing = record.listing
    return _dump({
        **({'yielding': True} if record.yielding else {}),
        **({'pending': True} if record.pending else {}),
        **({'unheard': True} if record.unheard else {}),
        **({'generation': record.generation} if record.generation else {}),
        **({'put_right': record.put_right} if record.put_right else {}),
        'serial': record.serial, 'healer': record.healer,
        'uuid': listing.uuid, 'alias': listing.alias, 'size': listing.size,
        'tags': sorted(listing.tags),
        'max_replica_down_time': listing.max_replica_down_time,
        'replicas': [dict(
            _backing(entry.backing), state=entry.state and entry.state.value,
            state_since=entry.state_since, stands_for=entry.stands_for,
            successor=entry.successor) for entry in record.entries]})


def load_record(text: str) -> Record:
    """:raises fields.Nonsense: it is no volume's document."""
    said = fields.Fields(text)
    uuid = said.uuid('uuid')
    listing = inventory_file.Listing(
        uuid, said.text('alias'), (), said.size(),
        frozenset(said.words('tags')),
        said.seconds('max_replica_down_time'))
    entries = tuple(_entry(uuid, fields.Fields(one)) for one
                    in said.items('replicas'))
    if len({entry.uuid for entry in entries}) != len(entries):
        raise fields.Nonsense('it lists a replica twice')
    return Record(listing, entries, said.text('healer'),
                  said.number('serial'), said.flag('yielding'),
                  said.number('generation', 0), said.flag('pending'),
                  said.number('put_right', 0), said.flag('unheard'))


def dump_use(use: Use) -> str:
    return _dump(dict(_backing(use.backing), volume=use.volume,
                      times=use.times))


def load_use(text: str) -> Use:
    said = fields.Fields(text)
    return Use(said.uuid_or_none('volume'), said.number('times'),
               said.backing())


def dump_spare(spare: inventory_file.Spare) -> str:
    return _dump(dict(_backing(spare.backing), volumes=sorted(spare.volumes),
                      tags=sorted(spare.tags), returned=spare.returned,
                      host=spare.host))


def load_spare(text: str) -> inventory_file.Spare:
    said = fields.Fields(text)
    backing = said.backing()
    if backing.size is None:
        raise fields.Nonsense('a spare without a size')
    return inventory_file.Spare(
        backing, frozenset(said.words('volumes')),
        frozenset(said.words('tags')), said.number('returned'),
        said.text('host', ''))


def dump_event(event: model.Event, number: int, at: float) -> str:
    return _dump({'number': number, 'at': at, 'kind': event.kind,
                  'level': event.level, 'message': event.message,
                  'names': event.names})


def event_number(text: str) -> int:
    """Return which one of the host's it is; -1: it cannot be read."""
    try:
        return fields.Fields(text).number('number')
    except fields.Nonsense:
        return -1


def shown_generation(alive: str, lasting: str) -> int:
    """Return for which generation a host has written what it remembers.

    :param alive: the document of its lease key; all that earlier releases
        write.
    :param lasting: its ``generation``.
    :returns: 0: for none that can be read.
    """
    found = int(lasting) if lasting.isdecimal() else 0
    try:
        return max(found, fields.Fields(alive).number('generation'))
    except fields.Nonsense:
        return found


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(',', ':'))


def _backing(backing: inventory_file.Backing) -> dict[str, object]:
    return {'namespace': backing.uuid, 'nqn': backing.target.nqn,
            'portals': [[portal.address, portal.port, portal.transport]
                        for portal in backing.target.portals],
            'failure_domain': backing.failure_domain, 'size': backing.size}


def _entry(volume: str, said: fields.Fields) -> assignments.Assignment:
    word = said.get('state')
    try:
        state = None if word is None else model.ReplicaState(word)
    except ValueError:
        raise fields.Nonsense('the state %.40r is not known'
                              % (word,)) from None
    since = said.seconds('state_since')
    return assignments.Assignment(
        volume, said.backing(), state, since or 0.0,
        said.uuid_or_none('stands_for'), said.uuid_or_none('successor'))
