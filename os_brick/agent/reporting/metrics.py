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
from os_brick.agent.reporting import document

#: Name of a metric, without the prefix -> its help.  One that ends in
#: _total is a counter, the others are gauges.
METRICS = {
    'info': 'The agent; always 1.',
    'last_pass_timestamp_seconds': 'When the last pass has ended.',
    'pass_interval_seconds': 'From one pass to the next.',
    'pass_failed': '1 if the last pass failed.',
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
    'volume_copies_good': 'Copies in sync whose target answers.',
    'volume_copies_wanted': 'Copies that the volume is meant to have.',
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
    samples: tuple[tuple[Labels, float], ...]

    @property
    def kind(self) -> str:
        return 'counter' if self.name.endswith('_total') else 'gauge'


def families(shown: document.Document) -> list[Family]:
    """Return the metrics of a document that have a sample."""
    found: dict[str, list[tuple[Labels, float]]] = {
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
                '%s%s %s\n' % (one.name, _labels(labels), _number(value))
                for labels, value in one.samples))
        for one in families(shown))


def _samples(shown: document.Document
             ) -> Iterator[tuple[str, Labels, float]]:
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
    for volume in shown['volumes']:
        if volume['array']:
            yield from _volume(volume)
    for one in shown['findings']:
        yield 'health', {
            'code': one['code'], 'severity': one['severity'],
            'volume': one['volume'], 'muted': str(
                one['muted_until'] is not None).lower()}, 1


def _volume(volume: Mapping[str, Any]
            ) -> Iterator[tuple[str, Labels, float]]:
    # node_exporter names the array by "device"
    names = {'volume': volume['alias'], 'device': volume['array']['name']}
    yield 'volume_copies_good', names, volume['good']
    yield 'volume_copies_wanted', names, volume['wanted']
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
