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
"""What becomes of what is remembered when a volume is detached.

A volume is detached when no array on this host can be its own any more, by
all that this host shows: one look that failed, or an array whose legs nobody
knows, proves nothing.  A stop of the agent is no detach, a boot is.

Virtual machines come and go, and most volumes never come back.  So that what
is remembered does not grow for ever, the volumes that were detached first are
forgotten once there are many: not before ``LONG_AGO``, and none of which a
host that had never known it would know less (``replica_record.closed``).
"""

from __future__ import annotations

import logging

from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.healing import decision
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import outbox
from os_brick.agent.store import ledger

LOG = logging.getLogger(__name__)
#: Detached volumes that are remembered in any case.
MOST = 1000
#: Seconds of agent time for which each of them is, however many there are.
LONG_AGO = 30 * 86400.0
#: Seconds of agent time from one look for such that are too many to the next.
OFTEN = 3600.0
NEVER = float('inf')


class Attachments:
    """Follows which of the volumes that are remembered are attached.

    :param rebooted: the host has booted since the agent was stopped.
    """

    def __init__(self, store: ledger.Ledger, known: knowledge.Knowledge,
                 way: outbox.Outbox, log: log_once.LogOnce,
                 rebooted: bool) -> None:
        self._ledger = store
        self._knowledge = known
        self._outbox = way
        self._log_once = log
        self._rebooted = rebooted
        # volume -> agent time at which it was found detached; NEVER: it is
        # not to be forgotten
        self._detached: dict[str, float] = {}
        self._looked_at = 0.0

    def follow(self, this: healing_pass.Pass) -> None:
        """Take in which volumes are detached, as of now."""
        volumes = frozenset(self._knowledge.remembered)
        if self._rebooted:
            # all arrays were stopped, also of those that are here again
            self._rebooted = False
            ended = self._end(volumes, this.now)
            self._detached = {uuid: ended[uuid] for uuid in
                              volumes - this.here}
        elif not _doubtful(this.snapshot, self._knowledge):
            gone = volumes - this.here - self._shown(this.snapshot)
            ended = self._end(gone - self._detached.keys(), this.now)
            self._detached = {uuid: since for uuid, since in {
                **self._detached, **ended}.items() if uuid in gone}
            self._forget(this)

    def _shown(self, snapshot: snapshots.HostSnapshot) -> frozenset[str]:
        """The volumes of which a former leg is in an array, whose ever."""
        legs = {leg.replica_uuid for array in snapshot.arrays
                for leg in array.legs}
        return frozenset(uuid for uuid, replicas
                         in self._knowledge.remembered.items()
                         if not legs.isdisjoint(replicas))

    def _end(self, volumes: frozenset[str], now: float) -> dict[str, float]:
        """Note it; return since when each of them is, or NEVER."""
        found = {}
        for uuid in sorted(volumes):
            records = self._ledger.records(uuid)
            since = [record.detached_at for record in records.values()]
            if any(moment is None for moment in since):
                self._ledger.save(uuid, decision.detached(records, now))
            found[uuid] = NEVER if not decision.closed(records) else max(
                (now if moment is None else moment for moment in since),
                default=now)
        return found

    def _forget(self, this: healing_pass.Pass) -> None:
        """Forget those that were detached first, where there are too many.

        Not while the provisioner's word is an old one: what it lists may come
        back at any time.
        """
        if (len(self._detached) <= MOST or not this.fresh
                or this.now - self._looked_at < OFTEN):
            return
        self._looked_at = this.now
        last = sorted((uuid for uuid, since in self._detached.items()
                       if since != NEVER), key=self._detached.__getitem__,
                      reverse=True)
        # what is still to be told of one is not sent any more: see ``tell``
        long_ago = max(LONG_AGO, this.policy.repeat)
        gone = [uuid for uuid in last[MOST:]
                if this.now - self._detached[uuid] > long_ago
                and self._knowledge.word(uuid) is None]
        if gone:
            self._knowledge.forget(gone)
            for uuid in gone:
                del self._detached[uuid]
            LOG.info('%d volumes that were detached long ago are forgotten',
                     len(gone))

    def tell(self, this: healing_pass.Pass) -> None:
        """Send what a volume that was detached of late has left to be told.

        Soon after, nobody can have told newer things of it.
        """
        for uuid in sorted(self._ledger.owing() & self._detached.keys()):
            if self._outbox.unavailable:
                return
            if any(record.detached_at is not None
                   and this.now - record.detached_at <= this.policy.repeat
                   for record in self._ledger.records(uuid).values()):
                volume = self._knowledge.word(uuid) or model.Volume(uuid,
                                                                    uuid)
                with self._log_once.sheltered('volume %s, telling'
                                              % volume.alias):
                    self._outbox.deliver(volume)

    def begin(self, this: healing_pass.Pass) -> None:
        """Drop what was to be told of an attachment before this one.

        The states are told anew, as they are now.
        """
        for uuid in sorted(this.attached & this.owing):
            records = self._ledger.records(uuid).values()
            if any(record.detached_at is not None for record in records):
                LOG.warning(
                    'volume %s: %d reports of before it was detached are no '
                    'longer sent; its state is told anew', _alias(
                        self._knowledge.word(uuid), uuid),
                    self._ledger.drop_reports(uuid))


def _alias(volume: model.Volume | None, uuid: str) -> str:
    return volume.alias if volume else uuid


def _doubtful(snapshot: snapshots.HostSnapshot,
              known: knowledge.Knowledge) -> bool:
    """An array may be here that is not seen, or not known."""
    return bool(snapshot.problems) or any(
        array.name not in known.arrays
        and not any(leg.replica_uuid for leg in array.legs)
        for array in snapshot.arrays)
