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
"""Showing what the passes find out: the state file, and systemd's line.

Nothing here can fail a pass, and nothing is decided on it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import logging
import os
import sqlite3
from typing import Any

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import chronicle
from os_brick.agent.daemon import endpoint
from os_brick.agent.daemon import expiry
from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.daemon import outlets
from os_brick.agent.healing import blame
from os_brick.agent.healing import decision
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import tallies
from os_brick.agent.provisioner import outbox
from os_brick.agent.reporting import changes
from os_brick.agent.reporting import document
from os_brick.agent.reporting import health
from os_brick.agent.reporting import metrics
from os_brick.agent.reporting import mutes
from os_brick.agent.reporting import volume_document
from os_brick.agent.store import ledger
from os_brick.agent.store import shown

LOG = logging.getLogger(__name__)
#: Names of the files: what is shown, in run_dir; what is not to be heard of,
#: in state_dir.
STATE_FILE, MUTES_FILE = 'state.json', 'mutes.json'
_LEVELS = {health.INFO: logging.INFO, health.WARNING: logging.WARNING,
           health.CRITICAL: logging.CRITICAL}


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where the passes' findings are read off, beside the pass."""

    known: knowledge.Knowledge
    way: outbox.Outbox
    store: ledger.Ledger
    ends: expiry.Expiry
    said: log_once.LogOnce


class Showing:
    """Writes the state file.

    :param anchors: array -> the leg that the guard lets wait.
    :param notify: tells systemd.
    :param port: where the metrics may be fetched; None: nowhere.
    :param sinks: told of health codes; shown, too.
    :param counted: what the guard has done, and array -> for how many seconds
        its I/O stands still.
    :param story: writes down what was said; None: nobody does.
    """

    def __init__(self, conf: cfg.ConfigOpts, host: model.Host,
                 anchors: Callable[[], Mapping[str, str]] = lambda: {},
                 notify: Callable[[str], None] = lambda line: None,
                 clock: clocks.Clock = clocks.HOST,
                 story: chronicle.Chronicle | None = None,
                 port: endpoint.Endpoint | None = None,
                 sinks: outlets.Outlets | None = None,
                 counted: Callable[[], tuple[
                     tallies.Tally, Mapping[str, float]]]
                 = lambda: (tallies.Tally(), {})) -> None:
        self._conf = conf
        self._host = host
        self._anchors = anchors
        self._notify = notify
        self._story = story
        self._endpoint = port
        self._sinks = outlets.Outlets() if sinks is None else sinks
        self._clock = clock
        self._log_once = log_once.LogOnce()
        self._counted = counted
        self._passes = {'ended': 0, 'failed': 0}
        self._answered_at: float | None = None
        self._last: document.Document | None = None
        self._line = ''
        self._synced: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, float] = {}
        self._welcomed = False
        self._said: set[tuple[str, str]] = set()
        self._just_said: Callable[[str], bool] = lambda words: False

    def show(self, this: healing_pass.Pass, served: Iterable[outbox.Served],
             sources: Sources) -> None:
        """Show what a pass has found out; it fails never."""
        self._passes['ended'] += 1
        self._just_said = sources.said.just_said
        with self._log_once.sheltered('showing the state'):
            self._show(self._facts(this, served, sources))

    def failed(self, error: BaseException) -> None:
        """Show that a pass has failed; what was known stays shown."""
        self._passes['failed'] += 1
        with self._log_once.sheltered('showing the state'):
            moment = self._moment(0.0)
            last = self._last or document.build(document.Facts(
                self._agent(), moment))
            counts = {**last['counts'], 'passes': dict(self._passes)}
            self._write(document.judged({**last, 'counts': counts, 'time': {
                'wall': moment.wall, 'boot': moment.boot,
                'boottime': moment.boottime}}, self._mutes(),
                '%s: %s' % (type(error).__name__, error),
                isinstance(error, (sqlite3.Error, ledger.LedgerError))))

    def _show(self, facts: document.Facts) -> None:
        made = document.build(facts)
        self._welcome(made)
        self._write(made)

    def _write(self, made: document.Document) -> None:
        self._last = made
        self._say(made)
        path = os.path.join(self._conf.run_dir, STATE_FILE)
        try:
            shown.write(path, made)
        except OSError as error:
            self._log_once.trouble('state file', '%s (option run_dir): '
                                   'nvme-agent status shows what is old'
                                   % _unwritten(path, error))
        else:
            self._log_once.fine('state file')
        self._count(made)
        if self._story is not None:
            self._story.write(made)
        line = document.headline(made)
        if line != self._line:
            self._notify('STATUS=' + line)
            self._line = line

    def _count(self, made: document.Document) -> None:
        if self._endpoint is not None:
            self._endpoint.show(made)
        path = self._conf.metrics_textfile
        if not path:
            return
        try:
            shown.write_text(path, metrics.text(made))
        except OSError as error:
            self._log_once.trouble('metrics', '%s (option metrics_textfile)'
                                   % _unwritten(path, error))
        else:
            self._log_once.fine('metrics')

    def _welcome(self, made: document.Document) -> None:
        """Say once, after the first pass with an answer, how it is."""
        if self._welcomed or made['provisioner']['error']:
            return
        self._welcomed = True
        arrays = [volume['array']['name'] for volume in made['volumes']
                  if volume['array']]
        LOG.info('serves this host, provisioner reached (driver %s): '
                 '%d volumes listed, %d arrays of this host matched, %d left '
                 'alone%s',
                 made['provisioner']['driver'], len(made['volumes']),
                 len(arrays), len(made['left_alone']), ''.join(
                     '; %s: %s' % (one['what'], one['why'])
                     for one in made['left_alone']))

    def _say(self, made: document.Document) -> None:
        """Say each finding once when it comes, and when it has gone."""
        now = {(one['code'], one['volume']): one for one in made['findings']
               if one['muted_until'] is None
               and one['severity'] != health.INFO}
        lines = [self._came(now[one]) for one in sorted(
            now.keys() - self._said)]
        lines += [self._told(code, logging.INFO, changes.went(code, volume))
                  for code, volume in sorted(self._said - now.keys())]
        log_once.say_together(lines)
        self._said = set(now)

    def _came(self, finding: Mapping[str, Any]) -> log_once.Line:
        """Where the pass has just said why, the log has what it means."""
        code, event = finding['code'], changes.came(finding)
        said = self._told(code, _LEVELS[finding['severity']], event)
        if not self._just_said(finding['text']):
            return said
        return dataclasses.replace(said, text=changes.came({
            **finding, 'text': health.CODES[code].meaning}).message)

    def _told(self, code: str, level: int, event: model.Event
              ) -> log_once.Line:
        self._sinks.put(self._host, event)
        return log_once.Line(code, level, event.message, log_fields.of(
            event.kind, event.names))

    def _facts(self, this: healing_pass.Pass,
               served: Iterable[outbox.Served],
               sources: Sources) -> document.Facts:
        moment = self._moment(this.now)
        if this.fresh:
            self._answered_at = moment.wall
        served = tuple(served)
        records = {one.volume.uuid: one.records for one in served}
        faults = {one.volume.uuid: one.faults for one in served}
        arrays = {uuid: this.snapshot.array(name)
                  for name, uuid in sources.known.arrays.items()}
        waiting: dict[str, int] = {}
        for report in sources.store.pending():
            waiting[report.volume] = waiting.get(report.volume, 0) + 1
        anchors = self._anchors()
        self._measure(arrays.values(), moment.boottime)
        known = []
        for uuid, volume in sources.known.learnt().volumes.items():
            array = arrays.get(uuid)
            known.append(volume_document.Known(
                volume, array, self._records(uuid, array, records, sources),
                this.now, this.policy,
                anchors.get(array.name, '') if array else '',
                self._rates.get(array.name) if array else None,
                faults.get(uuid, blame.NONE), {
                    replica.uuid: (found.why, found.since)
                    for replica in volume.replicas
                    if (found := this.refused.get(replica.uuid))},
                tuple(this.put_off.get(uuid, ()))))
        return document.Facts(
            self._agent(), moment, this.snapshot, tuple(known),
            self._answered_at, next(filter(None, map(
                sources.way.errors.get, ('volumes', 'heartbeat'))), ''),
            waiting, sources.known.doubts, self._mutes(),
            this.limits.paused, own_disk=sources.store.trouble,
            certificates=sources.ends.certificates,
            sinks=self._sinks.state(), counts=document.Counts(
                self._passes, sources.way.calls, *self._counted()))

    @staticmethod
    def _records(uuid: str, array: model.Array | None,
                 served: Mapping[str, decision.ReplicaRecords],
                 sources: Sources) -> decision.ReplicaRecords:
        """Return the records of a volume, also of one that had no turn."""
        if array is None or uuid in served:
            return served.get(uuid, {})
        return sources.store.records(uuid)

    def _measure(self, arrays: Iterable[model.Array | None],
                 now: float) -> None:
        """Find out how fast each resync goes, from one pass to the next."""
        before, self._synced = self._synced, {}
        rates, self._rates = self._rates, {}
        for array in arrays:
            if array is None or not array.syncing or array.sync_done is None:
                continue
            then, done = before.get(array.name, (now, array.sync_done))
            if array.sync_done < done:
                then, done = now, array.sync_done
            elif now - then >= 1.0:
                rates[array.name] = (array.sync_done - done) / (now - then)
                then, done = now, array.sync_done
            self._synced[array.name] = then, done
            if array.name in rates:
                self._rates[array.name] = rates[array.name]

    def _mutes(self) -> tuple[mutes.Mute, ...]:
        path = os.path.join(self._conf.state_dir, MUTES_FILE)
        try:
            content = shown.read(path)
            found = () if content is None else mutes.load(content)
        except (shown.Unreadable, ValueError) as error:
            self._log_once.trouble('mutes', '%s: %s' % (path, error))
            return ()
        self._log_once.fine('mutes')
        return found

    def _moment(self, agent: float) -> document.Moment:
        clock = self._clock
        return document.Moment(clock.wall(), clock.boot(), clock.boottime(),
                               agent)

    def _agent(self) -> document.Agent:
        conf = self._conf
        guard = conf.io_guard
        if conf.dry_run and guard == 'on':
            guard = 'observe'
        return document.Agent(self._host, os.getpid(), started(os.getpid()),
                              conf.provisioner_driver, conf.poll_interval,
                              guard, conf.dry_run)


def _unwritten(path: str, error: OSError) -> str:
    return '%s cannot be written: %s' % (path, error.strerror or error)


def started(pid: int, proc: str = '/proc') -> int:
    """Return when a process has started, in clock ticks since the boot.

    0 where that cannot be read: see proc_pid_stat(5), starttime.
    """
    try:
        with open('%s/%d/stat' % (proc, pid), 'rb') as stat:
            return int(stat.read().rpartition(b')')[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
