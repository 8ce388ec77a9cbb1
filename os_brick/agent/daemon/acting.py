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
"""Carrying out one step on the host, and what its failure tells."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import TypeGuard

from os_brick.agent.daemon import healing_pass
from os_brick.agent.healing import decision
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.store import ledger

LOG = logging.getLogger(__name__)


class Acting:
    """What a step needs."""

    def __init__(self, executor: execute.Executor, store: ledger.Ledger,
                 stopping: Callable[[], bool],
                 log: log_once.LogOnce) -> None:
        self._executor = executor
        self._ledger = store
        self._stopping = stopping
        self._log_once = log

    def execute(self, this: healing_pass.Pass, action: act.Action,
                volume: model.Volume,
                records: dict[str, decision.ReplicaRecord]) -> bool:
        """Return True when it was done, and not for the second time.

        :param records: of the volume; brought up to date where the action
            tells something of a replica.
        """
        words = act.words(action)
        subject = 'volume %s, %s' % (volume.alias, words)
        this.subjects.add(subject)
        if this.lock_held or self._stopping():
            _blame(this, action, execute.LockHeld(
                'os-brick\'s lock is held, and nothing can be done meanwhile')
                if this.lock_held else None)
            return False
        before = dict(records)
        if isinstance(action, act.AddLeg):
            self._keep(volume, records, action.replica_uuid,
                       decision.put_in(records[action.replica_uuid],
                                       this.now))
        failed: not_done.NotDone | None = None
        try:
            self._executor.execute(action, volume, this.owned)
        except execute.NotDone as error:
            # said outside: a log appends the exception that is handled
            failed = error
        except Exception as error:
            self._log_once.defect(subject, error)
            return False
        if failed is not None:
            self._not_done(this, action, volume, records, before, failed,
                           subject)
            return False
        self._log_once.forget(subject)
        again = action in this.before
        this.done.add(action)
        LOG.log(logging.DEBUG if again else logging.INFO,
                'volume %s: done: %s', volume.alias, words,
                extra=log_fields.of_step(action, volume.alias))
        return not again

    def _not_done(self, this: healing_pass.Pass, action: act.Action,
                  volume: model.Volume,
                  records: dict[str, decision.ReplicaRecord],
                  before: dict[str, decision.ReplicaRecord],
                  error: not_done.NotDone, subject: str) -> None:
        """Say why, and take in what it tells.

        :param before: the records as they were: nothing was put in.
        :param subject: of which it is said.
        """
        if isinstance(error, not_done.Ended):
            self._log_once.forget(subject)
            LOG.debug('%s: not needed: %s', subject, error)
        elif isinstance(error, not_done.PutOff):
            LOG.info('%s: not done yet: %s', subject, error)
        else:
            self._log_once.trouble(
                subject, 'not done: %s' % error,
                fields=log_fields.of_step(action, volume.alias, error))
        _blame(this, action, error)
        if isinstance(action, act.AddLeg) and isinstance(
                error, execute.Refused):
            this.refuse(action.replica_uuid, str(error))
        # all actions wait for the same lock
        this.lock_held = isinstance(error, execute.LockHeld)
        if isinstance(error, execute.Divergent):
            self._keep(volume, records, error.replica, decision.diverged(
                before[error.replica], str(error)))
        elif _brings(action):
            self._keep(volume, records, action.replica_uuid, _learnt(
                error, before[action.replica_uuid]))

    def _keep(self, volume: model.Volume,
              records: dict[str, decision.ReplicaRecord], replica: str,
              record: decision.ReplicaRecord) -> None:
        if records[replica] != record:
            records[replica] = record
            self._ledger.save(volume.uuid, {replica: record})


def _blame(this: healing_pass.Pass, action: act.Action,
           error: not_done.NotDone | None) -> None:
    """Put down what a failure tells of this host."""
    if isinstance(error, execute.HostUnfit) and not isinstance(
            error, execute.Offline):
        this.unfit = this.unfit or str(error)
    elif _brings(action) and isinstance(
            error, (execute.Offline, execute.LockHeld)):
        put_down(this, action.replica_uuid, str(error))


def _brings(action: act.Action) -> TypeGuard[act.Connect | act.AddLeg]:
    """Whether a copy is out of reach, or out of its array, without it.

    Of one that lacks a path, what becomes of that path tells nothing.
    """
    return isinstance(action, act.AddLeg) or (
        isinstance(action, act.Connect) and not action.more)


def put_down(this: healing_pass.Pass, replica: str, why: str) -> None:
    """Put down why it is this host that does not reach a replica."""
    if why:
        this.unreached[replica] = why


def _learnt(error: not_done.NotDone, record: decision.ReplicaRecord
            ) -> decision.ReplicaRecord:
    """Return the record with what a failure tells of the replica.

    :param record: that of before: nothing was put in.
    """
    if isinstance(error, (execute.LockHeld, execute.Refused,
                          execute.HostUnfit)):
        return record
    return decision.unusable(record, str(error))
