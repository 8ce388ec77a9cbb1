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
"""A few small reads that tell whether anything has changed on this host.

Read twice a second, so it is no scan: the state of each NVMe-oF controller,
and of each guarded array how much I/O has ended and is under way.  No fork,
no lock, no privilege.  Sources: Documentation/block/stat.rst (stat),
drivers/nvme/host/sysfs.c (state).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import os

from os_brick.agent import stall

# reads, writes, discards and flushes that have ended; see stat.rst
_ENDED = (0, 4, 11, 15)
_UNDER_WAY = 8


@dataclasses.dataclass(frozen=True)
class Beat:
    """:ivar states: controller -> the kernel's word for its state.

    :ivar flows: array -> its I/O.
    """

    states: Mapping[str, str] = dataclasses.field(default_factory=dict)
    flows: Mapping[str, stall.Flow] = dataclasses.field(default_factory=dict)


class Pulse:
    """:param root: the directory that holds sys; '/' in earnest."""

    def __init__(self, root: str = '/') -> None:
        self._controllers = os.path.join(root, 'sys/class/nvme-fabrics/ctl')
        self._block = os.path.join(root, 'sys/class/block')

    def read(self, arrays: Iterable[str]) -> Beat:
        """Look once; what vanishes or makes no sense is left out."""
        return Beat(self._states(), self._flows(arrays))

    def _states(self) -> dict[str, str]:
        try:
            names = os.listdir(self._controllers)
        except OSError:
            return {}
        found = {}
        for name in names:
            text = _read(self._controllers + '/' + name + '/state')
            if text is not None:
                found[name] = text.strip()
        return found

    def _flows(self, arrays: Iterable[str]) -> dict[str, stall.Flow]:
        found = {}
        for name in arrays:
            fields = (_read(self._block + '/' + name + '/stat') or '').split()
            try:
                found[name] = stall.Flow(
                    sum(int(fields[index]) for index in _ENDED
                        if index < len(fields)), int(fields[_UNDER_WAY]))
            except (IndexError, ValueError):
                continue
            state = self._block + '/' + name + '/md/array_state'
            if (not found[name].under_way
                    and _read(state) == 'write-pending\n'):
                # a write that waits for md's superblock is not counted yet
                found[name] = stall.Flow(found[name].ended, 1)
        return found


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 4096).decode('ascii', 'replace')
    except OSError:
        return None
    finally:
        os.close(descriptor)
