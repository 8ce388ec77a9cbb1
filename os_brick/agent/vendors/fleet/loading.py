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
"""Between etcd and the files of the local driver.

A host that moves to etcd brings two: the inventory, and the ledger in which
its local driver remembers which spares it took.  Without the ledger a spare
that is a leg by now would be free in etcd.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import time

import yaml

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import pool


@dataclasses.dataclass(frozen=True)
class Past:
    """What the ledger of a local driver says.

    :ivar used: how many times each namespace was let go.
    """

    entries: tuple[assignments.Assignment, ...] = ()
    used: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def of(self, volume: str) -> tuple[assignments.Assignment, ...]:
        return tuple(entry for entry in self.entries
                     if entry.volume == volume)


def past(path: str) -> Past:
    """Read the ledger of a local driver, ``local.sqlite``.

    :raises base.ProvisionerError: it is none, or cannot be read.
    """
    if not os.path.exists(path):
        raise base.Rejected('there is no ledger %s' % path)
    ledger = assignments.Assignments(path)
    try:
        return Past(ledger.entries(), ledger.used())
    finally:
        ledger.close()


def export(every: everything.Everything, host: str) -> str:
    """Return the inventory of a host's volumes for its local driver.

    :raises base.Rejected: a replica is being exchanged.
    """
    volumes = []
    for healer, record in every.owned():
        if healer != host:
            continue
        moving = [entry.uuid for entry in record.entries
                  if entry.live and not entry.member]
        if moving:
            raise base.Rejected('volume %s: replica %s is being exchanged; '
                                'wait until it is let go' % (
                                    record.listing.alias, moving[0]))
        listing = record.listing
        volumes.append(_without_none({
            'uuid': record.uuid, 'alias': listing.alias,
            'size': listing.size, 'tags': sorted(listing.tags) or None,
            'max_replica_down_time': listing.max_replica_down_time,
            'replicas': [_plain(entry.backing) for entry in record.entries
                         if entry.member]}))
    return yaml.safe_dump({'volumes': volumes}, sort_keys=False)


def _plain(backing: inventory_file.Backing) -> dict[str, object]:
    return _without_none({
        'uuid': backing.uuid, 'nqn': backing.target.nqn,
        'portals': [dataclasses.asdict(portal)
                    for portal in backing.target.portals],
        'failure_domain': backing.failure_domain, 'size': backing.size})


def _without_none(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if value is not None}


def load(etcd: store.Store, keys: schema.Keys,
         inventory: inventory_file.Inventory, host: str,
         dry_run: bool, before: Past = Past()) -> list[str]:
    """Bring etcd in line with a file of the local driver; say what differs.

    :param host: the host of the volumes for which the file names none.
    :param before: what the local driver did with this file.
    :raises base.Rejected: the file cannot be loaded; nothing more is written.
    """
    return load_into(etcd, keys, everything.read(etcd, keys),
                     inventory, host, dry_run, before)


def load_into(etcd: store.Store, keys: schema.Keys,
              every: everything.Everything,
              inventory: inventory_file.Inventory, host: str,
              dry_run: bool, before: Past = Past()) -> list[str]:
    """Do it, given what stands in etcd."""
    view = every.view
    said: list[str] = []
    listed = {listing.uuid for listing in inventory.volumes}
    for entry in before.entries:
        if entry.live and entry.volume not in listed:
            raise base.Rejected('the ledger has namespace %s in use by volume '
                                '%s, which the file does not list' % (
                                    entry.uuid, entry.volume))
    spares = {uuid: spare.backing for uuid, spare in every.spares.items()}
    # volumes first: what they have is nobody's spare
    for listing in inventory.volumes:
        said += _load_volume(etcd, keys, every, listing, {**spares, **{
            one.backing.uuid: one.backing for one in inventory.spares}},
            listing.host or host, dry_run, before)
    for spare in inventory.spares:
        uuid = spare.backing.uuid
        key = keys.spares + uuid
        if every.spares.get(uuid) == spare:
            continue
        said.append('%s spare %s' % (
            '~' if view.get(key).revision else '+', uuid))
        if uuid in every.spares:
            said += _differences(every.spares[uuid], spare)
        puts: dict[str, str | None] = {key: schema.dump_spare(spare)}
        if uuid in before.used and uuid not in every.uses and not any(
                entry.uuid == uuid and entry.live
                for entry in before.entries):
            puts[keys.uses + uuid] = schema.dump_use(schema.Use(
                None, before.used[uuid], spare.backing))
        if not dry_run:
            _load_one(etcd, store.Write(puts, {
                one: view.get(one) for one in puts}))
    return said


def _load_volume(etcd: store.Store, keys: schema.Keys,
                 every: everything.Everything,
                 listing: inventory_file.Listing,
                 spares: dict[str, inventory_file.Backing], host: str,
                 dry_run: bool, past: Past) -> list[str]:
    owner = every.owners.get(listing.uuid)
    if not host and owner is None:
        raise base.Rejected('volume %s: no host is named for it (field host, '
                            'or --host)' % listing.alias)
    if owner is not None and host not in ('', owner):
        raise base.Rejected('volume %s: the host %s heals it; hand it over '
                            'before it is loaded for %s' % (
                                listing.alias, owner, host))
    host = owner or host
    _settled(keys, every, listing, host)
    own, key = keys.owners + listing.uuid, keys.volume(host, listing.uuid)
    record = every.records.get((host, listing.uuid))
    before = record.entries if record else past.of(listing.uuid)
    entries = tuple(pool.reconcile(listing, before, spares, (),
                                   time.time()).values())
    for entry in entries:
        use = every.uses.get(entry.uuid)
        if entry.live and use and use.volume not in (None, listing.uuid):
            raise base.Rejected('volume %s: replica %s is in use by volume '
                                '%s' % (listing.alias, entry.uuid,
                                        use.volume))
    fresh = dataclasses.replace(
        record or schema.Record(listing, (), host, 0,
                                generation=every.fleet.generation),
        listing=dataclasses.replace(listing, replicas=(), host=''),
        entries=entries, healer=host, yielding=False, pending=False)
    fresh = dataclasses.replace(fresh, serial=fresh.serial + 1)
    if record and dataclasses.replace(fresh, serial=record.serial) == record:
        return []
    said = ['%s volume %s of %s' % ('~' if record else '+', listing.alias,
                                    host)]
    said += _differences(record.listing, fresh.listing) if record else []
    known = {entry.uuid: entry for entry in before} if record else {}
    puts: dict[str, str | None] = {own: host,
                                   key: schema.dump_record(fresh)}
    for entry in entries:
        old = known.get(entry.uuid)
        if (old is None or not old.live) and (entry.live or not record):
            use = every.uses.get(entry.uuid)
            puts[keys.uses + entry.uuid] = schema.dump_use(schema.Use(
                listing.uuid if entry.live else None,
                use.times if use else past.used.get(entry.uuid, 0),
                entry.backing))
        if entry.live and (old is None or not old.live):
            said.append('  + replica %s' % entry.uuid)
        elif old is not None and old != entry:
            said.append('  ~ replica %s: %s' % (
                entry.uuid, entry.state and entry.state.value))
    if not dry_run:
        _load_one(etcd, store.Write(puts, {
            one: every.view.get(one) for one in puts}))
    return said


def _settled(keys: schema.Keys, every: everything.Everything,
             listing: inventory_file.Listing, host: str) -> None:
    """:raises base.Rejected: another host may be healing the volume."""
    documents = documents_room.of(keys, every, listing.uuid)
    others = [one for one in {*documents.heal(), *documents.doubtful()}
              if one != host]
    record = every.records.get((host, listing.uuid))
    if others or record is not None and record.healer != host:
        raise base.Rejected(
            'volume %s: the host %s does not heal it yet%s; run '
            '"nvme-agent-fleet hand-over %s %s" until it is done' % (
                listing.alias, host, ''.join(
                    ', and the host %s may' % one for one in others),
                listing.uuid, host))


def strangers(etcd: store.Store, keys: schema.Keys,
              every: everything.Everything,
              inventory: inventory_file.Inventory, host: str) -> list[str]:
    """Return the hosts of a file that no agent was ever heard of as.

    Of what is in etcd already nothing is said.

    :param host: the host of the volumes for which the file names none.
    :raises base.ProvisionerError: it cannot be told.
    """
    known = {schema.unquote(name.partition('/')[0]) for name in (
        *every.view.below(keys.hosts), *every.view.below(keys.alives))}
    names = {listing.host or host for listing in inventory.volumes
             if listing.uuid not in every.owners} - known
    # the agent takes its NQN, or its name in other letters, as its own
    own = {name.lower() for name in known} | _nqns(every)
    names |= {spare.host for spare in inventory.spares
              if spare != every.spares.get(spare.backing.uuid)
              and not {spare.host, spare.host.lower()} & own}
    return sorted(name for name in names - {''}
                  if not etcd.read([], [keys.events(name)]).found)


def _nqns(every: everything.Everything) -> set[str]:
    """Return the NQNs of the hosts that are alive: a spare may name one."""
    found = set()
    for text in every.alive.values():
        try:
            found.add(fields.Fields(text).text('nqn'))
        except fields.Nonsense:
            continue
    return found


def _differences(old: object, new: object) -> list[str]:
    """Return which fields of two values of one kind differ, and how."""
    def words(value: object) -> object:
        return sorted(value) if isinstance(value, frozenset) else value
    pairs = ((field.name, getattr(old, field.name), getattr(new, field.name))
             for field in dataclasses.fields(old))  # type: ignore[arg-type]
    return ['  ~ %s: %s -> %s' % (name, words(before), words(after))
            for name, before, after in pairs if before != after]


def _load_one(etcd: store.Store, write: store.Write) -> None:
    if etcd.write(write) is None:
        raise base.Unavailable('etcd: %s changed meanwhile; load the file '
                               'again' % ', '.join(sorted(write.puts)))
