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
"""Start, watch and stop the writer; read every acknowledged write back."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent import futures
import dataclasses
import itertools
import logging
import mmap
import os
import pathlib
import random
import subprocess
import sys
import time

from os_brick.agent.tests.functional.lab import blocks
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer_process

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/writer')
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Status:
    """How the writer fares; times in seconds.

    :ivar longest_pause: the longest write, the one under way included.
    :ivar under_way: seconds since the write under way began, or 0.
    """

    finished: int
    errors: int
    longest_pause: float
    under_way: float
    last_latency: float
    last_errno: int


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A block that does not hold what was acknowledged."""

    where: str
    offset: int
    found: str
    expected: str

    def __str__(self) -> str:
        return '%s at offset %d: %s instead of %s' % (
            self.where, self.offset, self.found, self.expected)


@dataclasses.dataclass(frozen=True)
class Verification:
    """What reading back gave."""

    compared: Mapping[str, int]
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        """Whether something was compared everywhere, and all was well."""
        return (bool(self.compared) and all(self.compared.values())
                and not self.mismatches)

    def __str__(self) -> str:
        return '%s blocks compared; %d wrong%s' % (
            dict(self.compared), len(self.mismatches),
            ''.join('\n  %s' % one for one in self.mismatches[:20]))


def touch(device: str) -> None:
    """Write the first block of a device, as it is; acknowledged on return.

    That is what a volume has of a virtual machine that starts with it: the
    agent puts nothing into an array before its first write (S15).
    """
    block = mmap.mmap(-1, mmap.PAGESIZE)
    disk = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    try:
        os.preadv(disk, [block], 0)
        os.pwritev(disk, [block], 0)
    finally:
        os.close(disk)


class Writer:
    """A process that writes checksummed blocks to a device until stopped."""

    def __init__(self, device: str, span: int = 16 * 1024 * 1024,
                 pause: float = 0.005, burst: int = 0,
                 gap: float = 0.0) -> None:
        """Start writing.

        :param span: bytes of the device that are written over and over.
        :param pause: seconds between two writes.
        :param burst: with ``gap``: pause that many seconds after each
            ``burst`` writes, so that a fault can fall between two writes.
        """
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        number = next(_numbers)
        self.device = device
        self.span = span
        self.burst = burst
        self.session = random.getrandbits(63)
        self.log_path = DIRECTORY / ('writer-%d-%d.log'
                                     % (os.getpid(), number))
        self._status_path = self.log_path.with_suffix('.status')
        with self._status_path.open('wb') as status:
            status.truncate(mmap.PAGESIZE)
        with self._status_path.open('rb') as status:
            self._status = mmap.mmap(status.fileno(), mmap.PAGESIZE,
                                     prot=mmap.PROT_READ)
        self.log_path.touch()
        self._errors_path = self.log_path.with_suffix('.stderr')
        with self._errors_path.open('wb') as errors:
            self._child = subprocess.Popen(
                [sys.executable, '-IS', writer_process.__file__, device,
                 '--log', str(self.log_path),
                 '--status', str(self._status_path),
                 '--session', str(self.session),
                 '--blocks', str(span // blocks.SIZE),
                 '--pause', str(pause), '--burst', str(burst),
                 '--gap', str(gap)],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        LOG.info('writer on %s started', device)

    def status(self) -> Status:
        """Say how it fares; works also while its write hangs.

        :raises RuntimeError: when the process died by itself.
        """
        code = self._child.poll()
        if code:
            raise RuntimeError('the writer on %s ended with %s: %s' % (
                self.device, code, self._errors_path.read_text()))
        (finished, errors, longest, since, _sequence, _offset, latency,
         errno) = self._fields()
        under_way = (time.monotonic_ns() - since) / 1e9 if since else 0.0
        return Status(finished, errors, max(longest / 1e9, under_way),
                      under_way, latency / 1e9, errno)

    def wait_for_writes(self, count: int = 1,
                        limit: float = waiting.LIMIT) -> Status:
        """Wait until that many more writes have finished."""
        goal = self.status().finished + count

        def reached() -> Status | None:
            status = self.status()
            return status if status.finished >= goal else None
        return waiting.wait_until(
            reached, 'the writer on %s has finished write %d'
            % (self.device, goal), limit)

    def wait_for_stall(self, seconds: float,
                       limit: float = waiting.LIMIT) -> Status:
        """Wait until one write has been under way for that long."""
        def stalled() -> Status | None:
            status = self.status()
            return status if status.under_way >= seconds else None
        return waiting.wait_until(
            stalled, 'a write to %s has hung for %s s'
            % (self.device, seconds), limit, interval=0.05)

    def wait_for_gap(self, limit: float = waiting.LIMIT) -> Status:
        """Wait until it pauses after a burst and md has nothing to write.

        A target that dies then has no write to end with an error, which
        would make md drop the leg by itself: the next write waits.
        """
        alias = pathlib.Path(self.device).name

        def pauses() -> Status | None:
            array = host.array(alias)
            status = self.status()
            return status if (
                array is not None and array.state == 'clean'
                and status.finished and not status.finished % self.burst
                and not status.under_way) else None
        return waiting.wait_until(
            pauses, 'the writer on %s pauses and the array is clean'
            % self.device, limit, interval=0.01)

    def stop(self, limit: float = 30.0) -> Status:
        """Stop after the write under way.

        :raises waiting.TimedOut: when that write does not end.
        """
        if self._child.poll() is None:
            self._child.terminate()
        waiting.wait_until(
            lambda: self._child.poll() is not None,
            'the write under way to %s ends' % self.device, limit)
        return self.status()

    def kill(self) -> None:
        """End it at once; a write that hangs keeps it until it is let go."""
        if self._child.poll() is None:
            self._child.kill()

    def writes(self) -> list[blocks.Write]:
        """Return every finished write, in order."""
        return list(blocks.read_log(str(self.log_path)))

    def verify(self, legs: Mapping[str, int] | None = None,
               alias: str | None = None) -> Verification:
        """Read every acknowledged block back and compare it.

        The writer must be stopped: legs differ while a write is under way.

        :param legs: device to the bytes at which its share begins; default:
            every leg that is in sync, and the array itself.
        :param alias: whose legs to take; default: the writer's device.
        """
        if self._child.poll() is None:
            raise RuntimeError('stop the writer on %s before its blocks are '
                               'read back' % self.device)
        if legs is None:
            alias = alias or pathlib.Path(self.device).name
            array = host.array(alias)
            if array is None:
                raise RuntimeError('no array %s to read back' % alias)
            legs = {'/dev/' + leg.device: leg.data_offset
                    for leg in array.legs if leg.in_sync}
            legs[self.device] = 0
        _finished, _errors, _longest, since, sequence, offset, *_ = (
            self._fields())
        expected = blocks.expectations(
            self.session, blocks.read_log(str(self.log_path)),
            (sequence, offset) if since else None)
        mismatches: list[Mismatch] = []
        with futures.ThreadPoolExecutor(len(legs)) as side_by_side:
            for device, content in zip(legs, side_by_side.map(
                    self._read, legs, legs.values())):
                mismatches += self._compare(device, content, expected)
        result = Verification(
            {device: len(expected) for device in legs}, tuple(mismatches))
        LOG.info('verification of %s: %s', self.device, result)
        return result

    def discard(self) -> None:
        """Give the memory of its log back."""
        self.kill()
        for path in (self.log_path, self._status_path, self._errors_path):
            path.unlink(missing_ok=True)

    def _fields(self) -> tuple[int, ...]:
        status = writer_process.STATUS
        return status.unpack(self._status[:status.size])

    def _read(self, device: str, start: int) -> bytes:
        # In a process of its own: a read of a lost leg would never return.
        target = self.log_path.with_suffix(
            '.read-' + pathlib.Path(device).name)
        process.run('dd', 'if=' + device, 'of=%s' % target, 'bs=1M',
                    'iflag=direct,skip_bytes,count_bytes', 'skip=%d' % start,
                    'count=%d' % self.span, 'status=none')
        content = target.read_bytes()
        target.unlink()
        return content

    @staticmethod
    def _compare(where: str, content: bytes,
                 expected: Mapping[int, tuple[bytes, ...]]
                 ) -> list[Mismatch]:
        wrong = []
        for offset, allowed in sorted(expected.items()):
            found = content[offset:offset + blocks.SIZE]
            if found not in allowed:
                wrong.append(Mismatch(
                    where, offset, blocks.describe(found),
                    ' or '.join(blocks.describe(one) for one in allowed)))
        return wrong
