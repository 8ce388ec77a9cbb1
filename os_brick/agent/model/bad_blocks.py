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

SECTOR = 512
#: A page of sysfs, less the longest line: what fills it may have been cut.
_FULL = 4096 - 64
_END = 1 << 62

#: (first, end) pairs in sectors of the array's data, ascending, and apart.
Ranges = tuple[tuple[int, int], ...]


def parse(text: str, offset: int) -> Ranges:
    """Return what ``md/dev-X/bad_blocks`` says: ``10240 512`` lines.

    The kernel cuts the list where a page is full.  What would follow is not
    known, and taken to be bad.

    :param offset: sector of the device at which the array's data begins.
    :raises ValueError: it is no such list.
    """
    lines = text.splitlines()
    if full := len(text) >= _FULL:
        lines.pop()     # perhaps half a line
    found: list[tuple[int, int]] = []
    for line in lines:
        first, length = map(int, line.split())
        found.append((first - offset, first - offset + length))
    if full:
        found.append((found[-1][1], _END))
    return merged(found)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return what any of them has."""
    found: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if found and first <= found[-1][1]:
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


def size(ranges: Ranges, most: int) -> int:
    """Return how many bytes they are.

    :param most: bytes of the array, which is all that can be bad.
    """
    return min(sum(end - first for first, end in ranges) * SECTOR, most)
