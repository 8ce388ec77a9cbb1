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
"""One look of the guard: what stands still, what to do, and doing it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging

from oslo_config import cfg

from os_brick.agent.daemon import guard_kept
from os_brick.agent.daemon import suspicion
from os_brick.agent.guard import keeping
from os_brick.agent.guard import roles
from os_brick.agent.guard import settings
from os_brick.agent.guard import spreading
from os_brick.agent.guard import stall
from os_brick.agent.guard import tuning
from os_brick.agent.host import batch
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership

LOG = logging.getLogger(__name__)
#: Seconds after which what could not be done is tried again, while I/O
#: stands still and while it does not.
AGAIN, LATER = 1.0, 10.0
#: Seconds for which settings are put back when the guard stops: there is no
#: next look for what is put off.
RESTORING = 10.0
_UNASKED: Mapping[model.Portal, bool] = {}


class Looker:
    """Looks closer, and has done what the guard decides.

    :param scan: looks at all of this host.
    :param unanswered: says which portals acknowledge nothing, and for how
        many seconds.
    :param subsystems: says how the kernel spreads I/O over paths.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 scan: Callable[[], snapshots.HostSnapshot],
                 executor: execute.Executor,
                 unanswered: Callable[[], Mapping[model.Portal, float]],
                 subsystems: Callable[[], spreading.Subsystems],
                 log: log_once.LogOnce) -> None:
        self._conf = conf
        self._scan = scan
        self._executor = executor
        self._unanswered = unanswered
        self._subsystems = subsystems
        self._log_once = log
        self.kept = guard_kept.Kept()

    def look(self, this: guard_kept.Look,
             known: ownership.KnownVolumes) -> float:
        """Act where needed; return when to look again, in seconds.

        What fails is left for the next look.
        """
        kept = self.kept
        before = kept.io_history
        kept.io_history = stall.look(before, kept.activity.counters,
                                     this.now)
        self._tell_pauses(stall.pauses(before, kept.io_history))
        clues = suspicion.clues(kept)
        pause = suspicion.suspect(kept, self._conf, self._unanswered,
                                  this.now)
        kept.unseen |= clues != suspicion.clues(kept)
        if kept.unseen:
            self._guard(this, known)
            if kept.undecided:
                pause = min(pause, suspicion.ALERT)
            kept.unseen = False
        kept.seen_until = this.now
        return pause

    def _tell_pauses(self, pauses: Mapping[str, float]) -> None:
        for name, seconds in pauses.items():
            if name in self.kept.guarded.arrays:
                alias = self.kept.guarded.volume(name).alias
                self.kept.tally = self.kept.tally.stood(alias, seconds)
                LOG.info('volume %s (%s): its I/O stood still for %.1f s',
                         alias, name, seconds, extra=log_fields.of(
                             log_fields.IO_STOOD_STILL, volume=alias,
                             array=name, seconds=round(seconds, 3)))

    def _tell_returning(self, listening: Mapping[model.Portal, float]
                        ) -> None:
        for portal in listening.keys() - self.kept.memory.listening.keys():
            LOG.info('%s listens again: before a leg behind it is cut off, '
                     'the kernel has the time of an attempt to reconnect',
                     portal)

    def _guard(self, this: guard_kept.Look,
               known: ownership.KnownVolumes) -> None:
        """Scan, decide and act."""
        kept = self.kept
        kept.due = this.now + self._conf.poll_interval
        if this.mode == 'off':
            # of what is lost from now on it is not known since when
            kept.memory = dataclasses.replace(kept.memory, away={})
            kept.undecided = False
            return
        before, kept.snapshot = kept.snapshot, snapshots.carry_over(
            kept.snapshot, self._scan())
        self._executor.note_legs(kept.snapshot)
        ended = snapshots.ended(before, kept.snapshot)
        kept.memory = kept.memory.without(ended)
        kept.settings = kept.settings.without(ended)
        kept.guarded = guard_kept.Guarded(dict(known.match(
            kept.snapshot, kept.guarded.arrays).arrays), known)
        kept.tally = kept.tally.only({
            kept.guarded.volume(name).alias for name in kept.guarded.arrays})
        decision = self._decide(this.now)
        if decision.probe:
            self._ask(this, decision.probe)
            decision = self._decide(this.now)
        if decision.ask:
            decision = self._decide(this.now, self._listening(
                this, decision.ask))
        self._tell_returning(decision.memory.listening)
        kept.memory = decision.memory
        kept.undecided = bool(decision.probe
                              or decision.again_at is not None)
        calm = not (kept.undecided or kept.symptoms.standing)
        self._act(this, [*decision.actions, *self._keep(this.now),
                         *(self._settings() if calm else ())])
        self._settle(this)
        if decision.probe:
            kept.due = this.now + suspicion.ALERT
        if decision.again_at is not None:
            kept.due = min(kept.due, decision.again_at)
        self._log_once.fine('io_guard')

    def _keep(self, now: float) -> list[tuple[str, act.Action]]:
        """What md is to keep of its bitmaps, for legs that have left."""
        kept = self.kept
        kept.keeping = keeping.look([
            array for array in kept.snapshot.arrays
            if array.name in kept.guarded.arrays
            and not kept.guarded.volume(array.name).observe],
            kept.keeping, now, kept.guarded.known.leaving)
        return keeping.decide(kept.snapshot, kept.keeping,
                              kept.symptoms.answered)

    def _settings(self) -> list[tuple[str, act.Action]]:
        """What is set of connections and targets while nothing is wrong."""
        kept = self.kept
        return [*settings.decide(
            kept.snapshot, kept.guarded.owned, self._spread(), kept.settings,
            self._wanted()), *keeping.settings(
                kept.snapshot, kept.keeping, float(self._conf.bitmap_delay))]

    def _spread(self) -> spreading.Subsystems:
        """How the kernel spreads I/O, where that is of interest."""
        kept = self.kept
        return (self._subsystems() if spreading.matters(
            kept.snapshot, kept.settings.spread) else {})

    def _wanted(self) -> settings.Wanted:
        return settings.Wanted(
            tuning.Times(float(self._conf.keep_alive_timeout),
                         float(self._conf.reconnect_delay)),
            self._conf.iopolicy)

    def _settle(self, this: guard_kept.Look) -> None:
        """See to what could not be done: that it is tried again."""
        kept = self.kept
        for subject in kept.failed - this.failed:
            self._log_once.forget(subject)
        kept.failed = frozenset(this.failed)
        pending = kept.keeping.pending(this.now)
        if this.mode == 'on' and (this.failed or pending):
            kept.due = this.now + (
                suspicion.ALERT if this.put_off else AGAIN
                if kept.symptoms.stalled or pending else LATER)

    def _decide(self, now: float,
                listening: Mapping[model.Portal, bool] = _UNASKED
                ) -> roles.GuardDecision:
        kept = self.kept
        return roles.decide(
            kept.snapshot, kept.guarded.owned, kept.memory, now,
            roles.GuardPolicy(self._conf.io_fail_timeout,
                              self._conf.legs_fail_fast == 'none'),
            dataclasses.replace(kept.symptoms, before=kept.seen_until,
                                listening=listening),
            kept.guarded.known.leaving)

    def _listening(self, this: guard_kept.Look,
                   portals: frozenset[model.Portal]
                   ) -> dict[model.Portal, bool]:
        """Find out where anybody listens.

        Who only observes asks nobody, and takes it that nobody does.
        """
        found = (self._executor.listening(portals) if this.mode == 'on'
                 else frozenset[model.Portal]())
        return {portal: portal in found for portal in portals}

    def _ask(self, this: guard_kept.Look, devices: frozenset[str]) -> None:
        """Find out which legs answer a read.

        Who only observes asks nobody, and takes it that they would.
        """
        kept, found = self.kept, devices
        try:
            if this.mode == 'on':
                found = self._executor.answering(devices)
        except execute.NotDone as error:
            # not of which legs: names come and go
            self._log_once.trouble('reading legs', str(error))
            return
        self._log_once.fine('reading legs')
        kept.answers = {**kept.answers, **dict.fromkeys(found, this.now)}
        kept.symptoms = dataclasses.replace(
            kept.symptoms, answered=kept.answered(this.now))

    def _act(self, this: guard_kept.Look,
             actions: Sequence[tuple[str, act.Action]],
             budget: float = batch.BUDGET) -> None:
        """Have them done in one batch, and say what became of each.

        :param budget: seconds after which settings are put off.
        """
        guarded = self.kept.guarded
        steps = [batch.Step(action, guarded.volume(name))
                 for name, action in actions]
        if this.mode == 'on' and steps:
            outcomes = self._executor.execute_all(
                steps, guarded.owned, self.kept.symptoms.answered, budget)
            for step, outcome in zip(steps, outcomes):
                self._say(this, step, outcome)
                if outcome is not None:
                    self._ask_again(step.action)
            tried = [step.action for step, outcome in zip(steps, outcomes)
                     if not isinstance(outcome, not_done.Refused
                                       | not_done.PutOff)]
            self.kept.keeping = keeping.after(
                self.kept.keeping, [
                    step.action for step, outcome in zip(steps, outcomes)
                    if outcome is None], tried)
            this.put_off = any(
                isinstance(step.action, act.KeepMarked)
                and isinstance(outcome, not_done.PutOff)
                for step, outcome in zip(steps, outcomes))
            self.kept.settings = settings.after(
                self.kept.snapshot, self.kept.settings, tried)
            return
        for step in steps:
            subject = _subject(step)
            this.failed.add(subject)
            self._log_once.trouble(subject, 'io_guard=observe: it would be '
                                   'done')

    def _ask_again(self, action: act.Action) -> None:
        """What was not asked of the kernel is asked with the next look."""
        kept = self.kept
        if isinstance(action, act.ResetConnection):
            gone = connections.given_up(action, kept.snapshot)
            kept.memory = dataclasses.replace(kept.memory, resets={
                name: moment for name, moment in kept.memory.resets.items()
                if name not in gone})

    def _say(self, this: guard_kept.Look, step: batch.Step,
             outcome: batch.Outcome) -> None:
        subject = _subject(step)
        match outcome:
            case None:
                self.kept.tally = self.kept.tally.done(
                    step.volume.alias, type(step.action).__name__)
                LOG.info('volume %s: done: %s', step.volume.alias,
                         act.words(step.action), extra=log_fields.of_step(
                             step.action, step.volume.alias))
            case not_done.Ended():
                LOG.debug('%s: not needed: %s', subject, outcome)
            case not_done.UnderWay() | not_done.PutOff():
                this.failed.add(subject)
                LOG.info('%s: not done yet: %s', subject, outcome)
            case not_done.NotDone():
                this.failed.add(subject)
                self._log_once.trouble(
                    subject, 'not done: %s' % outcome,
                    fields=log_fields.of_step(
                        step.action, step.volume.alias, outcome))
            case _:
                this.failed.add(subject)
                self._log_once.defect(subject, outcome)

    def restore(self, this: guard_kept.Look) -> None:
        """Leave no leg failing fast: there will be no guard."""
        kept = self.kept
        if this.mode != 'on' or not kept.guarded.arrays:
            return
        snapshot = self._scan()
        self._act(this, [
            *roles.restore(snapshot, frozenset(kept.guarded.arrays),
                           self._conf.io_fail_timeout, kept.memory),
            *settings.restore(snapshot, kept.guarded.owned, self._spread(),
                              kept.settings, self._wanted())], RESTORING)
        kept.settings = settings.SettingsMemory()
        kept.failed |= this.failed


def _subject(step: batch.Step) -> str:
    return 'volume %s, %s' % (step.volume.alias, act.words(step.action))
