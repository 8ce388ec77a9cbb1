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
"""The fleet as it stands in etcd, read at one moment."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import limits as limits_room
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file


@dataclasses.dataclass(frozen=True)
class Everything:
    """The fleet at one moment; what cannot be read is in ``problems``.

    :ivar records: (host, volume) -> the volume as that host has it.
    :ivar holders: volume -> all hosts of which there is a document, also one
        that cannot be read.
    :ivar alive: hosts whose lease runs -> the document of their key.
    :ivar fenced: host -> why.
    :ivar resyncs: (host, replica) -> the place of its copy.
    """

    keys: schema.Keys
    view: store.View
    fleet: schema.Fleet
    records: dict[tuple[str, str], schema.Record]
    holders: dict[str, set[str]]
    owners: dict[str, str]
    spares: dict[str, inventory_file.Spare]
    uses: dict[str, schema.Use]
    cordoned: frozenset[str]
    alive: dict[str, str]
    fenced: dict[str, str]
    resyncs: dict[tuple[str, str], limits_room.Place]
    problems: tuple[str, ...]

    def late(self, host: str) -> bool:
        """Say whether a host may remember what a backup has forgotten.

        It has not written it yet.
        """
        return late(self.keys, self.view, self.fleet, host)

    def owned(self) -> Iterator[tuple[str, schema.Record]]:
        """Each volume once: its healer, and the record that counts."""
        for (host, uuid), record in sorted(self.records.items()):
            if self.owners.get(uuid) == host:
                yield host, record


def late(keys: schema.Keys, view: store.View, fleet: schema.Fleet,
         host: str) -> bool:
    """Say so of any view that has the keys of the host."""
    return fleet.generation > 1 and fleet.generation > (
        schema.shown_generation(view.get(keys.alive(host)).text,
                                view.get(keys.generation(host)).text))


def read(etcd: store.Store, keys: schema.Keys) -> Everything:
    """Read all but the events, which are most of what stands there.

    :raises base.ProvisionerError: nothing can be said.
    """
    view = etcd.read_all([keys.schema], [
        keys.owners, keys.hosts, keys.alives, keys.spares, keys.uses,
        keys.cordons, keys.resyncs])
    problems: list[str] = []
    records = {}
    holders: dict[str, set[str]] = {}
    fenced = {}
    for name, value in view.below(keys.hosts).items():
        host, _, rest = name.partition('/')
        host = schema.unquote(host)
        if rest == 'fenced':
            fenced[host] = value.text
        elif rest.startswith('volumes/'):
            holders.setdefault(rest.partition('/')[2], set()).add(host)
            try:
                record = schema.load_record(value.text)
                records[host, record.uuid] = record
            except fields.Nonsense as error:
                problems.append('%s%s: %s' % (keys.hosts, name, error))
    spares = {}
    uses = {}
    for uuid, value in view.below(keys.spares).items():
        try:
            spares[uuid] = schema.load_spare(value.text)
        except fields.Nonsense as error:
            problems.append('%s%s: %s' % (keys.spares, uuid, error))
    for uuid, value in view.below(keys.uses).items():
        try:
            uses[uuid] = schema.load_use(value.text)
        except fields.Nonsense as error:
            problems.append('%s%s: %s' % (keys.uses, uuid, error))
    return Everything(
        keys, view, store.fleet(view, keys), records, holders,
        {uuid: value.text for uuid, value
         in view.below(keys.owners).items()}, spares, uses,
        frozenset(map(schema.unquote, view.below(keys.cordons))),
        {schema.unquote(host): value.text for host, value
         in view.below(keys.alives).items()}, fenced,
        {(schema.unquote(host), replica):
         limits_room.load_place(value.text)
         for name, value in view.below(keys.resyncs).items()
         for host, _, replica in [name.partition('/')]},
        tuple(problems))
