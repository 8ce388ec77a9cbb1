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

What keeps I/O moving waits for none of this: see ``guard_loop``, to which
each pass publishes what is known.  Each provisioner call and each volume is
served for itself: what fails is logged once, until it changes, and the pass
goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import logging
import time

from oslo_config import cfg

from os_brick.agent.healing import decision
from os_brick.agent.healing import settled
from os_brick.agent.host import execute
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import events
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import answers
from os_brick.agent.provisioner import outbox
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules
from os_brick.agent.store import ledger
from os_brick.agent.vendors import base

#: Seconds after which a look at the host is taken again before acting.
STALE = 0.5
LOG = logging.getLogger(__name__)
_HELD = ('No copy of it is added, replaced or let go until the operator says '
         'which one is to be used: see "Copies in doubt" in the documentation')
_LEVELS = {events.INFO: logging.INFO, events.WARN: logging.WARNING,
           events.FATAL: logging.CRITICAL}


class HealingLoop:
    """All that one pass needs, and what it keeps for the next one.

    :param publish: told what is known, whenever that is known anew.
    """

    def __init__(self, conf: cfg.ConfigOpts, driver: base.ProvisionerDriver,
                 host: model.Host, scan: Callable[[], snapshots.HostSnapshot],
                 executor: execute.Executor, store: ledger.Ledger,
                 stopping: Callable[[], bool],
                 publish: Callable[[ownership.KnownVolumes], None]
                 = lambda known: None) -> None:
        self._conf = conf
        self._publish = publish
        self._driver = driver
        self._host = host
        self._scan = scan
        self._executor = executor
        self._ledger = store
        self._stopping = stopping
        self._log_once = log_once.LogOnce()
        self._outbox = outbox.Outbox(driver, store, self._log_once, stopping)
        self._last = snapshots.HostSnapshot()
        self._events: list[model.Event] = []
        self._answers = answers.Answers(
            conf.provisioner_driver, store.volumes(), self._log_once)
        self._volumes = self._answers.believed
        self._targets_wanted: frozenset[str] = frozenset()
        self._arrays: dict[str, str] = {}
        self._served_before: frozenset[str] = frozenset()
        self._attached: frozenset[str] = frozenset()
        self._owing: frozenset[str] = frozenset()
        self._legs = store.legs()
        self._doubts: set[str] = set()
        self._owned = ownership.Owned()
        self._staying = frozenset[str]()
        self._known_volumes = ownership.KnownVolumes()
        self._matcher = ownership.Matcher()
        self._policy = decision.HealingPolicy()
        self._settled = settled.SettledVolumes[outbox.Served]()
        self._now = 0.0
        self._lock_held = False
        self._subjects: set[str] = set()
        self._done: set[act.Action] = set()
        self._done_before: set[act.Action] = set()
        self._publish(self._learnt())

    def run(self) -> float | None:
        """Do one pass; return in how many seconds another one is wanted.

        0: as soon as may be; None: there is nothing to wait for.
        """
        self._now = self._ledger.now()
        self._lock_held = False
        self._policy = decision.HealingPolicy(
            self._conf.replacement_grace_period,
            self._conf.report_repeat_interval)
        before, self._subjects = self._subjects, set()
        self._done, self._done_before = set(), self._done
        snapshot = self._observe()
        self._arrays = self._match(snapshot)
        asked = time.monotonic()
        self._greet()
        fresh = self._pull(snapshot)
        silent = self._outbox.unavailable and not fresh
        known = self._learnt()
        self._publish(known)
        self._staying = known.staying
        if time.monotonic() - asked > STALE:
            # the provisioner has taken its time
            snapshot = self._observe()
        self._arrays = self._match(snapshot)
        self._owned = known.owned(self._arrays)
        here = frozenset(self._arrays.values())
        self._attached = here - self._served_before
        self._served_before = here
        self._take_in_choices()
        # a volume's own reports are all that serving it adds to these
        self._owing = self._ledger.owing()
        busy = False
        served: list[outbox.Served] = []
        for name, uuid in sorted(self._arrays.items()):
            array, volume = snapshot.array(name), self._volumes[uuid]
            if array is not None and not self._stopping():
                with self._sheltered('volume %s, serving' % volume.alias):
                    served.append(self._serve(volume, array, snapshot))
        self._settled.forget_unused()
        # a provisioner that does not answer costs one time-out, not one for
        # each volume: what is to be told is kept
        if not silent:
            with self._sheltered('telling'):
                busy |= self._tell_all(served, fresh)
        targets_wanted = frozenset[str]().union(
            *(one.targets_wanted for one in served))
        busy |= any(one.busy for one in served)
        busy |= bool(targets_wanted - self._targets_wanted)
        self._targets_wanted = targets_wanted
        self._publish(self._learnt())
        for gone in before - self._subjects:
            self._log_once.forget(gone)
        return 0.0 if busy else min(
            (one.due_in for one in served if one.due_in is not None),
            default=None)

    @contextlib.contextmanager
    def _sheltered(self, subject: str) -> Iterator[None]:
        """A defect here does not cost the others their turn."""
        try:
            yield
        except Exception as error:
            self._log_once.defect(subject, error)
        else:
            self._log_once.forget(subject)

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
        def call() -> None:
            self._answers.take(self._driver.get_volumes(
                self._host, snapshot.arrays, self._targets_wanted),
                set(self._arrays.values()))

        if self._stopping() or not self._outbox.ask('volumes', call):
            return False
        self._volumes = self._answers.believed
        self._ledger.keep_volumes(self._answers.words.values())
        return True

    def _learnt(self) -> ownership.KnownVolumes:
        """Return what is known now; while that stays, the same value."""
        now = ownership.KnownVolumes(dict(self._volumes), dict(self._legs))
        if now != self._known_volumes:
            self._known_volumes = now
        return self._known_volumes

    def _match(self, snapshot: snapshots.HostSnapshot) -> dict[str, str]:
        """Array name -> uuid of its volume, for those that are certain."""
        found = self._matcher.match(self._learnt(), snapshot, self._arrays)
        for subject, why in found.doubts.items():
            self._log_once.trouble(subject, why)
        for subject in self._doubts - found.doubts.keys():
            self._log_once.fine(subject)
        self._doubts = set(found.doubts)
        return dict(found.arrays)

    def _serve(self, volume: model.Volume, array: model.Array,
               snapshot: snapshots.HostSnapshot) -> outbox.Served:
        """Decide, remember and act; nothing here waits for a provisioner."""
        kept = self._settled.get(volume, array, snapshot, self._policy)
        if kept is not None:
            return kept
        before = self._ledger.records(volume.uuid)
        decided = decision.decide(
            volume, array, snapshot, before, self._now, self._policy,
            self._staying, self._owned, volume.uuid in self._attached,
            volume.uuid in self._owing)
        records = dict(decided.records)
        self._sound(volume, array, decided.alarm)
        self._legs[volume.uuid] = frozenset(
            uuid for uuid, record in records.items() if record.joined)
        if decided.reports or records != before:
            self._ledger.save(volume.uuid, records, decided.reports)
        for report in decided.reports:
            LOG.info('volume %s: replica %s is %s', volume.alias,
                     report.replica_uuid, report.state.value)
        for uuid, record in records.items():
            if record.failed and volume.replica(uuid) is not None:
                subject = 'volume %s, replica %s' % (volume.alias, uuid)
                self._subjects.add(subject)
                self._log_once.trouble(subject, record.failed)
        self._say_held(volume, decided.held)
        done = False
        for action in decided.actions:
            done |= self._execute(action, volume, records)
        served = outbox.Served(
            volume, records, decided.requests, decided.targets_wanted, done,
            decided.due_in)
        if decided.settled and records == before:
            self._settled.keep(volume, array, snapshot, self._policy, served)
        return served

    def _say_held(self, volume: model.Volume,
                  held: Mapping[str, float]) -> None:
        """Say once for how long a copy is not put back yet (S13)."""
        for replica, seconds in held.items():
            subject = 'volume %s, return of replica %s' % (volume.alias,
                                                           replica)
            self._subjects.add(subject)
            if not self._log_once.troubled(subject):
                self._log_once.trouble(
                    subject, 'it is here, and is put back in %.0f s, when '
                    'its target can no longer execute what it was sent '
                    'before' % seconds, logging.INFO)

    def _take_in_choices(self) -> None:
        """Take the operator's word which copy of a volume is the one."""
        for uuid, replica in self._ledger.choices().items():
            LOG.warning('volume %s: by the operator\'s word replica %s is the '
                        'one; what other copies hold beyond it may be '
                        'overwritten', uuid, replica)
            self._ledger.take_in(uuid, decision.chosen(
                self._ledger.records(uuid), replica))

    def _sound(self, volume: model.Volume, array: model.Array,
               alarm: str) -> None:
        """Say once, and to the provisioner, that a copy is in doubt (S10)."""
        subject = 'volume %s, its copies' % volume.alias
        if not alarm:
            self._log_once.fine(subject)
            return
        if self._log_once.trouble(subject, '%s. %s' % (alarm, _HELD),
                                  logging.CRITICAL):
            self._events.append(model.Event(
                'COPIES_IN_DOUBT', events.FATAL, 'array %s (%s): %s. %s' % (
                    volume.alias, array.name, alarm, _HELD),
                (('array', array.name), ('alias', volume.alias))))

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
                if self._may_ask(one.volume, request):
                    accepted |= self._outbox.request(
                        one.volume, one.records, request, self._now)
        return accepted

    def _may_ask(self, volume: model.Volume,
                 request: decision.Request) -> bool:
        """A copy is given up only on what its fellows answer now (S11)."""
        if request.ask is decision.RequestKind.REPLACE:
            return True
        subject = 'volume %s, letting go of replica %s' % (
            volume.alias, request.replica_uuid)
        why = self._giving_up(volume, request.replica_uuid)
        if why is None:
            self._log_once.forget(subject)
            return True
        self._subjects.add(subject)
        self._log_once.trouble(subject, 'put off: %s' % why)
        return False

    def _giving_up(self, volume: model.Volume,
                   replica: str) -> str | None:
        snapshot = self._observe()
        array = next((array for array in snapshot.arrays
                      if self._arrays.get(array.name) == volume.uuid), None)
        answered: frozenset[str] = frozenset()
        wanted = rules.have_to_answer(replica, array) if array else None
        if wanted:
            try:
                answered = self._executor.answering_patiently(wanted)
            except execute.NotDone as error:
                return str(error)
        return rules.giving_up(replica, array, snapshot, answered)

    def _execute(self, action: act.Action, volume: model.Volume,
                 records: dict[str, decision.ReplicaRecord]) -> bool:
        """Return True when it was done, and not for the second time."""
        words = act.words(action)
        subject = 'volume %s, %s' % (volume.alias, words)
        self._subjects.add(subject)
        if self._lock_held or self._stopping():
            return False
        try:
            self._executor.execute(action, volume, self._owned)
        except execute.NotDone as error:
            self._log_once.trouble(subject, 'not done: %s' % error)
            if isinstance(error, execute.Divergent) and isinstance(
                    action, act.AddLeg):
                self._keep(volume, records, action.replica_uuid,
                           decision.diverged(records[action.replica_uuid],
                                             str(error)))
            # all actions wait for the same lock
            self._lock_held = isinstance(error, execute.LockHeld)
            if isinstance(
                    action, (act.Connect, act.AddLeg)) and not isinstance(
                    error, (execute.LockHeld, execute.Refused,
                            execute.HostUnfit)):
                self._unusable(action.replica_uuid, volume, records,
                               str(error))
            return False
        except Exception as error:
            self._log_once.defect(subject, error)
            return False
        self._log_once.forget(subject)
        again = action in self._done_before
        self._done.add(action)
        LOG.log(logging.DEBUG if again else logging.INFO,
                'volume %s: done: %s', volume.alias, words)
        return not again

    def _unusable(self, replica: str, volume: model.Volume,
                  records: dict[str, decision.ReplicaRecord],
                  why: str) -> None:
        self._keep(volume, records, replica,
                   decision.unusable(records[replica], why))

    def _keep(self, volume: model.Volume,
              records: dict[str, decision.ReplicaRecord], replica: str,
              record: decision.ReplicaRecord) -> None:
        records[replica] = record
        self._ledger.save(volume.uuid, {replica: record})
