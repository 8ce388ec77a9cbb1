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
"""The state document: all that an operator may ask about, as plain values.

The daemon replaces it with each pass; whoever reads it needs neither the
daemon nor root.  It holds nothing secret.

Times named ``..._at`` and ``wall`` are seconds since the epoch; sizes are
bytes.  A reader of ``schema`` 1 ignores what it does not know; what changes
its meaning, or goes, makes another schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from os_brick.agent import model
from os_brick.agent.model import pauses
from os_brick.agent.model import snapshots
from os_brick.agent.model import tallies
from os_brick.agent.reporting import health
from os_brick.agent.reporting import mutes
from os_brick.agent.reporting import volume_document

SCHEMA = 1
Document = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Moment:
    """When the document was made.

    :ivar wall: seconds since the epoch.
    :ivar boottime: seconds since the host has booted.
    :ivar agent: agent time, in which the records are kept.
    """

    wall: float = 0.0
    boot: str = ''
    boottime: float = 0.0
    agent: float = 0.0

    def wall_of(self, agent: float) -> float:
        """Return when a moment of agent time is, since the epoch."""
        return self.wall + agent - self.agent


@dataclasses.dataclass(frozen=True)
class Agent:
    """Who made it.

    :ivar started: when the process has started, in the kernel's clock ticks
        since the boot; tells it from another one of the same pid.
    :ivar interval: seconds between two passes.
    :ivar guard: ``io_guard``; what is left of it where ``dry_run`` is set.
    """

    host: model.Host
    pid: int = 0
    started: int = 0
    driver: str = ''
    interval: float = 30.0
    guard: str = 'on'
    dry_run: bool = False


@dataclasses.dataclass(frozen=True)
class Counts:
    """What was counted since the agent was started.

    :ivar passes: how they ended -> how many.
    :ivar calls: call of the provisioner, how it ended -> how many.
    :ivar guard: what the guard has done.
    :ivar standing: array -> for how many seconds its I/O stands still.
    """

    passes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    calls: Mapping[tuple[str, str], int] = dataclasses.field(
        default_factory=dict)
    guard: tallies.Tally = tallies.Tally()
    standing: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a pass has found out, from which the document is made.

    :ivar volumes: those that are listed, each with what is known of it here.
    :ivar answered_at: when the provisioner has answered last, since the
        epoch; None: not since the agent has started.
    :ivar error: why it did not answer this time, '' if it did.
    :ivar waiting: volume UUID -> how many reports wait to be sent.
    :ivar left_alone: what of this host -> why it is not served.
    :ivar paused: volume UUID, or ``pauses.ALL``, -> its pause.
    :ivar failed: why the pass failed, '' where it did not.
    :ivar own_disk: the state directory cannot be used.
    :ivar certificates: the provisioner's and this host's.
    :ivar sinks: name, waiting, lost, trouble of each event sink.
    :ivar counts: what was counted since the start.
    """

    agent: Agent
    moment: Moment
    snapshot: snapshots.HostSnapshot = snapshots.HostSnapshot()
    volumes: tuple[volume_document.Known, ...] = ()
    answered_at: float | None = None
    error: str = ''
    waiting: Mapping[str, int] = dataclasses.field(default_factory=dict)
    left_alone: Mapping[str, str] = dataclasses.field(default_factory=dict)
    muted: tuple[mutes.Mute, ...] = ()
    paused: Mapping[str, pauses.Pause] = dataclasses.field(
        default_factory=dict)
    failed: str = ''
    own_disk: bool = False
    certificates: tuple[model.Certificate, ...] = ()
    sinks: Sequence[Mapping[str, Any]] = ()
    counts: Counts = Counts()


def build(facts: Facts) -> Document:
    """Return the document."""
    agent, moment = facts.agent, facts.moment
    aliases = {known.volume.uuid: known.volume.alias
               for known in facts.volumes}
    document: Document = {
        'schema': SCHEMA,
        'agent': {'version': agent.host.version, 'pid': agent.pid,
                  'started': agent.started, 'interval': agent.interval,
                  'guard': agent.guard, 'dry_run': agent.dry_run},
        'host': {'name': agent.host.name, 'nqn': agent.host.nqn,
                 'uuid': agent.host.uuid},
        'time': {'wall': moment.wall, 'boot': moment.boot,
                 'boottime': moment.boottime},
        'provisioner': {'driver': agent.driver,
                        'answered_at': facts.answered_at,
                        'error': facts.error},
        'reports_waiting': sum(facts.waiting.values()),
        'volumes': [volume_document.build(
            known, facts.snapshot, moment.wall_of,
            facts.waiting.get(known.volume.uuid, 0))
            for known in sorted(facts.volumes,
                                key=lambda known: known.volume.alias)],
        'left_alone': [{'what': what, 'why': why} for what, why
                       in sorted(facts.left_alone.items())],
        'problems': list(facts.snapshot.problems),
        'paused': [{'volume': aliases.get(uuid, uuid), 'reason': pause.why,
                    'until': pause.until}
                   for uuid, pause in sorted(facts.paused.items())],
        'event_sinks': [dict(one) for one in facts.sinks],
        'certificates': [{'whose': one.whose, 'ends_at': one.ends_at}
                         for one in facts.certificates],
    }
    document['counts'] = _counts(facts.counts)
    return judged(document, facts.muted, facts.failed, facts.own_disk)


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        'passes': dict(counts.passes),
        'calls': [{'call': call, 'result': result, 'count': count}
                  for (call, result), count in sorted(counts.calls.items())],
        'guard_actions': [
            {'volume': volume, 'action': action, 'count': count}
            for (volume, action), count in sorted(
                counts.guard.actions.items())],
        'pauses': [{'volume': volume, 'counts': list(one.counts),
                    'total': one.total}
                   for volume, one in sorted(counts.guard.pauses.items())],
        'standing': dict(counts.standing)}


def judged(document: Document, muted: tuple[mutes.Mute, ...],
           failed: str = '', own_disk: bool = False) -> Document:
    """Return the document with how the pass ended, and the findings.

    :param failed: and ``own_disk``: see ``Facts``.
    """
    document = {**document, 'failed': failed, 'own_disk': own_disk}
    document['mutes'] = [dataclasses.asdict(mute) for mute in muted]
    document['findings'] = [
        dataclasses.asdict(one) for one in mutes.applied(
            health.findings(document), muted, document['time']['wall'])]
    return document


def headline(document: Document) -> str:
    """Return one line, for systemctl status."""
    volumes = document['volumes']
    here = [volume for volume in volumes if volume['array']]
    bad = sum(volume['good'] < volume['wanted'] for volume in here)
    paused = document['paused']
    words = ['%d volumes, %d attached, %d degraded' % (
        len(volumes), len(here), bad), 'provisioner %s' % (
            'does not answer' if document['provisioner']['error']
            else 'answers')]
    if document['reports_waiting']:
        words.append('%d reports wait' % document['reports_waiting'])
    if document['agent']['dry_run']:
        words.append('dry_run: nothing is done')
    if paused:
        words.append('all paused' if any(not one['volume'] for one in paused)
                     else '%d paused' % len(paused))
    return '; '.join(words)
