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
"""Attributes that stay open from one look to the next.

To read an open attribute again costs a fifth of opening, reading and closing
it.  It is its object's for ever: when that goes, it cannot be read any more
(ENODEV), whatever gets its name.  What it says is asked of the kernel anew in
each look.

An open attribute of sysfs takes 4.5 KiB of the kernel's memory once it was
read, and each counts for RLIMIT_NOFILE, so that there is a limit to them;
beyond that, attributes are read as by ``attributes.read``.
"""

from __future__ import annotations

import os
import resource

from os_brick.agent.host import attributes


def share(part: float) -> int:
    """Return how many descriptors that part of what we may have is.

    A quarter is to be left for the rest of the agent.
    """
    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * part)


class Open:
    """Open attributes, for one look at a time.

    :param most: how many are kept at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._turn = 0
        self._read = 0
        # descriptor, and the turn in which it was read last
        self._kept: dict[tuple[str, int], list[int]] = {}

    def __del__(self) -> None:
        self.close()

    def read(self, path: str, identity: int = 0,
             at: int | None = None) -> bytes | None:
        """Return an attribute, None where it is not there (any more).

        :param identity: of the object, or of the directory that ``path`` is
            relative to: what tells it from another that gets its name.
        :param at: descriptor of the directory that ``path`` is relative to.
        """
        key = (path, identity)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= self.most:
                return attributes.read(path, at)
            try:
                kept = [os.open(path, attributes.FLAGS, dir_fd=at), -1]
            except OSError as error:
                attributes.absent(error)
                return None
            self._kept[key] = kept
        try:
            raw = os.pread(kept[0], attributes.PAGE, 0)
        except OSError:
            # its object has gone; another may have got the name
            os.close(self._kept.pop(key)[0])
            self._read -= kept[1] == self._turn
            return attributes.read(path, at)
        if kept[1] != self._turn:
            kept[1] = self._turn
            self._read += 1
        return raw

    def close_unread(self) -> None:
        """Close what was not asked for since the last call."""
        if self._read < len(self._kept):
            for key in [key for key, kept in self._kept.items()
                        if kept[1] != self._turn]:
                os.close(self._kept.pop(key)[0])
        self._turn += 1
        self._read = 0

    def close(self) -> None:
        """Close all."""
        while self._kept:
            os.close(self._kept.popitem()[1][0])
        self._read = 0
