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
"""One pass: observe, pull, decide, act, report and ask.

What keeps I/O moving waits for none of this: see ``guardian``, to which each
pass publishes what is claimed.  Each provisioner call and each volume is
served for itself: what fails is logged once, until it changes, and the pass
goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import logging
import time

from oslo_config import cfg

from os_brick.agent import action as act
from os_brick.agent import calm
from os_brick.agent import claims
from os_brick.agent import events
from os_brick.agent import healing
from os_brick.agent.host import actions
from os_brick.agent import journal
from os_brick.agent import ledger
from os_brick.agent import model
from os_brick.agent import outbox
from os_brick.agent import snapshots
from os_brick.agent.vendors import base

#: Seconds after which a look at the host is taken again before acting.
STALE = 0.5
LOG = logging.getLogger(__name__)
_LEVELS = {events.INFO: logging.INFO, events.WARN: logging.WARNING,
           events.FATAL: logging.CRITICAL}


class Cycle:
    """All that one pass needs, and what it keeps for the next one.

    :param publish: told what is claimed, whenever that is known anew.
    """

    def __init__(self, conf: cfg.ConfigOpts, driver: base.ProvisionerDriver,
                 host: model.Host, scan: Callable[[], snapshots.HostSnapshot],
                 executor: actions.Executor, book: ledger.Ledger,
                 stopping: Callable[[], bool],
                 publish: Callable[[claims.Claims], None] = lambda claims:
                 None) -> None:
        self._conf = conf
        self._publish = publish
        self._driver = driver
        self._host = host
        self._scan = scan
        self._executor = executor
        self._ledger = book
        self._stopping = stopping
        self._journal = journal.Journal()
        self._outbox = outbox.Outbox(driver, book, self._journal, stopping)
        self._last = snapshots.HostSnapshot()
        self._events: list[model.Event] = []
        self._volumes = book.volumes()
        self._targets_for: frozenset[str] = frozenset()
        self._arrays: dict[str, str] = {}
        self._legs = book.legs()
        self._doubts: set[str] = set()
        self._known = self._wanted = frozenset[str]()
        self._claimed = claims.Claims()
        self._matcher = claims.Matcher()
        self._policy = healing.Policy()
        self._calm: calm.Calm[outbox.Served] = calm.Calm()
        self._now = 0.0
        self._lock_held = False
        self._subjects: set[str] = set()
        self._done: set[act.Action] = set()
        self._done_before: set[act.Action] = set()
        self._publish(self._claims())

    def run(self) -> float | None:
        """Do one pass; return in how many seconds another one is wanted.

        0: as soon as may be; None: there is nothing to wait for.
        """
        self._now = self._ledger.now()
        self._lock_held = False
        self._policy = healing.Policy(self._conf.replacement_grace_period,
                                      self._conf.report_repeat_interval)
        before, self._subjects = self._subjects, set()
        self._done, self._done_before = set(), self._done
        snapshot = self._observe()
        self._arrays = self._match(snapshot)
        asked = time.monotonic()
        self._greet()
        fresh = self._pull(snapshot)
        silent = self._outbox.unavailable and not fresh
        claimed = self._claims()
        self._publish(claimed)
        self._known = claimed.replicas()
        self._wanted = claimed.replicas(going=False)
        if time.monotonic() - asked > STALE:
            # the provisioner has taken its time
            snapshot = self._observe()
        self._arrays = self._match(snapshot)
        busy = False
        served: list[outbox.Served] = []
        for name, uuid in sorted(self._arrays.items()):
            array, volume = snapshot.array(name), self._volumes[uuid]
            if array is not None and not self._stopping():
                with self._sheltered('volume %s, serving' % volume.alias):
                    served.append(self._serve(volume, array, snapshot))
        self._calm.forget_unused()
        # a provisioner that does not answer costs one time-out, not one for
        # each volume: what is to be told is kept
        if not silent:
            with self._sheltered('telling'):
                busy |= self._tell_all(served, fresh)
        needed = frozenset[str]().union(*(one.needed for one in served))
        busy |= any(one.busy for one in served)
        busy |= bool(needed - self._targets_for)
        self._targets_for = needed
        self._publish(self._claims())
        for gone in before - self._subjects:
            self._journal.forget(gone)
        return 0.0 if busy else min(
            (one.due_in for one in served if one.due_in is not None),
            default=None)

    @contextlib.contextmanager
    def _sheltered(self, subject: str) -> Iterator[None]:
        """A defect here does not cost the others their turn."""
        try:
            yield
        except Exception as error:
            self._journal.defect(subject, error)
        else:
            self._journal.forget(subject)

    def _observe(self) -> snapshots.HostSnapshot:
        snapshot = snapshots.carry_over(self._last, self._scan())
        for problem in set(snapshot.problems) - set(self._last.problems):
            LOG.warning('this host: %s', problem)
        for event in events.diff(self._last, snapshot):
            LOG.log(_LEVELS[event.level], '%s', event.message)
            self._events.append(event)
        self._last = snapshot
        return snapshot

    def _greet(self) -> None:
        """Heartbeat, and what was seen: best effort, dropped in an outage."""
        self._outbox.ask('heartbeat', lambda: self._driver.heartbeat(
            self._host, self._conf.poll_interval))
        seen, self._events = self._events, []
        for event in seen:
            if self._outbox.unavailable or self._stopping():
                return
            self._outbox.ask('event',
                             lambda: self._driver.report_event(event))

    def _pull(self, snapshot: snapshots.HostSnapshot) -> bool:
        """Take the provisioner's word; keep the last one where it is silent.

        A volume that is not in the answer is unknown, not gone (S8).
        """
        answer: dict[str, model.Volume] = {}

        def call() -> None:
            for volume in self._driver.get_volumes(
                    self._host, snapshot.arrays, self._targets_for):
                if not isinstance(volume, model.Volume):
                    raise base.BadAnswer('the driver returned %r, which is '
                                         'no volume' % (volume,))
                if volume.replicas:
                    known = self._volumes.get(volume.uuid)
                    answer[volume.uuid] = (known if known == volume
                                           else volume)

        if self._stopping() or not self._outbox.ask('volumes', call):
            return False
        # one that is neither here nor listed has no say about arrays to come
        here = set(self._arrays.values())
        self._volumes = {uuid: volume for uuid, volume
                         in {**self._volumes, **answer}.items()
                         if uuid in answer or uuid in here}
        self._ledger.keep_volumes(self._volumes.values())
        return True

    def _claims(self) -> claims.Claims:
        """Return what is claimed now; while that stays, the same value."""
        now = claims.Claims(dict(self._volumes), dict(self._legs))
        if now != self._claimed:
            self._claimed = now
        return self._claimed

    def _match(self, snapshot: snapshots.HostSnapshot) -> dict[str, str]:
        """Array name -> uuid of its volume, for those that are certain."""
        found = self._matcher.match(self._claims(), snapshot, self._arrays)
        for subject, why in found.doubts.items():
            self._journal.trouble(subject, why)
        for subject in self._doubts - found.doubts.keys():
            self._journal.fine(subject)
        self._doubts = set(found.doubts)
        return dict(found.arrays)

    def _serve(self, volume: model.Volume, array: model.Array,
               snapshot: snapshots.HostSnapshot) -> outbox.Served:
        """Decide, remember and act; nothing here waits for a provisioner."""
        kept = self._calm.get(volume, array, snapshot, self._policy)
        if kept is not None:
            return kept
        before = self._ledger.memories(volume.uuid)
        decision = healing.decide(
            volume, array, snapshot, before, self._now, self._policy,
            self._wanted, self._known)
        memories = dict(decision.memories)
        self._legs[volume.uuid] = frozenset(
            uuid for uuid, memory in memories.items() if memory.joined)
        if decision.reports or memories != before:
            self._ledger.save(volume.uuid, memories, decision.reports)
        for report in decision.reports:
            LOG.info('volume %s: replica %s is %s', volume.alias,
                     report.replica_uuid, report.state.value)
        for uuid, memory in memories.items():
            if memory.failed and volume.replica(uuid) is not None:
                subject = 'volume %s, replica %s' % (volume.alias, uuid)
                self._subjects.add(subject)
                self._journal.trouble(subject, memory.failed)
        done = False
        for action in decision.actions:
            done |= self._execute(action, volume, memories)
        served = outbox.Served(
            volume, memories, decision.requests, decision.targets_for, done,
            decision.due_in)
        if decision.calm and memories == before:
            self._calm.keep(volume, array, snapshot, self._policy, served)
        return served

    def _tell_all(self, served: Iterable[outbox.Served], fresh: bool) -> bool:
        """Tell of each volume; True when something was accepted."""
        owing, accepted = self._ledger.owing(), False
        for one in served:
            with self._sheltered('volume %s, telling' % one.volume.alias):
                accepted |= self._tell(one, fresh,
                                       one.volume.uuid in owing)
        return accepted

    def _tell(self, one: outbox.Served, fresh: bool, owing: bool) -> bool:
        """Send the reports, then ask; True when something was accepted."""
        accepted = False
        if (not owing or self._outbox.deliver(one.volume)) and fresh:
            for request in one.requests:
                accepted |= self._outbox.request(one.volume, one.memories,
                                                 request, self._now)
        return accepted

    def _execute(self, action: act.Action, volume: model.Volume,
                 memories: dict[str, healing.Memory]) -> bool:
        """Return True when it was done, and not for the second time."""
        words = act.words(action)
        subject = 'volume %s, %s' % (volume.alias, words)
        self._subjects.add(subject)
        if self._lock_held or self._stopping():
            return False
        try:
            self._executor.execute(action, volume, self._arrays,
                                   self._known)
        except actions.NotDone as error:
            self._journal.trouble(subject, 'not done: %s' % error)
            # all actions wait for the same lock
            self._lock_held = isinstance(error, actions.LockHeld)
            if isinstance(
                    action, (act.Connect, act.AddLeg)) and not isinstance(
                    error, (actions.LockHeld, actions.Refused)):
                self._unusable(action.replica_uuid, volume, memories,
                               str(error))
            return False
        except Exception as error:
            self._journal.defect(subject, error)
            return False
        self._journal.forget(subject)
        again = action in self._done_before
        self._done.add(action)
        LOG.log(logging.DEBUG if again else logging.INFO,
                'volume %s: done: %s', volume.alias, words)
        return not again

    def _unusable(self, replica: str, volume: model.Volume,
                  memories: dict[str, healing.Memory], why: str) -> None:
        memories[replica] = healing.unusable(memories[replica], why)
        self._ledger.save(volume.uuid, {replica: memories[replica]})
