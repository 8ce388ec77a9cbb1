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
import logging

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.host import attributes
from os_brick.agent.host import batch
from os_brick.agent.host import brick_lock
from os_brick.agent.host import commands
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

LOG = logging.getLogger(__name__)
# Milliseconds.  The kernel adds up to a second of its own.
GIVE_UP_AFTER = 1000
#: Milliseconds that md is given to keep what it marks.
KEEP_WITHIN = 500
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
        self._host = host
        self._effects = effects or host_effects.Effects()
        self._clock = clock
        self._portals = portals.PortalHealth(
            lambda wanted: self._effects.probe_all(wanted), clock)
        self._evidence = evidence.Evidence(self._scan, self._effects)
        self._origins = origins.Origins(self._evidence)
        self._reconnects = reconnects.Reconnects(self._scan, self._evidence,
                                                 clock)
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
            self._do(action, contents)

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

    def _do(self, action: act.Action,
            contents: Mapping[str, superblock.Content]) -> None:
        if not isinstance(action, act.AnyAction):
            raise TypeError('unknown action %r' % (action,))
        match action:
            case act.Connect():
                self._connect(action)
            case act.Disconnect():
                self._effects.disconnect(action.controller)
            case act.SetFastIoFail():
                self._effects.set_fast_io_fail(
                    action.controller,
                    -1 if action.seconds is None else round(action.seconds))
            case act.SetKeepAlive():
                self._effects.set_keep_alive(action.controller,
                                             round(action.seconds))
            case act.SetReconnectDelay():
                self._effects.set_reconnect_delay(action.controller,
                                                  round(action.seconds))
            case act.SetIoPolicy():
                self._effects.set_iopolicy(action.subsystem, action.nqn,
                                           action.policy)
            case act.ResetConnection():
                self._give_up(action)
            case act.SetFailfast():
                self._effects.set_failfast(action.array, action.device,
                                           action.on)
            case act.SetSyncSpeedMax():
                self._effects.set_sync_speed_max(action.array,
                                                 action.kib_per_s)
            case act.SetBitmapDelay():
                self._effects.set_bitmap_delay(action.array,
                                               round(action.seconds))
            case act.FailLeg():
                self._effects.fail(action.array, action.device)
            case act.KeepMarked():
                kept = self._effects.keep_marked(
                    action.array, action.device, KEEP_WITHIN)
                LOG.debug('%s: %s chunks stay marked', action.array, kept)
            case act.RemoveLeg():
                self._effects.remove(action.array, action.device)
            case act.AddLeg():
                self._add(action, contents.get(action.device))
            case act.ReplaceLeg():
                self._effects.replace(action.array, action.device,
                                      action.spare)
            case act.Resize():
                self._effects.resize(action.array, action.raid_disks)
            case _:
                act.never(action)

    def _give_up(self, action: act.ResetConnection) -> None:
        """Close it; where the kernel cannot, the command does it."""
        if action.portal is not None:
            why = 'no TCP connection to %s was found' % action.portal
            try:
                if self._effects.close_connections(action.portal.address,
                                                   action.portal.port):
                    return
            except commands.CommandFailed as error:
                why = str(error)
            LOG.warning('%s takes a second longer to be given up: %s',
                        action.controller, why)
        self._effects.send_keep_alive(action.controller, GIVE_UP_AFTER)

    def _connect(self, action: act.Connect) -> None:
        """Connect all portals; one that fails does not stop the others."""
        errors = []
        for portal in action.portals:
            # each has the time of a command to itself
            self._progress()
            try:
                self._effects.connect(
                    action.target.nqn, portal.address, portal.port,
                    portal.transport, self._host.nqn)
            except commands.CannotRun:
                raise
            except (commands.CommandFailed,
                    commands.BadArgument) as error:
                if isinstance(error, commands.TimedOut):
                    # the other volumes are not to wait for it, too
                    self._portals.put_off(portal, str(error))
                if action.more:
                    self._portals.decline(action.target.nqn, portal,
                                          str(error))
                errors.append(str(error))
        if len(errors) < len(action.portals):
            return
        why = self.offline({action.replica_uuid: action.portals})
        if why:
            raise not_done.Offline(why[action.replica_uuid])
        raise NotDone('; '.join(errors))

    def _add(self, action: act.AddLeg,
             content: superblock.Content | None) -> None:
        known = content is not None and bool(content.superblocks)
        if action.erase or known and not action.returning:
            self._effects.erase_superblock(action.device)
        elif action.returning:
            try:
                self._effects.re_add(action.array, action.device)
                return
            except (commands.CannotRun, commands.TimedOut):
                # what did not end in time may still be under way in md: no
                # add goes beside it, nor is os-brick's lock held any longer
                raise
            except commands.CommandFailed:
                # its bitmap or event count no longer fits: copy all of it
                pass
        self._effects.add(action.array, action.device)
