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
"""What changed between two snapshots, each change once; pure.

A change is told of the object it happens to, at the highest level that is
true: a namespace with a live path left has lost a path, not its connection.
Progress of a resync is told in quarters, so that a long one leaves four
lines in the log and not a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from os_brick.agent.model import amounts
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots

INFO, WARN, FATAL = 'INFO', 'WARN', 'FATAL'
#: What is among the names of an event, and is no object but a number.
FIGURES = frozenset({'copied', 'lost', 'seconds'})


@dataclasses.dataclass(frozen=True)
class Event:
    """One change that the agent saw, worded for an operator.

    :ivar kind: a stable word, such as LEG_FAULTY.
    :ivar level: 'INFO', 'WARN' or 'FATAL'.
    :ivar message: the sentence that the agent logs.
    :ivar names: every object the event is about, as (noun, name) pairs:
        ('volume', alias), ('replica', uuid), ('controller', 'nvme3'), ...
        Some have ``FIGURES`` behind them: ('copied', bytes), ...
    """

    kind: str
    level: str
    message: str
    names: tuple[tuple[str, str], ...] = ()


def diff(old: snapshots.HostSnapshot,
         new: snapshots.HostSnapshot) -> tuple[Event, ...]:
    """Return the events that lead from ``old`` to ``new``, in order."""
    if old is new:
        return ()
    return (*_connections(old, new), *_access(old, new), *_arrays(old, new))


def _connections(old: snapshots.HostSnapshot,
                 new: snapshots.HostSnapshot) -> Iterator[Event]:
    # one that is just being made is told of when it is known to what
    before, after = (
        {controller.name: controller for controller in host.controllers
         if controller.nqn} for host in (old, new))
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is now:
            continue
        if was and now and (was.nqn, was.portal) != (now.nqn, now.portal):
            yield _connection('CONNECTION_GONE', INFO, was, 'is gone', old)
            was = None
        if now is None and was is not None:
            yield _connection('CONNECTION_GONE', INFO, was, 'is gone', old)
        elif was is None and now is not None:
            yield _connection('CONNECTION_NEW', INFO, now,
                              'is new and ' + now.state, new)
        elif was and now and was.live and not now.live:
            spare = _all_reachable(now, new)
            yield _connection(
                'PATH_LOST' if spare else 'CONNECTION_LOST', WARN, now,
                'was lost (%s)%s' % (
                    now.state,
                    '; other paths to its namespaces live' if spare else ''),
                new)
        elif was and now and now.live and not was.live:
            yield _connection('CONNECTION_RESTORED', INFO, now,
                              'is live again', new)


def _access(old: snapshots.HostSnapshot,
            new: snapshots.HostSnapshot) -> Iterator[Event]:
    for now in new.namespaces:
        was = old.namespace(now.device)
        barred = (was.barred if was is not None and was.uuid == now.uuid
                  else frozenset[str]())
        if barred == now.barred:
            continue
        for name in sorted((now.barred ^ barred) & {*now.controllers}):
            lost = name in now.barred
            yield Event(
                'ACCESS_LOST' if lost else 'ACCESS_RESTORED',
                WARN if lost else INFO,
                'replica %s (%s): its target gives %saccess to it over %s%s'
                % (now.uuid, now.device, 'no ' if lost else '', name,
                   ' again' if not lost else ' (ANA); another path lives'
                   if new.reachable(now) else ' (ANA), nor does another path'),
                (('controller', name), ('replica', now.uuid or now.device)))


def _all_reachable(controller: devices.Controller,
                   snapshot: snapshots.HostSnapshot) -> bool:
    behind = [namespace for namespace in snapshot.namespaces
              if controller.name in namespace.controllers]
    return bool(behind) and all(map(snapshot.reachable, behind))


def _connection(kind: str, level: str, controller: devices.Controller,
                what: str, snapshot: snapshots.HostSnapshot) -> Event:
    replicas = tuple(('replica', namespace.uuid or namespace.device)
                     for namespace in snapshot.namespaces
                     if controller.name in namespace.controllers)
    portal = str(controller.portal) if controller.portal else 'no address'
    return Event(
        kind, level, 'connection %s to %s at %s %s' % (
            controller.name, controller.nqn, portal, what),
        (('controller', controller.name), ('nqn', controller.nqn),
         ('portal', portal)) + replicas)


def _arrays(old: snapshots.HostSnapshot,
            new: snapshots.HostSnapshot) -> Iterator[Event]:
    before = {array.name: array for array in old.arrays}
    after = {array.name: array for array in new.arrays}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is now:
            continue
        if was and now and was.uuid != now.uuid:
            yield _array('ARRAY_STOPPED', INFO, was, 'was stopped')
            was = None
        if now is None and was is not None:
            yield _array('ARRAY_STOPPED', INFO, was, 'was stopped')
        elif now is not None and was is None:
            yield _array(
                'ARRAY_NEW', INFO if now.whole else WARN, now,
                'is new: %d of %d legs in sync' % (
                    len(now.in_sync), now.raid_disks))
            yield from _writable('', now)
            yield from _broken('', now)
            for leg in now.legs:
                yield from _bad_blocks(None, leg, now)
            yield from _lacking(None, now)
        elif was and now:
            yield from _writable(was.read_only, now)
            yield from _broken(was.broken, now)
            yield from _legs(was, now, new)
            yield from _lacking(was, now)
            yield from _sync(was, now)
            yield from _health(was, now, new)


def _legs(was: devices.Array, now: devices.Array,
          snapshot: snapshots.HostSnapshot) -> Iterator[Event]:
    before = {leg.device: leg for leg in was.legs}
    after = {leg.device: leg for leg in now.legs}
    for device in sorted(before.keys() | after.keys()):
        old, new = before.get(device), after.get(device)
        if old and new and old.replica_uuid and new.replica_uuid and (
                old.replica_uuid != new.replica_uuid):
            # another namespace got the name
            yield _leg('LEG_REMOVED', INFO, now, old, 'was removed')
            old = None
        if new is None and old is not None:
            yield _leg('LEG_REMOVED', INFO, now, old, 'was removed')
        elif new is not None:
            if old is None:
                yield _leg('LEG_ADDED', INFO, now, new, 'was added')
            yield from _leg_state(old, new, now, snapshot)
            yield from _bad_blocks(old, new, now)


def _bad_blocks(old: devices.Leg | None, new: devices.Leg,
                array: devices.Array) -> Iterator[Event]:
    """A leg that is in sync lacks blocks, or no longer; told once each."""
    lacked = old is not None and old.in_sync and bool(old.bad)
    if new.in_sync and new.bad and not lacked:
        lost = bad_blocks.size(new.bad)
        yield _leg('LEG_BAD_BLOCKS', WARN, array, new,
                   'lacks %s, though md calls it in sync: that could not be '
                   'written to it (bad blocks)' % bad_blocks.words(new.bad),
                   ('lost', '%d' % lost))
    elif lacked and new.in_sync and not new.bad:
        yield _leg('LEG_COMPLETE', INFO, array, new,
                   'has no bad blocks any more')


def _lacking(was: devices.Array | None,
             now: devices.Array) -> Iterator[Event]:
    """No leg in sync holds some blocks; more of them is told, too."""
    before = was.lacks if was is not None else ()
    if now.lacks and not bad_blocks.within(now.lacks, before):
        lost = bad_blocks.size(now.lacks)
        yield _array(
            'BLOCKS_LOST', FATAL, now,
            'has no leg in sync that holds %s of its data (bad blocks): '
            'reading them ends with an error' % bad_blocks.words(now.lacks),
            ('lost', '%d' % lost))
    elif before and not now.lacks and now.in_sync:
        yield _array('BLOCKS_FOUND', INFO, now,
                     'has all of its data again in legs that are in sync')


def _leg_state(old: devices.Leg | None, new: devices.Leg,
               array: devices.Array, snapshot: snapshots.HostSnapshot
               ) -> Iterator[Event]:
    if new.faulty and not (old and old.faulty):
        # md drops the device's identity with the device: the older
        # snapshot knows whose leg it was
        yield _leg('LEG_FAULTY', WARN, array,
                   new if new.replica_uuid else old or new, 'is faulty')
    elif new.in_sync and not (old and old.in_sync):
        yield _in_sync(array, new, snapshot.copied.get(
            (array.name, new.device)))
    elif old and (old.faulty or old.in_sync) and not (
            new.faulty or new.in_sync):
        yield _leg('LEG_BACK', INFO, array, new,
                   'is back and not in sync yet')


def _in_sync(array: devices.Array, leg: devices.Leg,
             copied: snapshots.Copied | None) -> Event:
    what = 'is in sync'
    figures: list[tuple[str, str]] = []
    if copied is not None and copied.seconds >= 1:
        what += ' after %s' % amounts.span(copied.seconds)
        figures.append(('seconds', '%d' % round(copied.seconds)))
    if copied is not None and copied.most is not None:
        what += ': at most %s of %s were copied to it' % (
            amounts.size(min(copied.most, array.component_size)),
            amounts.size(array.component_size))
        figures.append(('copied', '%d' % min(copied.most,
                                             array.component_size)))
    return _leg('LEG_IN_SYNC', INFO, array, leg, what, *figures)


def _sync(was: devices.Array, now: devices.Array) -> Iterator[Event]:
    went_on = was.sync_action == now.sync_action
    if was.syncing and not went_on:
        # it may just as well have been interrupted
        yield _array('SYNC_FINISHED', INFO, now,
                     'ended its %s: %d of %d legs in sync' % (
                         was.sync_action, len(now.in_sync), now.raid_disks))
    if now.syncing and not went_on:
        yield _array('SYNC_STARTED', INFO, now,
                     'started to %s' % now.sync_action)
    elif now.syncing and _quarter(now) > _quarter(was):
        yield _array('SYNC_PROGRESS', INFO, now, '%s at %d %%' % (
            now.sync_action, 25 * _quarter(now)))


def _quarter(array: devices.Array) -> int:
    if not array.sync_total or array.sync_done is None:
        return 0
    return 4 * array.sync_done // array.sync_total


def _health(was: devices.Array, now: devices.Array,
            snapshot: snapshots.HostSnapshot) -> Iterator[Event]:
    if (was.filled and not now.filled) or (was.in_sync and not now.in_sync):
        level = WARN if now.in_sync else FATAL
        yield _array('ARRAY_DEGRADED', level, now,
                     'is degraded: %d of %d legs in sync' % (
                         len(now.in_sync), now.raid_disks))
    elif now.whole and not was.whole:
        seconds = round(snapshot.healed.get(now.name, 0.0))
        yield _array('ARRAY_HEALTHY', INFO, now,
                     'is healthy%s: all %d legs in sync' % (
                         ' again after %s' % amounts.span(seconds)
                         if seconds else '', now.raid_disks),
                     *([('seconds', '%d' % seconds)] if seconds else ()))


def _broken(before: str, now: devices.Array) -> Iterator[Event]:
    if now.broken and not before:
        yield _array('ARRAY_BROKEN', FATAL, now, 'takes no writes: '
                     + now.broken)


def _writable(before: str, now: devices.Array) -> Iterator[Event]:
    if now.read_only and not before:
        yield _array('ARRAY_READ_ONLY', WARN, now, 'takes no writes: %s'
                     % now.read_only)
    elif before and not now.read_only:
        yield _array('ARRAY_WRITABLE', INFO, now, 'takes writes again')


def _array(kind: str, level: str, array: devices.Array, what: str,
           *figures: tuple[str, str]) -> Event:
    alias = array.alias or array.name
    return Event(kind, level, 'array %s (%s) %s' % (
        alias, array.name, what), (('array', array.name), ('alias', alias),
                                   *figures))


def _leg(kind: str, level: str, array: devices.Array, leg: devices.Leg,
         what: str, *figures: tuple[str, str]) -> Event:
    alias = array.alias or array.name
    replica = leg.replica_uuid or 'unknown'
    return Event(
        kind, level, 'leg %s (replica %s) of array %s (%s) %s' % (
            leg.device, replica, alias, array.name, what),
        (('array', array.name), ('alias', alias), ('leg', leg.device),
         ('replica', replica), *figures))
