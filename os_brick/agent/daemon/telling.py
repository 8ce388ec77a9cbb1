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
"""Telling the provisioner of the volumes that were served, and asking it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import budget
from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.daemon import observer
from os_brick.agent.healing import decision
from os_brick.agent.host import execute
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import outbox
from os_brick.agent.safety import copies
from os_brick.agent.safety import farewell
from os_brick.agent.safety import superfluous
from os_brick.agent.store import ledger

_WORDS = {decision.RequestKind.REPLACE: 'asking for a replacement of',
          decision.RequestKind.RETIRE: 'letting go of',
          decision.RequestKind.CONFIRM: 'letting go of'}


class Telling:
    """What telling needs, beside the way to the provisioner.

    :param known: says which array is which volume's.
    :param progress: called whenever a step is taken.
    :param sight: looks at this host once more before a copy is given up.
    """

    def __init__(self, way: outbox.Outbox, store: ledger.Ledger,
                 executor: execute.Executor, log: log_once.LogOnce,
                 known: knowledge.Knowledge,
                 sight: observer.Observer,
                 clock: clocks.Clock = clocks.HOST,
                 progress: Callable[[], None] = lambda: None) -> None:
        self._outbox = way
        self._ledger = store
        self._executor = executor
        self._log_once = log
        self._knowledge = known
        self._observer = sight
        self._clock = clock
        self._progress = progress
        # volume -> when it was told of last
        self._told: dict[str, float] = {}

    def tell_all(self, this: healing_pass.Pass,
                 served: Iterable[outbox.Served]) -> bool:
        """Tell of each volume; True when there is more to be done.

        What the time does not suffice for is first in the next pass: what is
        to be done on this host does not wait for a slow provisioner.
        """
        owing, accepted = self._ledger.owing(), False
        limit = budget.Budget(self._clock, budget.TELLING)
        waiting = sorted(
            (one for one in served if one.requests
             or one.volume.uuid in owing),
            key=lambda one: self._told.get(one.volume.uuid, 0.0))
        self._told = {one.volume.uuid: self._told[one.volume.uuid]
                      for one in waiting if one.volume.uuid in self._told}
        for one in waiting:
            if limit.spent:
                return True
            self._progress()
            self._told[one.volume.uuid] = self._clock.monotonic()
            with self._log_once.sheltered('volume %s, telling'
                                          % one.volume.alias):
                accepted |= self._tell(this, one, one.volume.uuid in owing)
        return accepted

    def _tell(self, this: healing_pass.Pass, one: outbox.Served,
              owing: bool) -> bool:
        """Send the reports, then ask; True when something was accepted."""
        accepted = False
        if (not owing or self._outbox.deliver(one.volume)) and this.fresh:
            for request in one.requests:
                if self._may_ask(this, one, request):
                    accepted |= self._outbox.request(
                        one.volume, one.records, request, this.now)
        return accepted

    def _may_ask(self, this: healing_pass.Pass, one: outbox.Served,
                 request: decision.Request) -> bool:
        """A copy is given up only on what it and its fellows show now."""
        volume, replica = one.volume, request.replica_uuid
        subject = 'volume %s, %s replica %s' % (
            volume.alias, _WORDS[request.ask], replica)
        why = self._objection(one, request)
        if why is None:
            self._log_once.forget(subject)
            return True
        this.subjects.add(subject)
        this.refuse(replica, why)
        self._log_once.trouble(subject, 'put off: %s' % why)
        return False

    def _objection(self, one: outbox.Served,
                   request: decision.Request) -> str | None:
        """Return why it must not be asked for now, or None (S10, S11)."""
        replica = request.replica_uuid
        replace = request.ask is decision.RequestKind.REPLACE
        snapshot = self._observer.look()
        array = next((array for array in snapshot.arrays if
                      self._knowledge.arrays.get(array.name)
                      == one.volume.uuid), None)
        if array is None:
            return None if replace else farewell.giving_up(
                replica, one.volume, None, snapshot, ())
        try:
            found = self._judged(one, array, snapshot, replica)
            why = superfluous.objection(found, replace,
                                        one.records[replica].joined)
            if why or replace:
                return why
            wanted = farewell.have_to_answer(replica, array)
            answered = (self._executor.answering_patiently(wanted) if wanted
                        else frozenset[str]())
        except execute.NotDone as error:
            return str(error)
        return farewell.giving_up(
            replica, one.volume, array, snapshot, answered,
            copies.never_one(found, one.records[replica].was_leg))

    def _judged(self, one: outbox.Served, array: model.Array,
                snapshot: snapshots.HostSnapshot,
                replica: str) -> copies.Judgement:
        """Return what the copy is to the array, by what is read just now.

        :raises execute.NotDone: it could not be read.
        """
        record = one.records[replica]
        if record.given_up:
            return superfluous.NOTHING_FOUND
        found = superfluous.judged(
            replica, array, snapshot, self._executor.superblocks(
                superfluous.to_be_read(replica, array, one.volume, snapshot)),
            self._executor.past(), decision.departure(
                one.records, replica))
        if found.standing is copies.Standing.DIVERGENT:
            # the next pass raises the alarm
            self._ledger.save(one.volume.uuid, {
                replica: decision.diverged(record, found.why)})
        return found
