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
"""What the guard has decided at one moment, done with one wait for the lock.

What does not wait for the lock, and what does, is a batch each.

The laws:

* One scan serves for ``FRESH`` seconds, and only until the batch itself has
  done something to the array or the connection that is asked about: no rule
  is ever held against what an action before has changed.  It serves no other
  batch: over the wait for the lock nothing is kept.  One that has itself
  taken longer is done again, once; what makes I/O fail fast never rests on an
  older one (S9).
* All legs that are failed in a row are failed at once, and so with the
  connections that are disconnected: one that hangs holds up no other one.
  What does not end in time goes on by itself.
* Settings end nobody's waiting.  When the batch has used its time up they are
  put off, for a look may have become more urgent (S14).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import itertools

from os_brick.agent import clock as clocks
from os_brick.agent.host import commands
from os_brick.agent.host import effects as host_effects
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership

#: Seconds for which what a scan has seen is taken for what is.
FRESH = 0.25
#: Seconds after which settings are put off.
BUDGET = 1.0
#: Milliseconds that all legs, or all connections, of a batch are waited for.
WITHIN = 500


@dataclasses.dataclass(frozen=True)
class Step:
    """One action of a batch, and the volume that it is done for."""

    action: act.Action
    volume: model.Volume


#: Why a step was not done; None: it was.
Outcome = Exception | None


def before_the_lock(steps: Sequence[Step]) -> int:
    """Return how many of the first steps must not wait for os-brick's lock.

    All up to the last that gives up a silent connection: what comes before
    it are settings without which it would not be allowed.
    """
    return max((number for number, step in enumerate(steps, 1)
                if isinstance(step.action, act.ResetConnection)), default=0)


def fresh_look(scan: Callable[[], snapshots.HostSnapshot],
               clock: clocks.Clock
               ) -> tuple[snapshots.HostSnapshot, float]:
    """Look at this host; return what is seen, and when that was begun.

    What was seen first may be over when the last of it is seen.  On a machine
    where that is always so, the second look counts: what is urgent cannot
    wait for a better one.
    """
    began = clock.monotonic()
    snapshot = scan()
    if clock.monotonic() - began > FRESH:
        began = clock.monotonic()
        snapshot = scan()
    return snapshot, began


class Batch:
    """One batch, done once.

    :param scan: looks at all of this host; raises NotDone where it cannot.
    :param last_look: raises ``not_done.Refused`` where a rule forbids an
        action, by what a snapshot shows.
    :param do: does one action.
    """

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot],
                 last_look: Callable[[
                     act.Action, model.Volume, snapshots.HostSnapshot,
                     ownership.Owned], object],
                 do: Callable[[act.Action], None],
                 effects: host_effects.Effects, clock: clocks.Clock,
                 owned: ownership.Owned) -> None:
        self._scan = scan
        self._last_look = last_look
        self._do = do
        self._effects = effects
        self._clock = clock
        self._owned = owned
        self._snapshot = snapshots.HostSnapshot()
        self._seen_at: float | None = None
        self._touched: set[str] = set()

    def run(self, steps: Sequence[Step],
            budget: float = BUDGET) -> list[Outcome]:
        """Do them in this order; return what became of each.

        It raises nothing: one step that fails costs no other one its turn.

        :param budget: seconds after which settings are put off.
        """
        outcomes: list[Outcome] = []
        end = self._clock.monotonic() + budget
        for kind, group in itertools.groupby(
                steps, key=lambda step: type(step.action)):
            if kind in (act.FailLeg, act.Disconnect):
                outcomes += self._at_once(list(group))
                continue
            for step in group:
                late = self._clock.monotonic() > end
                if late and kind is not act.ResetConnection:
                    outcomes.append(not_done.PutOff(
                        'what is urgent comes first'))
                else:
                    outcomes.append(self._one(step))
        return outcomes

    def _one(self, step: Step) -> Outcome:
        try:
            snapshot = self._look([step.action])
            self._last_look(step.action, step.volume, snapshot, self._owned)
            if _fails_fast(step.action) and self._stale():
                return not_done.PutOff('looking at this host takes longer '
                                       'than what is seen may serve for it')
            self._touch([step.action])
            self._do(step.action)
        except Exception as error:
            return error
        return None

    def _at_once(self, steps: Sequence[Step]) -> list[Outcome]:
        """Do what is allowed of them in one call."""
        outcomes: list[Outcome] = [None] * len(steps)
        try:
            snapshot = self._look([step.action for step in steps])
        except Exception as error:
            return [error] * len(steps)
        allowed: list[int] = []
        together = frozenset[str]()
        for number, step in enumerate(steps):
            try:
                self._last_look(step.action, step.volume, snapshot,
                                self._owned)
                if isinstance(step.action, act.Disconnect):
                    together = self._and(together, step.action, snapshot)
            except Exception as error:
                outcomes[number] = error
            else:
                allowed.append(number)
        if not allowed:
            return outcomes
        done = [steps[number].action for number in allowed]
        self._touch(done)
        for number, outcome in zip(allowed, self._call(done)):
            outcomes[number] = outcome
        return outcomes

    def _and(self, together: frozenset[str], action: act.Disconnect,
             snapshot: snapshots.HostSnapshot) -> frozenset[str]:
        """Take one more that is disconnected together with the others.

        :raises not_done.Refused: they must not all be.
        """
        more = together | {action.controller}
        # of the others only those matter that serve the same arrays
        near = {name for namespace in snapshot.through(action.controller)
                for holder in namespace.holders
                if (array := snapshot.array(holder)) is not None
                for leg in array.legs
                if (one := snapshot.namespace(leg.device)) is not None
                for name in one.controllers}
        why = connections.disconnect(
            more & (near | {action.controller}), snapshot, self._owned)
        if why is not None:
            raise not_done.Refused(why)
        return more

    def _call(self, actions: Sequence[act.Action]) -> list[Outcome]:
        try:
            if isinstance(actions[0], act.FailLeg):
                errors = self._effects.fail_all(
                    [[one.array, one.device] for one in actions
                     if isinstance(one, act.FailLeg)], WITHIN)
            else:
                errors = self._effects.disconnect_all(
                    [one.controller for one in actions
                     if isinstance(one, act.Disconnect)], WITHIN)
        except (commands.CommandFailed, commands.BadArgument) as error:
            return [not_done.NotDone(str(error))] * len(actions)
        except Exception as error:
            return [error] * len(actions)
        return [_outcome(error) for error in errors]

    def _look(self, actions: Sequence[act.Action]
              ) -> snapshots.HostSnapshot:
        """Return what is, as far as these are concerned.

        :raises not_done.Refused: it cannot be seen.
        """
        if (self._stale()
                or not self._touched.isdisjoint(self._behind(actions))):
            self._snapshot, self._seen_at = fresh_look(self._scan,
                                                       self._clock)
            self._touched = set()
        return self._snapshot

    def _stale(self) -> bool:
        """Whether what was seen serves no longer."""
        return (self._seen_at is None
                or self._clock.monotonic() - self._seen_at > FRESH)

    def _touch(self, actions: Sequence[act.Action]) -> None:
        self._touched |= self._behind(actions)

    def _behind(self, actions: Sequence[act.Action]) -> set[str]:
        """The arrays and connections that the rules of these look at."""
        found: set[str] = set()
        for action in actions:
            if isinstance(action, act.ArrayAction):
                found.add(action.array)
                continue
            if isinstance(action, act.ResetConnection):
                names = connections.given_up(action, self._snapshot)
            else:
                names = frozenset([getattr(action, 'controller', '')])
            found |= names
            found.update(holder for namespace in self._snapshot.through(*names)
                         for holder in namespace.holders)
        return found


def _fails_fast(action: act.Action) -> bool:
    """Whether I/O may end in an error for it that waited before."""
    return (isinstance(action, act.SetFailfast) and action.on
            or isinstance(action, act.SetFastIoFail)
            and action.seconds is not None)


def _outcome(error: str) -> Outcome:
    if not error:
        return None
    if error.endswith(commands.HANGS):
        return not_done.UnderWay(error)
    return not_done.NotDone(error)
