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
"""Serving one volume: decide, remember and act.

Nothing here waits for a provisioner.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import logging

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import acting
from os_brick.agent.daemon import budget
from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.daemon import observer
from os_brick.agent.healing import blame
from os_brick.agent.healing import custody
from os_brick.agent.healing import decision
from os_brick.agent.healing import holding
from os_brick.agent.healing import settled
from os_brick.agent.healing import targets
from os_brick.agent.host import execute
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import events
from os_brick.agent.provisioner import outbox
from os_brick.agent.store import ledger

LOG = logging.getLogger(__name__)
_HELD = ('No copy of it is added, replaced or let go until the operator says '
         'which one is to be used: see "Copies in doubt" in the documentation')
_UNHEARD = ('it was attached anew, and the provisioner has not spoken of it '
            'since; another host may heal it')
_ENDED = ('No other one is requested until the volume was paused and resumed '
          '(nvme-agent pause, nvme-agent resume) or attached anew, or a copy '
          'comes back: see REPLACEMENTS_FAIL in the documentation')


class Serving:
    """What a volume's turn in a pass needs.

    :param learn: told which replicas have been legs of a volume.
    :param progress: called whenever a step is taken.
    :param tell: handed what the provisioner is to be told as an event.
    :ivar acting: carries single steps out.
    """

    def __init__(self, executor: execute.Executor, store: ledger.Ledger,
                 stopping: Callable[[], bool], log: log_once.LogOnce,
                 learn: knowledge.Knowledge,
                 tell: observer.Observer,
                 clock: clocks.Clock = clocks.HOST,
                 progress: Callable[[], None] = lambda: None) -> None:
        self._executor = executor
        self.acting = acting.Acting(executor, store, stopping, log)
        self._ledger = store
        self._stopping = stopping
        self._log_once = log
        self._knowledge = learn
        self._observer = tell
        self._clock = clock
        self._progress = progress
        # replica -> when it was last tried to connect it
        self._tried: dict[str, float] = {}
        self._settled = settled.SettledVolumes[outbox.Served]()

    def begin(self, this: healing_pass.Pass) -> None:
        """Note of the arrays what can be seen of them only at first."""
        subject = 'the superblocks of arrays that are new'
        try:
            self._executor.note_origins(this.snapshot)
        except execute.NotDone as error:
            self._log_once.trouble(subject, 'not read: %s' % error)
        else:
            self._log_once.fine(subject)

    def serve(self, this: healing_pass.Pass, volume: model.Volume,
              array: model.Array) -> outbox.Served:
        """Do what is due for a volume; return what is left to be told."""
        # given to another host, perhaps, and its array was not stopped
        elsewhere = this.fresh and not self._knowledge.listed(volume.uuid)
        kept = self._settled.get(volume, array, this.snapshot, this.policy)
        if kept is not None and not elsewhere:
            return kept
        before = self._ledger.records(volume.uuid)
        remembered: decision.ReplicaRecords = before
        if elsewhere:
            remembered = decision.unmarked(before)
        sought = volume if this.fresh else targets.remembered(
            volume, array, this.snapshot, before)
        sought = dataclasses.replace(sought, observe=self._observes(
            this, volume, array, before))
        faults = this.faults.along_with(self._executor.offline(
            blame.lost_portals(sought, this.snapshot)))
        decided = decision.decide(
            sought, array, this.snapshot, remembered, this.now, this.policy,
            this.staying, this.owned, volume.uuid in this.attached,
            volume.uuid in this.owing, faults, elsewhere)
        decided = self._held_back(this, volume, decided)
        records = dict(decided.records)
        self._sound(volume, array, 'COPIES_IN_DOUBT', 'its copies',
                    decided.alarm, _HELD)
        self._sound(volume, array, 'REPLACEMENTS_FAIL', 'its replacements',
                    decided.ended, _ENDED)
        self._knowledge.joined(volume.uuid, frozenset(
            uuid for uuid, record in records.items() if record.was_leg))
        if decided.reports or records != before:
            self._ledger.save(volume.uuid, records, decided.reports)
        self._say(this, volume, decided)
        done = False
        for action in decided.actions:
            if isinstance(action, act.Connect):
                this.connects.append(healing_pass.Connecting(
                    action, volume, records))
            else:
                done |= self._act(this, volume, array, action, records)
        served = outbox.Served(
            volume, records, decided.requests, decided.targets_wanted, done,
            decided.due_in, faults)
        if decided.settled and records == before:
            self._settled.keep(volume, array, this.snapshot, this.policy,
                               served)
        return served

    def observes(self, this: healing_pass.Pass, volume: model.Volume,
                 array: model.Array) -> str:
        """Return why a volume is only looked at, '' where it is healed."""
        return self._observes(this, volume, array,
                              self._ledger.records(volume.uuid))

    def _observes(self, this: healing_pass.Pass, volume: model.Volume,
                  array: model.Array,
                  before: decision.ReplicaRecords) -> str:
        if not (this.fresh and self._knowledge.listed(volume.uuid)) and (
                custody.came_up(array, before, unknown=False)):
            return volume.observe or _UNHEARD
        return volume.observe

    def _act(self, this: healing_pass.Pass, volume: model.Volume,
             array: model.Array, action: act.Action,
             records: dict[str, decision.ReplicaRecord]) -> bool:
        """Do it where no limit delays it; True when it was, for once."""
        resync = holding.wanted(action, volume, array)
        if self._delayed(this, volume, array, action, resync):
            return False
        done = self.acting.execute(this, action, volume, records)
        if resync is not None and action not in this.done:
            # it must not keep a place from all others for ever
            this.wanted.remove(resync)
        return done

    def _held_back(self, this: healing_pass.Pass, volume: model.Volume,
                   decided: decision.HealingDecision
                   ) -> decision.HealingDecision:
        """Say of what is held back for the volume what it would be."""
        why = this.limits.volume(volume.uuid)
        if why:
            # without the reason, which says for how many seconds: it is one
            # line, not one for each pass
            for words in (*map(act.words, decided.actions), *(
                    '%s replica %s' % (one.ask.value, one.replica_uuid)
                    for one in decided.requests)):
                self._put_off(this, volume, words, '%s: it would be done'
                              % why)
        if this.limits.pause(volume.uuid) is not None:
            # whoever paused it has looked at it
            decided = dataclasses.replace(
                decided, records=decision.anew(decided.records), ended='')
        return holding.hold(decided, why)

    def _delayed(self, this: healing_pass.Pass, volume: model.Volume,
                 array: model.Array, action: act.Action,
                 resync: model.Resync | None) -> bool:
        """A limit holds the action back until a later pass.

        :param resync: the copy that it begins, None: it begins none.
        """
        why = holding.action(action, array, holding.copying(
            this.snapshot, self._knowledge.arrays, this.copying),
            this.limits)
        if resync is not None and not why:
            this.wanted.append(resync)
            why = this.limits.word.delays(resync.replica.uuid)
        if why:
            self._put_off(this, volume, act.words(action), 'put off: %s'
                          % why)
            this.put_off.setdefault(volume.uuid, []).append(why)
        elif holding.starts_copy(action, array):
            this.copying.add(array.name)
        return bool(why)

    def _put_off(self, this: healing_pass.Pass, volume: model.Volume,
                 words: str, why: str) -> None:
        subject = 'volume %s, %s' % (volume.alias, words)
        this.subjects.add(subject)
        self._log_once.trouble(subject, why, logging.INFO)

    def connect_all(self, this: healing_pass.Pass) -> bool:
        """Connect what is wanted; True when something was, for once.

        Portals are asked all at once, and of legs that lack a path once all
        others are connected.  What the time does not suffice for is first in
        the next pass.
        """
        waiting = sorted(this.connects, key=lambda one: (
            one.action.more, self._tried.get(one.action.replica_uuid, 0.0)))
        self._tried = {uuid: when for uuid, when in self._tried.items()
                       if any(one.action.replica_uuid == uuid
                              for one in waiting)}
        if not waiting or self._stopping():
            return False
        actions, more = [one.action for one in waiting], waiting[0].action.more
        self._executor.survey(actions, more)
        limit = budget.Budget(self._clock, budget.CONNECTING)
        done = False
        for number, one in enumerate(waiting):
            if limit.spent:
                LOG.info('%d connections wait for the next pass: the others '
                         'have taken their time', len(waiting) - number)
                for other in actions[number:]:
                    # what was so is taken to be so until it is tried again
                    if not other.more:
                        acting.put_down(this, other.replica_uuid,
                                        this.faults.replicas.get(
                                            other.replica_uuid, ''))
                break
            if one.action.more is not more:
                more = True
                self._executor.survey(actions, more)
            self._progress()
            self._tried[one.action.replica_uuid] = self._clock.monotonic()
            with self._log_once.sheltered('volume %s, connecting'
                                          % one.volume.alias):
                done |= self.acting.execute(this, one.action, one.volume,
                                            one.records)
        return done

    def ended(self) -> None:
        """Forget what was found of volumes that had no turn."""
        self._settled.forget_unused()

    def _say(self, this: healing_pass.Pass, volume: model.Volume,
             decided: decision.HealingDecision) -> None:
        for report in decided.reports:
            LOG.info('volume %s: replica %s is %s', volume.alias,
                     report.replica_uuid, report.state.value,
                     extra=log_fields.of(
                         log_fields.REPLICA_STATE, volume=volume.alias,
                         replica=report.replica_uuid,
                         state=report.state.value))
        for subject, text, level in (
                ('its replicas', decided.doubt, logging.WARNING),
                ('its healing', decided.observes, logging.INFO)):
            if text:
                subject = 'volume %s, %s' % (volume.alias, subject)
                this.subjects.add(subject)
                self._log_once.trouble(subject, text, level)
        for uuid, record in decided.records.items():
            if record.failed and volume.replica(uuid) is not None:
                subject = 'volume %s, replica %s' % (volume.alias, uuid)
                this.subjects.add(subject)
                self._log_once.trouble(subject, record.failed)
        for uuid, seconds in decided.held.items():
            subject = 'volume %s, return of replica %s' % (volume.alias, uuid)
            this.subjects.add(subject)
            if not self._log_once.troubled(subject):
                self._log_once.trouble(
                    subject, 'it is here, and is put back in %.0f s: until '
                    'then its target may execute what it was sent before'
                    % seconds, logging.INFO)

    def _sound(self, volume: model.Volume, array: model.Array, kind: str,
               about: str, alarm: str, advice: str) -> None:
        """Say once, and to the provisioner, that an operator is needed."""
        subject = 'volume %s, %s' % (volume.alias, about)
        if not alarm:
            self._log_once.fine(subject)
            return
        if self._log_once.trouble(subject, '%s. %s' % (alarm, advice),
                                  logging.CRITICAL):
            self._observer.add(model.Event(
                kind, events.FATAL, 'array %s (%s): %s. %s' % (
                    volume.alias, array.name, alarm, advice),
                (('array', array.name), ('alias', volume.alias))))
