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
"""The kinds of histories: each has its seeds, its faults and its world.

What came later has higher seeds, so that a low seed is the same history as
ever.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import random

from os_brick.agent.testing.simulation import access
from os_brick.agent.testing.simulation import bad_media
from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import forgetting
from os_brick.agent.testing.simulation import harder
from os_brick.agent.testing.simulation import homecoming
from os_brick.agent.testing.simulation import hosts
from os_brick.agent.testing.simulation import migration
from os_brick.agent.testing.simulation import neighbours
from os_brick.agent.testing.simulation import paths
from os_brick.agent.testing.simulation import shape

#: Histories with a higher seed are harder: they have all faults, and targets
#: that execute late what they were sent.
HARDER_FROM = 1 << 25
#: And with a higher one still: their volume may move to another host.
MOVING_FROM = 1 << 40
#: And from here on it may be migrated alive: two hosts have it at once.
MIGRATING_FROM = 1 << 41
#: And those in which the speed of copies is limited, by option and by hand.
LIMITED_FROM = 3 << 40
#: And from here on it may be migrated so while it is degraded, and return;
#: the kernels of every second pair of seeds number their arrays.
RETURNING_FROM = 1 << 42
#: And from here on all targets have two portals, and each dies for itself.
PATHS_FROM = 1 << 43
#: And from here on media refuse writes; no volume is migrated alive there:
#: what two hosts note of the same copies each for itself, md itself mixes.
BAD_MEDIA_FROM = 1 << 44
#: And from here on targets lose what they acknowledged lately; media refuse
#: nothing there.
FORGETTING_FROM = 1 << 45
#: And from here on targets serve somebody else, too; they forget nothing.
NEIGHBOURS_FROM = 1 << 46
#: And from here on another volume has its replicas on the same targets; the
#: host does not boot, and the provisioner is not restored.
COMPANIONS_FROM = 1 << 47
#: And from here on targets that live give no access to single namespaces; of
#: eight seeds four have such another volume, and four two portals.
ACCESS_FROM = 1 << 48
#: The first seeds of the histories of each kind, and where the last ones end.
KINDS_FROM = (0, HARDER_FROM, MOVING_FROM, MIGRATING_FROM, LIMITED_FROM,
              RETURNING_FROM, PATHS_FROM, BAD_MEDIA_FROM, FORGETTING_FROM,
              NEIGHBOURS_FROM, COMPANIONS_FROM, ACCESS_FROM, 2 * ACCESS_FROM)
#: How likely a fault of theirs is one that the others do not have.
HARDER = 0.2
#: Two hosts have so much to do with one another that it is one in five.
_MIGRATIONS = [*migration.FAULTS] * 3
_RETURNS = [*homecoming.FAULTS] * 3
_PATHS = [*paths.FAULTS] * 5
_BAD_MEDIA = [*bad_media.FAULTS] * 4
_FORGETTING = [*forgetting.FAULTS] * 8
_NEIGHBOURS = [*neighbours.FAULTS] * 8
_ACCESS = [*access.FAULTS] * 12
#: All faults that there are, by their names.
FAULTS = {**faults.FAULTS, **harder.FAULTS, **hosts.FAULTS,
          **migration.FAULTS, **homecoming.FAULTS, **paths.FAULTS,
          **bad_media.FAULTS, **forgetting.FAULTS, **neighbours.FAULTS,
          **access.FAULTS}


def of_all_kinds(number: int, dice: random.Random) -> list[int]:
    """Draw the seeds of that many histories, of each kind in its turn."""
    first = [dice.randrange(begin, end) for begin, end
             in itertools.pairwise(KINDS_FROM)]
    # one that begins at the very end of its kind goes on in the next
    return [first[count % len(first)] + count // len(first)
            for count in range(number)]


def shape_of(seed: int, kinds: Sequence[str]) -> shape.Shape | None:
    """Return what the world begins with where that is not left to it."""
    found = shape.drawn(random.Random('shape of %d' % seed))
    if seed >= ACCESS_FROM:
        return dataclasses.replace(found, portals=1 + seed // 2 % 2,
                                   companion=bool(seed // 4 % 2))
    if seed >= COMPANIONS_FROM:
        return dataclasses.replace(found, companion=True)
    if paths.FAULTS.keys().isdisjoint(kinds) and (
            seed < PATHS_FROM or seed >= BAD_MEDIA_FROM):
        return None
    return dataclasses.replace(found, portals=2)


def beyond(seed: int) -> list[str]:
    """Return the faults that the histories of low seeds do not have."""
    if seed >= COMPANIONS_FROM:
        return [*(name for name in harder.FAULTS if name not in (
            'host_boots', 'provisioner_is_restored')), *(
                _ACCESS if seed >= ACCESS_FROM else ())]
    if seed >= NEIGHBOURS_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_NEIGHBOURS]
    if seed >= FORGETTING_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_FORGETTING]
    if seed >= BAD_MEDIA_FROM:
        return [*harder.FAULTS, *hosts.FAULTS, *_BAD_MEDIA]
    return [*harder.FAULTS, *(
        hosts.FAULTS if seed >= MOVING_FROM else ()), *(
        _MIGRATIONS if seed >= MIGRATING_FROM else ()), *(
        _RETURNS if seed >= RETURNING_FROM else ()), *(
        _PATHS if seed >= PATHS_FROM else ())]
