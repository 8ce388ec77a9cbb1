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
"""The state document as Prometheus metrics, and in the text format; pure.

The one table, for the textfile collector of node_exporter and for the
endpoint alike: the former needs no library.  What node_exporter knows of md
and NVMe itself is not repeated.  Each metric has a row in
doc/source/admin/metrics.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

from os_brick.agent import model
from os_brick.agent.model import tallies
from os_brick.agent.reporting import document

#: Name of a metric, without the prefix -> its help.  One that ends in
#: _total is a counter, the others are gauges.
METRICS = {
    'info': 'The agent; always 1.',
    'last_pass_timestamp_seconds': 'When the last pass has ended.',
    'pass_interval_seconds': 'From one pass to the next.',
    'pass_failed': '1 if the last pass failed.',
    'passes_total': 'Passes since the start.',
    'provisioner_calls_total': 'Calls of the provisioner since the start.',
    'guard_actions_total': 'What the guard has done since the start.',
    'guard_on': '1 if io_guard = on.',
    'provisioner_up': '1 if the provisioner has answered in the last pass.',
    'provisioner_last_answer_timestamp_seconds':
        'When the provisioner has answered last.',
    'reports_waiting': 'Reports that the provisioner has not taken yet.',
    'arrays_left_alone': 'Arrays or volumes whose owner is not certain.',
    'certificate_end_timestamp_seconds':
        'When a certificate ends.',
    'event_sink_waiting': 'Events that wait for an event sink.',
    'event_sink_lost_total': 'Events that an event sink has not taken.',
    'volume_copies_good': 'Complete copies whose target answers.',
    'volume_copies_wanted': 'Copies that the volume is meant to have.',
    'volume_degraded_seconds':
        'For how long a copy has been missing; 0: none is.',
    'volume_io_standing_seconds':
        'For how long I/O is under way and none ends.',
    'volume_io_pause_seconds': 'Pauses of I/O of half a second or more.',
    'volume_resync_remaining_bytes': 'What a resync has left to do.',
    'replica_state': 'One-hot: 1 for the state that this host sees.',
    'path_live': '1 if the connection to a replica is live.',
    'health': 'A health code that applies; always 1.',
}
PREFIX = 'nvme_agent_'
Labels = Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Family:
    """A metric with its samples; all of them have the same labels.

    :ivar name: with the prefix.
    """

    name: str
    help: str
    samples: tuple[tuple[Labels, float | tallies.Pauses], ...]

    @property
    def kind(self) -> str:
        if isinstance(self.samples[0][1], tallies.Pauses):
            return 'histogram'
        return 'counter' if self.name.endswith('_total') else 'gauge'


def families(shown: document.Document) -> list[Family]:
    """Return the metrics of a document that have a sample."""
    found: dict[str, list[tuple[Labels, float | tallies.Pauses]]] = {
        name: [] for name in METRICS}
    for name, labels, value in _samples(shown):
        found[name].append((labels, value))
    return [Family(PREFIX + name, METRICS[name], tuple(samples))
            for name, samples in found.items() if samples]


def text(shown: document.Document) -> str:
    """Return the metrics of a document in the text format."""
    return ''.join(
        '# HELP %s %s\n# TYPE %s %s\n%s' % (
            one.name, one.help, one.name, one.kind, ''.join(
                '%s%s %s\n' % (name, _labels(labels), _number(value))
                for name, labels, value in _lines(one)))
        for one in families(shown))


def buckets(pauses: tallies.Pauses) -> list[tuple[str, int]]:
    """Return the value of the label ``le`` -> how many."""
    return list(zip([*map(str, tallies.BUCKETS), '+Inf'], pauses.counts))


def _lines(family: Family) -> Iterator[tuple[str, Labels, float]]:
    for labels, value in family.samples:
        if not isinstance(value, tallies.Pauses):
            yield family.name, labels, value
            continue
        for most, count in buckets(value):
            yield family.name + '_bucket', {**labels, 'le': most}, count
        yield family.name + '_sum', labels, value.total
        yield family.name + '_count', labels, value.counts[-1]


def _samples(shown: document.Document
             ) -> Iterator[tuple[str, Labels, float | tallies.Pauses]]:
    agent, told = shown['agent'], shown['provisioner']
    yield 'info', {'version': agent['version'],
                   'driver': told['driver']}, 1
    yield 'last_pass_timestamp_seconds', {}, shown['time']['wall']
    yield 'pass_interval_seconds', {}, agent['interval']
    yield 'pass_failed', {}, bool(shown['failed'])
    yield 'guard_on', {}, agent['guard'] == 'on'
    yield 'provisioner_up', {}, not told['error']
    if told['answered_at'] is not None:
        yield ('provisioner_last_answer_timestamp_seconds', {},
               told['answered_at'])
    yield 'reports_waiting', {}, shown['reports_waiting']
    yield 'arrays_left_alone', {}, len(shown['left_alone'])
    for one in shown.get('event_sinks', ()):
        yield 'event_sink_waiting', {'sink': one['name']}, one['waiting']
        yield 'event_sink_lost_total', {'sink': one['name']}, one['lost']
    for one in shown.get('certificates', ()):
        yield ('certificate_end_timestamp_seconds',
               {'certificate': one['whose']}, one['ends_at'])
    counts = shown['counts']
    for result, count in counts['passes'].items():
        yield 'passes_total', {'result': result}, count
    for one in counts['calls']:
        yield 'provisioner_calls_total', {
            'call': one['call'], 'result': one['result']}, one['count']
    for one in counts['guard_actions']:
        yield 'guard_actions_total', {
            'volume': one['volume'], 'action': one['action']}, one['count']
    for one in counts['pauses']:
        yield 'volume_io_pause_seconds', {
            'volume': one['volume']}, tallies.Pauses(
                tuple(one['counts']), one['total'])
    for volume in shown['volumes']:
        if volume['array']:
            yield from _volume(volume, shown['time']['wall'],
                               counts['standing'])
    for one in shown['findings']:
        yield 'health', {
            'code': one['code'], 'severity': one['severity'],
            'volume': one['volume'], 'muted': str(
                one['muted_until'] is not None).lower()}, 1


def _volume(volume: Mapping[str, Any], wall: float,
            standing: Mapping[str, float]
            ) -> Iterator[tuple[str, Labels, float]]:
    # node_exporter names the array by "device"
    names = {'volume': volume['alias'], 'device': volume['array']['name']}
    yield 'volume_copies_good', names, volume['good']
    yield 'volume_copies_wanted', names, volume['wanted']
    since = [replica['since_at'] for replica in volume['replicas']
             if replica['since_at'] is not None]
    yield 'volume_degraded_seconds', names, max(0.0, wall - min(since)) if (
        since and volume['good'] < volume['wanted']) else 0.0
    yield ('volume_io_standing_seconds', names,
           standing.get(volume['array']['name'], 0.0))
    sync = volume['array']['sync']
    if sync and sync['total'] and sync['done'] is not None:
        yield ('volume_resync_remaining_bytes', names,
               sync['total'] - sync['done'])
    for replica in volume['replicas']:
        labels = {'volume': volume['alias'], 'replica': replica['uuid']}
        for state in model.ReplicaState:
            if state not in (model.ReplicaState.UNKNOWN,
                             model.ReplicaState.TERMINATING):
                yield ('replica_state', {**labels, 'state': state.value},
                       replica['here'] == state.value)
        for path in replica['paths']:
            yield 'path_live', {
                **labels, 'controller': path['controller'],
                'portal': path['portal'] or ''}, path['state'] == 'live'


def _labels(labels: Labels) -> str:
    return '{%s}' % ','.join(
        '%s="%s"' % (name, _escaped(str(value)))
        for name, value in labels.items()) if labels else ''


def _escaped(value: str) -> str:
    return value.replace('\\', '\\\\').replace('"', '\\"').replace(
        '\n', '\\n')


def _number(value: float) -> str:
    return repr(float(value)) if isinstance(value, float) else str(int(value))
