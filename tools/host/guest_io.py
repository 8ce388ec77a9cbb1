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
"""In the machine: what a guest writes to the volume, and whether it is there.

  guest_io.py run DEVICE       write until SIGTERM
  guest_io.py status           writes finished, errors, longest pause (s) and
                               seconds of the write under way
  guest_io.py verify ALIAS     read every acknowledged write back, from each
                               leg in sync and from the array
  guest_io.py verify ALIAS errors   the same of a guest that was to see some

GUEST_IO is the directory of what it keeps: one that survives a reboot, where
that is to be read back afterwards.
"""

from collections.abc import Callable
import glob
import mmap
import os
import pathlib
import subprocess
import sys
import time

FOLDER = pathlib.Path(os.environ.get('GUEST_IO', '/run/guest-io'))
LAB = '/mnt/checkout/os_brick/agent/tests/functional/lab'
SESSION, SPAN = 4711, 16 * 1024 * 1024
SECTOR = 512
sys.path.insert(0, LAB)

import blocks  # type: ignore[import-not-found]  # noqa: E402
import writer_process  # type: ignore[import-not-found]  # noqa: E402


def run(device: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / 'status').open('wb') as status:
        status.truncate(mmap.PAGESIZE)
    (FOLDER / 'log').unlink(missing_ok=True)
    os.execv(sys.executable, [
        sys.executable, '-IS', LAB + '/writer_process.py', device,
        '--log', str(FOLDER / 'log'), '--status', str(FOLDER / 'status'),
        '--session', str(SESSION), '--blocks', str(SPAN // blocks.SIZE),
        '--pause', '0.02'])


def fields() -> tuple[int, ...]:
    shape = writer_process.STATUS
    content = (FOLDER / 'status').read_bytes()
    found: tuple[int, ...] = shape.unpack(content[:shape.size])
    return found


def status() -> None:
    finished, errors, longest, since = fields()[:4]
    under_way = (time.monotonic_ns() - since) / 1e9 if since else 0.0
    print(finished, errors, '%.1f' % max(longest / 1e9, under_way),
          '%.1f' % under_way)


def verify(alias: str, with_errors: str = '') -> None:
    _finished, errors, _longest, since, sequence, offset, *_rest = fields()
    expected = blocks.expectations(
        SESSION, blocks.read_log(str(FOLDER / 'log')),
        (sequence, offset) if since else None)
    array = os.path.realpath('/dev/md/' + alias)
    starts = {array: 0}
    for leg in glob.glob('/sys/class/block/%s/md/dev-*' % array[5:]):
        if 'in_sync' in pathlib.Path(leg, 'state').read_text():
            starts['/dev/' + leg.rpartition('dev-')[2]] = SECTOR * int(
                pathlib.Path(leg, 'offset').read_text())
    wrong = 0
    for device, start in starts.items():
        content = subprocess.run(
            ['dd', 'if=' + device, 'bs=1M', 'iflag=direct,skip_bytes,'
             'count_bytes', 'skip=%d' % start, 'count=%d' % SPAN,
             'status=none'], check=True, capture_output=True).stdout
        wrong += sum(content[at:at + blocks.SIZE] not in allowed
                     for at, allowed in expected.items())
    print('%d blocks on %d devices, %d wrong, %d errors' % (
        len(expected), len(starts), wrong, errors))
    sys.exit(bool(wrong or not expected or errors and not with_errors))


VERBS: dict[str, Callable[..., None]] = {
    'run': run, 'status': status, 'verify': verify}

if __name__ == '__main__':
    VERBS[sys.argv[1]](*sys.argv[2:])
