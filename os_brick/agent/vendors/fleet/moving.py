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
"""Exchanging replicas for spares: one, or all that are on a target.

A volume gives up one replica at a time, and only where an agent is there that
exchanges it.  What cannot be exchanged stands in nobody's way: the others are,
and the operator is told why it was not.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import random
import time

from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file

State = model.ReplicaState
#: Spares of which is said why they do not fit.
_SPARES_SHOWN = 4


class Changed(base.Unavailable):
    """What the exchange rests on was changed by others meanwhile."""


@dataclasses.dataclass(frozen=True)
class Declined:
    """A replica that was not exchanged.

    :ivar host: the one that heals the volume.
    :ivar again: the next step may well exchange it.
    """

    volume: str
    replica: str
    host: str
    why: str
    again: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """What one step of a drain did.

    :ivar begun: replica -> its spare.
    :ivar left: replicas that are still on the target.
    :ivar leaving: those of them that are on the move.
    :ivar trouble: why the step ended early; '': it did not.
    :ivar stalled: replicas that were begun, and do not go on as things are.
    """

    begun: Mapping[str, str]
    declined: tuple[Declined, ...]
    left: int
    leaving: int
    trouble: str = ''
    stalled: tuple[Declined, ...] = ()

    @property
    def stuck(self) -> bool:
        """Nothing more comes to pass before the operator does something."""
        return bool(self.declined or self.stalled) and not (
            self.begun or self.leaving or self.trouble
            or any(one.again for one in self.declined))


def off(etcd: store.Store, keys: schema.Keys, target: str,
        at_once: int) -> Step:
    """Begin to exchange replicas that are on a target.

    :param at_once: replicas of the fleet that may be on the move.
    :raises base.ProvisionerError: nothing was begun, nor is anything known.
    """
    every = everything.read(etcd, keys)
    live = [entry for _host, record in every.owned()
            for entry in record.entries if entry.live]
    there = [entry for entry in live if entry.backing.target.nqn == target]
    moving, leaving, stalled = _under_way(every, target)
    begun: dict[str, str] = {}
    declined = []
    trouble = ''
    for host, record in every.owned():
        entry = next((one for one in record.entries if one.member
                      and one.backing.target.nqn == target), None)
        if entry is None or _leaving(record):
            continue
        if moving + len(begun) >= at_once:
            break
        alias = record.listing.alias
        try:
            spare = begin(etcd, keys, every, host, record, entry)
        except base.Rejected as error:
            declined.append(Declined(alias, entry.uuid, host, str(error)))
            continue
        except Changed as error:
            declined.append(Declined(alias, entry.uuid, host, str(error),
                                     True))
            continue
        except base.ProvisionerError as error:
            trouble = str(error)
            break
        begun[entry.uuid] = spare
        every = dataclasses.replace(every, uses={
            **every.uses, spare: schema.Use(record.uuid, 0,
                                            every.spares[spare].backing)})
    return Step(begun, tuple(declined), len(there), len(begun) + leaving,
                trouble, stalled)


def _under_way(every: everything.Everything, target: str
               ) -> tuple[int, int, tuple[Declined, ...]]:
    """Return how many replicas are on the move: of all, and off the target.

    And those of the target that were begun, and that nobody carries out now:
    they take no other one's turn.
    """
    moving = leaving = 0
    stalled = []
    for host, record in every.owned():
        idle = _idle(every, host, record)
        for entry in record.entries:
            if not entry.live or entry.state is not State.TERMINATING:
                continue
            here = entry.backing.target.nqn == target
            if not idle:
                moving += 1
                leaving += here
            elif here:
                stalled.append(Declined(record.listing.alias, entry.uuid,
                                        host, idle))
    return moving, leaving, tuple(stalled)


def begin(etcd: store.Store, keys: schema.Keys, every: everything.Everything,
          host: str, record: schema.Record,
          entry: assignments.Assignment) -> str:
    """Give a replica a spare and retire it; return the spare.

    :param host: the host that heals the volume.
    :raises base.Rejected: it cannot be, as things stand.
    :raises Changed: they stand otherwise by now.
    """
    replica = entry.uuid
    if entry.successor is not None:
        return entry.successor
    leaving = _leaving(record)
    if leaving:
        raise base.Rejected(
            'replica %s of volume %s is still on the move, and a volume '
            'gives up one at a time; try again when it has left' % (
                leaving, record.listing.alias))
    if not entry.member:
        raise base.Rejected('replica %s is to be let go already' % replica)
    idle = _idle(every, host, record)
    if idle:
        raise base.Rejected(idle)
    if every.fleet.hold:
        raise base.Rejected('the fleet is on hold: %s' % every.fleet.hold)
    spare = _spare(keys, every, host, record, replica)
    now = time.time()
    changed = changes.retire(changes.replace(record, replica, spare, now),
                             replica, now)
    assert changed is not None
    key = keys.volume(host, record.uuid)
    use = keys.uses + spare.uuid
    before = every.uses.get(spare.uuid)
    if etcd.write(store.Write(
            {key: schema.dump_record(changed), use: schema.dump_use(
                schema.Use(record.uuid, before.times if before else 0,
                           spare))},
            {one: every.view.get(one) for one in (
                keys.schema, key, use, keys.spares + spare.uuid,
                keys.fenced(host), keys.cordon(spare.target.nqn))})) is None:
        raise Changed('volume %s, or spare %s, changed meanwhile; try again'
                      % (record.listing.alias, spare.uuid))
    return spare.uuid


def _spare(keys: schema.Keys, every: everything.Everything, host: str,
           record: schema.Record, replica: str) -> inventory_file.Backing:
    """:raises base.Rejected: none fits."""
    spares = list(every.spares.values())
    # many of them are equally good, and others choose at the same time
    random.shuffle(spares)
    choice = changes.choose(
        record, replica, [one for one in spares
                          if one.backing.uuid in every.uses
                          or not every.view.get(
                              keys.uses + one.backing.uuid).revision],
        every.uses, every.cordoned, model.Host(
            'nqn.2014-08.org.nvmexpress:unknown', None, host))
    if choice.spare is None:
        raise base.Rejected('no spare can take the place of replica %s: %s' % (
            replica, _why_not(choice.why_not)))
    return choice.spare.backing


def _why_not(reasons: Mapping[str, str]) -> str:
    said = ['%s: %s' % pair for pair in sorted(reasons.items())]
    more = len(said) - _SPARES_SHOWN
    if more > 0:
        said[_SPARES_SHOWN:] = ['and so for %d more; "nvme-agent-fleet '
                                'spares" shows all' % more]
    return '; '.join(said) or 'etcd lists none'


def _idle(every: everything.Everything, host: str,
          record: schema.Record) -> str:
    """Return why nobody would carry an exchange out, or ''."""
    alias = record.listing.alias
    if record.healer != host:
        return ('volume %s is being handed over to the host %s, and nobody '
                'heals it until that is done' % (alias, host))
    if host in every.fenced:
        return 'the host %s, which heals volume %s, is fenced: %s' % (
            host, alias, every.fenced[host])
    if host not in every.alive:
        return ('no agent shows itself as the host %s, which heals volume %s'
                % (host, alias))
    return ''


def _leaving(record: schema.Record) -> str:
    """Return the replica of a volume that is on the move, or ''."""
    return next((entry.uuid for entry in record.entries if entry.live
                 and entry.state is State.TERMINATING), '')
