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
"""What a host does when an operator has accepted a restored backup.

The backup has forgotten what came after it.  Each host remembers its own
volumes as it saw them last, and writes them over what the backup has of them,
or anew where the backup has nothing; a namespace that another volume was given
meanwhile is not written over.  Only the host that heals a volume knows what
the volume has: the others write their document alone.  Of a volume that the
backup gives to a host which does not remember it, the host writes that it is
not known who heals it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import memory
from os_brick.agent.vendors.fleet import namespaces as namespaces_room
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

LOG = logging.getLogger(__name__)


def reassert(etcd: store.Store, keys: schema.Keys, host: str,
             namespaces: namespaces_room.Namespaces, seen: memory.Seen,
             view: store.View, here: Callable[[schema.Record], bool],
             records: dict[str, schema.Record]) -> memory.Seen:
    """Write what a host remembers over what the backup has.

    :param view: what the backup has of the host.
    :param here: says whether a volume's array is on this host.
    :param records: filled with what is to be remembered of the volumes that
        are done, whatever becomes of the others.
    :returns: what is to be remembered from now on.
    :raises base.ProvisionerError: not all could be written; the next
        pass begins anew.
    """
    fleet = store.fleet(view, keys)
    records.update(seen.volumes)
    records.update(_disown(etcd, keys, host, seen, view, fleet))
    conflicts = []
    unmarked = {}
    for uuid, ours in sorted(seen.volumes.items()):
        value = view.get(keys.volume(host, uuid))
        theirs = _readable(value)
        if uuid in seen.unlisted:
            continue
        if theirs is not None and theirs.valid_for < fleet.generation:
            unmarked[uuid] = theirs
        if theirs == ours:
            continue
        if theirs is not None and not theirs.heals(host) and (
                theirs.generation >= fleet.generation):
            # by an operator's word this host does not use it any more
            records[uuid] = theirs
            continue
        used: dict[str, store.Value] = {}
        puts: dict[str, schema.Use] = {}
        if ours.heals(host):
            used = namespaces.uses(_concerned(ours, theirs))
        if theirs is not None and theirs.serial > ours.serial and not (
                ours.heals(host) and _lost(ours, theirs, used)):
            continue
        if ours.heals(host):
            uses = namespaces.readable(used)
            conflict = _conflict(ours, uses)
            if conflict and not (value.revision or here(ours) or fleet.hold):
                # removed long ago: whoever else might say that the namespace
                # is free has been waited for, and nothing here uses it
                LOG.warning('volume %s is forgotten: the restored store does '
                            'not list it for this host, its array is not '
                            'here, and %s', ours.listing.alias, conflict)
                del records[uuid]
                continue
            if conflict:
                unmarked.pop(uuid, None)
                _let_go(etcd, keys, ours, {
                    keys.schema: view.get(keys.schema),
                    keys.volume(host, uuid): value}, uses, used)
                conflicts.append(conflict + (
                    '; stop one of them' if value.revision or here(ours)
                    else '; if this volume was removed, "nvme-agent-fleet '
                    'resume --force" lets this host forget it'))
                continue
            puts = _uses(ours, theirs, uses, used)
        record = dataclasses.replace(
            ours, put_right=fleet.generation, serial=max(
                ours.serial, theirs.serial if theirs else 0) + 1)
        key = keys.volume(host, uuid)
        if etcd.write(store.Write(
                {key: schema.dump_record(record), **{
                    keys.uses + one: schema.dump_use(use)
                    for one, use in puts.items()}},
                {keys.schema: view.get(keys.schema), key: value, **{
                    keys.uses + one: used[one] for one in puts}})) is None:
            raise base.Unavailable('etcd: volume %s changed while it was '
                                   'put right' % uuid)
        records[uuid] = record
        unmarked.pop(uuid, None)
        LOG.warning('volume %s: the restored store had %s; it was put right '
                    'from what this host remembers', record.listing.alias,
                    'an older state' if value.revision
                    else 'nothing of it')
    if conflicts:
        # the others are put right all the same, and said to be
        for theirs in unmarked.values():
            _mark(etcd, keys, host, theirs, view, fleet)
        raise base.BadAnswer('; '.join(conflicts))
    return dataclasses.replace(
        seen, fleet=fleet, point=view.point,
        volumes=records)


def _let_go(etcd: store.Store, keys: schema.Keys, ours: schema.Record,
            unchanged: Mapping[str, store.Value],
            uses: Mapping[str, schema.Use],
            used: Mapping[str, store.Value]) -> None:
    """Give up what a volume had, though it does not get back what it has.

    The volume that has this may wait for that.
    """
    live = {entry.uuid for entry in ours.entries if entry.live}
    gone = {uuid: changes.let_go(use) for uuid, use in uses.items()
            if use.volume == ours.uuid and uuid not in live}
    if gone:
        etcd.write(store.Write(
            {keys.uses + uuid: schema.dump_use(use)
             for uuid, use in gone.items()},
            {**unchanged, **{keys.uses + uuid: used[uuid]
                             for uuid in gone}}))


def _mark(etcd: store.Store, keys: schema.Keys, host: str,
          theirs: schema.Record, view: store.View, fleet: schema.Fleet
          ) -> None:
    """Say that this host has nothing to add to a document."""
    key = keys.volume(host, theirs.uuid)
    etcd.write(store.Write(
        {key: schema.dump_record(dataclasses.replace(
            theirs, put_right=fleet.generation, serial=theirs.serial + 1))},
        {keys.schema: view.get(keys.schema), key: view.get(key)}))


def _disown(etcd: store.Store, keys: schema.Keys, host: str,
            seen: memory.Seen, view: store.View, fleet: schema.Fleet
            ) -> dict[str, schema.Record]:
    """Say of which volumes of the backup this host is not the healer.

    It does not remember them: they were taken off it, and another host may
    have been healing since.

    :returns: what it has written of those whose arrays are still here.
    :raises base.ProvisionerError: not all could be written.
    """
    found = {}
    for uuid, value in sorted(view.below(keys.volumes(host)).items()):
        theirs, known = _readable(value), seen.volumes.get(uuid)
        if theirs is None or theirs.generation >= fleet.generation or (
                known is not None and uuid not in seen.unlisted):
            continue
        last = max((theirs, known or theirs),
                   key=lambda record: record.serial)
        ours = dataclasses.replace(
            last, put_right=fleet.generation, serial=last.serial + 1, healer=(
                schema.UNKNOWN if last.healer == host else last.healer),
            yielding=last.yielding and last.healer != host,
            unheard=last.unheard and last.healer != host)
        if ours.healer == theirs.healer and last is theirs:
            continue
        if etcd.write(store.Write(
                {keys.volume(host, uuid): schema.dump_record(ours)},
                {keys.schema: view.get(keys.schema),
                 keys.volume(host, uuid): value})) is None:
            raise base.Unavailable('etcd: volume %s changed while it was '
                                   'looked at' % uuid)
        LOG.warning('volume %s: this host does not heal it, as the restored '
                    'store has it: it was taken off this host since',
                    ours.listing.alias)
        if known is not None:
            found[uuid] = ours
    return found


def _readable(value: store.Value) -> schema.Record | None:
    try:
        return schema.load_record(value.text) if value.revision else None
    except fields.Nonsense:
        return None


def _concerned(ours: schema.Record,
               theirs: schema.Record | None) -> list[str]:
    """Return the namespaces that the volume has or had."""
    return sorted({entry.uuid for entry in (
        *ours.entries, *(theirs.entries if theirs else ()))})


def _lost(ours: schema.Record, theirs: schema.Record,
          used: Mapping[str, store.Value]) -> bool:
    """Say whether a newer document is newer by other hands alone.

    Somebody changed what the backup had before this host has put it right.
    What this host let go of had an entry in ``uses``.
    """
    return any(entry.live and theirs.entry(entry.uuid) is None
               and not used[entry.uuid].revision for entry in ours.entries)


def _conflict(ours: schema.Record, uses: Mapping[str, schema.Use]) -> str:
    """Return which replica another volume was given, or ''."""
    for entry in ours.entries:
        use = uses.get(entry.uuid)
        if entry.live and use and use.volume not in (None, ours.uuid):
            return ('the restored store gave replica %s of volume %s to '
                    'volume %s' % (
                        entry.uuid, ours.uuid, use.volume))
    return ''


def _uses(ours: schema.Record, theirs: schema.Record | None,
          uses: Mapping[str, schema.Use],
          used: Mapping[str, store.Value]) -> dict[str, schema.Use]:
    """Return who has, and had, each namespace, as far as it differs."""
    fresh = {}
    for entry in (*(theirs.entries if theirs else ()), *ours.entries):
        use = uses.get(entry.uuid)
        now = ours.entry(entry.uuid)
        if now is not None and now.live:
            fresh[entry.uuid] = schema.Use(
                ours.uuid, use.times if use else 0, now.backing)
        elif use is not None and use.volume == ours.uuid:
            fresh[entry.uuid] = changes.let_go(use)
        elif now is not None and not used[entry.uuid].revision:
            # a spare that came and went since the backup: nobody knows why
            fresh[entry.uuid] = schema.Use(None, 1, now.backing)
    return {uuid: use for uuid, use in fresh.items()
            if uses.get(uuid) != use}
