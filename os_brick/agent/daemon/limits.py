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
"""Reading what holds a pass back, and saying when that changes."""

from __future__ import annotations

import logging
import time

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import knowledge
from os_brick.agent.daemon import observer
from os_brick.agent.healing import holding
from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.model import pauses
from os_brick.agent.reporting import health
from os_brick.agent.store import ledger

LOG = logging.getLogger(__name__)


class Reader:
    """Takes the operator's word for each pass anew.

    :param tell: handed what the provisioner is to be told as an event.
    """

    def __init__(self, conf: cfg.ConfigOpts, store: ledger.Ledger,
                 clock: clocks.Clock, known: knowledge.Knowledge,
                 tell: observer.Observer) -> None:
        self._conf = conf
        self._ledger = store
        self._clock = clock
        self._knowledge = known
        self._observer = tell
        self._paused: dict[str, pauses.Pause] = {}

    def read(self, word: holding.Word = holding.Word()) -> holding.Limits:
        """Return what holds back now.

        :param word: the provisioner's.
        """
        paused = self._ledger.pauses()
        if paused is None:
            # what is paused stays so while the disk cannot be asked
            paused = {volume: pause for volume, pause in self._paused.items()
                      if pause.until > self._clock.wall()}
        for volume in sorted({*paused, *self._paused}):
            if paused.get(volume) != self._paused.get(volume):
                self._say(volume, paused.get(volume))
        self._paused = paused
        return holding.Limits(
            paused, self._conf.dry_run, self._conf.max_resyncs,
            holding.within(self._conf.exchange_hours, time.localtime(
                self._clock.wall()).tm_hour), word)

    def _say(self, volume: str, pause: pauses.Pause | None) -> None:
        known = self._knowledge.learnt().volumes.get(volume)
        name = known.alias if known else volume
        what = 'volume %s' % name if volume else 'all volumes'
        if pause is None:
            kind, words = 'RESUMED', '%s: no longer paused' % what
        else:
            kind = 'PAUSED'
            words = '%s: paused by the operator until %s%s; guarding and ' \
                'telling go on' % (what, health.when(pause.until), pause.why
                                   and ': %s' % pause.why)
        LOG.warning('%s', words)
        self._observer.add(model.Event(
            kind, events.WARN, words, (('alias', name),) if volume else ()))
