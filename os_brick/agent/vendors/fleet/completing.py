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
"""What a store that was restored lacks of the fleet as a whole.

The hosts have written what they remember, each of its own volumes.  None of
them may write whose a volume is, or sees what others have: that is put right
here, before spares are taken again.  In a store that lacks nothing nothing is
found.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store


@dataclasses.dataclass(frozen=True)
class Lack:
    """What one volume lacks.

    :ivar lines: what is written, in words.
    :ivar wrong: why nothing is, which an operator has to decide.
    """

    lines: tuple[str, ...] = ()
    wrong: str = ''
    write: store.Write = store.Write({})


def lacks(keys: schema.Keys, every: everything.Everything,
          late: Collection[str] | None) -> list[Lack]:
    """Return what is lacking, volume by volume; pure.

    :param late: hosts that have not written yet all that they remember; of a
        volume of which one has not nothing is said.  None: by the operator's
        word those that have not written it will not come.
    """
    users: dict[str, list[str]] = {}
    for namespace, use in every.uses.items():
        if use.volume is not None:
            users.setdefault(use.volume, []).append(namespace)
    found = [_lack(keys, every, uuid, users.get(uuid, []), late is None)
             for uuid in sorted(every.holders)
             if not any(_unwritten(every, host, uuid)
                        for host in every.holders[uuid].intersection(
                            late or ()))]
    return [one for one in found if one.lines or one.wrong]


def _unwritten(every: everything.Everything, host: str, uuid: str) -> bool:
    record = every.records.get((host, uuid))
    return record is None or record.valid_for < every.fleet.generation


def _lack(keys: schema.Keys, every: everything.Everything, uuid: str,
          has: list[str], force: bool) -> Lack:
    documents = documents_room.of(keys, every, uuid)
    healers = documents_room.healers(documents.records)
    if documents.unread:
        return Lack()    # what it has is not known; "status" names it
    alias = next(iter(documents.records.values())).listing.alias
    if len(healers) > 1:
        return Lack(wrong='volume %s: the hosts %s all say that they heal it; '
                    'let one of them: nvme-agent-fleet hand-over %s HOST' % (
                        alias, ', '.join(healers), uuid))
    if documents.doubtful() and not force:
        return Lack(wrong='%s, nor which spares it took; wait for it, or, '
                    'when you know that it does not use the volume any more: '
                    'nvme-agent-fleet hand-over %s HOST --source-stopped' % (
                        documents.doubt(), uuid))
    counts = documents_room.counts(documents.records, documents.owner)
    record = documents.records[counts]
    lines = []
    puts: dict[str, str | None] = {}
    for host, observes in documents.records.items():
        # by a backup, or by what a host remembers that was off for long
        if healers and not observes.yielding and (
                observes.healer != counts or observes.pending):
            puts[keys.volume(host, uuid)] = schema.dump_record(
                dataclasses.replace(observes, healer=counts, pending=False,
                                    serial=observes.serial + 1))
            lines.append('volume %s: the host %s observes it' % (alias, host))
    # a hand-over that goes on has the same for both hosts
    owned = documents.owner in documents.records
    if documents.owner != counts and (
            healers or not owned
            or documents.records[documents.owner].entries != record.entries):
        puts[keys.owners + uuid] = counts
        lines.append('volume %s: it is the host %s\'s, not %s' % (
            alias, counts, documents.owner + '\'s' if documents.owner
            else 'nobody\'s'))
    fresh = {}
    for entry in record.entries:
        use = every.uses.get(entry.uuid)
        if not entry.live or use is not None and use.volume == uuid:
            continue
        if use is not None and use.volume is not None:
            return Lack(wrong='volume %s: its replica %s is in use by volume '
                        '%s; stop one of them' % (alias, entry.uuid,
                                                  use.volume))
        fresh[entry.uuid] = schema.Use(uuid, use.times if use else 0,
                                       entry.backing)
        lines.append('volume %s: it has the namespace %s, which looked free'
                     % (alias, entry.uuid))
    if healers or owned and record.healer in documents.records:
        fresh.update(_left_behind(every, documents, has, counts))
    lines += ['volume %s: it let go of the namespace %s' % (alias, namespace)
              for namespace, use in fresh.items() if use.volume is None]
    puts.update({keys.uses + namespace: schema.dump_use(use)
                 for namespace, use in fresh.items()})
    return Lack(tuple(lines), write=store.Write(puts, {
        key: every.view.get(key) for key in (
            *puts, keys.schema, keys.owners + uuid,
            *(keys.volume(host, uuid) for host in documents.records))}))


def _left_behind(every: everything.Everything,
                 documents: documents_room.Documents, has: list[str],
                 counts: str) -> Mapping[str, schema.Use]:
    """Return the namespaces that the volume does not have any more.

    Who only observes it remembers what was so when it healed.
    """
    live = {entry.uuid for host in {counts, *documents.heal()}
            for entry in documents.records[host].entries if entry.live}
    return {namespace: changes.let_go(every.uses[namespace])
            for namespace in has if namespace not in live}
