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
"""Which block devices there are, where they are, and what holds them.

Names come from /sys/class/block, whose links lead to the devices' own
directories below /sys/devices.
"""

from __future__ import annotations

import dataclasses
import os
import re

from os_brick.agent.host import attributes
from os_brick.agent import model

# block/partitions/core.c, add_partition: the disk's name ends in a digit
_PARTITION = re.compile(r'(nvme\d+n\d+)p\d+\Z')


@dataclasses.dataclass(frozen=True)
class Names:
    """What a namespace is known by, settled when its device is made.

    :ivar number: major:minor.
    :ivar uuid: its NVMe UUID.
    """

    number: str
    uuid: str | None


class Kept:
    """What one scan leaves to the next.

    :ivar places: device -> its directory, without links.
    """

    def __init__(self) -> None:
        self.places = attributes.Constants[str]()
        self.names = attributes.Constants[Names](
            lambda names: bool(names.number and names.uuid))

    def forget_unused(self) -> None:
        self.places.forget_unused()
        self.names.forget_unused()


class Blocks:
    """The block devices of one scan.

    :ivar identities: name -> what tells it from a later one of that name.
    """

    def __init__(self, root: str, kept: Kept) -> None:
        # without links, for places are compared with one another
        self._class = attributes.without_links(
            os.path.join(root, 'sys/class/block'))
        self._kept = kept
        self.identities = attributes.identities(self._class)
        self._held: dict[str, tuple[str, ...]] = {}
        self._partitions: dict[str, list[str]] = {}
        for name in self.identities:
            match = _PARTITION.match(name) if 'p' in name else None
            if match:
                self._partitions.setdefault(match[1], []).append(name)

    def same(self) -> bool:
        """No device came, went or was replaced since."""
        return attributes.identities(self._class) == self.identities

    def place(self, device: str) -> str | None:
        """Return the directory of a device, None where it has none."""
        identity = self.identities.get(device)
        if identity is None:
            return None
        return self._kept.places.get(device, identity, self._find)

    def _find(self, device: str) -> str | None:
        try:
            link = os.readlink(self._class + '/' + device)
        except OSError:
            return None
        return os.path.normpath(self._class + '/' + link)

    def names(self, device: str, place: str) -> Names:
        """Return what the device in that place is known by."""
        def look(_device: str) -> Names:
            return Names(
                attributes.text(attributes.read(place + '/dev')),
                uuid(attributes.text(attributes.read(place + '/uuid'))))

        found = self._kept.names.get(device, self.identities[device], look)
        assert found is not None
        return found

    def holders(self, device: str) -> tuple[str, ...]:
        """Return what is stacked on a device, as of this scan."""
        found = self._held.get(device)
        if found is None:
            place = self.place(device)
            found = self._held[device] = tuple(attributes.names(
                place + '/holders')) if place else ()
        return found

    def partitions(self, device: str, place: str) -> list[str]:
        """Return the partitions of a namespace."""
        return [name for name in sorted(self._partitions.get(device, ()))
                if attributes.read('%s/%s/partition' % (place, name))]


def uuid(text: str) -> str | None:
    """Return a UUID in the one spelling, None where the text is none."""
    try:
        return model.normalise_uuid(text) if text else None
    except ValueError:
        return None
