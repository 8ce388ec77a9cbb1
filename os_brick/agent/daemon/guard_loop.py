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
scanned and ``guard.roles`` asked what to do: see ``guard_look``.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import guard_kept
from os_brick.agent.daemon import guard_look
from os_brick.agent.daemon import worker
from os_brick.agent.host import activity
from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots
from os_brick.agent.model import tallies
from os_brick.agent.safety import ownership

#: Seconds between two looks at least, be the wake-ups a storm.
GAP = 0.05
#: Seconds after which one is taken again that failed.
AGAIN = 1.0
#: Seconds for which passes let the guard go first, once something is lost.
FIRST = 2.0
#: Lost connections that are kept for the passes: of more, the newest.
MOST_LOST = 4096


class GuardLoop:
    """What looks need, and the thread that takes them.

    :param scan: looks at all of this host.
    :param reader: takes the small reads.
    :param unanswered: says which portals acknowledge nothing, and for how
        many seconds.
    :param subsystems: says how the kernel spreads I/O over paths.
    :param well: told after each look for how many seconds there is none.
    :param wake: called when a connection changed, for the passes.
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 scan: Callable[[], snapshots.HostSnapshot],
                 executor: execute.Executor, reader: activity.ActivityReader,
                 unanswered: Callable[[], Mapping[model.Portal, float]],
                 wake: Callable[[], None] = lambda: None,
                 clock: clocks.Clock = clocks.HOST,
                 well: Callable[[float], None] = lambda rest: None,
                 subsystems: Callable[[], Mapping[str, model.Subsystem]] =
                 dict) -> None:
        self._conf = conf
        self._reader = reader
        self._clock = clock
        self._well = well
        self._log_once = log_once.LogOnce()
        self._looker = guard_look.Looker(conf, scan, executor, unanswered,
                                         subsystems, self._log_once)
        self._known_volumes = ownership.KnownVolumes()
        self._mode = 'off'
        self._bell = clock.event()
        self._pressed_at: float | None = None
        self._lost: collections.deque[tuple[tuple[str, int], str]] = (
            collections.deque(maxlen=MOST_LOST))
        self._worker = worker.Worker('guarding I/O', self._run)
        self.wake_passes = wake

    @property
    def anchors(self) -> Mapping[str, str]:
        """Array -> the leg that is its anchor; for any thread."""
        return self._looker.kept.memory.anchors

    @property
    def tally(self) -> tallies.Tally:
        """What was done so far; for any thread."""
        return self._looker.kept.tally

    @property
    def standing(self) -> Mapping[str, float]:
        """Array -> for how many seconds its I/O stands still."""
        seen = self._looker.kept.io_history
        return {name: seen.looked_at - since
                for name, since in seen.since().items()}

    @property
    def pressed(self) -> bool:
        """I/O may wait for what it does next; for any thread.

        A pass over many volumes would take its time from it.  In an outage
        that does not end it is so for a moment only.
        """
        since = self._pressed_at
        return self._bell.is_set() or (
            since is not None and self._clock.monotonic() - since < FIRST)

    def take_lost(self) -> snapshots.Lost:
        """Return which connections were lost since the last call.

        For the passes' thread: what was let go meanwhile is among them.
        """
        return dict(self._lost.popleft() for _each in range(len(self._lost)))

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
        self.leave()

    def leave(self) -> None:
        """Leave no leg failing fast: no more looks are taken."""
        self._looker.restore(self._this())

    def _run(self) -> None:
        self.run(self._worker.stopping)

    def run(self, stopping: clocks.Event) -> None:
        """Look again and again, until it is to stop."""
        while not stopping.is_set():
            pause = self.step()
            ended = self._clock.monotonic()
            self._bell.wait(pause)
            early = ended + GAP - self._clock.monotonic()
            if early > 0:
                stopping.wait(early)

    def step(self) -> float:
        """Look once; return in how many seconds to look again.

        It fails never: what goes wrong is said.
        """
        try:
            pause = self.look()
            self._well(pause)
            return pause
        except attributes.Exhausted as error:
            self._log_once.trouble('io_guard', str(error))
        except BaseException as error:
            # without a thread there is no guard until the next pass
            self._log_once.defect('io_guard', error)
        return AGAIN

    def look(self) -> float:
        """Look once, act where needed; return when to look again."""
        kept = self._looker.kept
        if self._bell.is_set():
            self._bell.clear()
            kept.unseen = True
        mode = self._conf.io_guard
        self._follow('observe' if mode == 'on' and self._conf.dry_run
                     else mode)
        this = self._this()
        activity_now = self._reader.read(kept.guarded.arrays)
        moved = activity_now.states != kept.activity.states
        self._lost.extend(_lost(kept.activity, activity_now))
        kept.unseen |= moved or this.now >= kept.due
        if moved:
            self._name_unknown(kept.activity.states, activity_now.states)
        kept.activity = activity_now
        try:
            pause = self._looker.look(this, self._known_volumes)
        finally:
            self._note_pressure(this.now)
            if moved:
                self.wake_passes()
        # due may be sooner than the next regular look
        return max(GAP, min(pause, kept.due - self._clock.monotonic()))

    def _note_pressure(self, now: float) -> None:
        kept = self._looker.kept
        if not (kept.undecided or kept.symptoms.standing):
            self._pressed_at = None
        elif self._pressed_at is None:
            self._pressed_at = now

    def _name_unknown(self, before: Mapping[str, str],
                      states: Mapping[str, str]) -> None:
        for name in before.keys() - states.keys():
            self._log_once.forget('connection %s' % name)
        for name, state in states.items():
            subject = 'connection %s' % name
            if state in devices.STATES:
                self._log_once.forget(subject)
            else:
                self._log_once.trouble(
                    subject, 'the kernel calls its state %r, which this '
                    'agent does not know: it counts as lost, and is neither '
                    'reset nor disconnected' % state)

    def _this(self) -> guard_kept.Look:
        return guard_kept.Look(self._clock.monotonic(), self._mode)

    def _follow(self, mode: str) -> None:
        """Take in that the operator has switched the guard on or off."""
        if mode != self._mode and self._mode == 'on':
            self.leave()
        self._mode = mode


def _lost(before: activity.Activity, now: activity.Activity
          ) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield what was live at one look and is lost at the next."""
    for name, state in now.states.items():
        identity = now.identities.get(name, 0)
        if (devices.is_lost(state) and before.states.get(name) == 'live'
                and before.identities.get(name, 0) == identity):
            yield (name, identity), state
