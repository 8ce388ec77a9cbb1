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
"""The fleet as an operator sees it: values for JSON, lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import limits
from os_brick.agent.vendors.fleet import schema


def status(every: everything.Everything) -> dict[str, Any]:
    """Return hosts, volumes, and what cannot be read."""
    hosts = {host for host, _uuid in every.records} | {
        *every.alive} | {*every.fenced}
    return {
        'fleet': every.fleet.fleet, 'generation': every.fleet.generation,
        'hold': every.fleet.hold,
        'problems': [*every.problems, *_not_healed(every)],
        'cordoned': sorted(every.cordoned),
        'limits': limits.dump(every.fleet.limits),
        'resyncs': [{
            'host': host, 'uuid': uuid, 'volume': place.volume,
            'target': place.target, 'failure_domain': place.domain,
            'planned': place.planned, 'since': place.since}
            for (host, uuid), place in sorted(every.resyncs.items())],
        'hosts': [dict(_alive(every.alive.get(host)), host=host,
                       fenced=every.fenced.get(host, ''))
                  for host in sorted(hosts)],
        'volumes': [_volume(host, record, sorted(
            other for other, uuid in every.records
            if uuid == record.uuid and other != host))
            for host, record in every.owned()]}


def _not_healed(every: everything.Everything) -> list[str]:
    """Return of which volumes it is not so that one host heals them."""
    return [why for uuid in sorted(every.holders) if (
        why := _why_not_healed(documents_room.of(every.keys, every, uuid)))]


def _why_not_healed(documents: documents_room.Documents) -> str:
    records, uuid, owner = (documents.records, documents.uuid,
                            documents.owner)
    if documents.unread:
        return ''    # what it says is not known; a problem of its own
    alias = next(iter(records.values())).listing.alias
    healers = documents_room.healers(records)
    if len(healers) > 1:
        return ('volume %s: the hosts %s all heal it; let one of them: '
                'nvme-agent-fleet hand-over %s HOST' % (
                    alias, ', '.join(healers), uuid))
    # who is alive comes to it in a pass
    if any(host not in documents.alive or host not in documents.late
           for host in documents.doubtful()):
        return ('%s; wait for it, or, when you know that it does not '
                'use the volume any more: nvme-agent-fleet hand-over %s HOST '
                '--source-stopped' % (documents.doubt(), uuid))
    if owner not in records or healers and owner not in healers:
        return ('volume %s of %s: whose it is was lost with a restored '
                'backup; nvme-agent-fleet resume finds it' % (
                    alias, ', '.join(records)))
    if not healers:
        return ('volume %s: nobody heals it until its hand-over to the host '
                '%s is done%s; to go on: nvme-agent-fleet hand-over %s %s' % (
                    alias, owner, ''.join(
                        ', which waits for the agent of the host %s' % host
                        for host, record in records.items()
                        if record.yielding), uuid, owner))
    return ''


def _alive(text: str | None) -> dict[str, Any]:
    try:
        said = json.loads(text or '')
        return {'alive': True, 'version': said.get('version'),
                'generation': said.get('generation')}
    except (ValueError, AttributeError):
        return {'alive': text is not None, 'version': None,
                'generation': None}


def _volume(host: str, record: schema.Record,
            observers: Sequence[str]) -> dict[str, Any]:
    return {
        'uuid': record.uuid, 'alias': record.listing.alias, 'host': host,
        'observers': list(observers),
        'replicas': [{
            'uuid': entry.uuid, 'state': entry.state.value,
            'target': entry.backing.target.nqn,
            'failure_domain': entry.backing.failure_domain,
            'successor': entry.successor}
            for entry in record.entries if entry.state is not None]}


def status_lines(found: Mapping[str, Any]) -> list[str]:
    lines = ['fleet %s, generation %d' % (found['fleet'],
                                          found['generation'])]
    lines += ['ON HOLD: %s' % found['hold']] if found['hold'] else []
    lines += ['PROBLEM: %s' % one for one in found['problems']]
    lines += ['cordoned: %s' % one for one in found['cordoned']]
    lines += [limits_line(found['limits'])] if any(
        found['limits'].values()) else []
    lines += _table(('HOST', 'AGENT', 'GENERATION', 'FENCED'), (
        (one['host'], 'alive' if one['alive'] else 'silent',
         one['generation'] or '-', one['fenced'] or '-')
        for one in found['hosts']))
    lines += _table(('VOLUME', 'HOST', 'REPLICA', 'STATE', 'TARGET'), (
        (volume['alias'], volume['host'], one['uuid'], one['state'],
         one['target'])
        for volume in found['volumes'] for one in volume['replicas']))
    names = {volume['uuid']: volume['alias'] for volume in found['volumes']}
    if found['resyncs']:
        lines += _table(('COPY OF', 'HOST', 'TO REPLICA', 'KIND', 'TARGET'), (
            (names.get(one['volume'], one['volume']), one['host'],
             one['uuid'], 'planned' if one['planned'] else 'repair',
             one['target'] or '-') for one in found['resyncs']))
    return lines


def limits_line(found: Mapping[str, int]) -> str:
    """Return how many copies may be under way, in words."""
    said = ['%d %s' % (found[name], where) for name, where in (
        ('target', 'to one target'), ('domain', 'to one failure domain'),
        ('total', 'in all')) if found[name]]
    return 'copies at once: %s' % (
        'at most ' + ', '.join(said) if said else 'any number')


def spares(every: everything.Everything) -> list[dict[str, Any]]:
    """Return the pool: each spare, and what was let go."""
    found = []
    for uuid in sorted({*every.spares, *(
            uuid for uuid, use in every.uses.items()
            if use.volume is None)}):
        spare, use = every.spares.get(uuid), every.uses.get(uuid)
        one = spare or use
        assert one is not None
        backing = one.backing
        if use is not None and use.volume is not None:
            state = 'in use'
        elif use and use.times > (spare.returned if spare else 0):
            state = 'let go'
        elif backing.target.nqn in every.cordoned:
            state = 'cordoned'
        else:
            state = 'free'
        found.append({
            'uuid': uuid, 'state': state, 'size': backing.size,
            'target': backing.target.nqn,
            'failure_domain': backing.failure_domain,
            'volume': use.volume if use else None,
            'host': spare.host if spare else '',
            'tags': sorted(spare.tags) if spare else []})
    return found


def spares_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return _table(('NAMESPACE', 'STATE', 'BYTES', 'DOMAIN', 'TARGET',
                   'VOLUME'), (
        (one['uuid'], one['state'], one['size'] or '-',
         one['failure_domain'] or '-', one['target'], one['volume'] or '-')
        for one in found))


def _table(head: tuple[str, ...],
           rows: Iterable[tuple[object, ...]]) -> list[str]:
    cells = [head] + [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ['  '.join(cell.ljust(width) for cell, width in zip(
        row, widths)).rstrip() for row in cells]
