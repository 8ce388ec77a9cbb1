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
"""Single actions, each as it is done on this host.

Whether one may be done is not asked here: ``execute`` has asked.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import logging

from os_brick.agent.host import commands
from os_brick.agent.host import effects as host_effects
from os_brick.agent.host import not_done
from os_brick.agent.host import portals
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import superblock

LOG = logging.getLogger(__name__)
# Milliseconds.  The kernel adds up to a second of its own.
GIVE_UP_AFTER = 1000
#: Milliseconds that md is given to keep what it marks.
KEEP_WITHIN = 500


class Doer:
    """Does one action at a time; for any thread.

    :param host: whose NQN connections are made with.
    :param health: told of portals that take too long, or decline.
    :param offline: replicas' portals -> why this host has no way to some.
    :param progress: called before each portal is connected.
    """

    def __init__(self, effects: host_effects.Effects, host: model.Host,
                 health: portals.PortalHealth,
                 offline: Callable[[Mapping[str, Collection[model.Portal]]],
                                   Mapping[str, str]],
                 progress: Callable[[], None]) -> None:
        self._effects = effects
        self._host = host
        self._portals = health
        self._offline = offline
        self._progress = progress

    def do(self, action: act.Action,
           contents: Mapping[str, superblock.Content]) -> None:
        """Do it, with what was read of superblocks just before.

        :raises NotDone: by this host's fault; what else fails is raised as
            the errors of ``commands``.
        """
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
                                      action.spare, action.replica_uuid)
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
        why = self._offline({action.replica_uuid: action.portals})
        if why:
            raise not_done.Offline(why[action.replica_uuid])
        raise not_done.NotDone('; '.join(errors))

    def _add(self, action: act.AddLeg,
             content: superblock.Content | None) -> None:
        device, uuid = action.device, action.replica_uuid
        known = content is not None and bool(content.superblocks)
        if action.erase or known and not action.returning:
            self._effects.erase_superblock(device, uuid)
        elif action.returning:
            try:
                self._effects.re_add(action.array, device, uuid)
                return
            except (commands.CannotRun, commands.NotMeant,
                    commands.TimedOut):
                # what did not end in time may still be under way in md: no
                # add goes beside it, nor is os-brick's lock held any longer
                raise
            except commands.CommandFailed:
                # its bitmap or event count no longer fits: copy all of it
                pass
        self._effects.add(action.array, device, uuid)
