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
"""The safety rules of connections; ``rules`` asks for them.

A connection may serve several legs, of several arrays, and several may be
given up together: each array behind them has to keep a good leg (S1) and one
that waits (S9), and nobody else's property may be behind them (S4).
"""

from __future__ import annotations

from collections.abc import Sequence

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import devices
from os_brick.agent.model import snapshots
from os_brick.agent.safety import laws
from os_brick.agent.safety import ownership

Law = laws.Law

_NONE: frozenset[str] = frozenset()
GONE = 'the controller is gone'
THERE = 'it is connected already'


def one_more(action: act.Connect, replica: model.Replica,
             snapshot: snapshots.HostSnapshot,
             arrays: Sequence[model.Array]) -> str | None:
    """Return why a leg that is reached must not get these paths, too.

    :param arrays: those of the replica's volume.
    """
    target = replica.target
    if target is not None and (target.nqn != action.target.nqn or not {
            *action.portals} <= {*target.portals}):
        return Law.S12.refuses('the provisioner does not name all of %s',
                               ', '.join(map(str, action.portals)))
    if any(controller.portal in action.portals
           for controller in snapshot.connected(action.target.nqn)):
        return THERE
    for array in arrays:
        leg = array.leg_of(action.replica_uuid)
        if leg is not None and not leg.faulty and any(
                path.live and path.nqn == action.target.nqn
                for path in snapshot.paths_to(leg)):
            return None
    return Law.S4.refuses('it is no leg that is reached by another path')


def foreign_use(name: str, snapshot: snapshots.HostSnapshot,
                owned: ownership.Owned, dead: bool = False) -> str | None:
    """Return who else uses a controller, None where nobody does (S4).

    A namespace that nothing holds and that is no replica may be in use
    without leaving a trace: a virtual machine that has it open.

    :param dead: its target is lost.  An attach that reads a replica through
        it hangs with all others then, and must not keep them hanging; nor
        must a leg that was let go since.
    """
    behind = snapshot.through(name)
    if not behind:
        return Law.S4.refuses('%s carries no replica', name)
    for namespace in behind:
        if namespace.in_use:
            return Law.S4.refuses('%s is in use: %s', namespace.device,
                                  namespace.in_use)
        for holder in namespace.holders:
            if snapshot.array(holder) is None or holder not in owned.arrays:
                return Law.S4.refuses('%s is in use by %s',
                                      namespace.device, holder)
        if (not namespace.holders and namespace.uuid not in owned.replicas
                and not (dead and namespace.uuid in owned.unused)):
            return Law.S4.refuses('%s is no replica of a volume',
                                  namespace.device)
    return None


def disconnect(names: frozenset[str], snapshot: snapshots.HostSnapshot,
               owned: ownership.Owned, silent: bool = False) -> str | None:
    """Return why controllers must not be given up together.

    :param silent: they are live for the kernel and have fallen silent.
    """
    for name in sorted(names):
        controller = snapshot.controller(name)
        if controller is None:
            return GONE
        if controller.state not in devices.STATES:
            return '%s is in the state %r, which is not known' % (
                name, controller.state)
        foreign = foreign_use(name, snapshot, owned,
                              silent or not controller.live)
        if foreign is not None:
            return foreign
    for namespace in snapshot.through(*names):
        why = _give_up(namespace, names, snapshot, silent)
        if why is not None:
            return why
    return None


def _give_up(namespace: model.Namespace, names: frozenset[str],
             snapshot: snapshots.HostSnapshot, silent: bool) -> str | None:
    """Why a namespace must not lose these of its paths."""
    for holder in namespace.holders:
        if _alone_in_waiting(snapshot.array(holder), names, snapshot):
            return _nobody_waits(holder)
    live = {path.name for path in snapshot.open_paths(namespace)}
    if live - names:
        return None
    for holder in namespace.holders:
        array = snapshot.array(holder)
        leg = array.leg(namespace.device) if array else None
        if array is None or leg is None:
            return '%s is in use by %s' % (namespace.device, holder)
        if leg.faulty and not live:
            continue    # md has let go of it, and its target is lost
        if not leg.faulty and live and not silent:
            return Law.S3.refuses('%s is a working leg of %s',
                                  namespace.device, holder)
        others = [other for other in array.legs if snapshot.good(other)
                  and not _only_through(other, names, snapshot)]
        if not others:
            return Law.S1.refuses('%s has no other good leg', holder)
        if not leg.faulty and not model.held_by(leg, others):
            return Law.S1.refuses('the other good legs of %s lack blocks '
                                  'that %s holds', holder, leg.device)
    return None


def _nobody_waits(array: str) -> str:
    return Law.S9.refuses('no good leg of %s would be left to wait', array)


def _only_through(leg: model.Leg, names: frozenset[str],
                  snapshot: snapshots.HostSnapshot) -> bool:
    namespace = snapshot.behind(leg)
    return namespace is None or all(
        path.name in names for path in snapshot.open_paths(namespace))


def _alone_in_waiting(array: model.Array | None, names: frozenset[str],
                      snapshot: snapshots.HostSnapshot) -> bool:
    """Among the paths of an array's good legs, only these wait."""
    good = [leg for leg in array.legs if snapshot.good(leg)] if array else []
    return (any(waits(leg, snapshot) for leg in good)
            and not any(waits(leg, snapshot, names) for leg in good))


def waits(leg: model.Leg, snapshot: snapshots.HostSnapshot,
          without: frozenset[str] = _NONE) -> bool:
    """The leg's I/O waits for a lost path, be it without some of them."""
    namespace = snapshot.behind(leg)
    return namespace is not None and any(
        path.fast_io_fail_tmo is None and path.name not in without
        for path in snapshot.paths(namespace))


def give_up(action: act.ResetConnection, snapshot: snapshots.HostSnapshot,
            owned: ownership.Owned) -> str | None:
    """Return why a silent connection must not be given up.

    Where all connections to its portal are closed, they all have to be such
    that they may be.
    """
    return disconnect(given_up(action, snapshot), snapshot, owned,
                      silent=True)


def given_up(action: act.ResetConnection,
             snapshot: snapshots.HostSnapshot) -> frozenset[str]:
    """Return the names of all controllers that are given up by it."""
    return frozenset([action.controller, *(
        controller.name for controller in snapshot.controllers
        if action.portal is not None
        and controller.portal == action.portal)])


def fast_fail(action: act.SetFastIoFail, snapshot: snapshots.HostSnapshot,
              owned: ownership.Owned) -> str | None:
    """Return why ``fast_io_fail_tmo`` must not be set."""
    if snapshot.controller(action.controller) is None:
        return GONE
    foreign = foreign_use(action.controller, snapshot, owned)
    if foreign is not None or action.seconds is None:
        return foreign
    without = frozenset([action.controller])
    for namespace in snapshot.through(action.controller):
        for holder in namespace.holders:
            array = snapshot.array(holder)
            if array is not None and not any(
                    snapshot.good(leg) and waits(leg, snapshot, without)
                    for leg in array.legs):
                return _nobody_waits(holder)
    return None


def spread(action: act.SetIoPolicy, snapshot: snapshots.HostSnapshot,
           owned: ownership.Owned) -> str | None:
    """Return why a target's I/O must not be spread otherwise."""
    paths = snapshot.connected(action.nqn)
    if not paths:
        return GONE
    return next(filter(None, (foreign_use(path.name, snapshot, owned)
                              for path in paths)), None)


def tune(action: act.SetKeepAlive | act.SetReconnectDelay,
         snapshot: snapshots.HostSnapshot,
         owned: ownership.Owned) -> str | None:
    """Return why a time of a connection must not be set."""
    controller = snapshot.controller(action.controller)
    if controller is None:
        return GONE
    if action.seconds < 1:
        return Law.S14.refuses('%g s would be no bound', action.seconds)
    if not controller.live:
        return '%s is not live' % controller.name
    return foreign_use(action.controller, snapshot, owned)
