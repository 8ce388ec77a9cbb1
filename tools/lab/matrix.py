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
"""Run the core stories on several kernels; print and keep what came out.

    matrix.py LAB FOLDER [PATTERN]   run LAB on each kernel, and leave
                                     matrix.csv in the folder

The kernels are those of LAB_KERNELS: paths, or suites of Debian (see
LAB_KERNEL).  Each boots with native multipath and without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import csv
import os
import pathlib
import shutil
import subprocess
import sys

import results as results_lib

KERNELS = 'installed trixie trixie-backports'
INSTALLED = 'installed'
#: One of each kind: a loss by reset, by silence, of all targets, of a path, of
#: a namespace; a return; an exchange, and a restart in its midst; copies that
#: are not what they seem; no agent; what lies between.
CORE = ('test_heals_after_the_death_of_a_target',
        'test_heals_after_a_silent_loss',
        'test_returns_within_the_grace_period',
        'test_one_of_two_paths_lost',
        'test_a_silent_leg_beside_which_reads_go_on',
        'test_a_dead_anchor_with_writes_that_wait',
        'test_planned_exchange_keeps_redundancy',
        'test_a_namespace_vanishes',
        'test_s7_killed_at_each_step_of_an_exchange',
        'test_s9_an_outage_of_everything_keeps_every_copy',
        'test_s10_a_copy_that_was_in_charge_is_not_taken_in',
        'test_s13_a_write_that_is_executed_late',
        'test_silence_is_short_with_no_agent_alive',
        'test_heals_and_returns_over_rdma',
        'test_a_silent_target_is_given_up_and_replaced_over_ipv6')
MULTIPATH = {'Y': 'multipath', 'N': 'no multipath'}
TABLE = 'matrix.csv'
FAILED, UNSTEADY = 'FAILED', 'unsteady'
WORDS = {'success': 'ok', 'xfail': 'ok', 'skip': 'skipped'}


def kernels(named: str) -> Iterator[tuple[str, str]]:
    """Each kernel with and without native multipath."""
    for kernel in named.split():
        for multipath in MULTIPATH:
            yield kernel, multipath


def column(folder: pathlib.Path, kernel: str,
           multipath: str) -> tuple[str, dict[str, str]]:
    """Return the head of a column, and what became of each test.

    A test that passed alone, in a fresh machine, is unsteady.
    """
    found = {}
    if (folder / 'tests').exists():
        found = {name: WORDS.get(status, FAILED)
                 for name, status in results_lib.of_all(folder).items()}
    again = folder / 'again'
    if (again / 'tests').exists():
        for name, status in results_lib.of_all(again).items():
            if status in results_lib.OK:
                found[name] = UNSTEADY
    for release in sorted(folder.glob('machine-*/release'))[:1]:
        kernel = release.read_text(encoding='utf-8').strip()
    return '%s, %s' % (kernel, MULTIPATH[multipath]), found


def table(columns: Sequence[tuple[str, dict[str, str]]]) -> list[list[str]]:
    """Return the rows, the first one of which is the head.

    On a kernel that does not boot all have failed.
    """
    names = sorted({name for _head, found in columns for name in found})
    return [['Test', *(head for head, _found in columns)], *(
        ['.'.join(name.split('.')[-2:]),
         *(found.get(name, FAILED) for _head, found in columns)]
        for name in names)]


def summary(rows: Sequence[Sequence[str]]) -> str:
    """Return the last line: what passed and failed in all columns."""
    cells = [cell for row in rows[1:] for cell in row[1:]]
    return 'matrix: %d passed, %d failed, %d skipped' % (
        cells.count('ok') + cells.count(UNSTEADY), cells.count(FAILED),
        cells.count('skipped'))


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print each column by its number, the names of which come first."""
    for number, head in enumerate(rows[0][1:], 1):
        print('%4d  %s' % (number, head))
    width = max(len(row[0]) for row in rows)
    print('%-*s %s' % (width, '', ' '.join(
        '%8d' % number for number in range(1, len(rows[0])))))
    for row in rows[1:]:
        print('%-*s %s' % (width, row[0], ' '.join(
            '%8s' % cell for cell in row[1:])))
    print(summary(rows))


def run(lab: str, folder: pathlib.Path, pattern: str) -> int:
    """Run them all; return 0 if each kernel booted and nothing failed."""
    columns, well, rows = [], True, table([])
    for kernel, multipath in kernels(os.environ.get('LAB_KERNELS', KERNELS)):
        place = folder / ('%s-%s' % (kernel.replace('/', '_'), multipath))
        shutil.rmtree(place, ignore_errors=True)
        environment = dict(
            os.environ, LAB_RESULTS=str(place),
            LAB_BOOT_ARGUMENTS='%s nvme_core.multipath=%s' % (
                os.environ.get('LAB_BOOT_ARGUMENTS', ''), multipath))
        environment.pop('LAB_KERNEL', None)
        if kernel != INSTALLED:
            environment['LAB_KERNEL'] = kernel
        print('matrix: kernel %s, %s' % (kernel, MULTIPATH[multipath]),
              flush=True)
        well &= subprocess.run([lab, 'run', pattern], env=environment,
                               check=False).returncode == 0
        columns.append(column(place, kernel, multipath))
        rows = table(columns)
        with (folder / TABLE).open('w', encoding='utf-8',
                                   newline='') as target:
            csv.writer(target, lineterminator='\n').writerows(rows)
    show(rows)
    return 0 if well and len(rows) > 1 else 1


def main(lab: str, folder: str, pattern: str = '') -> int:
    return run(lab, pathlib.Path(folder),
               pattern or r'\.(%s)$' % '|'.join(CORE))


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
