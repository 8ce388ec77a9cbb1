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
"""One pass: heartbeat, observe, pull, diff, guard, decide, report, act.

Each provisioner call and each volume is served for itself: what fails is
logged once, until it changes, and the pass goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
import logging

from oslo_config import cfg

from os_brick.agent import action as act
from os_brick.agent import events
from os_brick.agent import guard
from os_brick.agent import healing
from os_brick.agent.host import actions
from os_brick.agent import journal
from os_brick.agent import ledger
from os_brick.agent import model
from os_brick.agent import rules
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
_LEVELS = {events.INFO: logging.INFO, events.WARN: logging.WARNING,
           events.FATAL: logging.CRITICAL}


class Cycle:
    """All that one pass needs, and what it keeps for the next one."""

    def __init__(self, conf: cfg.ConfigOpts, driver: base.ProvisionerDriver,
                 host: model.Host, scan: Callable[[], model.HostSnapshot],
                 executor: actions.Executor, book: ledger.Ledger,
                 stopping: Callable[[], bool]) -> None:
        self._conf = conf
        self._driver = driver
        self._host = host
        self._scan = scan
        self._executor = executor
        self._ledger = book
        self._stopping = stopping
        self._journal = journal.Journal()
        self._last = model.HostSnapshot()
        self._volumes: dict[str, model.Volume] = {}
        self._anchors: dict[str, str] = {}
        self._targets_for: frozenset[str] = frozenset()
        self._arrays: dict[str, str] = {}

    def run(self) -> bool:
        """Do one pass; return True when another one should follow soon."""
        self._ask('heartbeat', lambda: self._driver.heartbeat(
            self._host, self._conf.poll_interval))
        snapshot = self._observe()
        fresh = self._pull(snapshot)
        self._arrays = self._match(snapshot)
        busy = self._guard(snapshot)
        if busy:
            snapshot = self._observe()
        wanted = frozenset(
            replica.uuid for volume in self._volumes.values()
            for replica in volume.replicas
            if replica.state is not model.ReplicaState.TERMINATING)
        needed: set[str] = set()
        for name, uuid in sorted(self._arrays.items()):
            array, volume = snapshot.array(name), self._volumes[uuid]
            if array is None or self._stopping():
                continue
            try:
                busy |= self._serve(volume, array, snapshot, wanted, needed,
                                    fresh)
            except Exception:
                # a defect in serving one volume must not cost the others
                LOG.exception('volume %s could not be served', volume.alias)
        busy |= bool(needed - self._targets_for)
        self._targets_for = frozenset(needed)
        return busy

    def stop(self) -> None:
        """Leave the host sane: no leg fails fast without a guard."""
        snapshot = self._scan()
        for name, action in guard.restore(snapshot, frozenset(self._arrays),
                                          self._conf.io_fail_timeout):
            self._execute(action, self._volumes[self._arrays[name]])

    def _ask(self, subject: str, call: Callable[[], object]) -> bool:
        """Call the provisioner; say what went wrong once."""
        subject = 'provisioner, %s' % subject
        try:
            call()
        except base.ProvisionerError as error:
            self._journal.trouble(subject, str(error))
            return False
        except Exception as error:
            LOG.debug('%s', subject, exc_info=True)
            self._journal.trouble(subject, 'defect in the driver: %s: %s' % (
                type(error).__name__, error))
            return False
        self._journal.fine(subject)
        return True

    def _observe(self) -> model.HostSnapshot:
        snapshot = model.carry_over(self._last, self._scan())
        for problem in snapshot.problems:
            self._journal.trouble('this host', problem)
        for event in events.diff(self._last, snapshot):
            LOG.log(_LEVELS[event.level], '%s', event.message)
            self._ask('event', lambda: self._driver.report_event(event))
        self._last = snapshot
        return snapshot

    def _pull(self, snapshot: model.HostSnapshot) -> bool:
        """Take the provisioner's word; keep the last one where it is silent.

        A volume that is not in the answer is unknown, not gone (S8).
        """
        answer: list[model.Volume] = []
        if not self._ask('volumes', lambda: answer.extend(
                self._driver.get_volumes(self._host, snapshot.arrays,
                                         self._targets_for))):
            return False
        for volume in answer:
            if volume.replicas:
                self._volumes[volume.uuid] = volume
        return True

    def _match(self, snapshot: model.HostSnapshot) -> dict[str, str]:
        """Array name -> uuid of the one volume it belongs to."""
        matched = {}
        for array in snapshot.arrays:
            owners = [volume for volume in self._volumes.values()
                      if rules.belongs(array, volume)]
            subject = 'array %s (%s)' % (array.alias, array.name)
            if len(owners) == 1:
                matched[array.name] = owners[0].uuid
                self._journal.fine(subject)
            elif owners:
                self._journal.trouble(
                    subject, 'it is left alone: volumes %s all claim it' %
                    ', '.join(sorted(volume.uuid for volume in owners)))
            elif array.name in self._arrays and self._arrays[
                    array.name] in self._volumes:
                # all legs have vanished; it was this volume's a moment ago
                if not any(leg.replica_uuid for leg in array.legs):
                    matched[array.name] = self._arrays[array.name]
        return matched

    def _guard(self, snapshot: model.HostSnapshot) -> bool:
        mode = self._conf.io_guard
        if mode == 'off' or not self._arrays:
            return False
        decision = guard.decide(
            snapshot, frozenset(self._arrays), self._anchors,
            self._conf.io_fail_timeout)
        self._anchors = dict(decision.anchors)
        done = False
        for name, action in decision.actions:
            volume = self._volumes[self._arrays[name]]
            if mode == 'observe':
                self._journal.trouble('volume %s, io_guard=observe' %
                                      volume.alias, 'would: ' + words(action))
            elif not self._stopping():
                done |= self._execute(action, volume)
        return done

    def _serve(self, volume: model.Volume, array: model.Array,
               snapshot: model.HostSnapshot, wanted: frozenset[str],
               needed: set[str], fresh: bool) -> bool:
        now = self._ledger.now()
        policy = healing.Policy(self._conf.replacement_grace_period,
                                self._conf.report_repeat_interval)
        decision = healing.decide(volume, array, snapshot,
                                  self._ledger.memories(volume.uuid), now,
                                  policy, wanted)
        memories = dict(decision.memories)
        self._ledger.save(volume.uuid, memories, decision.reports)
        for report in decision.reports:
            LOG.info('volume %s: replica %s is %s', volume.alias,
                     report.replica_uuid, report.state.value)
        needed |= decision.targets_for
        done = False
        if self._deliver(volume) and fresh:
            for request in decision.requests:
                done |= self._request(volume, memories, request, now)
        for action in decision.actions:
            done |= self._execute(action, volume, memories)
        return done

    def _deliver(self, volume: model.Volume) -> bool:
        """Send the volume's reports in order; True when none is left."""
        for pending in self._ledger.pending():
            if pending.volume != volume.uuid:
                continue
            replica = volume.replica(pending.replica)
            if replica is not None:
                subject = 'volume %s, report of replica %s' % (
                    volume.alias, pending.replica)
                try:
                    self._driver.report_replica_state(volume, replica,
                                                      pending.state)
                except base.Rejected as error:
                    LOG.warning('%s: %s was declined: %s', subject,
                                pending.state.value, error)
                except Exception as error:
                    self._journal.trouble(subject, '%s; it is kept and sent '
                                          'later' % error)
                    return False
                else:
                    self._journal.fine(subject)
            self._ledger.delivered(pending.seq)
        return True

    def _request(self, volume: model.Volume,
                 memories: dict[str, healing.Memory],
                 request: healing.Request, now: float) -> bool:
        replica = volume.replica(request.replica_uuid)
        if replica is None:
            return False
        call = {healing.Ask.REPLACE: self._driver.request_replacement,
                healing.Ask.RETIRE: self._driver.retire_replica,
                healing.Ask.CONFIRM: self._driver.confirm_replica_removed,
                }[request.ask]
        memory = healing.asked(memories[replica.uuid], request.ask, volume,
                               now)
        self._ledger.save(volume.uuid, {replica.uuid: memory})
        LOG.info('volume %s: asking the provisioner to %s replica %s: %s',
                 volume.alias, request.ask.value, replica.uuid,
                 request.reason)
        if not self._ask('%s replica %s of volume %s' % (
                request.ask.value, replica.uuid, volume.alias),
                lambda: call(volume, replica)):
            return False
        memory = healing.answered(memory, request.ask)
        memories[replica.uuid] = memory
        self._ledger.save(volume.uuid, {replica.uuid: memory})
        return True

    def _execute(self, action: act.Action, volume: model.Volume,
                 memories: dict[str, healing.Memory] | None = None) -> bool:
        subject = 'volume %s, %s' % (volume.alias, type(action).__name__)
        try:
            self._executor.execute(action, volume, self._arrays)
        except actions.NotDone as error:
            self._journal.trouble(subject, '%s: not done: %s' % (
                words(action), error))
            if isinstance(action, act.Connect) and memories is not None:
                memory = memories[action.replica_uuid]
                memories[action.replica_uuid] = memory = (
                    healing.unusable(memory, str(error)))
                self._ledger.save(volume.uuid, {action.replica_uuid: memory})
            return False
        except Exception as error:
            LOG.exception('volume %s: %s failed: %s', volume.alias,
                          words(action), error)
            return False
        self._journal.forget(subject)
        LOG.info('volume %s: done: %s', volume.alias, words(action))
        return True


def words(action: act.Action) -> str:
    """Return the action as an operator reads it."""
    fields = ' '.join('%s=%s' % (name, getattr(
        getattr(action, name), 'nqn', getattr(action, name)))
        for name in action.__dataclass_fields__
        if name not in ('reason', 'portals'))
    return '%s %s (%s)' % (type(action).__name__, fields, action.reason)
