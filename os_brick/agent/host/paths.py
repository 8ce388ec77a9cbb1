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
"""Which NVMe-oF namespaces there are, and what leads to each of them.

Kernel source: drivers/nvme/host/multipath.c (nvmeXcYnZ).
"""

from __future__ import annotations

import functools
import os
import re

from os_brick.agent.host import attributes
from os_brick.agent.host import blocks

#: Where the controllers of NVMe-oF are, and no others.
CONTROLLERS = 'sys/class/nvme-fabrics/ctl'
#: Namespace -> its controllers, and its device on each of them.
Leading = dict[str, list[tuple[str, str]]]
# nvme1n1 (multipath off) or nvme1c2n1 (path of the head nvme1n1)
_NAMESPACE = re.compile(r'(nvme\d+)(?:c\d+)?(n\d+)\Z')


class Paths:
    """What was found the last time.

    All of it is settled when the devices are made, and found out again when
    any device or connection has come, gone or been replaced.
    """

    def __init__(self) -> None:
        self._basis: tuple[object, object] | None = None
        self._found: Leading = {}
        # device -> its head and its controller; ('', '') for what is no
        # path to an NVMe-oF namespace
        self._paths = attributes.Constants[tuple[str, str]]()

    def get(self, devices: blocks.Blocks, ctl: str,
            present: frozenset[str]) -> Leading:
        """Return what leads where.

        :param ctl: the directory of the controllers.
        :param present: the controllers that count.
        """
        basis = (devices.identities, present)
        if self._basis == basis:
            return self._found
        found, whole = [], True
        for device, identity in devices.identities.items():
            if device.startswith('nvme'):
                path = self._paths.get(device, identity, functools.partial(
                    _path, devices, ctl))
                if path is None:
                    whole = False
                elif path[1] in present:
                    found.append((path[1], device, path[0]))
        self._paths.forget_unused()
        leading: Leading = {}
        for controller, device, head in sorted(found):
            leading.setdefault(head, []).append((controller, device))
        self._basis, self._found = basis if whole else None, leading
        return leading


def _path(devices: blocks.Blocks, ctl: str,
          device: str) -> tuple[str, str] | None:
    place = devices.find(device)
    if place is None:
        return None
    parent = os.path.dirname(place)
    match = _NAMESPACE.match(device)
    if match is None or os.path.dirname(parent) != ctl:
        return '', ''
    return match[1] + match[2], os.path.basename(parent)
