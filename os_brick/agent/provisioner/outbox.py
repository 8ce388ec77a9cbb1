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
"""Talking to the provisioner: reports in order, requests once.

A call that fails is said once and costs nobody else anything.  What must
arrive is in the ledger before it is sent, and leaves it when it was taken.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import dataclasses
import logging

from os_brick.agent.healing import blame
from os_brick.agent.healing import decision
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.store import ledger
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Served:
    """What serving a volume has left to be told to the provisioner.

    :ivar targets_wanted: replicas whose targets are wanted with the next
        answer.
    :ivar busy: something was done: another pass is wanted at once.
    :ivar due_in: seconds until a grace period ends, None where none runs.
    :ivar faults: what of this host keeps its copies away.
    """

    volume: model.Volume
    records: dict[str, decision.ReplicaRecord]
    requests: tuple[decision.Request, ...]
    targets_wanted: frozenset[str]
    busy: bool
    due_in: float | None
    faults: blame.HostFaults = blame.NONE


class Outbox:
    """The way to the provisioner.

    :ivar unavailable: the last call found that nobody answers.
    :ivar errors: call -> why it failed the last time.
    :ivar calls: call, how it ended -> how often, since the start.
    """

    def __init__(self, driver: base.ProvisionerDriver, store: ledger.Ledger,
                 log: log_once.LogOnce,
                 stopping: Callable[[], bool]) -> None:
        self._driver = driver
        self._ledger = store
        self._log_once = log
        self._stopping = stopping
        self.unavailable = False
        self.errors: dict[str, str] = {}
        self.calls: collections.Counter[tuple[str, str]] = (
            collections.Counter())

    def ask(self, subject: str, call: Callable[[], object]) -> bool:
        """Call the provisioner; say what went wrong once."""
        # not of which replica: there are ever new ones
        name = subject.partition(' ')[0]
        subject = 'provisioner, %s' % subject
        self.errors.pop(name, None)
        try:
            self._call(name, call)
        except base.ProvisionerError as error:
            self.errors[name] = str(error)
            self._log_once.trouble(subject, str(error))
            return False
        self._log_once.fine(subject)
        return True

    def _call(self, name: str, call: Callable[[], object]) -> None:
        """:raises base.ProvisionerError: also for a defect of the driver."""
        self.unavailable = False
        ended = 'defect'
        try:
            call()
            ended = 'answered'
        except base.Unavailable:
            self.unavailable = True
            ended = 'unavailable'
            raise
        except base.ProvisionerError as error:
            ended = {base.Unauthorized: 'unauthorized',
                     base.Rejected: 'rejected'}.get(type(error), 'failed')
            raise
        except BaseException as error:
            LOG.debug('defect in the driver', exc_info=True)
            raise base.ProvisionerError('defect in the driver: %s: %s' % (
                type(error).__name__, error)) from error
        finally:
            self.calls[name, ended] += 1

    def deliver(self, volume: model.Volume) -> bool:
        """Send the volume's reports in order; True when none is left."""
        waits = False
        for pending in self._ledger.pending(volume.uuid):
            if self._stopping():
                return False
            # not listed for once is unknown, not gone: it is told all the
            # same, and the provisioner may decline it
            replica = (volume.replica(pending.replica)
                       or model.Replica(pending.replica))
            subject = 'volume %s, report of replica %s' % (
                volume.alias, pending.replica)
            if self._ledger.overtakes(pending):
                self._log_once.trouble(subject, (
                    'it waits: the one before it was sent and cannot be '
                    'struck out of the agent\'s own file'))
                waits = True
                continue
            try:
                self._call('report', lambda: self._driver.report_replica_state(
                    volume, replica, pending.state))
            except base.Rejected as error:
                LOG.warning('%s: %s was declined: %s', subject,
                            pending.state.value, error)
                self._log_once.forget(subject)
            except base.ProvisionerError as error:
                self._log_once.trouble(subject, '%s; it is kept and sent '
                                       'later' % error)
                return False
            else:
                self._log_once.fine(subject)
            self._ledger.delivered(pending)
        return not waits

    def request(self, volume: model.Volume,
                records: dict[str, decision.ReplicaRecord],
                request: decision.Request, now: float) -> bool:
        """Ask for one thing; True when it was accepted.

        That it is asked is remembered before, that it was accepted after.
        What a restart would not remember is not asked (S7).
        """
        replica = volume.replica(request.replica_uuid)
        if replica is None or self._stopping():
            return False
        call = {decision.RequestKind.REPLACE: self._driver.request_replacement,
                decision.RequestKind.RETIRE: self._driver.retire_replica,
                decision.RequestKind.CONFIRM:
                self._driver.confirm_replica_removed,
                }[request.ask]
        before = records[replica.uuid]
        record = decision.asked(before, request.ask, volume, now)
        subject = '%s replica %s of volume %s' % (
            request.ask.value, replica.uuid, volume.alias)
        try:
            if record != before or self._ledger.trouble:
                self._ledger.save(volume.uuid, {replica.uuid: record},
                                  durable=True)
        except ledger.NotKept as error:
            self._log_once.trouble('provisioner, ' + subject,
                                   'not asked: %s' % error)
            return False
        again = self._log_once.troubled('provisioner, ' + subject)
        LOG.log(logging.DEBUG if again else logging.INFO,
                'volume %s: asking the provisioner to %s replica %s: %s',
                volume.alias, request.ask.value, replica.uuid,
                request.reason, extra=log_fields.of(
                    log_fields.REQUEST, volume=volume.alias,
                    replica=replica.uuid, request=request.ask.value,
                    reason=request.reason))
        if not self.ask(subject, lambda: call(volume, replica)):
            return False
        record = decision.answered(record, request.ask, now)
        records[replica.uuid] = record
        self._ledger.save(volume.uuid, {replica.uuid: record})
        return True
