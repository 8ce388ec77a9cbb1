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
"""Who belongs to a volume, and which spare is the best; pure.

Three rules follow from a file that an operator edits and a ledger that the
agent writes:

- The inventory gives a volume its replicas.  One that is no longer listed is
  TERMINATING until the agent confirms that it let it go.
- A spare that was assigned keeps its place while the replica it stands for
  is listed, or it is listed itself, among the spares: tidying up the file
  after a replacement never costs redundancy.
- A namespace serves one volume at a time, and once it was let go it serves
  none until the operator gives it back (``returned``).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file

State = model.ReplicaState


def reconcile(listing: inventory_file.Listing,
              entries: Iterable[assignments.Assignment],
              spares: Mapping[str, inventory_file.Backing],
              claimed: Collection[str],
              now: float) -> dict[str, assignments.Assignment]:
    """Return the volume's entries as the inventory wants them now.

    :param entries: those of this volume that the ledger holds.
    :param spares: the pool, by namespace UUID.
    :param claimed: namespaces that other volumes have not let go of.
    :param now: seconds since the epoch.
    """
    before = {entry.uuid: entry for entry in entries}
    listed = {backing.uuid: backing for backing in listing.replicas}
    # the replicas whose places are filled by a spare, and stay so
    filled = {entry.stands_for for entry in before.values() if entry.member
              and (entry.uuid in listed or _stays(entry, listed, spares))}
    after = {}
    for uuid, backing in listed.items():
        entry = before.get(uuid)
        if entry is None and uuid in claimed:
            continue
        if entry is None:
            state = State.UNKNOWN if before else State.AVAILABLE
            entry = assignments.Assignment(listing.uuid, backing, state, now)
        after[uuid] = dataclasses.replace(_revived(entry, filled, now),
                                          backing=backing)
    for uuid, entry in before.items():
        if uuid in listed or not entry.live:
            continue
        if uuid in spares:
            entry = dataclasses.replace(entry, backing=spares[uuid])
        if _stays(entry, listed, spares):
            entry = _revived(entry, filled, now)
        elif entry.state is not State.TERMINATING:
            entry = dataclasses.replace(entry, state=State.TERMINATING,
                                        state_since=now)
        after[uuid] = entry
    return after


def _stays(entry: assignments.Assignment, listed: Collection[str],
           spares: Collection[str]) -> bool:
    """Say whether a spare that is not listed as a replica keeps its place."""
    return entry.stands_for is not None and (
        entry.uuid in spares or entry.stands_for in listed)


def _revived(entry: assignments.Assignment, filled: Collection[str | None],
             now: float) -> assignments.Assignment:
    """Make it a member again where the inventory wants it and its place.

    That is so when the operator had taken it out and put it back, or when
    the spare that was assigned in its place went to another volume.
    """
    place = entry.stands_for or entry.uuid
    if entry.member or (entry.successor is not None and place in filled):
        return entry
    return dataclasses.replace(entry, state=State.UNKNOWN, state_since=now,
                               successor=None)


def describe(listing: inventory_file.Listing,
             entries: Iterable[assignments.Assignment],
             host: model.Host | None = None) -> model.Volume | None:
    """Return the volume as the agent is told of it; None: no replica.

    :param host: this host.
    """
    live = [entry for entry in entries if entry.live]
    members = [entry for entry in live if entry.member]
    if not members:
        return None
    return model.Volume(
        listing.uuid, listing.alias, listing.size,
        tuple(model.Replica(entry.uuid, entry.state or State.UNKNOWN,
                            entry.state_since, entry.backing.target)
              for entry in live),
        len(members), listing.max_replica_down_time,
        'the inventory names the host %s for it' % listing.host
        if listing.host and not _names(listing.host, host) else '')


def by_volume(entries: Iterable[assignments.Assignment]
              ) -> dict[str, list[assignments.Assignment]]:
    found: dict[str, list[assignments.Assignment]] = {}
    for entry in entries:
        found.setdefault(entry.volume, []).append(entry)
    return found


def describe_all(inventory: inventory_file.Inventory,
                 entries: Iterable[assignments.Assignment],
                 host: model.Host | None = None) -> tuple[model.Volume, ...]:
    """Return the volumes of the inventory that have a replica.

    :param host: this host.
    """
    ours = by_volume(entries)
    described = (describe(listing, ours.get(listing.uuid, ()), host)
                 for listing in inventory.volumes)
    return tuple(volume for volume in described if volume is not None)


@dataclasses.dataclass(frozen=True)
class Choice:
    """The spare that is taken, if one can be.

    :ivar why_not: spare UUID -> why it could not serve.
    """

    spare: inventory_file.Spare | None
    why_not: Mapping[str, str]


def choose(inventory: inventory_file.Inventory,
           listing: inventory_file.Listing,
           entries: Collection[assignments.Assignment],
           used: Mapping[str, int], bad: str,
           host: model.Host | None) -> Choice:
    """Return the best free spare for the place of the replica ``bad``.

    Best is: in a failure domain without a surviving replica, then where no
    replica was lost, then set aside for this volume rather than for all, then
    the smallest that will do.  A failure domain in which two were lost comes
    last: what is there is lost, too, and would be tried one after the other.

    :param entries: those of all volumes.
    :param used: how many times each namespace was let go after use.
    :param host: this host; None: not known, and no spare is its own.
    """
    names = {volume.uuid: volume.alias for volume in inventory.volumes}
    ours = [entry for entry in entries if entry.volume == listing.uuid]
    survivors = [entry.backing for entry in ours
                 if entry.member and entry.uuid != bad]
    lost = [entry.backing for entry in ours if entry.uuid == bad
            or entry.live and entry.state is State.MISSING]
    sizes = [entry.backing.size for entry in ours
             if entry.live and entry.backing.size is not None]
    needed = listing.size or min(sizes, default=0)
    fit = []
    why_not = {}
    for spare in inventory.spares:
        why = (_not_ours(spare, host) or _unfit(spare, listing, needed)
               or _taken(spare, entries, names, used))
        if why:
            why_not[spare.backing.uuid] = why
        else:
            fit.append(spare)

    def rank(spare: inventory_file.Spare) -> tuple[int, ...]:
        near = sum(together(spare.backing, other) for other in lost)
        return (near > 1, any(together(spare.backing, other)
                              for other in survivors),
                near > 0, not (spare.volumes or spare.tags),
                spare.backing.size or 0)

    return Choice(min(fit, default=None, key=rank), why_not)


def together(one: inventory_file.Backing,
             other: inventory_file.Backing) -> bool:
    """Say whether two namespaces are likely to fail at the same time.

    Where a failure domain is not given, a common subsystem or address tells.
    """
    if one.failure_domain and other.failure_domain:
        return one.failure_domain == other.failure_domain
    addresses = {portal.address for portal in one.target.portals}
    return one.target.nqn == other.target.nqn or any(
        portal.address in addresses for portal in other.target.portals)


def _names(name: str, host: model.Host | None) -> bool:
    """Say whether that is the name or the NQN of this host."""
    return host is not None and (name.lower() == host.name.lower()
                                 or name == host.nqn)


def _not_ours(spare: inventory_file.Spare, host: model.Host | None) -> str:
    """Several hosts may have this file, and only one may take a spare."""
    if not spare.host:
        return 'no host is named that may take it'
    if not _names(spare.host, host):
        return 'it is for the host %s' % spare.host
    return ''


def _unfit(spare: inventory_file.Spare, listing: inventory_file.Listing,
           needed: int) -> str:
    if (spare.volumes or spare.tags) and not (
            spare.volumes & {listing.uuid, listing.alias}
            or spare.tags & listing.tags):
        return 'set aside for other volumes or tags'
    if (spare.backing.size or 0) < needed:
        return 'too small, %d bytes where %d are needed' % (
            spare.backing.size or 0, needed)
    return ''


def _taken(spare: inventory_file.Spare,
           entries: Iterable[assignments.Assignment], names: Mapping[str, str],
           used: Mapping[str, int]) -> str:
    uuid = spare.backing.uuid
    times = used.get(uuid, 0)
    for entry in entries:
        if entry.uuid == uuid and entry.live:
            if entry.volume in names:
                return 'in use by volume %s' % names[entry.volume]
            # its volume is no longer listed, but was never let go
            times += 1
    if times > spare.returned:
        return ('was in use before; "returned: %d" gives it back to the pool'
                % times)
    return ''
