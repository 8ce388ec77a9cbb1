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
"""Shelves of namespaces, and the volumes of hosts on them."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import Any

MIB = 1024 * 1024
LEG, SPARE, VOLUME, ARRAY = 1, 2, 3, 4


def uuid(kind: int, number: int) -> str:
    return '%08x-000%d-4000-8000-000000000000' % (number, kind)


def host_name(number: int) -> str:
    return 'compute-%d' % number


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a fleet consists of.

    :ivar hosts: their number; ``volumes``: of each, with two legs.
    :ivar shelves: targets, each a failure domain of its own.
    :ivar spares: on each shelf, or on each of the extra ones.
    :ivar extra: shelves that have nothing but spares.
    """

    hosts: int
    volumes: int
    shelves: int
    spares: int
    extra: int = 0

    @property
    def spare_shelves(self) -> range:
        return range(self.shelves if self.extra else 0,
                     self.shelves + self.extra)

    def nqn(self, shelf: int) -> str:
        return 'nqn.2020-01.org.example:t%d' % shelf

    def of_host(self, host: int) -> Iterator[int]:
        """Give the numbers of a host's volumes."""
        yield from range(host * self.volumes, (host + 1) * self.volumes)

    def shelves_of(self, host: int) -> tuple[int, int]:
        """Return where the legs of a host's volumes are."""
        return host % self.shelves, (host + 1) % self.shelves

    def legs(self, volume: int) -> list[tuple[str, int]]:
        """Return the legs, each with its shelf."""
        return [(uuid(LEG, 2 * volume + slot), shelf) for slot, shelf
                in enumerate(self.shelves_of(volume // self.volumes))]

    def spare(self, shelf: int, number: int) -> str:
        return uuid(SPARE, shelf * self.spares + number)

    def namespaces(self, shelf: int) -> list[str]:
        """Return all that a shelf has."""
        return [leg for volume in range(self.hosts * self.volumes)
                for leg, home in self.legs(volume) if home == shelf] + [
            self.spare(shelf, number) for number in range(self.spares)
            if shelf in self.spare_shelves]

    def inventory(self) -> dict[str, Any]:
        """Return what the operator loads."""
        return {
            'volumes': [self._volume(host, volume)
                        for host in range(self.hosts)
                        for volume in self.of_host(host)],
            'spares': [self._namespace(self.spare(shelf, number), shelf)
                       for shelf in self.spare_shelves
                       for number in range(self.spares)]}

    def _volume(self, host: int, volume: int) -> dict[str, Any]:
        return {'uuid': uuid(VOLUME, volume), 'alias': 'vol-%d' % volume,
                'size': 32 * MIB, 'host': host_name(host),
                'replicas': [self._namespace(leg, shelf) for leg, shelf
                             in self.legs(volume)]}

    def _namespace(self, leg: str, shelf: int) -> dict[str, Any]:
        return {'uuid': leg, 'nqn': self.nqn(shelf), 'portals': [
            {'address': '192.0.0.%d' % (shelf % 256)}],
            'failure_domain': 'shelf-%d' % shelf, 'size': 64 * MIB}
