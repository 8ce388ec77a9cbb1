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
"""Who heals a volume, and how that changes: never two at a time.

- A host may be healing while its document names it as the healer, and, when
  that was changed, until its agent has written that it knows (``yielding``).
  It writes so once its daemon has taken in, for good, that it only observes.
- A host's document names it as the healer from a transaction on that finds
  no other host of which that is so.  Between the two nobody heals.
- Whoever is killed in the middle leaves nothing that is wrong: the same step,
  made again, goes on.  So does one to another host, or back.
- Who is named as the healer and has no document, or has not written yet what
  it remembers of before a backup, may be healing: only the operator can tell.
- Each step begins a new term: its serials are above all that were, and what a
  host adds, over a restored backup too, does not reach the next term.  By that
  two documents of which a backup and a memory made two healers can be told
  apart.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

_NOBODY_KNOWS = (
    'the host that heals it by a restored backup does not remember that, and '
    'another one may, which has not written that since')
#: Serials in a term: no host writes a document so often in between.
TERM = 10 ** 6


def term(record: schema.Record) -> int:
    """Return which step of a hand-over wrote a document, or one before."""
    return record.serial // TERM


@dataclasses.dataclass(frozen=True)
class Documents:
    """All that etcd says of one volume, at one moment.

    :ivar records: host -> its document.
    :ivar unread: hosts whose document cannot be read.
    :ivar alive: those of all these hosts whose agents show themselves.
    :ivar late: those that have not written yet what they remember of before
        a restored backup, and of which no operator has said since who heals.
    :ivar generation: the fleet's.
    """

    uuid: str
    view: store.View
    owner: str
    records: Mapping[str, schema.Record]
    unread: tuple[str, ...]
    alive: frozenset[str]
    late: frozenset[str] = frozenset()
    generation: int = 1

    def heal(self) -> list[str]:
        """Return the hosts that say that they may heal it: one, as a rule."""
        return sorted(host for host, record in self.records.items()
                      if record.heals(host))

    def doubtful(self) -> list[str]:
        """Return the hosts that may be healing it and cannot be heard.

        A restored backup has forgotten their documents, or what they were.
        A host that has written what it remembers, and heals by that, was
        never asked to stop: whoever comes before it does not heal.
        """
        last = max((term(self.records[host]) for host
                    in healers(self.records) if host not in self.late),
                   default=None)
        named = {record.healer for record in self.records.values()
                 if record.healer not in {*self.records, *self.unread}
                 and (last is None or term(record) >= last)}
        return sorted(named | {
            host for host, record in self.records.items()
            if host in self.late and (last is None or term(record) > last)})

    def doubt(self) -> str:
        """Return why it cannot be told who heals it, or ''."""
        hosts = self.doubtful()
        named = [host for host in hosts if host != schema.UNKNOWN]
        if named:
            return ('volume %s: the host %s may heal it, and has not written '
                    'that since a backup was restored' % (
                        self.uuid, ', '.join(named)))
        return 'volume %s: %s' % (self.uuid, _NOBODY_KNOWS) if hosts else ''


def healers(records: Mapping[str, schema.Record]) -> list[str]:
    """Return the hosts whose documents of a volume name them as its healer.

    One at most, unless a backup was restored.
    """
    return [host for host, record in records.items()
            if record.healer == host]


def counts(records: Mapping[str, schema.Record], owner: str) -> str:
    """Return the host whose document says what the volume has.

    Of healers it is the last one.  Where nobody heals it, the host that is to
    has what the one before had, and most documents of that term name it; in
    others of the term may stand what was so long before.
    """
    said = healers(records)
    if said:
        return max(said, key=lambda host: records[host].serial)
    last = max(map(term, records.values()))
    named = [record.healer for record in records.values()
             if term(record) == last]
    return max(records, key=lambda host: (
        term(records[host]), named.count(host), host == owner,
        records[host].serial))


def of(keys: schema.Keys, every: everything.Everything,
       uuid: str) -> Documents:
    """Return what stands in etcd of a volume."""
    return _documents(keys, every.view, uuid, every.holders.get(uuid, set()))


def _again(etcd: store.Store, keys: schema.Keys,
           before: Documents, host: str) -> Documents:
    """Read it anew, which costs less than to read all.

    :raises base.ProvisionerError: nothing can be said.
    """
    hosts = {host, *before.records, *before.unread, *before.doubtful()}
    view = etcd.read([keys.schema, keys.owners + before.uuid, *(
        key for one in sorted(hosts) for key in (
            keys.volume(one, before.uuid), keys.alive(one),
            keys.generation(one)))])
    return _documents(keys, view, before.uuid, hosts)


def _documents(keys: schema.Keys, view: store.View, uuid: str,
               hosts: set[str]) -> Documents:
    records, unread = {}, []
    for host in sorted(hosts):
        value = view.get(keys.volume(host, uuid))
        try:
            if value.revision:
                records[host] = schema.load_record(value.text)
        except fields.Nonsense:
            unread.append(host)
        if host in records and records[host].uuid != uuid:
            del records[host]
            unread.append(host)
    fleet = store.fleet(view, keys)
    hosts = hosts.union(record.healer for record in records.values())
    return Documents(uuid, view, view.get(keys.owners + uuid).text, records,
                     tuple(unread), frozenset(
                         host for host in hosts
                         if view.get(keys.alive(host)).revision), frozenset(
                         host for host in hosts
                         if everything.late(keys, view, fleet, host)
                         and (host not in records or fleet.generation
                              > records[host].generation)),
                     fleet.generation)


def keeps(documents: Documents, host: str) -> str:
    """Return why a host's document must stay for now, or ''; pure.

    While another one names it as the healer, it says that it heals no longer.
    """
    record = documents.records.get(host)
    if record is None:
        return ''
    if host in documents.doubtful():
        return documents.doubt()
    if record.heals(host):
        return ('the host %s has not said yet that it no longer heals volume '
                '%s' % (host, documents.uuid))
    if any(one.healer == host for one in documents.records.values()):
        return ('the hand-over of volume %s from the host %s is not done'
                % (documents.uuid, host))
    return ''


class HandOver:
    """One that is under way, until ``waits_for`` is empty.

    :param documents: from which the first step starts.
    :param host: the one that is to heal.
    :param stopped: by the operator's word the others do not use the volume
        any more, and are not waited for.
    :ivar waits_for: hosts that may still be healing, as of the last step.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 documents: Documents, host: str, stopped: bool) -> None:
        self._store = etcd
        self._keys = keys
        self.documents = documents
        self._host = host
        self._stopped = stopped
        self.waits_for: tuple[str, ...] = ()

    def step(self) -> None:
        """Let the host heal it, as soon as no other one does.

        :raises base.Rejected: it cannot be told who heals it, or the volume
            was handed to a third host.
        :raises base.Unavailable: others changed it meanwhile.
        """
        puts, waits = decide(self._keys, self.documents, self._host,
                             self._stopped)
        rests_on = [self._keys.owners + self.documents.uuid, *(
            self._keys.volume(one, self.documents.uuid)
            for one in {self._host, *self.documents.records})]
        if puts and self._store.write(store.Write(puts, {
                key: self.documents.view.get(key)
                for key in (*rests_on, *puts)})) is None:
            raise base.Unavailable(
                'etcd: volume %s changed meanwhile; try again'
                % self.documents.uuid)
        self.waits_for = waits

    def look(self) -> None:
        """Read how it stands, before another step.

        :raises base.ProvisionerError: nothing can be said.
        """
        self.documents = _again(self._store, self._keys, self.documents,
                                self._host)
        if self.documents.owner != self._host:
            raise base.Rejected(
                'volume %s was handed over to the host %s meanwhile' % (
                    self.documents.uuid, self.documents.owner or 'nobody'))


def decide(keys: schema.Keys, documents: Documents, host: str,
           stopped: bool) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Return what is to be written, and which hosts are waited for; pure.

    :raises base.Rejected: it cannot be told who heals it.
    """
    records = documents.records
    if documents.unread:
        raise base.Rejected(
            'volume %s: the document of the host %s cannot be read, and it '
            'may go on healing; when the volume is off that host, run '
            '"nvme-agent-fleet detach" first' % (
                documents.uuid, ', '.join(documents.unread)))
    if host in documents.doubtful() and host in documents.late:
        # it is to go on, and by what it remembers
        raise base.Rejected('%s; nothing was changed. Wait for its agent'
                            % documents.doubt())
    if documents.doubtful() and not stopped:
        raise base.Rejected(
            '%s; nothing was changed. Wait for it, or, when you know that it '
            'does not use the volume any more (it is off, or storage rejects '
            'it), say --source-stopped' % documents.doubt())
    if not records:
        raise base.Rejected('volume %s: etcd does not say whose it is; run '
                            '"nvme-agent-fleet resume"' % documents.uuid)
    mine = records.get(host)
    source = records[counts(records, documents.owner)]
    changed = {one: dataclasses.replace(
        record, healer=host, yielding=record.heals(one) and not stopped,
        generation=documents.generation)
        for one, record in records.items() if one != host}
    # where one of these comes back, it finds the operator's word
    changed.update({one: dataclasses.replace(
        source, healer=host, yielding=False, generation=documents.generation)
        for one in documents.doubtful()
        if one not in {host, schema.UNKNOWN, *records}})
    waits = tuple(one for one, record in changed.items() if record.yielding)
    changed[host] = dataclasses.replace(
        source, healer=waits[0] if waits else host,
        yielding=bool(waits and mine is not None and mine.heals(host)),
        generation=documents.generation)
    changed = {one: dataclasses.replace(record, pending=bool(waits))
               for one, record in changed.items()}
    serial = TERM * (1 + max(map(term, records.values())))
    puts: dict[str, str | None] = {
        keys.volume(one, documents.uuid): schema.dump_record(
            dataclasses.replace(record, serial=serial))
        for one, record in changed.items() if record != records.get(one)}
    if documents.owner != host:
        puts[keys.owners + documents.uuid] = host
    return puts, waits
