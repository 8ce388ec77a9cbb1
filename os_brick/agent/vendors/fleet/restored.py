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
"""After a backup of etcd was restored, and an operator has accepted it.

The backup has forgotten what came after it.  Each host remembers its own
volumes as it saw them last, and writes them over what the backup has of them;
a namespace that another volume was given meanwhile is not written over.
"""

from __future__ import annotations

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
             view: store.View) -> memory.Seen:
    """Write what a host remembers over what the backup has.

    :param view: what the backup has of the host.
    :returns: what is to be remembered from now on.
    :raises base.ProvisionerError: not all could be written; the next
        pass begins anew.
    """
    fleet = store.fleet(view, keys)
    records = {}
    for uuid, value in view.below(keys.volumes(host)).items():
        ours = seen.volumes.get(uuid)
        if ours is None:
            continue
        try:
            theirs = schema.load_record(value.text)
        except fields.Nonsense:
            theirs = None
        if theirs is not None and (theirs == ours or (
                theirs.serial > ours.serial)):
            continue
        live = {entry.uuid: entry.backing for entry in ours.entries
                if entry.live}
        gone = {entry.uuid for entry in theirs.entries
                if entry.live and entry.uuid not in live
                } if theirs else set()
        used = namespaces.uses([*live, *gone])
        uses = namespaces.readable(used)
        taken = {one: use.volume for one, use in uses.items()
                 if one in live and use.volume not in (None, uuid)}
        for one, other in taken.items():
            raise base.BadAnswer(
                'the restored store gave replica %s of volume %s to '
                'volume %s; stop one of them' % (one, uuid, other))
        fresh = {one: schema.Use(uuid, uses[one].times if one in uses
                                 else 0, backing)
                 for one, backing in live.items()}
        fresh.update({one: changes.let_go(uses[one]) for one in gone
                      if one in uses and uses[one].volume == uuid})
        record = dataclasses.replace(
            ours, serial=max(ours.serial,
                             theirs.serial if theirs else 0) + 1)
        key = keys.volume(host, uuid)
        puts: dict[str, str | None] = {key: schema.dump_record(record)}
        puts.update({keys.uses + one: schema.dump_use(use)
                     for one, use in fresh.items()})
        if etcd.write(store.Write(puts, {
                keys.schema: view.get(keys.schema), key: value,
                **{keys.uses + one: used[one] for one in fresh}})) is None:
            raise base.Unavailable('etcd: volume %s changed while it was '
                                   'put right' % uuid)
        records[uuid] = record
        LOG.warning('volume %s: the restored store had an older state; it was '
                    'put right from what this host remembers',
                    record.listing.alias)
    return dataclasses.replace(seen, fleet=fleet, point=view.point,
                               volumes={**seen.volumes, **records})
