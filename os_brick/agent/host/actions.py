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
from collections.abc import Iterator
import contextlib
import socket
import time

from oslo_concurrency import lockutils
from oslo_config import cfg

from os_brick.agent import action as act
from os_brick.agent.host import privileged
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent import rules

# os_brick.initiator.connectors.base.synchronized('connect_volume', ...)
_LOCK_NAME, _LOCK_PREFIX = 'connect_volume', 'os-brick-'
PROBE_TIMEOUT = 3.0
LOCK_DELAY = 0.05
STOP_PATIENCE = 2.0


class NotDone(Exception):
    """An action was refused or failed; the text says why."""


class Refused(NotDone):
    """A safety rule forbade it, or the world has moved on."""


class LockHeld(NotDone):
    """os-brick is attaching or detaching; no action can be done now."""


class Executor:
    """Carries actions out on this host, one at a time.

    :param stopping: when it says True, the lock is not waited for long.
    """

    def __init__(self, conf: cfg.ConfigOpts, scanner: sysfs.Scanner,
                 host: model.Host,
                 stopping: Callable[[], bool] = lambda: False) -> None:
        self._conf = conf
        self._scanner = scanner
        self._host = host
        self._stopping = stopping

    def execute(self, action: act.Action, volume: model.Volume,
                ours: Collection[str], known: Collection[str] = ()) -> None:
        """Do one action.

        :param ours: names of the arrays that are the provisioner's volumes.
        :param known: UUIDs of all replicas of the provisioner's volumes.
        :raises NotDone: with the reason; nothing, or not all, was done.
        """
        if isinstance(action, act.Connect):
            action = self._listening(action)
        with self._lock():
            why = rules.refusal(action, volume, self._scanner.scan(), ours,
                                known)
            if why is not None:
                raise Refused(why)
            try:
                self._do(action)
            except (privileged.CommandFailed,
                    privileged.BadArgument) as error:
                raise NotDone(str(error)) from error

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold os-brick's lock; give up after ``lock_timeout``."""
        path = self._conf.os_brick.lock_path
        began = time.monotonic()
        while True:
            lock = lockutils.lock(_LOCK_NAME, _LOCK_PREFIX, external=True,
                                  lock_path=path, blocking=False,
                                  do_log=False)
            try:
                lock.__enter__()
            except lockutils.AcquireLockFailedException:
                patience = self._conf.lock_timeout
                if self._stopping():
                    patience = min(patience, STOP_PATIENCE)
                if time.monotonic() - began > patience:
                    raise LockHeld(
                        'os-brick holds %s/%s%s (an attach or detach?) for '
                        'more than %g s' % (path, _LOCK_PREFIX, _LOCK_NAME,
                                            patience)) from None
                time.sleep(LOCK_DELAY)
                continue
            except OSError as error:
                raise NotDone('os-brick\'s lock in %s (option lock_path of '
                              '[os_brick]): %s' % (path, error)) from error
            break
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _listening(self, action: act.Connect) -> act.Connect:
        """Leave the portals out that do not answer."""
        listening, errors = [], []
        for portal in action.portals:
            if portal.transport == 'tcp':
                try:
                    socket.create_connection(
                        (portal.address, portal.port), PROBE_TIMEOUT).close()
                except OSError as error:
                    errors.append('%s: %s' % (portal, error))
                    continue
            listening.append(portal)
        if not listening:
            raise NotDone('no portal of target %s answers: %s' % (
                action.target.nqn, '; '.join(errors)))
        return act.Connect(action.reason, action.replica_uuid, action.target,
                           tuple(listening))

    def _do(self, action: act.Action) -> None:
        if isinstance(action, act.Connect):
            self._connect(action)
        elif isinstance(action, act.Disconnect):
            privileged.disconnect(action.controller)
        elif isinstance(action, act.SetFastIoFail):
            privileged.set_fast_io_fail(
                action.controller,
                -1 if action.seconds is None else round(action.seconds))
        elif isinstance(action, act.FailLeg):
            privileged.fail(action.array, action.device)
        elif isinstance(action, act.RemoveLeg):
            privileged.remove(action.array, action.device)
        elif isinstance(action, act.AddLeg):
            self._add(action)
        elif isinstance(action, act.ReplaceLeg):
            privileged.replace(action.array, action.device, action.spare)
        elif isinstance(action, act.Resize):
            privileged.resize(action.array, action.raid_disks)
        else:
            raise TypeError('unknown action %r' % (action,))

    def _connect(self, action: act.Connect) -> None:
        """Connect all portals; one that fails does not stop the others."""
        errors = []
        for portal in action.portals:
            try:
                privileged.connect(action.target.nqn, portal.address,
                                   portal.port, portal.transport,
                                   self._host.nqn)
            except (privileged.CommandFailed,
                    privileged.BadArgument) as error:
                errors.append(str(error))
        if len(errors) == len(action.portals):
            raise NotDone('; '.join(errors))

    def _add(self, action: act.AddLeg) -> None:
        if action.returning:
            try:
                privileged.re_add(action.array, action.device)
                return
            except privileged.CommandFailed:
                # its bitmap or event count no longer fits: copy all of it
                pass
        privileged.add(action.array, action.device)
