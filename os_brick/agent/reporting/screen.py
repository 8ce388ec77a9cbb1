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
"""The state document as a screen of 80 columns; pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import textwrap
from typing import Any

from os_brick.agent.model import amounts
from os_brick.agent.reporting import document
from os_brick.agent.reporting import health
from os_brick.agent.reporting import verdict

WIDTH = 80
_COLOURS = {health.CRITICAL: '31;1', health.WARNING: '33;1',
            health.INFO: '36', 'good': '32'}
_BAR = 20


class Paint:
    """Colours words, or leaves them as they are.

    :param coloured: whether the reader is a terminal that wants colour.
    """

    def __init__(self, coloured: bool = False) -> None:
        self._coloured = coloured

    def __call__(self, text: str, kind: str) -> str:
        if not self._coloured or kind not in _COLOURS:
            return text
        return '\033[%sm%s\033[0m' % (_COLOURS[kind], text)


def status(shown: document.Document, judged: verdict.Verdict, wall: float,
           paint: Paint = Paint(), only: str = '') -> str:
    """Return the screen.

    :param wall: seconds since the epoch.
    :param only: alias or UUID of the one volume to be shown, '' for all.
    :raises KeyError: there is no such volume.
    """
    volumes = [volume for volume in shown['volumes']
               if not only or only in (volume['alias'], volume['uuid'])]
    if only and not volumes:
        raise KeyError(only)
    lines = [*_head(shown, judged, wall, paint)]
    for volume in volumes:
        lines += ['', *_volume(volume, wall, paint),
                  *_held(shown, volume, wall)]
    if not only:
        lines += [] if volumes else ['', 'No volume of this host is listed']
        lines += _left_alone(shown)
    about = [one for one in judged.findings
             if not only or one.volume in ('', volumes[0]['alias'])]
    if about:
        lines += ['', 'Health', *findings(about, wall, paint)]
    return '\n'.join(lines) + '\n'


def findings(found: Iterable[health.Finding], wall: float,
             paint: Paint = Paint(), details: bool = False) -> list[str]:
    """Return the findings, one after the other."""
    lines = []
    for one in found:
        muted = '' if one.muted_until is None else (
            ' (muted for %s)' % amounts.span(one.muted_until - wall))
        head, *more = _wrapped('%s%s: %s%s' % (
            one.code, one.volume and ' ' + one.volume, one.text, muted), 2)
        lines += [head.replace(one.code, paint(
            one.code, '' if muted else one.severity), 1), *more]
        if details:
            for detail in one.details:
                lines += _wrapped(detail, 6)
    return lines


def _head(shown: document.Document, judged: verdict.Verdict, wall: float,
          paint: Paint) -> Iterator[str]:
    yield from _wrapped('nvme-agent %s on %s, guard %s; as of %s' % (
        shown['agent']['version'], shown['host']['name'],
        shown['agent']['guard'], 'before a reboot' if judged.age is None
        else '%s ago' % amounts.span(judged.age)), 0)
    if judged.unreliable:
        for line in _wrapped('What follows may be old: %s.'
                             % judged.unreliable, 0):
            yield paint(line, health.CRITICAL)
    told = shown['provisioner']
    yield from _wrapped('provisioner (%s): %s%s%s' % (
        told['driver'], 'has not answered yet' if told['answered_at'] is None
        else 'last answer %s ago' % amounts.span(wall - told['answered_at']),
        '; %s' % told['error'] if told['error'] else '',
        '; %d reports wait' % shown['reports_waiting']
        if shown['reports_waiting'] else ''), 0)


def _volume(volume: Mapping[str, Any], wall: float,
            paint: Paint) -> Iterator[str]:
    array = volume['array']
    if array is None:
        yield 'Volume %s: listed, and has no array on this host' % (
            volume['alias'])
        return
    good, wanted = volume['good'], volume['wanted']
    kind = ('good' if good >= wanted else
            health.WARNING if good else health.CRITICAL)
    yield 'Volume %s  %s  %s' % (
        volume['alias'], array['name'],
        paint('%d of %d copies good' % (good, wanted), kind))
    sync = array['sync']
    if sync:
        yield from _wrapped(progress(sync), 2)
    limit = array.get('speed_limit')
    if limit and (sync or not array['speed_limit_ours']):
        yield from _wrapped('md copies %s/s at most: %s' % (
            amounts.size(limit), 'option resync_speed_max'
            if array['speed_limit_ours'] else 'set by somebody else, '
            'resync_speed_max does not count'), 2)
    for replica in volume['replicas']:
        yield from _replica(replica, wall, paint)
    for leg in volume['other_legs']:
        yield from _wrapped('%s: leg of no replica that is listed (%s)' % (
            leg['device'], ', '.join(leg['flags'])), 2)


def _held(shown: document.Document, volume: Mapping[str, Any],
          wall: float) -> Iterator[str]:
    """Say what keeps the agent from working on the volume."""
    if not volume['array']:
        return
    for one in shown.get('paused', ()):
        if one['volume'] in ('', volume['alias']):
            yield from _wrapped('paused by the operator, for another %s%s' % (
                amounts.span(one['until'] - wall), one['reason']
                and ': ' + one['reason']), 2)
    for why in volume.get('put_off', ()):
        yield from _wrapped('put off: %s' % why, 2)


def _replica(replica: Mapping[str, Any], wall: float,
             paint: Paint) -> Iterator[str]:
    state = replica['here']
    kind = {'AVAILABLE': 'good', 'MISSING': health.WARNING}.get(
        state, health.INFO)
    yield '  %s  %s  %s' % (replica['uuid'], paint('%-13s' % state, kind),
                            _member(replica)[:25])
    for path in replica['paths']:
        yield from _wrapped('path %s %s %s' % (
            path['controller'], path['portal'], path['state']), 4)
    if replica['why']:
        yield from _wrapped('%s%s' % (
            replica['why'], '' if replica['since_at'] is None
            else ' (for %s)' % amounts.span(
                wall - replica['since_at'])), 4)
    if replica['listed'] != state:
        yield from _wrapped('the provisioner has it as %s'
                            % replica['listed'], 4)
    if replica['waits_for']:
        yield from _wrapped('waits for %s%s' % (
            replica['waits_for'], '' if replica['until_at'] is None
            else ', in %s' % amounts.span(
                replica['until_at'] - wall)), 4)
    if replica.get('refused'):
        yield from _wrapped('kept back for %s: %s' % (
            amounts.span(wall - replica['refused_at']),
            replica['refused']), 4)


def _member(replica: Mapping[str, Any]) -> str:
    leg = replica['leg']
    if leg is None:
        return ('removed, was %s' % replica['device'] if replica['was_leg']
                else 'not a member yet')
    word = 'faulty' if 'faulty' in leg['flags'] else leg['role']
    return '%s%s' % (leg['device'], word and ', ' + word)


def _left_alone(shown: document.Document) -> list[str]:
    lines = []
    for one in shown['left_alone']:
        lines += _wrapped('%s: %s' % (one['what'], one['why']), 2)
    return ['', 'Left alone', *lines] if lines else []


def progress(sync: Mapping[str, Any]) -> str:
    """Return a resync as one line with a bar."""
    done, total = sync['done'], sync['total']
    if not total or done is None:
        return '%s: waits for its turn' % sync['action']
    filled = min(_BAR, _BAR * done // total)
    return '%s [%s%s] %d %%  %s of %s%s%s' % (
        sync['action'], '#' * filled, '.' * (_BAR - filled),
        100 * done // total, amounts.size(done), amounts.size(total),
        '  %s/s' % amounts.size(sync['rate']) if sync['rate'] else '',
        '' if sync['left'] is None
        else '  %s left' % amounts.span(sync['left']))


def _wrapped(text: str, indent: int) -> list[str]:
    # nothing that came from elsewhere may steer the terminal
    text = ''.join(char if char.isprintable() else '?' for char in text)
    return textwrap.wrap(text, WIDTH, initial_indent=' ' * indent,
                         subsequent_indent=' ' * (indent + 2),
                         break_on_hyphens=False) or ['']
