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
"""What the kernel counts as written to block devices.

Read of arrays to which md copies and of namespaces that are out of theirs, and
of no others; each costs one open, read and close.

Source: Documentation/block/stat.rst; drivers/nvme/host/multipath.c
(nvmeXcYnZ).
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import re

from os_brick.agent.host import arrays
from os_brick.agent.host import attributes
from os_brick.agent.model import copied

_SECTORS_WRITTEN = 6
_HEAD = re.compile(r'(nvme\d+)(n\d+)\Z')
_CONTROLLER = re.compile(r'nvme(\d+)\Z')


class Reader:
    """Reads what was written to block devices.

    :param root: the directory that holds sys; '/' in earnest.
    """

    def __init__(self, root: str = '/') -> None:
        self._block = os.path.join(root, 'sys/class/block')

    def read(self, devices: Mapping[str, tuple[str, ...]]
             ) -> dict[str, copied.Count]:
        """Return device -> its count; what makes no sense is left out.

        :param devices: device -> the controllers that lead to it.
        """
        found = {}
        for device, controllers in devices.items():
            own = self._one(device)
            if own is not None:
                paths = [self._one(path) for path in _paths(
                    device, controllers)]
                found[device] = copied.Count(own, tuple(
                    path for path in paths if path is not None))
        return found

    def _one(self, device: str) -> tuple[int, int] | None:
        """Return what tells the device from others, and its bytes."""
        try:
            stat = os.open('%s/%s/stat' % (self._block, device),
                           attributes.FLAGS)
        except OSError as error:
            attributes.absent(error)
            return None
        try:
            fields = os.read(stat, attributes.PAGE).split()
            return os.fstat(stat).st_ino, (
                int(fields[_SECTORS_WRITTEN]) * arrays.SECTOR)
        except OSError as error:
            attributes.absent(error)
            return None
        except (IndexError, ValueError):
            return None
        finally:
            os.close(stat)


def _paths(head: str, controllers: tuple[str, ...]) -> list[str]:
    """Return the devices of a namespace's paths, if it has its own ones."""
    name = _HEAD.match(head)
    numbers = [match[1] for match in map(_CONTROLLER.match, controllers)
               if match]
    return ['%sc%s%s' % (name[1], number, name[2])
            for number in numbers] if name else []
