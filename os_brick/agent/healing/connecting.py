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
"""Which connections of one volume to make, and which to give up; pure.

A connection may serve other volumes, and others than the provisioner: it is
given up only where nobody else needs it.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import custody
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules

State = model.ReplicaState


def connect(view: volume_view.VolumeView) -> list[act.Action]:
    """Connect the members that are not reached, and the paths legs had."""
    steps: list[act.Action] = []
    for replica in wanted(view):
        target, more = replica.target, view.reachable(replica)
        if target is None:
            continue
        portals = target.portals
        if more:
            had = paths_had(view, replica, target.nqn)
            portals = tuple(portal for portal in portals if portal in had)
        connected = {controller.portal for controller
                     in view.snapshot.connected(target.nqn)}
        portals = tuple(portal for portal in portals
                        if portal not in connected)
        if portals:
            steps.append(act.Connect(
                'replica %s %s' % (replica.uuid, 'had more paths' if more
                                   else 'is not connected'),
                replica.uuid, target, portals, more))
    return steps


def paths_had(view: volume_view.VolumeView, replica: model.Replica,
              nqn: str | None = None) -> frozenset[model.Portal]:
    """Return the portals through which a leg that is reached is not any more.

    os-brick connected them when it attached the volume.  A lost path the
    kernel tries again by itself, until its ctrl_loss_tmo is over; one that
    was disconnected, be it with the others when all were lost, nobody does.

    :param nqn: of which target, None: whichever it is.
    """
    leg = view.array.leg_of(replica.uuid)
    known = view.records[replica.uuid].target
    paths = view.snapshot.paths_to(leg)
    if (known is None or leg is None or leg.faulty
            or nqn not in (None, known.nqn)
            or not any(path.live for path in paths)
            or any(path.nqn != known.nqn or path.portal is None
                   for path in paths)):
        return frozenset()
    return frozenset(known.portals) - {path.portal for path in paths}


def wanted(view: volume_view.VolumeView) -> list[model.Replica]:
    """Return the replicas that are to be connected.

    Beside those that are to stay these are former legs whose replacement is
    still to come.  What was cut off is disconnected, and its kernel does not
    bring it back; a copy that is back is worth more than one that is not
    there yet.
    """
    if (len(view.array.in_sync) >= view.array.raid_disks
            and not view.array.lacks):
        return [*view.members]
    return [*view.members, *(replica for replica in view.last_resorts
                             if view.records[replica.uuid].joined)]


def release(view: volume_view.VolumeView,
            owned: ownership.Owned) -> list[act.Action]:
    """End the I/O that hangs on a leg which will not be waited for."""
    # what other arrays wait for is not this volume's to end
    mine = dataclasses.replace(owned, arrays=frozenset([view.array.name]))
    steps: list[act.Action] = []
    for replica in view.volume.replicas:
        leg = view.leg(replica)
        namespace = view.snapshot.behind(leg) if leg else None
        if (leg is None or namespace is None
                or not {'faulty', 'blocked'} <= leg.flags
                or view.snapshot.reachable(namespace)
                or not (view.doomed(replica) or view.due(replica))):
            continue
        for path in view.snapshot.paths(namespace):
            step = act.Disconnect(
                'I/O to the lost replica %s hangs' % replica.uuid, path.name)
            if snapshots.cuttable(path, namespace) and rules.refusal(
                    step, view.volume, view.snapshot, mine) is None:
                steps.append(step)
    return steps


def disconnect(view: volume_view.VolumeView, staying: frozenset[str],
               owned: ownership.Owned) -> list[act.Action]:
    """Give up the connections of replicas that were let go."""
    left = tuple((replica.uuid, custody.departure(view.records, replica.uuid))
                 for replica in view.volume.replicas)
    return [
        act.Disconnect('replica %s was let go' % replica.uuid, controller,
                       left)
        for replica in view.leaving
        if replica.state is State.TERMINATING
        for controller in needless(view, replica, staying, owned)]


def needless(view: volume_view.VolumeView, replica: model.Replica,
             staying: frozenset[str], owned: ownership.Owned) -> list[str]:
    """Return the controllers of a replica that nobody needs any more.

    :param staying: replicas of all volumes that are not to be let go.
    """
    namespace = view.snapshot.namespace_of(replica.uuid)
    if namespace is None or view.leg(replica):
        return []
    known = owned.and_of(view.volume).replicas
    found = []
    for path in view.snapshot.paths(namespace):
        behind = [other for other in view.snapshot.namespaces
                  if path.name in other.controllers]
        # one that is unknown may be in use without leaving a trace
        if not any(other.holders or other.in_use or other.uuid in staying
                   or other.uuid not in known for other in behind):
            found.append(path.name)
    return found
