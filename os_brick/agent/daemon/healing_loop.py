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
import contextlib
import dataclasses
import logging

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import attachments
from os_brick.agent.daemon import budget
from os_brick.agent.daemon import copying
from os_brick.agent.daemon import expiry
from os_brick.agent.daemon import healing_pass
from os_brick.agent.daemon import knowledge
from os_brick.agent.daemon import limits
from os_brick.agent.daemon import observer
from os_brick.agent.daemon import outlets
from os_brick.agent.daemon import permits
from os_brick.agent.daemon import serving
from os_brick.agent.daemon import showing
from os_brick.agent.daemon import speeds
from os_brick.agent.daemon import telling
from os_brick.agent.healing import decision
from os_brick.agent.host import execute
from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import outbox
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger
from os_brick.agent.vendors import base

#: Seconds after which a look at the host is taken again before acting.
STALE = 0.5
_NOT_KEPT = ('what has to be remembered of a request cannot be written to '
             'state_dir')
LOG = logging.getLogger(__name__)


class HealingLoop:
    """What passes need, and what one leaves to the next.

    :param progress: called whenever a step is taken, for the watchdog.
    :param publish: told what is known, whenever that is known anew.
    :param sinks: where events go beside log and provisioner.
    :param lost: returns the connections that were lost since its last call.
    :param count: reads what was written to devices, so that it can be said
        how much was copied to a leg; None: nobody wants to know.
    :param show: shows what a pass has found out; None: nobody looks.
    """

    def __init__(self, conf: cfg.ConfigOpts, driver: base.ProvisionerDriver,
                 host: model.Host, scan: Callable[[], snapshots.HostSnapshot],
                 executor: execute.Executor, store: ledger.Ledger,
                 stopping: Callable[[], bool],
                 publish: Callable[[ownership.KnownVolumes], None]
                 = lambda known: None,
                 clock: clocks.Clock = clocks.HOST,
                 show: showing.Showing | None = None,
                 progress: Callable[[], None] = lambda: None,
                 sinks: outlets.Outlets | None = None,
                 lost: Callable[[], snapshots.Lost] = dict,
                 count: copying.Counting | None = None) -> None:
        self._conf = conf
        self._driver = driver
        self._host = host
        self._ledger = store
        self._stopping = stopping
        self._publish = publish
        self._clock = clock
        self._progress = progress
        log = self._log_once = log_once.LogOnce()
        self._outbox = outbox.Outbox(driver, store, log, stopping)
        self._sinks = outlets.Outlets() if sinks is None else sinks
        self._observer = observer.Observer(
            scan if count is None else copying.Copying(
                scan, count, clock).look,
            lambda event: self._sinks.put(host, event),
            outlets.LOGGED in conf.event_sinks, lost)
        self._knowledge = knowledge.Knowledge(conf.provisioner_driver, store,
                                              log)
        self._serving = serving.Serving(executor, store, stopping, log,
                                        self._knowledge, self._observer,
                                        clock, progress)
        self._telling = telling.Telling(self._outbox, store, executor, log,
                                        self._knowledge, self._observer,
                                        clock, progress)
        self._speeds = speeds.Speeds(
            conf, executor, log, self._knowledge, self._serving.acting,
            self._serving.observes, progress)
        self._scan = scan
        self._attachments = attachments.Attachments(
            store, self._knowledge, self._outbox, log, store.rebooted())
        self._limits = limits.Reader(conf, store, clock, self._knowledge,
                                     self._observer)
        self._permits = permits.Permits(conf, driver, self._outbox,
                                        self._knowledge, store)
        self._show = show
        self._expiry = expiry.Expiry(driver, self._outbox, clock)
        self._sources = showing.Sources(self._knowledge, self._outbox, store,
                                        self._expiry, log)
        self._last = healing_pass.Pass()
        self._passes = 0
        # aliases of the volumes that are here; troubles of earlier passes
        # that may be over
        self._here: frozenset[str] = frozenset()
        self._met: set[str] = set()
        self._publish(self._knowledge.learnt())

    def run(self) -> float | None:
        """Do one pass; return in how many seconds another one is wanted.

        0: as soon as may be; None: there is nothing to wait for.
        """
        try:
            return self._run()
        except BaseException as error:
            if self._show is not None:
                self._show.failed(error)
            raise

    def leave(self) -> None:
        """Leave no limit behind: no more passes are made."""
        self._speeds.restore(self._scan())

    def _run(self) -> float | None:
        self._passes += 1
        log_fields.begin_pass(self._passes)
        self._log_once.begin()
        last, this = self._last, self._begin()
        self._last = this
        # a pass that failed has forgotten nothing
        self._met |= last.subjects
        self._ask_and_look(this)
        self._take_in_choices()
        this.limits = self._limits.read(self._permits.ask(this, last))
        # a volume's own reports are all that serving it adds to these
        this.owing = self._ledger.owing()
        self._attachments.begin(this)
        with self._log_once.sheltered('arrays that are new'):
            self._serving.begin(this)
        served = self._serve_all(this)
        busy = False
        # a provisioner that does not answer costs one time-out, not one for
        # each volume: what is to be told is kept
        if this.fresh or not self._outbox.unavailable:
            with self._log_once.sheltered('telling'):
                busy |= self._telling.tell_all(this, served)
                self._attachments.tell(this)
        with self._log_once.sheltered('connecting'):
            busy |= self._serving.connect_all(this)
        # it may wait for os-brick's lock, and nothing else waits for it
        with self._log_once.sheltered('speed limits'):
            busy |= not self._stopping() and self._speeds.set_all(this)
        with self._log_once.sheltered('telling events'):
            busy |= self._tell_events()
        if not self._stopping():
            self._progress()
            self._expiry.look()
        this.targets_wanted = frozenset[str]().union(
            *(one.targets_wanted for one in served))
        busy |= any(one.busy for one in served)
        busy |= this.limits.word.limited and bool(
            _replicas(this.wanted) - _replicas(last.wanted))
        busy |= bool(this.targets_wanted - last.targets_wanted)
        self._publish(self._knowledge.learnt())
        self._forget_troubles(this)
        if self._show is not None:
            self._show.show(this, served, self._sources)
        return 0.0 if busy else min(
            (one.due_in for one in served if one.due_in is not None),
            default=None)

    def _forget_troubles(self, this: healing_pass.Pass) -> None:
        """Forget those that are over, or left together with a volume."""
        for gone in self._met - this.subjects:
            self._log_once.forget(gone)
        self._met = set()
        here = frozenset(self._knowledge.volume(uuid).alias
                         for uuid in this.here)
        for alias in self._here - here:
            self._log_once.forget_volume(alias)
        self._here = here

    def _begin(self) -> healing_pass.Pass:
        # what passes that failed have left to be told
        self._observer.put_back(())
        last = self._last
        faults = last.found()
        if self._ledger.trouble:
            faults = dataclasses.replace(faults, everywhere=_NOT_KEPT)
        return healing_pass.Pass(
            self._ledger.now(), decision.HealingPolicy(
                self._conf.replacement_grace_period,
                self._conf.report_repeat_interval,
                self._conf.returning_copies == 'whole'),
            frozenset(last.done), here=last.here,
            targets_wanted=last.targets_wanted, faults=faults,
            refused_before=last.refused)

    def _ask_and_look(self, this: healing_pass.Pass) -> None:
        """Take the provisioner's word, and see whose each array is."""
        this.snapshot = self._observer.look()
        self._knowledge.match(this.snapshot)
        self._knowledge.note_lost(this.snapshot)
        asked = self._clock.monotonic()
        self._greet()
        self._progress()
        this.fresh = self._pull(this)
        known = self._knowledge.learnt()
        self._publish(known)
        this.staying = known.staying
        if self._clock.monotonic() - asked > STALE:
            # the provisioner has taken its time
            this.snapshot = self._observer.look()
        self._progress()
        arrays = self._knowledge.match(this.snapshot)
        this.owned = known.owned(arrays)
        here = frozenset(arrays.values())
        this.attached, this.here = here - this.here, here
        self._attachments.follow(this)

    def _greet(self) -> None:
        """Say that this host is alive."""
        self._outbox.ask('heartbeat', lambda: self._driver.heartbeat(
            self._host, self._conf.poll_interval))

    def _tell_events(self) -> bool:
        """Tell what was seen: best effort, dropped in an outage.

        It is the last that is done in a pass; True when some is left.
        """
        seen = self._observer.take()
        if outlets.TOLD not in self._conf.event_sinks:
            return False
        limit = budget.Budget(self._clock, budget.EVENTS)
        for number, event in enumerate(seen):
            if self._outbox.unavailable or self._stopping():
                return False
            if limit.spent:
                self._observer.put_back(seen[number:])
                return True
            self._progress()
            self._outbox.ask('event',
                             lambda: self._driver.report_event(event))
        return False

    def _pull(self, this: healing_pass.Pass) -> bool:
        """Take the provisioner's word; keep the last one where it is silent.

        A volume that is not in the answer is unknown, not gone (S8).
        """
        if self._stopping() or not self._outbox.ask(
                'volumes', lambda: self._knowledge.take(
                    self._driver.get_volumes(
                        self._host, this.snapshot.arrays,
                        this.targets_wanted))):
            return False
        self._knowledge.keep()
        return True

    def _take_in_choices(self) -> None:
        """Take the operator's word which copy of a volume is the one."""
        for uuid, replica in self._ledger.choices().items():
            # where it cannot be kept, which is said, it stays where it is
            with contextlib.suppress(ledger.NotKept):
                self._ledger.take_in(uuid, decision.chosen(
                    self._ledger.records(uuid), replica))
                LOG.warning('volume %s: by the operator\'s word replica %s is '
                            'the one; what other copies hold beyond it may '
                            'be overwritten', uuid, replica)

    def _serve_all(self, this: healing_pass.Pass) -> list[outbox.Served]:
        served = []
        for name, uuid in sorted(self._knowledge.arrays.items()):
            array = this.snapshot.array(name)
            volume = self._knowledge.volume(uuid)
            self._progress()
            if array is not None and not self._stopping():
                with self._log_once.sheltered('volume %s, serving'
                                              % volume.alias):
                    served.append(self._serving.serve(this, volume, array))
        self._serving.ended()
        return served


def _replicas(wanted: Iterable[model.Resync]) -> frozenset[str]:
    return frozenset(resync.replica.uuid for resync in wanted)
