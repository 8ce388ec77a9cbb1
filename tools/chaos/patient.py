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
"""One target and all that ails it at the moment.

Faults overlap: a target may be silent for one and reset for another.  What
ends is one of them, and the target is then as the others have it.
"""

from __future__ import annotations

import dataclasses

from os_brick.agent.tests.functional.lab import targets


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What one fault does to a target.

    :ivar way: ``reset``, ``silence`` or (no) ``access``, of ``addresses``.
    :ivar namespaces: numbers of those that are disabled.
    :ivar round_trip: seconds; ``disk``: seconds that each I/O takes longer.
    """

    way: str = ''
    addresses: tuple[str, ...] = ()
    namespaces: tuple[int, ...] = ()
    round_trip: float = 0.0
    disk: float = 0.0

    def hits(self, address: str, way: str) -> bool:
        return self.way == way and address in self.addresses


class Patient:
    """Does to a target what its troubles say, and no more than that."""

    def __init__(self, target: targets.Target) -> None:
        self.target = target
        self._troubles: dict[int, Trouble] = {}
        self._done = self._wanted()
        for address in target.addresses:
            # the first call for an address takes longer than a fault
            target.delay(0, [address])

    def begin(self, number: int, trouble: Trouble) -> None:
        """Let a fault begin."""
        self._troubles[number] = trouble
        self._apply()

    def end(self, number: int) -> None:
        """Let a fault end, if it has begun."""
        if self._troubles.pop(number, None) is not None:
            self._apply()

    def recover(self) -> None:
        """Let all faults end."""
        self._troubles.clear()
        self._apply()

    @property
    def troubled(self) -> bool:
        """Whether a copy on it may not be counted on, or only slowly."""
        return bool(self._troubles)

    @property
    def cut_off(self) -> bool:
        """Whether it is lost on all its portals."""
        return all(any(trouble.hits(address, way)
                       for trouble in self._troubles.values()
                       for way in ('reset', 'silence', 'access'))
                   for address in self.target.addresses)

    def _wanted(self) -> dict[tuple[str, str | int], object]:
        """What each part of it ought to be."""
        troubles = list(self._troubles.values())
        found: dict[tuple[str, str | int], object] = {}
        for address in self.target.addresses:
            found['dead', address] = any(
                one.hits(address, 'reset') for one in troubles)
            found['closed', address] = any(
                one.hits(address, 'access') for one in troubles)
            found['packets', address] = 'lost' if any(
                one.hits(address, 'silence') for one in troubles) else max(
                    (one.round_trip for one in troubles), default=0.0)
        for namespace in self.target.namespaces:
            found['gone', namespace.nsid] = any(
                namespace.nsid in one.namespaces for one in troubles)
        found['disk', ''] = max((one.disk for one in troubles), default=0.0)
        return found

    def _apply(self) -> None:
        wanted = self._wanted()
        changed: dict[tuple[str, object], list[str | int]] = {}
        for (part, which), value in wanted.items():
            if self._done[part, which] != value:
                changed.setdefault((part, value), []).append(which)
        for (part, value), those in changed.items():
            getattr(self, '_set_' + part)(those, value)
        self._done = wanted

    def _set_dead(self, addresses: list[str], dead: bool) -> None:
        (self.target.kill if dead else self.target.revive)(addresses)

    def _set_closed(self, addresses: list[str], closed: bool) -> None:
        self.target.give_access('inaccessible' if closed else 'optimized',
                                addresses)

    def _set_packets(self, addresses: list[str], packets: str | float) -> None:
        if packets == 'lost':
            self.target.lose_power(addresses)
        elif packets:
            self.target.delay(float(packets), addresses)
        else:
            self.target.restore_power(addresses)

    def _set_gone(self, numbers: list[int], gone: bool) -> None:
        for namespace in self.target.namespaces:
            if namespace.nsid in numbers:
                (namespace.remove if gone else namespace.restore)()

    def _set_disk(self, _which: list[str], seconds: float) -> None:
        for namespace in self.target.namespaces:
            namespace.backing.set_delay(seconds)
