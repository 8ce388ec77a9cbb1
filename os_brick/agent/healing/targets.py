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
"""Where a copy that was cut off is to be found again; pure.

What is cut off is disconnected, and the kernel forgets it.  The provisioner
says where a replica is; while it does not answer, what the kernel showed last
has to do.  It is no licence: the target may refuse this host, and a copy is
put in by what its superblock says, however it was reached.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import snapshots


def reached(array: model.Array, replica_uuid: str,
            snapshot: snapshots.HostSnapshot) -> model.Target | None:
    """Return where a leg is reached; None unless one of its paths is live.

    A path that is lost led to it once, or it would not be one of the leg's.
    """
    paths = snapshot.paths_to(array.leg_of(replica_uuid))
    if (not any(path.live for path in paths)
            or len({path.nqn for path in paths}) > 1
            or not all(path.portal for path in paths)):
        return None
    return model.Target(paths[0].nqn, tuple(
        path.portal for path in paths if path.portal is not None))


def so_far(known: model.Target | None, array: model.Array, replica_uuid: str,
           snapshot: snapshots.HostSnapshot) -> model.Target | None:
    """Return where a leg has been reached in this attachment.

    Its portals add up: it may be back through one of them before the others
    listen again.  One that never had two paths at once has one, wherever that
    leads: without native multipath a second one would be a second block
    device of the same copy.

    :param known: the same as of before.
    """
    now = reached(array, replica_uuid, snapshot)
    if now is None:
        return known
    if (known is None or known.nqn != now.nqn
            or len(known.portals) == len(now.portals) == 1):
        return now
    return model.Target(now.nqn, (*known.portals, *(
        portal for portal in now.portals if portal not in known.portals)))


def remembered(volume: model.Volume, array: model.Array,
               snapshot: snapshots.HostSnapshot,
               records: replica_record.ReplicaRecords) -> model.Volume:
    """Return the volume with the targets that were not said, as they were.

    None is filled in where no leg is live from this host: then its access may
    have been withdrawn (S12).
    """
    if not any(map(snapshot.good, array.legs)):
        return volume
    replicas = tuple(
        replica if replica.target is not None or record is None
        or record.target is None
        else dataclasses.replace(replica, target=record.target)
        for replica in volume.replicas
        for record in [records.get(replica.uuid)])
    return (volume if replicas == volume.replicas
            else dataclasses.replace(volume, replicas=replicas))
