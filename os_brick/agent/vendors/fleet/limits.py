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
"""How much may be copied at once in a fleet, and who copies now; pure.

A copy has a place in etcd while it is under way.  It counts for its target,
for the failure domain of that, and for the fleet.  Planned exchanges take at
most half of the places, or one, so that they never use up all that a volume
without redundancy waits for.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json

from os_brick.agent import model
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.inventory import inventory_file


@dataclasses.dataclass(frozen=True)
class Limits:
    """Copies that may be under way at once; 0: any number.

    :ivar target: to one target.
    :ivar domain: to one failure domain.
    :ivar total: in the fleet.
    """

    target: int = 0
    domain: int = 0
    total: int = 0

    @property
    def any(self) -> bool:
        return bool(self.target or self.domain or self.total)


@dataclasses.dataclass(frozen=True)
class Place:
    """A copy that is under way, or may begin.

    :ivar target: NQN; '': not known, and counted in the fleet alone.
    :ivar domain: '' where the target has none.
    :ivar since: seconds since the epoch.
    :ivar lease: the one that the key has.
    """

    volume: str
    target: str = ''
    domain: str = ''
    planned: bool = False
    since: float = 0.0
    lease: str = ''


def delays(limits: Limits, wanted: Place, places: Collection[Place]) -> str:
    """Return why a copy does not begin, '' where it may.

    The words stay the same for as long as it waits for the same.

    :param places: those that are taken.
    """
    for what, limit, same in _scopes(limits, wanted, places):
        if not limit:
            continue
        if len(same) >= limit:
            return 'limit of the fleet: at most %d copies at once %s' % (
                limit, what)
        share = max(1, limit // 2)
        if wanted.planned and sum(one.planned for one in same) >= share:
            return ('limit of the fleet: at most %d planned exchanges at '
                    'once %s' % (share, what))
    return ''


def _scopes(limits: Limits, wanted: Place, places: Collection[Place]
            ) -> Iterator[tuple[str, int, list[Place]]]:
    if wanted.target:
        yield 'to target %s' % wanted.target, limits.target, [
            one for one in places if one.target == wanted.target]
    if wanted.domain:
        yield 'to failure domain %s' % wanted.domain, limits.domain, [
            one for one in places if one.domain == wanted.domain]
    yield 'in all', limits.total, list(places)


def dump(limits: Limits) -> dict[str, int]:
    return dataclasses.asdict(limits)


def load(said: object) -> Limits:
    """:raises fields.Nonsense: these are no limits."""
    if said is None:
        return Limits()
    if not isinstance(said, dict):
        raise fields.Nonsense('its field limits is no JSON object')
    counts = fields.Fields(said)
    return Limits(*(counts.number(field.name) if field.name in said else 0
                    for field in dataclasses.fields(Limits)))


def dump_place(place: Place) -> str:
    return json.dumps(dataclasses.asdict(place), sort_keys=True,
                      separators=(',', ':'))


def load_place(text: str) -> Place:
    """What cannot be read is a place all the same."""
    try:
        said = fields.Fields(text)
        return Place(said.uuid('volume'), said.text('target', ''),
                     said.text('domain', ''), said.get('planned') is True,
                     said.seconds('since') or 0.0, said.text('lease', ''))
    except fields.Nonsense:
        return Place('')


def places_of(resyncs: Collection[model.Resync],
              backings: Mapping[str, inventory_file.Backing],
              now: float, lease: str) -> dict[str, Place]:
    """Return what copies count for, by replica.

    :param backings: replica -> where it is.
    """
    found = {}
    for one in resyncs:
        uuid = one.replica.uuid
        backing = backings.get(uuid)
        target = backing.target if backing else one.replica.target
        found[uuid] = Place(
            one.volume.uuid, target.nqn if target else '',
            (backing.failure_domain if backing else None) or '',
            one.planned, now, lease)
    return found
