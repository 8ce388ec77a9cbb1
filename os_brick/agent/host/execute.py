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
"""Doing an action: under os-brick's lock, with a last look at the host.

Nothing slow is done while the lock is held: whether a target listens is found
out before.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.host import attributes
from os_brick.agent.host import batch
from os_brick.agent.host import brick_lock
from os_brick.agent.host import doing
from os_brick.agent.host import effects as host_effects
from os_brick.agent.host import evidence
from os_brick.agent.host import not_done
from os_brick.agent.host import origins
from os_brick.agent.host import portals
from os_brick.agent.host import reconnects
from os_brick.agent.host import routes
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import copies
from os_brick.agent.safety import farewell
from os_brick.agent.safety import origin
from os_brick.agent.safety import ownership
from os_brick.agent.safety import reading
from os_brick.agent.safety import rules

_NOBODY: frozenset[str] = frozenset()
_UNREAD: Mapping[str, superblock.Content] = {}
_OF_NO_USE = (copies.Standing.FOREIGN, copies.Standing.UNREADABLE)
NotDone = not_done.NotDone
Refused = not_done.Refused
Divergent = not_done.Divergent
HostUnfit = not_done.HostUnfit
Offline = not_done.Offline
LockHeld = not_done.LockHeld


class Executor:
    """Carries actions out on this host, one at a time; for any thread.

    :param stopping: when it says True, the lock is not waited for long.
    :param effects: what reaches out; None: to this host.
    :param set_back: says from when this host's wall clock was set back.
    :param progress: called by ``execute`` whenever a step is taken: before
        each action, and for each portal of one.
    """

    def __init__(self, conf: cfg.ConfigOpts, scanner: sysfs.Scanner,
                 host: model.Host,
                 stopping: Callable[[], bool] = lambda: False,
                 effects: host_effects.Effects | None = None,
                 clock: clocks.Clock = clocks.HOST,
                 set_back: Callable[[], float | None] = lambda: None,
                 progress: Callable[[], None] = lambda: None) -> None:
        self._set_back = set_back
        self._progress = progress
        self._scanner = scanner
        self._effects = effects or host_effects.Effects()
        self._clock = clock
        self._portals = portals.PortalHealth(
            lambda wanted: self._effects.probe_all(wanted), clock)
        self._evidence = evidence.Evidence(self._scan, self._effects)
        self._origins = origins.Origins(self._evidence)
        self._reconnects = reconnects.Reconnects(self._scan, self._evidence,
                                                 clock)
        self._doer = doing.Doer(self._effects, host, self._portals,
                                self.offline, progress)
        self._lock = brick_lock.BrickLock(conf, stopping, self._effects,
                                          clock)

    def execute(self, action: act.Action, volume: model.Volume,
                owned: ownership.Owned) -> None:
        """Do one action.

        :raises NotDone: with the reason; nothing, or not all, was done.
        """
        self._progress()
        if isinstance(action, act.Connect):
            action = self._listening(action)
        elif isinstance(action, act.Disconnect):
            self._reconnects.settled(action.controller)
        with self._lock.held(urgent=False):
            snapshot, _began = batch.fresh_look(self._scan, self._clock)
            contents = self._last_look(action, volume, snapshot, owned)
            if isinstance(action, act.AddLeg):
                array = snapshot.array(action.array)
                if array is not None:
                    self._origins.put_in(array, action.replica_uuid)
            try:
                self._attempt(action, contents)
            except not_done.NotDone:
                if self._ended(action, volume, owned):
                    raise not_done.Ended(
                        'somebody else was there first') from None
                raise

    def _ended(self, action: act.Action, volume: model.Volume,
               owned: ownership.Owned) -> bool:
        """Whether what failed has come about all the same, by udev say."""
        try:
            why = rules.refusal(action, volume, self._scan(), owned)
        except not_done.NotDone:
            return False
        return why in rules.ENDED and not isinstance(action, act.AddLeg)

    def execute_all(self, steps: Sequence[batch.Step],
                    owned: ownership.Owned,
                    heard: Collection[str] = _NOBODY,
                    budget: float = batch.BUDGET) -> list[batch.Outcome]:
        """Do what ends hanging I/O: without the lock rather than not at all.

        What gives up a silent connection does not wait for the lock: to
        os-brick it is the network's doing, and half a second later the kernel
        may have sent a keep-alive command that it waits for.

        :param heard: devices that have answered a read just now: they are
            not asked again.
        :param budget: seconds after which settings are put off.
        :returns: what became of each step, as ``batch.Batch.run`` does.
        """
        def run(some: Sequence[batch.Step]) -> list[batch.Outcome]:
            return batch.Batch(
                self._scan, functools.partial(self._last_look, heard=heard),
                self._attempt, self._effects, self._clock, owned).run(
                    some, budget)

        first = batch.before_the_lock(steps)
        outcomes = run(steps[:first])
        if first < len(steps):
            with self._lock.held(urgent=True):
                # a batch of its own: whoever held the lock may have changed
                # what was looked at before
                outcomes += run(steps[first:])
        return outcomes

    def _scan(self) -> snapshots.HostSnapshot:
        """:raises Refused: there is nothing left to look with."""
        try:
            return self._scanner.scan()
        except attributes.Exhausted as error:
            raise Refused(str(error)) from error

    def _attempt(self, action: act.Action,
                 contents: Mapping[str, superblock.Content] = _UNREAD
                 ) -> None:
        with not_done.told():
            self._doer.do(action, contents)

    def _last_look(self, action: act.Action, volume: model.Volume,
                   snapshot: snapshots.HostSnapshot, owned: ownership.Owned,
                   heard: Collection[str] = _NOBODY
                   ) -> Mapping[str, superblock.Content]:
        """Return what was read of superblocks just now.

        :raises Refused: a rule forbids it, by what was read.
        """
        contents = self.superblocks(reading.to_be_read(
            action, volume, snapshot, owned))
        asked = farewell.to_answer(action, volume, snapshot, owned)
        past = self.past()
        why = rules.refusal(action, volume, snapshot, owned, contents,
                            asked.devices, past)
        if why is None and not asked.heard(heard):
            why = rules.refusal(
                action, volume, snapshot, owned, contents,
                self.answering_patiently(asked.devices), past)
        if why is None:
            return contents
        if why in rules.ENDED and not isinstance(action, act.AddLeg):
            raise not_done.Ended(why)
        for uuid, found in reading.judged(action, volume, snapshot, owned,
                                          contents, past).items():
            given_up = isinstance(action, act.AddLeg) and action.erase
            if found.standing is copies.Standing.DIVERGENT and not given_up:
                raise Divergent(found.why, uuid)
            if (found.standing in _OF_NO_USE
                    and isinstance(action, act.AddLeg)):
                # that will not change by itself: it is of no use
                raise NotDone(why)
        raise Refused(why)

    def note_origins(self, snapshot: snapshots.HostSnapshot) -> None:
        """As ``origins.Origins.look`` has it."""
        self._origins.look(snapshot)

    def note_legs(self, snapshot: snapshots.HostSnapshot) -> None:
        """As ``origins.Origins.note_legs`` has it."""
        self._origins.note_legs(snapshot)

    def past(self) -> origin.Background:
        """Return what is known of the past of the copies."""
        return origin.Background(self._set_back(), self._origins.found)

    def superblocks(self, devices: Collection[str]
                    ) -> dict[str, superblock.Content]:
        """As ``evidence.Evidence`` has it."""
        return self._evidence.superblocks(devices)

    def answering(self, devices: Collection[str]) -> frozenset[str]:
        """As ``evidence.Evidence`` has it."""
        return self._evidence.answering(devices)

    def answering_patiently(self, devices: Collection[str]
                            ) -> frozenset[str]:
        """As ``evidence.Evidence`` has it."""
        return self._evidence.answering_patiently(devices)

    def listening(self, portals: Collection[model.Portal]
                  ) -> frozenset[model.Portal]:
        """As ``evidence.Evidence`` has it."""
        return self._evidence.listening(portals)

    def survey(self, connects: Collection[act.Connect],
               more: bool = False) -> None:
        """Ask all portals at once that are to be connected in this pass.

        Of what is not among them is forgotten what was known.

        :param more: ask those of the targets that are reached already, and
            not of the others.
        """
        self._portals.keep(
            (one.target.nqn for one in connects if not one.more),
            (one.target.nqn for one in connects if one.more))
        self._portals.ask(((one.target, one.portals) for one in connects
                           if one.more is more), more)

    def offline(self, wanted: Mapping[str, Collection[model.Portal]]
                ) -> dict[str, str]:
        """As ``routes.offline`` has it."""
        return routes.offline(wanted, self._effects.no_way)

    def _listening(self, action: act.Connect) -> act.Connect:
        """Leave the portals out that do not answer."""
        declined = (self._portals.declined(action.target.nqn) if action.more
                    else {})
        self._portals.ask([(action.target, tuple(
            portal for portal in action.portals if portal not in declined))],
            action.more)
        silent = {**self._portals.silences(), **declined}
        listening = tuple(portal for portal in action.portals
                          if portal not in silent)
        if not listening:
            network = self._portals.network()
            if network and not action.more:
                raise not_done.Offline(network)
            raise not_done.NoAnswer(
                'no %sportal of target %s answers: %s' % (
                    'other ' if action.more else '', action.target.nqn,
                    '; '.join(
                        '%s: %s' % (portal, silent[portal].why)
                        for portal in action.portals)))
        return dataclasses.replace(action, portals=listening)
