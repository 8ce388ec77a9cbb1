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
"""How fast md copies: setting it for each array, and putting it back."""

from __future__ import annotations

from collections.abc import Callable
import logging

from oslo_config import cfg

from os_brick.agent.daemon import acting
from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.healing import copy_speed
from os_brick.agent.host import batch
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots

LOG = logging.getLogger(__name__)


class Speeds:
    """What it needs for that.

    :param observes: says why a volume is only looked at, '' where it is
        healed.
    :param progress: called whenever a step is taken.
    """

    def __init__(self, conf: cfg.ConfigOpts, executor: execute.Executor,
                 log: log_once.LogOnce, known: knowledge.Knowledge,
                 steps: acting.Acting,
                 observes: Callable[[healing_pass.Pass, model.Volume,
                                     model.Array], str],
                 progress: Callable[[], None] = lambda: None) -> None:
        self._conf = conf
        self._executor = executor
        self._log_once = log
        self._knowledge = known
        self._acting = steps
        self._observes = observes
        self._progress = progress

    def set_all(self, this: healing_pass.Pass) -> bool:
        """Let each array have the limit that is wanted; True: one was set."""
        wanted, done = self._conf.resync_speed_max, False
        for name, uuid in sorted(self._knowledge.arrays.items()):
            array = this.snapshot.array(name)
            volume = self._knowledge.volume(uuid)
            if array is None or not (wanted or array.sync_speed_max):
                continue
            if wanted and copy_speed.by_hand(array):
                self._name(this, volume, array)
            action = copy_speed.decide(array, wanted)
            if action is not None and not self._observes(this, volume, array):
                self._progress()
                done |= self._set(this, volume, action)
        return done

    def _set(self, this: healing_pass.Pass, volume: model.Volume,
             action: act.SetSyncSpeedMax) -> bool:
        why = this.limits.volume(volume.uuid)
        if why:
            subject = 'volume %s, %s' % (volume.alias, act.words(action))
            this.subjects.add(subject)
            self._log_once.trouble(subject, '%s: it would be done' % why,
                                   logging.INFO)
            return False
        return self._acting.execute(this, action, volume, {})

    def _name(self, this: healing_pass.Pass, volume: model.Volume,
              array: model.Array) -> None:
        """Say of a limit that is somebody else's that it stays."""
        subject = 'volume %s, speed limit of %s' % (volume.alias, array.name)
        this.subjects.add(subject)
        self._log_once.trouble(
            subject, '%d KiB/s, which somebody else has set, stays, and '
            'option resync_speed_max does not count for it; to hand it to '
            'the agent: echo system >/sys/block/%s/md/sync_speed_max' % (
                array.sync_speed_max or 0, array.name), logging.INFO)

    def restore(self, snapshot: snapshots.HostSnapshot) -> None:
        """Put the limit of all arrays back: there will be no agent."""
        if self._conf.dry_run:
            return
        arrays = self._knowledge.match(snapshot)
        steps = [batch.Step(action, self._knowledge.volume(arrays[array.name]))
                 for array in snapshot.arrays if array.name in arrays
                 and (action := copy_speed.restore(array))]
        while steps:
            late = []
            for step, outcome in zip(steps, self._executor.execute_all(
                    steps, self._knowledge.learnt().owned(arrays))):
                if isinstance(outcome, not_done.PutOff):
                    late.append(step)
                else:
                    self._say(step, outcome)
            # one at least has had its turn
            steps = late

    def _say(self, step: batch.Step, outcome: batch.Outcome) -> None:
        volume, words = step.volume.alias, act.words(step.action)
        if outcome is None:
            LOG.info('volume %s: done: %s', volume, words,
                     extra=log_fields.of_step(step.action, volume))
        else:
            subject = 'volume %s, %s' % (volume, words)
            self._log_once.trouble(
                subject, 'not done: %s' % outcome,
                fields=log_fields.of_step(step.action, volume, outcome))
