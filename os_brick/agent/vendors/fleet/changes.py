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
"""What a call makes of a volume's document, value -> value; pure.

Each function returns the new record, or None where nothing is to be written.
Called again with what it returned, it returns None: a call whose answer was
lost may be made again.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import pool

State = model.ReplicaState
REPORTS = (State.AVAILABLE, State.SYNCHRONIZING, State.MISSING)


def describe(record: schema.Record, host: str,
             fenced: str) -> model.Volume | None:
    """Return the volume as the agent is told of it; None: no replica.

    :param fenced: why this host may only observe, or ''.
    :raises ValueError, TypeError: no such volume can be.
    """
    volume = pool.describe(record.listing, record.entries)
    if volume is None:
        return None
    observe = ''
    if fenced:
        observe = 'this host is fenced: %s' % fenced
    elif record.healer == schema.UNKNOWN:
        observe = ('etcd was restored from a backup, and it is not known who '
                   'heals it')
    elif record.healer != host and record.pending:
        observe = ('its hand-over is not done: "nvme-agent-fleet status" says '
                   'what it waits for')
    elif record.healer != host:
        observe = 'the host %s heals it' % record.healer
    return dataclasses.replace(volume, observe=observe)


def report(record: schema.Record, replica: str, state: State,
           now: float) -> schema.Record | None:
    """:raises base.Rejected: it is gone, or cannot become this."""
    entry = _live(record, replica)
    if entry.state is State.TERMINATING or state not in REPORTS:
        raise base.Rejected('replica %s of volume %s is %s and cannot become '
                            '%s' % (replica, record.listing.alias,
                                    entry.state and entry.state.value,
                                    state.value))
    if entry.state is state:
        return None
    return _with(record, dataclasses.replace(entry, state=state,
                                             state_since=now))


def has_successor(record: schema.Record, replica: str) -> bool:
    """Say whether the request was carried out before.

    :raises base.Rejected: the replica is none that could be replaced.
    """
    entry = _live(record, replica)
    if entry.successor is not None:
        return True
    if entry.state is State.TERMINATING:
        raise base.Rejected('replica %s of volume %s is to be let go and '
                            'will not be replaced' % (
                                replica, record.listing.alias))
    return False


def replace(record: schema.Record, replica: str,
            spare: inventory_file.Backing, now: float) -> schema.Record:
    """Give a replica its successor."""
    entry = _live(record, replica)
    fresh = assignments.Assignment(
        record.uuid, spare, State.UNKNOWN, now,
        stands_for=entry.stands_for or replica)
    # it may have been here before, and was let go since
    kept = tuple(one for one in record.entries if one.uuid != spare.uuid)
    return _with(dataclasses.replace(record, entries=kept + (fresh,)),
                 dataclasses.replace(entry, successor=spare.uuid))


def retire(record: schema.Record, replica: str,
           now: float) -> schema.Record | None:
    """:raises base.Rejected: nothing stands in its place."""
    entry = record.entry(replica)
    if entry is None or not entry.live or entry.state is State.TERMINATING:
        return None
    if entry.successor is None:
        raise base.Rejected('replica %s of volume %s has no successor and '
                            'stays' % (replica, record.listing.alias))
    return _with(record, dataclasses.replace(
        entry, state=State.TERMINATING, state_since=now))


def confirm(record: schema.Record, replica: str) -> schema.Record | None:
    """:raises base.Rejected: it is not to be let go."""
    entry = record.entry(replica)
    if entry is None or not entry.live:
        return None
    if entry.state is not State.TERMINATING:
        raise base.Rejected('replica %s of volume %s is not to be removed' % (
            replica, record.listing.alias))
    if entry.successor is not None:
        # the operator's list may go on naming it: remember that it went
        return _with(record, dataclasses.replace(entry, state=None))
    return dataclasses.replace(
        record, serial=record.serial + 1, entries=tuple(
            one for one in record.entries if one.uuid != replica))


def let_go(use: schema.Use) -> schema.Use:
    return dataclasses.replace(use, volume=None, times=use.times + 1)


def choose(record: schema.Record, replica: str,
           spares: Collection[inventory_file.Spare],
           uses: Mapping[str, schema.Use], cordoned: Collection[str],
           host: model.Host) -> pool.Choice:
    """Return the best spare that nobody has, or why there is none."""
    barred = {}
    free = []
    for spare in spares:
        use = uses.get(spare.backing.uuid)
        if use is not None and use.volume is not None:
            barred[spare.backing.uuid] = 'in use by volume %s' % use.volume
        elif spare.backing.target.nqn in cordoned:
            barred[spare.backing.uuid] = 'its target is cordoned'
        else:
            free.append(dataclasses.replace(
                spare, host=spare.host or host.name))
    choice = pool.choose(
        inventory_file.Inventory((record.listing,), tuple(free)),
        record.listing, record.entries,
        {uuid: use.times for uuid, use in uses.items()}, replica, host)
    return pool.Choice(choice.spare, {**choice.why_not, **barred})


def _live(record: schema.Record, replica: str) -> assignments.Assignment:
    entry = record.entry(replica)
    if entry is None or not entry.live:
        raise base.Rejected('volume %s has no replica %s' % (
            record.listing.alias, replica))
    return entry


def _with(record: schema.Record,
          changed: assignments.Assignment) -> schema.Record:
    return dataclasses.replace(
        record, serial=record.serial + 1, entries=tuple(
            changed if one.uuid == changed.uuid else one
            for one in record.entries))
