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
"""What a leg does not hold although md calls it in sync: its bad blocks.

Where a target refuses a write, md notes the sectors in the leg's list of bad
blocks and goes on calling it in sync.  It does so, too, where it copies to a
leg and the target refuses the write, or no other leg holds what is copied.  It
reads such sectors from another leg, and where there is none, with an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from os_brick.agent.model import amounts

SECTOR = 512
#: A page of sysfs, less the longest line: what fills it may have been cut.
_FULL = 4096 - 64
_END = 1 << 62

#: (first, end) pairs in sectors of the array's data, ascending, and apart.
Ranges = tuple[tuple[int, int], ...]


def parse(text: str, offset: int | None) -> Ranges:
    """Return what ``md/dev-X/bad_blocks`` says: ``10240 512`` lines.

    The kernel cuts the list where a page is full.  What would follow is not
    known, and taken to be bad.

    :param offset: sector of the device at which the array's data begins;
        None: not known, and so is what of it is bad.
    :raises ValueError: it is no such list.
    """
    lines = text.splitlines()
    if offset is None:
        return ((0, _END),) if lines else ()
    if full := len(text) >= _FULL and len(lines) > 1:
        lines.pop()     # perhaps half a line
    found: list[tuple[int, int]] = []
    for line in lines:
        first, length = map(int, line.split())
        found.append((first - offset, first - offset + length))
    if full:
        found.append((max(end for _first, end in found), _END))
    return merged(found)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return what any of them has."""
    found: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if first == end:
            continue
        # what was cut off stays a range of its own, see ``sure``
        if found and first <= found[-1][1] and end < _END:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((first, end))
    return tuple(found)


def common(several: Iterable[Ranges]) -> Ranges:
    """Return what all of them have; nothing where there are none."""
    found: Ranges | None = None
    for ranges in several:
        found = ranges if found is None else _both(found, ranges)
    return found or ()


def _both(some: Ranges, others: Ranges) -> Ranges:
    found, one, two = [], 0, 0
    while one < len(some) and two < len(others):
        first = max(some[one][0], others[two][0])
        end = min(some[one][1], others[two][1])
        if first < end:
            found.append((first, end))
        if some[one][1] < others[two][1]:
            one += 1
        else:
            two += 1
    return tuple(found)


def within(ranges: Ranges, others: Ranges) -> bool:
    """Return whether the others have all of these."""
    return _both(ranges, others) == ranges


def sure(ranges: Ranges) -> Ranges:
    """Return those that the kernel has listed, without what it cut off."""
    return tuple(one for one in ranges if one[1] < _END)


def size(ranges: Ranges) -> int:
    """Return how many bytes are listed; more than none where there is one."""
    listed = sum(end - first for first, end in sure(ranges))
    return max(listed, min(1, len(ranges))) * SECTOR


def words(ranges: Ranges) -> str:
    """Return the same for an operator."""
    return '%s%s' % ('' if sure(ranges) == ranges else 'at least ',
                     amounts.size(size(ranges)))
