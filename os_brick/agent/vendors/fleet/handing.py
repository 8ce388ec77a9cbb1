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
"""How a volume gets another healer: never two heal at a time.

- What is handed over is healed by the other host from a transaction on that
  finds no host that may be healing (``documents``).  Between the two nobody
  heals.  An agent writes that it no longer does once its daemon has taken in,
  for good, that it only observes.
- Where an operator says that a host has stopped, its agent is not waited for;
  its document says so until the agent has written that it knows (``unheard``).
- Whoever is killed in the middle leaves nothing that is wrong: the same step,
  made again, goes on.  So does one to another host, or back.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store


class HandOver:
    """One that is under way, until ``waits_for`` is empty.

    :param documents: from which the first step starts.
    :param host: the one that is to heal.
    :param stopped: by the operator's word the others do not use the volume
        any more, and are not waited for.
    :ivar waits_for: hosts that may still be healing, as of the last step.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 documents: documents_room.Documents, host: str,
                 stopped: bool) -> None:
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


def decide(keys: schema.Keys, documents: documents_room.Documents, host: str,
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
    doubtful = documents.doubtful()
    if host in doubtful and host in documents.late:
        # it is to go on, and by what it remembers
        raise base.Rejected('%s; nothing was changed. Wait for its agent'
                            % documents.doubt())
    if doubtful and not stopped:
        raise base.Rejected(
            '%s; nothing was changed. Wait for it, or, when you know that it '
            'does not use the volume any more (it is off, or storage rejects '
            'it), say --source-stopped' % documents.doubt())
    if not records:
        raise base.Rejected('volume %s: etcd does not say whose it is; run '
                            '"nvme-agent-fleet resume"' % documents.uuid)
    mine = records.get(host)
    source = records[documents_room.counts(records, documents.owner)]
    changed = {one: dataclasses.replace(
        record, healer=host, yielding=record.heals(one) and not stopped,
        unheard=record.unheard or stopped and (
            record.heals(one) or one in doubtful),
        generation=documents.generation)
        for one, record in records.items() if one != host}
    # where one of these comes back, it finds the operator's word
    changed.update({one: dataclasses.replace(
        source, healer=host, yielding=False, unheard=True,
        generation=documents.generation)
        for one in doubtful if one not in {host, schema.UNKNOWN, *records}})
    waits = tuple(one for one, record in changed.items() if record.yielding)
    changed[host] = dataclasses.replace(
        source, healer=waits[0] if waits else host,
        yielding=bool(waits and mine is not None and mine.heals(host)),
        unheard=mine is not None and mine.unheard,
        generation=documents.generation)
    changed = {one: dataclasses.replace(record, pending=bool(waits))
               for one, record in changed.items()}
    serial = documents_room.next_term(records)
    # each says what the volume has: the others may be lost with a backup
    puts: dict[str, str | None] = {
        keys.volume(one, documents.uuid): schema.dump_record(
            dataclasses.replace(record, serial=serial, listing=source.listing,
                                entries=source.entries))
        for one, record in changed.items() if record != records.get(one)}
    if documents.owner != host:
        puts[keys.owners + documents.uuid] = host
    return puts, waits


def _again(etcd: store.Store, keys: schema.Keys,
           before: documents_room.Documents, host: str
           ) -> documents_room.Documents:
    """Read it anew, which costs less than to read all.

    :raises base.ProvisionerError: nothing can be said.
    """
    hosts = {host, *before.records, *before.unread, *(
        record.healer for record in before.records.values())}
    view = etcd.read([keys.schema, keys.owners + before.uuid, *(
        key for one in sorted(hosts) for key in (
            keys.volume(one, before.uuid), keys.alive(one),
            keys.generation(one)))])
    return documents_room.seen(keys, view, before.uuid, hosts)
