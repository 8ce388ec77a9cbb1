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
from os_brick.agent.host import descriptors
from os_brick.agent.host import device_mapper
from os_brick.agent import model

#: The kernel's words for a path on which it sends no I/O, and keeps it waiting
#: while no other one is there (drivers/nvme/host/multipath.c,
#: nvme_ana_state_names).
_NO_ACCESS = frozenset(('inaccessible', 'persistent-loss', 'change'))
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


class Device:
    """A block device, and what is settled of it.

    :ivar place: its directory, without links.
    :ivar names: None while they are not whole.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.size = place + '/size'
        self.holders = place + '/holders'
        self.names: Names | None = None
        self._access: str | None = None

    @property
    def access(self) -> str:
        """Where it says how its target lets it be accessed (ANA).

        '' for what has no target that does.  The kernel shows a device by its
        name before it has all of its attributes, and its holders after them
        (block/genhd.c, device_add_disk): until then none is missed for good.
        """
        if self._access is None:
            made = os.path.exists(self.holders)
            path = self.place + '/ana_state'
            if os.path.exists(path):
                self._access = path
            elif made:
                self._access = ''
        return self._access or ''


class Kept:
    """What one scan leaves to the next."""

    def __init__(self) -> None:
        self.devices = attributes.Constants[Device]()

    def forget_unused(self) -> None:
        self.devices.forget_unused()


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
        self._devices: dict[str, Device] = {}
        self._held: dict[str, tuple[str, ...]] = {}
        self._partitions: dict[str, list[str]] = {}
        for name in self.identities:
            match = _PARTITION.match(name) if 'p' in name else None
            if match:
                self._partitions.setdefault(match[1], []).append(name)

    def same(self) -> bool:
        """No device came, went or was replaced since."""
        return attributes.identities(self._class) == self.identities

    def device(self, name: str) -> Device | None:
        """Return a device, None where there is none of that name."""
        found = self._devices.get(name)
        if found is None and name in self.identities:
            found = self._kept.devices.get(name, self.identities[name],
                                           self._find)
            if found is not None:
                self._devices[name] = found
        return found

    def _find(self, name: str) -> Device | None:
        place = self.find(name)
        return None if place is None else Device(place)

    def find(self, name: str) -> str | None:
        """Return where a device's link leads, None where it has none."""
        link = attributes.link(self._class + '/' + name)
        return None if link is None else os.path.normpath(
            self._class + '/' + link)

    def names(self, device: Device) -> Names:
        """Return what a device is known by."""
        if device.names is not None:
            return device.names
        found = Names(
            attributes.text(attributes.read(device.place + '/dev')),
            uuid(attributes.text(attributes.read(device.place + '/uuid'))))
        if found.number and found.uuid:
            device.names = found
        return found

    def uuid(self, head: Device, path: str) -> str | None:
        """Return a namespace's UUID.

        :param path: its device on one of its controllers, which is asked
            where the head says nothing.
        """
        found = self.names(head).uuid
        other = self.device(path) if found is None else None
        if other is None or attributes.text(
                attributes.read(head.place + '/uuid')):
            return found
        return uuid(attributes.text(attributes.read(other.place + '/uuid')))

    def holders(self, name: str) -> tuple[str, ...]:
        """Return what is stacked on a device, as of this scan."""
        found = self._held.get(name)
        if found is None:
            device = self.device(name)
            found = self._held[name] = tuple(attributes.names(
                device.holders)) if device else ()
        return found

    def barred(self, name: str, keep: descriptors.Open) -> bool:
        """Whether the target gives no access over a path, and says so.

        :param keep: where the attribute may stay open.
        """
        device = self.device(name)
        return device is not None and bool(device.access) and attributes.text(
            keep.read(device.access, self.identities[name])) in _NO_ACCESS

    def mapped(self, name: str) -> str:
        """Return what device mapper calls it, and for whom; '': not its."""
        device = self.device(name) if name.startswith('dm-') else None
        if device is None:
            return ''
        called, user = device_mapper.named(device.place)
        return '%s of %s' % (called, user) if user else called

    def partitions(self, name: str, device: Device) -> list[str]:
        """Return the partitions of a namespace."""
        found = self._partitions.get(name)
        if found is None:
            return []
        return [one for one in sorted(found) if attributes.read(
            '%s/%s/partition' % (device.place, one))]


def uuid(text: str) -> str | None:
    """Return a UUID in the one spelling, None where the text is none."""
    try:
        return model.normalise_uuid(text) if text else None
    except ValueError:
        return None
