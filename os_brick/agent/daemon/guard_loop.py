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
"""The guard at work: a thread that looks often and acts at once.

It never waits for a provisioner.  One look is a few small reads (``reader``);
only when something has changed, stands still or is overdue is the host
scanned and ``guard.roles`` asked what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging
import threading
import time

from oslo_config import cfg

from os_brick.agent.daemon import worker
from os_brick.agent.guard import roles
from os_brick.agent.guard import stall
from os_brick.agent.host import activity
from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership

LOG = logging.getLogger(__name__)
#: Seconds between two looks while something is wrong.
ALERT = 0.1
#: Seconds between two looks at least, be the wake-ups a storm.
GAP = 0.05
#: Seconds after which what could not be done is tried again, while I/O
#: stands still and while it does not.
AGAIN, LATER = 1.0, 10.0


@dataclasses.dataclass(frozen=True)
class _Guarded:
    """The arrays that are guarded.

    :ivar arrays: array name -> uuid of its volume.
    :ivar known: the volumes that they were matched with; what is published
        later may lack one.
    """

    arrays: Mapping[str, str] = dataclasses.field(default_factory=dict)
    known: ownership.KnownVolumes = dataclasses.field(
        default_factory=ownership.KnownVolumes)

    @property
    def owned(self) -> ownership.Owned:
        return self.known.owned(self.arrays)

    def volume(self, name: str) -> model.Volume:
        return self.known.volumes[self.arrays[name]]


class GuardLoop:
    """The thread that looks, and has done what the guard decides.

    :param scan: looks at all of this host.
    :param unanswered: says which portals acknowledge nothing, and for how
        many seconds.
    :param wake: called when a connection changed, for the passes.
    :param clock: seconds that never step.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 scan: Callable[[], snapshots.HostSnapshot],
                 executor: execute.Executor, reader: activity.ActivityReader,
                 unanswered: Callable[[], Mapping[model.Portal, float]],
                 wake: Callable[[], None] = lambda: None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._conf = conf
        self._scan = scan
        self._executor = executor
        self._reader = reader
        self._unanswered = unanswered
        self.wake_passes = wake
        self._clock = clock
        self._log_once = log_once.LogOnce()
        self._bell = threading.Event()
        self._known_volumes = ownership.KnownVolumes()
        self._activity = activity.Activity()
        self._io_history = stall.IoHistory()
        self._symptoms = roles.Symptoms()
        self._last = snapshots.HostSnapshot()
        self._guarded = _Guarded()
        self._memory = roles.GuardMemory()
        self._mode = 'off'
        self._due = 0.0
        self._unseen = False
        self._failed: set[str] = set()
        self._worker = worker.Worker('guarding I/O', self._run)

    def publish(self, known: ownership.KnownVolumes) -> None:
        """Take in what is claimed from now on; for the passes' thread."""
        if known != self._known_volumes:
            self._known_volumes = known
            self._bell.set()

    def wake(self) -> None:
        """Look now: an array or a device has changed."""
        self._bell.set()

    def ensure_running(self) -> None:
        self._worker.ensure_running()

    def stop(self) -> None:
        """End the thread and leave no leg failing fast without a guard."""
        self._worker.stop(self._bell.set)
        self._restore()

    def _run(self) -> None:
        while not self._worker.stopping.is_set():
            try:
                pause = self.look()
            except attributes.Exhausted as error:
                self._log_once.trouble('io_guard', str(error))
                pause = AGAIN
            except BaseException as error:
                # without a thread there is no guard until the next pass
                self._log_once.defect('io_guard', error)
                pause = AGAIN
            ended = self._clock()
            self._bell.wait(pause)
            early = ended + GAP - self._clock()
            if early > 0:
                self._worker.stopping.wait(early)

    def look(self) -> float:
        """Look once, act where needed; return when to look again."""
        if self._bell.is_set():
            self._bell.clear()
            self._unseen = True
        self._follow(self._conf.io_guard)
        now = self._clock()
        activity_now = self._reader.read(self._guarded.arrays)
        moved = activity_now.states != self._activity.states
        self._unseen |= moved or now >= self._due
        self._activity = activity_now
        try:
            pause = self._look_closer(now)
        finally:
            if moved:
                self.wake_passes()
        # due may be sooner than the next regular look
        return max(GAP, min(pause, self._due - self._clock()))

    def _look_closer(self, now: float) -> float:
        """Act where needed; what fails is left for the next look."""
        self._io_history = stall.look(self._io_history,
                                      self._activity.counters, now)
        clues = self._clues()
        pause = self._suspect(now)
        self._unseen |= clues != self._clues()
        if self._unseen:
            if self._guard(now):
                pause = min(pause, ALERT)
            self._unseen = False
        return pause

    def _suspect(self, now: float) -> float:
        """Find out what stands still, and when to look again."""
        timeout = self._conf.io_stall_timeout
        standing = self._io_history.stalled(now, min(stall.MOMENT, timeout))
        quiet = self._unanswered() if standing else {}
        self._symptoms = roles.Symptoms(
            frozenset(name for name, io in self._activity.counters.items()
                      if io.under_way), standing,
            self._io_history.stalled(now, timeout),
            stall.silent(quiet, timeout / 2), stall.silent(quiet, timeout),
            self._symptoms.answered if standing else frozenset())
        if standing:
            return min(ALERT, stall.silent_in(quiet, timeout))
        pause = float(self._conf.connection_check_interval)
        # whether it has only begun, or stands still, the next look tells
        return min(pause, stall.MOMENT) if self._symptoms.busy else pause

    def _clues(self) -> tuple[frozenset[object], ...]:
        """What of the symptoms may change a decision."""
        symptoms = self._symptoms
        return (symptoms.stalled, symptoms.doubted, symptoms.silent,
                symptoms.standing if self._memory.lost else frozenset())

    def _follow(self, mode: str) -> None:
        """Take in that the operator has switched the guard on or off."""
        if mode != self._mode and self._mode == 'on':
            self._restore()
        self._mode = mode

    def _guard(self, now: float) -> bool:
        """Scan, decide and act; True while something is undecided."""
        self._due = now + self._conf.poll_interval
        if self._mode == 'off':
            return False
        known = self._known_volumes
        snapshot = self._last = snapshots.carry_over(self._last, self._scan())
        self._guarded = _Guarded(dict(known.match(
            snapshot, self._guarded.arrays).arrays), known)
        decision = self._decide(snapshot, now)
        if decision.probe and self._mode == 'on':
            self._ask(decision.probe)
            decision = self._decide(snapshot, now)
        self._memory = decision.memory
        failed, self._failed = self._failed, set()
        for name, action in decision.actions:
            self._act(name, action)
        for subject in failed - self._failed:
            self._log_once.forget(subject)
        if self._failed and self._mode == 'on':
            self._due = now + (AGAIN if self._symptoms.stalled else LATER)
        if decision.probe:
            self._due = now + ALERT
        if decision.again_at is not None:
            self._due = min(self._due, decision.again_at)
        self._log_once.fine('io_guard')
        return bool(decision.probe or decision.again_at is not None)

    def _decide(self, snapshot: snapshots.HostSnapshot,
                now: float) -> roles.GuardDecision:
        return roles.decide(
            snapshot, self._guarded.owned, self._memory, now,
            roles.GuardPolicy(self._conf.io_fail_timeout), self._symptoms,
            self._guarded.known.leaving)

    def _ask(self, devices: frozenset[str]) -> None:
        """Find out which legs answer a read; it counts while I/O stands."""
        try:
            self._symptoms = dataclasses.replace(
                self._symptoms, answered=self._symptoms.answered
                | self._executor.answering(devices))
        except execute.NotDone as error:
            self._log_once.trouble('reading %s' % ', '.join(sorted(devices)),
                                   str(error))

    def _act(self, name: str, action: act.Action) -> None:
        volume = self._guarded.volume(name)
        words = act.words(action)
        subject = 'volume %s, %s' % (volume.alias, words)
        if self._mode != 'on':
            self._failed.add(subject)
            self._log_once.trouble(subject, 'io_guard=observe: it would be '
                                   'done')
            return
        try:
            self._executor.execute(
                action, volume, self._guarded.owned, urgent=True)
        except execute.NotDone as error:
            self._failed.add(subject)
            self._log_once.trouble(subject, 'not done: %s' % error)
        except Exception as error:
            self._failed.add(subject)
            self._log_once.defect(subject, error)
        else:
            LOG.info('volume %s: done: %s', volume.alias, words)

    def _restore(self) -> None:
        if self._mode != 'on' or not self._guarded.arrays:
            return
        for name, action in roles.restore(
                self._scan(), frozenset(self._guarded.arrays),
                self._conf.io_fail_timeout, self._memory):
            self._act(name, action)
