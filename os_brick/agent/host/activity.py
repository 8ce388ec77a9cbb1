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
no lock, no privilege.  What is read stays open (``descriptors``).

Sources: Documentation/block/stat.rst, drivers/nvme/host/sysfs.c (state).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import os

from os_brick.agent.host import attributes
from os_brick.agent.host import descriptors
from os_brick.agent import model

# reads, writes, discards and flushes that have ended; see stat.rst
_ENDED = (0, 4, 11, 15)
_UNDER_WAY = 8


@dataclasses.dataclass(frozen=True)
class Activity:
    """What the small reads of one look have said.

    :ivar states: controller -> the kernel's word for its state.
    :ivar counters: array -> its I/O.
    :ivar identities: controller -> what ``model.Controller`` has of that name.
    """

    states: Mapping[str, str] = dataclasses.field(default_factory=dict)
    counters: Mapping[str, model.IoCounters] = dataclasses.field(
        default_factory=dict)
    identities: Mapping[str, int] = dataclasses.field(default_factory=dict)


class ActivityReader:
    """Reads the states of connections and the counters of I/O.

    :param root: the directory that holds sys; '/' in earnest.
    """

    def __init__(self, root: str = '/') -> None:
        self._controllers = os.path.join(root, 'sys/class/nvme-fabrics/ctl')
        self._block = os.path.join(root, 'sys/class/block')
        self._values = attributes.Values()
        self._open = descriptors.Open(descriptors.share(1 / 4))

    def read(self, arrays: Iterable[str]) -> Activity:
        """Look once; what vanishes or makes no sense is left out."""
        identities = attributes.identities(self._controllers, 'nvme')
        activity = Activity(self._states(identities), self._counters(arrays),
                            identities)
        self._open.close_unread()
        self._values.forget_unused()
        return activity

    def _states(self, identities: Mapping[str, int]) -> dict[str, str]:
        found = {}
        for name, identity in identities.items():
            text = attributes.text(self._open.read(
                self._controllers + '/' + name + '/state', identity))
            if text:
                found[name] = text
        return found

    def _counters(self, arrays: Iterable[str]) -> dict[str, model.IoCounters]:
        found = {}
        for name in arrays:
            stat = self._open.read(self._block + '/' + name + '/stat')
            try:
                found[name] = self._values.get(name, _count, stat)
            except ValueError:
                continue
            if found[name].under_way:
                found[name] = self._split(name, found[name])
            state = self._block + '/' + name + '/md/array_state'
            if (not found[name].under_way and attributes.text(
                    self._open.read(state)) == 'write-pending'):
                # a write that waits for md's superblock is not counted yet
                found[name] = dataclasses.replace(found[name], under_way=1)
        return found

    def _split(self, name: str, io: model.IoCounters) -> model.IoCounters:
        """Tell reads that are under way from writes.

        It is read a moment later: what has ended by then is not under way.
        """
        words = attributes.text(self._open.read(
            self._block + '/' + name + '/inflight')).split()
        try:
            reads, writes = map(int, words)
        except ValueError:
            return io
        return dataclasses.replace(io, under_way=reads + writes,
                                   reads_under_way=reads)


def _count(stat: bytes | None) -> model.IoCounters:
    """:raises ValueError: it makes no sense."""
    fields = attributes.text(stat).split()
    if len(fields) <= _UNDER_WAY:
        raise ValueError('%d fields' % len(fields))
    return model.IoCounters(
        sum(int(fields[index]) for index in _ENDED if index < len(fields)),
        int(fields[_UNDER_WAY]), int(fields[0]))
