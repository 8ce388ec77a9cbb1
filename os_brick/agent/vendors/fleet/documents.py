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
"""What etcd says of one volume: who heals it, and who may; pure.

- A host may be healing while its document names it as the healer, and, when
  that was changed, until its agent has written that it knows (``yielding``).
- Who is named as the healer and has no document, or has not written yet what
  it remembers of before a backup, may be healing: only the operator can tell.
- One that is named, has no document and has written all that it remembers does
  not heal; but who does is not known then, either.
- Where nobody heals, by what hosts remember of before a backup, the hand-over
  that was under way may have been done since, to any host.
- Each step of a hand-over begins a new term: its serials are above all that
  were, and what a host adds, over a restored backup too, does not reach the
  next term.  By that two documents of which a backup and a memory made two
  healers can be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

_NOBODY_KNOWS = (
    'by what the hosts have written since a backup was restored nobody heals '
    'it, and another one may, which has not written that: any that is silent')
#: Serials in a term: no host writes a document so often in between.
TERM = 10 ** 6


def term(record: schema.Record) -> int:
    """Return which step of a hand-over wrote a document, or one before."""
    return record.serial // TERM


def next_term(records: Mapping[str, schema.Record]) -> int:
    """Return the serial with which a new term begins."""
    return TERM * (1 + max(map(term, records.values())))


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
        named = {record.healer if record.healer in self.late else
                 schema.UNKNOWN for record in self.records.values()
                 if record.healer not in {*self.records, *self.unread}
                 and (last is None or term(record) >= last)}
        if self._nobody():
            named.add(schema.UNKNOWN)
        return sorted(named | {
            host for host, record in self.records.items()
            if host in self.late and (last is None or term(record) > last)})

    def _nobody(self) -> bool:
        """Whether none is its healer, by news of before a backup alone.

        One that has not said yet that it heals no longer may have been said
        to be stopped since.
        """
        return bool(self.records) and self.generation > 1 and (
            not healers(self.records)) and all(
                record.generation < self.generation
                for record in self.records.values()
                if term(record) == max(map(term, self.records.values())))

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
    has what the one before had, and most documents of that term name it.
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
    return seen(keys, every.view, uuid, every.holders.get(uuid, set()))


def seen(keys: schema.Keys, view: store.View, uuid: str,
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
    late = {host for host in hosts
            if everything.late(keys, view, fleet, host)}
    return Documents(uuid, view, view.get(keys.owners + uuid).text, records,
                     tuple(unread), frozenset(
                         host for host in hosts
                         if view.get(keys.alive(host)).revision), frozenset(
                         host for host in late
                         if host not in records or fleet.generation
                         > records[host].valid_for),
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
