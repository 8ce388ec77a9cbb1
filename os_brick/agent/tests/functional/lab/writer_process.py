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
"""The writer itself, a process of its own: python -IS writer_process.py ...

One direct 4 KiB write at a time.  What it does right now lies in a page of
shared memory, because a process whose write hangs cannot be asked; each
finished write is appended to a log on a tmpfs, never on the array.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# Beside this file, for there are no site packages.
import blocks  # type: ignore[import-not-found]  # noqa: E402

#: finished, errors, longest (ns), write under way: since (ns), sequence,
#: offset; last latency (ns), last errno.  `since` 0: none under way.
STATUS = struct.Struct('<QQQQQQQQ')


def main() -> int:
    """Write until SIGTERM, then say nothing and exit 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument('device')
    parser.add_argument('--log', required=True)
    parser.add_argument('--status', required=True)
    parser.add_argument('--session', type=int, required=True)
    parser.add_argument('--blocks', type=int, required=True)
    parser.add_argument('--pause', type=float, required=True)
    parser.add_argument('--burst', type=int, default=0)
    parser.add_argument('--gap', type=float, default=0.0)
    options = parser.parse_args()

    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame:
                  stopped.append(number))
    device = os.open(options.device, os.O_WRONLY | os.O_DIRECT)
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with open(options.status, 'r+b') as shared:
        status = mmap.mmap(shared.fileno(), mmap.PAGESIZE)
    page = mmap.mmap(-1, blocks.SIZE)  # O_DIRECT wants aligned memory
    finished = errors = longest = latency = errno = 0
    while not stopped:
        sequence = finished + 1
        offset = blocks.offset_of(sequence, options.blocks)
        page[:] = blocks.block(options.session, sequence, offset)
        start = time.monotonic_ns()
        status[:STATUS.size] = STATUS.pack(
            finished, errors, longest, start, sequence, offset, latency,
            errno)
        try:
            errno = 0
            if os.pwritev(device, [page], offset) != blocks.SIZE:
                raise OSError(5, 'short write')
        except OSError as problem:
            errno = problem.errno or 5
            errors += 1
        latency = time.monotonic_ns() - start
        longest = max(longest, latency)
        finished += 1
        os.write(log, blocks.RECORD.pack(sequence, offset, start, latency,
                                         errno))
        status[:STATUS.size] = STATUS.pack(
            finished, errors, longest, 0, sequence, offset, latency, errno)
        in_gap = options.burst and finished % options.burst == 0
        time.sleep(options.gap if in_gap else options.pause)
    return 0


if __name__ == '__main__':
    sys.exit(main())
