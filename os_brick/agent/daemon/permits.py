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
"""Asking a provisioner that limits the copies in its fleet.

- A pass asks for what the pass before wanted to begin: no volume's turn waits
  for a provisioner.
- A limit only delays.  While nobody answers, a copy that makes an array whole
  waits for a bound and begins without; a planned exchange goes on waiting.
- Where the last answer was that nothing is limited, that stays in force.
- While the disk does not take what the provisioner has said, it is not asked:
  by the question it knows that its word outlives a restart.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import logging
import zlib

from oslo_config import cfg

from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.healing import holding
from os_brick.agent import model
from os_brick.agent.provisioner import answers
from os_brick.agent.provisioner import outbox
from os_brick.agent.store import ledger
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
_NOBODY = ('the provisioner limits copies and cannot be asked; a copy that '
           'makes an array whole begins without its word after %.0f s at '
           'most (option resync_permit_timeout)')


class Permits:
    """What is known of limits from one pass to the next."""

    def __init__(self, conf: cfg.ConfigOpts, driver: base.ProvisionerDriver,
                 way: outbox.Outbox, known: knowledge.Knowledge,
                 store: ledger.Ledger) -> None:
        self._conf = conf
        self._driver = driver
        self._outbox = way
        self._knowledge = known
        self._ledger = store
        # None: it has never answered
        self._limited: bool | None = None
        # replica -> agent time of its first call that had no answer
        self._unanswered: dict[str, float] = {}
        self._without: frozenset[str] = frozenset()

    def ask(self, this: healing_pass.Pass,
            last: healing_pass.Pass) -> holding.Word:
        """Return what may begin in this pass."""
        under_way = self._under_way(this)
        # what was begun just now, and does not show yet, keeps its place
        wanted = {resync.replica.uuid: resync for resync in last.wanted
                  if resync.replica.uuid not in under_way}
        waits = self._put(list(under_way.values()), wanted)
        if waits is None and not self._limited:
            self._unanswered, self._without = {}, frozenset()
            return holding.Word()
        if waits is None:
            waits = self._alone(this, wanted)
        return holding.Word(True, frozenset(wanted), waits)

    def _under_way(self, this: healing_pass.Pass
                   ) -> dict[str, model.Resync]:
        return {
            resync.replica.uuid: resync
            for name, uuid in self._knowledge.arrays.items()
            if (array := this.snapshot.array(name)) is not None
            for resync in holding.under_way(self._knowledge.volume(uuid),
                                            array)}

    def _put(self, under_way: Collection[model.Resync],
             wanted: Mapping[str, model.Resync]) -> Mapping[str, str] | None:
        """Return the provisioner's answer, None where there is no limit.

        Where nobody answers it is None too, and ``_limited`` says whether
        that matters: one who never said that nothing is limited may limit.
        """
        said: list[Mapping[str, str] | None] = []
        silent = self._outbox.unavailable
        if self._ledger.trouble:
            self._limited = self._limited is not False
            return None
        # one that does not answer costs one time-out in a pass
        if silent and self._limited is not None:
            return None
        answered = self._outbox.ask('resyncs', lambda: said.append(
            answers.delays(self._driver.delay_resyncs(
                under_way, list(wanted.values())))))
        self._outbox.unavailable |= silent
        if not answered:
            self._limited = self._limited is not False
            return None
        waits = said[0]
        self._limited = waits is not None
        self._unanswered, self._without = {}, frozenset()
        return waits

    def _alone(self, this: healing_pass.Pass,
               wanted: Mapping[str, model.Resync]) -> dict[str, str]:
        """Return what waits while nobody answers."""
        limit = self._conf.resync_permit_timeout
        waits = {}
        for uuid, resync in wanted.items():
            waited = this.now - self._unanswered.setdefault(uuid, this.now)
            if resync.planned or waited < limit * _share(uuid):
                waits[uuid] = _NOBODY % limit
            elif uuid not in self._without:
                LOG.warning(
                    'volume %s: the copy to replica %s may begin without the '
                    'provisioner\'s word: it limits copies, and could not be '
                    'asked for %.0f s (option resync_permit_timeout)',
                    resync.volume.alias, uuid, waited)
        self._without |= frozenset(wanted) - frozenset(waits)
        return waits


def _share(uuid: str) -> float:
    """Return which part of the bound a replica waits for, 0.5 to 1.

    Hosts that lost the same shelf do not all begin at the same moment.
    """
    return 0.5 + zlib.crc32(uuid.encode()) / 2 ** 33
