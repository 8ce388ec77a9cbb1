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
"""Draw a series of faults from a seed; pure.

Laws of a series:

- The same seed, number and kinds draw the same series.
- Each volume keeps one target that no fault has touched since all volumes were
  last whole, but for an outage, which is all targets and short.
- A path that is lost, and a target that is slow, are no lost targets: the
  volume has to live on them.  Of one target no two different paths are lost
  until all volumes were whole again.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import random

#: Volume -> the targets that have its legs.
VOLUMES = {'raw': ('shared', 'plain'), 'file': ('shared', 'twin')}
#: Target -> on how many portals it is served.
PORTALS = {'shared': 2, 'plain': 1, 'twin': 2}
#: Kind -> what it is, for those who choose.
KINDS = {
    'reset': 'a target dies with a reset of its connections',
    'silence': 'the packets of a target are dropped',
    'slow': 'the disks of a target, or the way to it, become slow',
    'namespace': 'a namespace is disabled while its connection lives',
    'outage': 'all targets at once, for some seconds',
    'path': 'one of the two portals of a target is lost',
    'agent': 'the agent is killed: alone, or before, during or after the '
             'loss of a target',
    'disconnect': 'the connections to a target are removed by hand',
    'access': 'a target lives and gives no access to its namespaces (ANA)',
}
MOMENTS = ('alone', 'before', 'during', 'after')
#: How often a fault waits until all volumes are whole.
SETTLED = 0.5


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault; times in seconds.

    :ivar settled: whether all volumes are to be whole before it.
    :ivar after: how long it waits then, or after the last fault has begun.
    :ivar lasts: until its end.
    :ivar victim: the target; none: all of them, or the agent alone.
    :ivar way: how the target, or its portal, is lost: reset, silence or
        access.
    :ivar portal: number of the portal that is lost.
    :ivar volume: whose namespace it is.
    :ivar moment: when the agent is killed, and ``later`` how long after that
        moment.
    :ivar later: in an outage: between the returns of two targets.
    :ivar order: of these returns.
    """

    number: int
    kind: str
    settled: bool
    after: float
    lasts: float = 0.0
    victim: str = ''
    way: str = ''
    portal: int = 0
    volume: str = ''
    moment: str = ''
    later: float = 0.0
    order: tuple[str, ...] = ()
    round_trip: float = 0.0
    disk: float = 0.0

    @property
    def loses(self) -> frozenset[str]:
        """The targets of which no copy may be counted on."""
        if self.kind == 'outage':
            return frozenset(PORTALS)
        if self.kind in ('path', 'slow') or not self.victim:
            return frozenset()
        return frozenset([self.victim])

    def __str__(self) -> str:
        words = {
            'reset': 'reset of %(victim)s for %(lasts).1f s',
            'silence': 'silence of %(victim)s for %(lasts).1f s',
            'slow': '%(victim)s slow for %(lasts).1f s (round trip '
                    '%(round_trip).2f s, disks %(disk).2f s)',
            'namespace': 'namespace of volume %(volume)s on %(victim)s '
                         'disabled for %(lasts).1f s',
            'outage': 'outage of all targets (%(way)s) for %(lasts).1f s, '
                      'the next one back %(later).1f s later',
            'path': 'portal %(portal)d of %(victim)s lost (%(way)s) for '
                    '%(lasts).1f s',
            'disconnect': 'connections to %(victim)s removed',
            'access': 'no access to %(victim)s for %(lasts).1f s',
        }
        if self.kind == 'agent':
            found = 'agent killed' if self.moment == 'alone' else (
                'agent killed %(later).1f s %(word)s %(way)s of %(victim)s '
                'for %(lasts).1f s')
            word = {'before': 'before', 'during': 'into', 'after': 'after the '
                    'end of', 'alone': ''}[self.moment]
            return found % {**dataclasses.asdict(self), 'word': word}
        return words[self.kind] % dataclasses.asdict(self)


def survives(lost: frozenset[str]) -> bool:
    """Whether each volume has a target left."""
    return all(set(targets) - lost for targets in VOLUMES.values())


def draw(seed: int, count: int,
         kinds: Sequence[str] = tuple(KINDS)) -> tuple[Fault, ...]:
    """Return the series of a seed.

    :raises ValueError: a kind is none of ``KINDS``, or there is none.
    """
    if not kinds or set(kinds) - set(KINDS):
        raise ValueError('kinds are some of %s' % ', '.join(KINDS))
    chance = random.Random(seed)
    series: list[Fault] = []
    lost: frozenset[str] = frozenset()
    paths: dict[str, int] = {}
    for number in range(1, count + 1):
        settled = not series or chance.random() < SETTLED
        fault = _fault(chance, number, chance.choice(list(kinds)), settled,
                       frozenset() if settled else lost,
                       {} if settled else paths)
        if fault.settled:
            lost, paths = frozenset(), {}
        lost |= fault.loses
        if fault.kind == 'path':
            paths = {**paths, fault.victim: fault.portal}
        series.append(fault)
    return tuple(series)


def _fault(chance: random.Random, number: int, kind: str, settled: bool,
           lost: frozenset[str], paths: dict[str, int]) -> Fault:
    """Draw one; it waits for all volumes where it must."""
    # a loss that is shorter than any limit is one of its own
    lasts = chance.choice((chance.uniform(0.2, 2.0),
                           chance.uniform(2.0, 15.0)))
    moment = chance.choice(MOMENTS) if kind == 'agent' else ''
    fault = Fault(number, kind, settled, 0.0, moment=moment)
    if kind == 'outage':
        order = list(PORTALS)
        chance.shuffle(order)
        fault = dataclasses.replace(
            fault, lasts=chance.uniform(1.0, 6.0), order=tuple(order),
            way=chance.choice(('reset', 'silence')),
            later=chance.choice((0.0, chance.uniform(0.1, 3.0))))
    elif moment != 'alone':
        able = [name for name, portals in PORTALS.items()
                if kind != 'path' or portals > 1]
        allowed = [name for name in able
                   if kind in ('path', 'slow') or survives(lost | {name})]
        fault = _in_detail(chance, dataclasses.replace(
            fault, settled=settled or not allowed,
            victim=chance.choice(allowed or able),
            lasts=0.0 if kind == 'disconnect' else lasts), paths)
    return dataclasses.replace(
        fault, after=round(chance.uniform(0.0, 2.0) if fault.settled
                           else chance.uniform(0.2, 20.0), 2))


def _in_detail(chance: random.Random, fault: Fault,
               paths: dict[str, int]) -> Fault:
    """Draw what faults of its kind have besides."""
    if fault.kind in ('reset', 'silence', 'access'):
        return dataclasses.replace(fault, way=fault.kind)
    if fault.kind == 'agent':
        return dataclasses.replace(
            fault, way=chance.choice(('reset', 'silence')),
            later=chance.uniform(0.1, 3.0))
    if fault.kind == 'path':
        return dataclasses.replace(
            fault, way=chance.choice(('reset', 'silence')),
            portal=paths.get(fault.victim, chance.randrange(2)))
    if fault.kind == 'slow':
        return dataclasses.replace(
            fault,
            round_trip=chance.choice((0.0, chance.uniform(0.05, 0.6))),
            disk=chance.choice((0.0, chance.uniform(0.1, 1.5))))
    if fault.kind == 'namespace':
        return dataclasses.replace(fault, volume=chance.choice([
            name for name, targets in VOLUMES.items()
            if fault.victim in targets]))
    return fault
