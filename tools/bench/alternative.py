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
"""What other processes cost, as the kernel accounts it to their parent."""

from __future__ import annotations

import glob
import os
import shutil

RUNS = 10


def cpu_seconds(command: list[str], runs: int = RUNS) -> float:
    """Return the CPU time of one run: user and system, fork to exit.

    The parent's half of the fork is not in it.
    """
    total = 0.0
    with open(os.devnull, 'r+b') as null:
        silent = [(os.POSIX_SPAWN_DUP2, null.fileno(), number)
                  for number in range(3)]
        for _ in range(runs):
            pid = os.posix_spawn(command[0], command, os.environ,
                                 file_actions=silent)
            usage = os.wait4(pid, 0)[2]
            total += usage.ru_utime + usage.ru_stime
    return total / runs


class Tools:
    """What a user would otherwise let run again and again.

    :ivar detail: CPU seconds of one ``mdadm --detail``.
    :ivar listing: CPU seconds of one ``nvme list``.
    :ivar notes: what is to be known of the figures.
    :param device: an md array; without it, one of this machine, or a name
        that leads nowhere.
    """

    def __init__(self, device: str | None = None, runs: int = RUNS) -> None:
        self.notes: list[str] = []
        arrays = sorted(glob.glob('/sys/class/block/md*/md'))
        if device is None and arrays:
            device = '/dev/' + arrays[0].split('/')[4]
        if device is None:
            self.notes.append(
                'This machine has no md array: "mdadm --detail" costs its '
                'fork, exec and failed open\nonly, a LOWER BOUND.')
        if not glob.glob('/sys/class/nvme/nvme*'):
            self.notes.append(
                'This machine has no NVMe controller: "nvme list" finds '
                'nothing to ask, a LOWER BOUND,\nand costs the same for '
                'any number of arrays.')
        self.detail = self._cost(runs, 'mdadm', '--detail',
                                 device or '/dev/md0')
        self.listing = self._cost(runs, 'nvme', 'list')

    def _cost(self, runs: int, program: str, *arguments: str) -> float:
        path = shutil.which(program, path='%s:/usr/sbin:/sbin' % os.environ[
            'PATH'])
        if path is None:
            self.notes.append('%s is not installed and counts nothing.'
                              % program)
            return 0.0
        return cpu_seconds([path, *arguments], runs)

    def hourly(self, arrays: int, interval: float) -> float:
        """CPU seconds per hour of asking for each array, and nvme once."""
        return 3600 / interval * (arrays * self.detail + self.listing)
