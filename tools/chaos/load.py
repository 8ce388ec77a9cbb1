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
"""The load of one volume: a writer that notes each write, and fio.

The writer's pauses are measured, and what was acknowledged to it is read back
in the end.  fio has several writes under way at once and reads them back all
the time: a read of a stale leg is found when it happens.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from os_brick.agent.tests.functional.lab import blocks
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/chaos')
#: Bytes that the writer and fio each write to, over and over.
SPAN, FIO_SPAN = 8 * targets.MIB, 8 * targets.MIB
#: Seconds between two writes of the writer: the log of an hour is read back.
PAUSE = 0.08
#: How many writes fio has under way at once, and seconds after each.
JOBS, THINK = 4, 0.3
LIMIT = 300.0


class Load:
    """A writer and fio on one volume, or on a file system on it.

    :ivar problems: what fio or fsck said, a sentence each.
    """

    def __init__(self, session: session_lib.Session,
                 volume: connector.Volume, mounted: bool) -> None:
        """Begin.

        :param mounted: whether it is on files of an ext4 file system.
        """
        self.volume = volume
        self.problems: list[str] = []
        self._folder = DIRECTORY / volume.alias
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._mount = self._folder / 'mount' if mounted else None
        if self._mount:
            process.run('mkfs.ext4', '-q', '-b', '4096', '-E',
                        'nodiscard,lazy_itable_init=0', volume.path,
                        limit=LIMIT)
            self._mount.mkdir()
            self._mounts()
            self._fill(self._mount / 'written', SPAN)
            self._fill(self._mount / 'fio', FIO_SPAN)
        self.writer = writer_lib.Writer(self._written, SPAN, PAUSE)
        session.writers.append(self.writer)
        self.writer.wait_for_writes(1, LIMIT)
        self._read = 0
        self._fio = self._start_fio()

    @property
    def _written(self) -> str:
        return (str(self._mount / 'written') if self._mount
                else self.volume.path)

    def finished(self) -> list[tuple[float, float]]:
        """Return beginning and end of all writes since the last call."""
        with self.writer.log_path.open('rb') as log:
            log.seek(self._read)
            content = log.read()
        whole = len(content) - len(content) % blocks.RECORD.size
        self._read += whole
        return [(begin / 1e9, (begin + took) / 1e9) for _sequence, _offset,
                begin, took, _errno
                in blocks.RECORD.iter_unpack(content[:whole])]

    def trouble(self) -> str | None:
        """Return what is wrong with it right now, if anything."""
        status = self.writer.status()
        if status.errors:
            return '%d writes to %s failed, the last one with %s' % (
                status.errors, self._written, os.strerror(
                    status.last_errno) if status.last_errno else 'none')
        if self._fio.poll() is not None:
            return 'fio on %s ended by itself with %d: %s' % (
                self.volume.alias, self._fio.returncode, self._said())
        return None

    def stop(self) -> int:
        """Stop; return how many errors there were."""
        errors = self.writer.stop(LIMIT).errors
        if self._fio.poll() is None:
            self._fio.send_signal(signal.SIGINT)
            waiting.wait_until(lambda: self._fio.poll() is not None,
                               'fio on %s ends' % self.volume.alias, LIMIT)
        # a signal is no error: what it found is in its own words
        if said := self._said():
            self.problems.append('fio on %s: %s' % (self.volume.alias, said))
            errors += 1
        if self._mount:
            process.run('umount', str(self._mount), limit=LIMIT)
            try:
                process.run('fsck.ext4', '-f', '-n', self.volume.path,
                            limit=LIMIT)
            except process.CommandFailed as problem:
                self.problems.append(str(problem))
                errors += 1
        return errors

    def verify(self) -> int:
        """Read all that was acknowledged back; return how much is wrong."""
        if self._mount is None:
            result = self.writer.verify(alias=self.volume.alias)
        else:
            self._mounts('ro')
            result = self.writer.verify({self._written: 0})
            process.run('umount', str(self._mount), limit=LIMIT)
        if not result.ok:
            self.problems.append('%s: %s' % (self.volume.alias, result))
        return len(result.mismatches)

    def abandon(self) -> None:
        """End it whatever it takes."""
        self.writer.kill()
        if self._fio.poll() is None:
            self._fio.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._fio.wait(30)
        if self._mount and self._mount.is_mount():
            process.attempt(process.run, 'umount', str(self._mount))

    def _mounts(self, *options: str) -> None:
        process.run('mount', '-t', 'ext4', '-o',
                    ','.join(('errors=remount-ro', *options)),
                    self.volume.path, str(self._mount))

    @staticmethod
    def _fill(path: pathlib.Path, size: int) -> None:
        """Make a file that is written over, so that no write extends it."""
        with path.open('wb') as written:
            written.write(bytes(size))
            os.fsync(written.fileno())

    def _start_fio(self) -> subprocess.Popen[bytes]:
        path, offset = ((self._mount / 'fio', 0) if self._mount
                        else (self.volume.path, SPAN))
        share = FIO_SPAN // JOBS
        with (self._folder / 'fio.stderr').open('wb') as errors:
            return subprocess.Popen([
                'fio', '--name=' + self.volume.alias,
                '--filename=%s' % path, '--offset=%d' % offset,
                '--numjobs=%d' % JOBS, '--offset_increment=%d' % share,
                '--size=%d' % share, '--rw=randwrite', '--bs=4k',
                # one that has a rate, or a queue, polls: that is a processor
                '--ioengine=psync', '--direct=1', '--thread',
                '--thinktime=%d' % (THINK * 1e6), '--group_reporting',
                '--verify=crc32c', '--verify_fatal=1',
                '--verify_backlog=64', '--verify_state_save=0',
                '--time_based', '--runtime=86400',
                '--output=%s' % (self._folder / 'fio.out')],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def _said(self) -> str:
        """What fio complained of; its report has a line with the error."""
        complaints = (self._folder / 'fio.stderr').read_text(errors='replace')
        try:
            report = (self._folder / 'fio.out').read_text(errors='replace')
        except FileNotFoundError:
            report = ''
        found = [line.strip() for line in (complaints + report).splitlines()
                 if 'error' in line or 'verify' in line or 'err=' in line
                 and 'err= 0' not in line]
        return '; '.join(found)
