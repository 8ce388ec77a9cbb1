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
"""The health codes: a finite list, and what of it a document shows; pure.

Each code has a section of its own in doc/source/admin/health.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any

from os_brick.agent.model import amounts
from os_brick.agent.model import examinations

INFO, WARNING, CRITICAL = 'info', 'warning', 'critical'
#: Seconds after a request after which a replacement is missed.
PATIENCE = 60.0
#: Seconds for which a rule may keep a step back before somebody has to look.
REFUSED_FOR = 900.0
PAGE = 'admin/health.html'


@dataclasses.dataclass(frozen=True)
class Code:
    """One of the health codes, as the documentation lists it.

    :ivar meaning: one line, for a list of the codes.
    """

    severity: str
    meaning: str


CODES: Mapping[str, Code] = {
    'AGENT_DOWN': Code(CRITICAL, 'the agent does not run'),
    'AGENT_PAUSED': Code(INFO, 'an operator has asked the agent to wait'),
    'AGENT_STUCK': Code(CRITICAL, 'the agent has ended no pass for too long'),
    'ARRAY_BROKEN': Code(CRITICAL, 'Linux refuses every write to a volume'),
    'ARRAY_DEGRADED': Code(WARNING, 'a volume has fewer good copies than it '
                                    'is meant to have'),
    'ARRAY_READ_ONLY': Code(WARNING, 'a volume takes no writes, and no copy '
                                     'in'),
    'BAD_BLOCKS': Code(WARNING, 'a copy lacks blocks that could not be '
                                'written to it'),
    'BLOCKS_LOST': Code(CRITICAL, 'no copy that answers holds some blocks of '
                                  'a volume'),
    'CERTIFICATE_EXPIRES': Code(WARNING, 'a certificate ends within %d days; '
                                'critical from %d days on' % (
                                    examinations.SOON,
                                    examinations.VERY_SOON)),
    'COPIES_IN_DOUBT': Code(CRITICAL, 'it is not certain which copy holds '
                                      'every acknowledged write'),
    'DRY_RUN': Code(WARNING, 'the agent only talks: it does nothing to this '
                             'host'),
    'EVENTS_LOST': Code(WARNING, 'an event sink does not take all events'),
    'GUARD_OFF': Code(WARNING, 'nothing keeps I/O moving when a target is '
                               'lost'),
    'HOST_AT_FAULT': Code(WARNING, 'a copy is missing through a fault of this '
                                   'host, and is not replaced meanwhile'),
    'HOST_PROBLEM': Code(WARNING, 'something of this host could not be read'),
    'LEFT_ALONE': Code(WARNING, 'an array is not served, because it is not '
                                'certain whose it is'),
    'NO_GOOD_LEG': Code(CRITICAL, 'no copy of a volume can be reached'),
    'NO_SPARE': Code(WARNING, 'a replacement was requested, and none has '
                              'been assigned'),
    'PASS_FAILED': Code(CRITICAL, 'the last pass failed'),
    'PATH_LOST': Code(WARNING, 'a copy is reached, though not through all of '
                               'its paths'),
    'PROVISIONER_DOUBTED': Code(WARNING, 'the provisioner says of a volume '
                                         'what cannot be'),
    'PROVISIONER_UNREACHABLE': Code(WARNING, 'the provisioner does not '
                                             'answer, or not as it should'),
    'REPLACEMENTS_FAIL': Code(CRITICAL, 'replacements of a copy were of no '
                                        'use one after the other, and no '
                                        'other one is requested'),
    'REPORTS_WAITING': Code(WARNING, 'the provisioner has not taken all '
                                     'reports'),
    'RESYNCING': Code(INFO, 'a copy is being brought up to date'),
    'STATE_DIR': Code(CRITICAL, 'the agent cannot write down what it has to '
                                'remember'),
    'STEP_REFUSED': Code(WARNING, 'for %d minutes a rule has kept a copy out, '
                                  'or from being let go'
                         % (REFUSED_FOR / 60)),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """A code that applies.

    :ivar volume: alias of the volume that it is about, '' for the host.
    :ivar text: what is so, in one line.
    :ivar details: more lines.
    :ivar weight: how bad it is, to be compared with itself only.
    :ivar muted_until: seconds since the epoch until which the operator does
        not want to hear of it; None where that is not so.
    """

    code: str
    volume: str
    severity: str
    text: str
    details: tuple[str, ...] = ()
    weight: int = 1
    muted_until: float | None = None


def found(code: str, text: str, volume: str = '',
          details: tuple[str, ...] = (), weight: int = 1,
          severity: str = '') -> Finding:
    """:param severity: where it is not that of the code."""
    return Finding(code, volume, severity or CODES[code].severity, text,
                   details, weight)


def worst(findings: list[Finding]) -> str:
    """Return the highest severity of those that are not muted, or ''."""
    severities = {one.severity for one in findings
                  if one.muted_until is None}
    return next((severity for severity in (CRITICAL, WARNING, INFO)
                 if severity in severities), '')


def findings(document: Mapping[str, Any]) -> list[Finding]:
    """Return what applies, the worst first."""
    order = (CRITICAL, WARNING, INFO)
    return sorted((*_of_host(document), *(
        one for volume in document['volumes']
        for one in _of_volume(volume, document['time']['wall']))),
        key=lambda one: (order.index(one.severity), one.code, one.volume))


def _of_host(document: Mapping[str, Any]) -> Iterator[Finding]:
    if document['own_disk']:
        yield found('STATE_DIR', document['failed'] or
                    'state_dir cannot be used: what has to be remembered is '
                    'in memory only; the log has the reason')
    elif document['failed']:
        yield found('PASS_FAILED',
                    'the last pass failed: %s' % document['failed'])
    provisioner = document['provisioner']
    if provisioner['error']:
        yield found('PROVISIONER_UNREACHABLE', provisioner['error'])
    if document['reports_waiting']:
        yield found('REPORTS_WAITING', '%d reports wait to be taken by the '
                    'provisioner' % document['reports_waiting'])
    if document['agent'].get('dry_run'):
        yield found('DRY_RUN', 'dry_run is set: nothing is healed, cut off or '
                    'requested')
    elif document['agent']['guard'] != 'on':
        yield found('GUARD_OFF', 'io_guard = %s' % document['agent']['guard'])
    for one in document.get('event_sinks', ()):
        if one['trouble']:
            yield found('EVENTS_LOST', 'event sink %s: %s; %d are lost' % (
                one['name'], one['trouble'], one['lost']))
    for one in document['left_alone']:
        yield found('LEFT_ALONE', '%s: %s' % (one['what'], one['why']))
    if document['problems']:
        yield found('HOST_PROBLEM', document['problems'][0],
                    details=tuple(document['problems'][1:]),
                    weight=len(document['problems']))
    yield from _of_certificates(document.get('certificates', ()),
                                document['time']['wall'])
    for one in document['paused']:
        yield found('AGENT_PAUSED', 'paused until %s: %s' % (
            when(one['until']), one['reason'] or 'no reason was given'),
            one['volume'])


def when(wall: float) -> str:
    """Return a time of the wall clock as an operator of this host has it."""
    return datetime.datetime.fromtimestamp(wall).astimezone().strftime(
        '%Y-%m-%d %H:%M:%S %Z')


def _of_certificates(listed: Sequence[Mapping[str, Any]],
                     wall: float) -> Iterator[Finding]:
    soonest = sorted((examinations.Certificate(**one) for one in listed),
                     key=lambda one: one.ends_at)
    ending = [one for one in soonest
              if one.days_left(wall) < examinations.SOON]
    if not ending:
        return
    words = tuple('the certificate %s %s' % (one.whose, (
        'ends in %d days' % one.days_left(wall))
        if one.ends_at > wall else 'has ended') for one in ending)
    # muted as one that ends, it is heard of when it is critical, and when it
    # has ended
    weight = 1 + sum(ending[0].days_left(wall) < days
                     for days in (examinations.VERY_SOON, 0))
    yield found('CERTIFICATE_EXPIRES', words[0], details=words[1:],
                weight=weight, severity=CRITICAL if weight > 1 else '')


def _of_volume(volume: Mapping[str, Any],
               wall: float) -> Iterator[Finding]:
    if not volume['array']:
        return
    alias, replicas = volume['alias'], volume['replicas']
    bad = tuple('replica %s is %s: %s' % (
        replica['uuid'], replica['here'], replica['why'])
        for replica in replicas if replica['why'])
    if volume['alarm']:
        yield found('COPIES_IN_DOUBT', volume['alarm'], alias)
    if volume['ended']:
        yield found('REPLACEMENTS_FAIL', volume['ended'], alias)
    if volume['array']['read_only']:
        yield found('ARRAY_READ_ONLY', volume['array']['read_only'], alias)
    excused = [replica for replica in replicas if replica['excused']
               and not volume['array']['read_only']
               # a daemon of an earlier release does not say so
               and not volume['array'].get('unwritten')]
    if excused:
        yield found('HOST_AT_FAULT', excused[0]['excused'], alias, tuple(
            'replica %s: %s' % (replica['uuid'], replica['excused'])
            for replica in excused), len(excused))
    if volume['doubt']:
        yield found('PROVISIONER_DOUBTED', volume['doubt'], alias)
    yield from _bad_blocks(volume)
    if not volume.get('reached', volume['good']):
        yield found('NO_GOOD_LEG', 'none of its copies can be reached',
                    alias, bad)
    elif volume['good'] < volume['wanted']:
        yield found('ARRAY_DEGRADED', '%d of %d copies are good' % (
            volume['good'], volume['wanted']), alias, bad,
            volume['wanted'] - volume['good'])
    sync = volume['array']['sync']
    if sync:
        yield found('RESYNCING', '%s%s' % (sync['action'], (
            ' at %d %%' % (100 * sync['done'] // sync['total']))
            if sync['total'] and sync['done'] is not None else ''), alias)
    missed = [replica for replica in replicas
              if replica['requested_at'] is not None
              and replica['successor'] is None
              and (replica['here'] == 'MISSING' or _lacks(replica))
              and (not replica['accepted']
                   or wall - replica['requested_at'] > PATIENCE)]
    if missed:
        yield found('NO_SPARE', 'no replacement has been assigned yet', alias,
                    tuple('for replica %s: %s' % (
                        replica['uuid'], 'the provisioner took the request'
                        if replica['accepted'] else
                        'the provisioner did not accept the request')
                        for replica in missed), len(missed))
    refused = [] if volume['alarm'] else [
        replica for replica in replicas
        # a daemon of an earlier release does not say so
        if replica.get('refused_at') is not None
        and wall - replica['refused_at'] > REFUSED_FOR]
    if refused:
        yield found('STEP_REFUSED', refused[0]['refused'], alias, tuple(
            'replica %s: %s' % (replica['uuid'], replica['refused'])
            for replica in refused), len(refused))
    lost = tuple('%s to %s is %s' % (path['controller'], path['portal'],
                                     path['state'])
                 for replica in replicas for path in replica['paths']
                 if path['state'] != 'live' and any(
                     other['state'] == 'live' for other in replica['paths']))
    if lost:
        yield found('PATH_LOST', '%d paths are lost, others live'
                    % len(lost), alias, lost, len(lost))


def _bad_blocks(volume: Mapping[str, Any]) -> Iterator[Finding]:
    """A daemon of an earlier release says nothing of it."""
    alias, array = volume['alias'], volume['array']
    if array.get('broken'):
        yield found('ARRAY_BROKEN', array['broken'], alias)
    if array.get('lost'):
        yield found('BLOCKS_LOST', 'no leg in sync holds %s of it: reading '
                    'them ends with an error' % amounts.size(array['lost']),
                    alias)
    elif array.get('lost_here'):
        yield found('BLOCKS_LOST', 'only legs that do not answer hold %s of '
                    'it: its I/O waits for them' % amounts.size(
                        array['lost_here']), alias)
    bad = tuple('replica %s: %s lacks %s' % (
        replica['uuid'], replica['leg']['device'],
        amounts.size(replica['leg']['bad'])) for replica
        in volume['replicas'] if _lacks(replica))
    if bad:
        yield found('BAD_BLOCKS', '%d of its legs in sync lack blocks that '
                    'could not be written' % len(bad), alias, bad, len(bad))


def _lacks(replica: Mapping[str, Any]) -> bool:
    leg = replica['leg']
    return bool(leg and leg.get('bad') and 'in_sync' in leg['flags'])
