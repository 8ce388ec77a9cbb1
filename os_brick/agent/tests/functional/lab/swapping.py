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
"""Processes whose memory the kernel wants back, and somewhere to put it.

Memory belongs to the control group in which it was touched first, so that a
process has to be started in the one that is pressed; ``memory.reclaim`` is
what a machine that runs short of memory does.  Source:
Documentation/admin-guide/cgroup-v2.rst, Linux 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import errno
import pathlib
import re
import resource

from os_brick.agent.tests.functional.lab import process

GROUPS = pathlib.Path('/run/nvme-agent-lab/cgroup')
_ZRAM = pathlib.Path('/sys/class/zram-control')
SPACE = 512 << 20


@contextlib.contextmanager
def space(size: int = SPACE) -> Iterator[None]:
    """Have swap space: memory that is compressed."""
    process.run('modprobe', 'zram')
    number = (_ZRAM / 'hot_add').read_text().strip()
    device = '/dev/zram' + number
    try:
        pathlib.Path('/sys/block/zram%s/disksize' % number).write_text(
            str(size))
        process.run('mkswap', device)
        process.run('swapon', device)
        try:
            yield
        finally:
            process.run('swapoff', device)
    finally:
        (_ZRAM / 'hot_remove').write_text(number)


class Group:
    """A control group for memory; an empty one is left behind."""

    def __init__(self, name: str) -> None:
        if not GROUPS.is_mount():
            GROUPS.mkdir(parents=True, exist_ok=True)
            process.run('mount', '-t', 'cgroup2', 'none', str(GROUPS))
        (GROUPS / 'cgroup.subtree_control').write_text('+memory')
        self._path = GROUPS / name
        self._path.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def starting(self, pids: Iterable[int]) -> Iterator[None]:
        """Let these processes be in it, and so what they start meanwhile.

        That may lock all of its memory, as systemd lets the agent.
        """
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        before = {}
        try:
            for pid in pids:
                before[pid] = resource.prlimit(
                    pid, resource.RLIMIT_MEMLOCK, unlimited)
                (self._path / 'cgroup.procs').write_text(str(pid))
            yield
        finally:
            for pid, limit in before.items():
                resource.prlimit(pid, resource.RLIMIT_MEMLOCK, limit)
                (GROUPS / 'cgroup.procs').write_text(str(pid))

    def reclaim(self) -> None:
        """Take back all that can be had."""
        try:
            (self._path / 'memory.reclaim').write_text(str(SPACE))
        except OSError as error:
            if error.errno != errno.EAGAIN:   # there was not as much
                raise


def memory(pid: int) -> dict[str, int]:
    """Return what of a process is where: ``VmLck``, ``VmSwap`` and the like.

    In bytes; Documentation/filesystems/proc.rst.
    """
    with open('/proc/%d/status' % pid, encoding='ascii') as status:
        fields = dict(line.split(':', 1) for line in status)
    return {name: int(words.split()[0]) << 10 for name, words
            in fields.items() if name.startswith(('Vm', 'Rss'))}


def swapped(pid: int) -> dict[str, int]:
    """Return what of a process is in swap space: mapping -> bytes.

    Counted in its page tables; ``VmSwap`` is what each thread has told of.
    """
    found: dict[str, int] = {}
    mapping = ''
    with open('/proc/%d/smaps' % pid, encoding='utf-8') as mappings:
        for line in mappings:
            name, _, words = line.partition(':')
            if re.match('[0-9a-f]+-', line):
                mapping = line.strip()
            elif name == 'Swap' and words.split()[0] != '0':
                found[mapping] = int(words.split()[0]) << 10
    return found
