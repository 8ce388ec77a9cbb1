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
"""What is kept of a failed test: logs, and what the host looked like."""

from __future__ import annotations

from collections.abc import Iterable
import logging
import os
import pathlib
import shutil

from os_brick.agent.tests.functional.lab import process

LOG = logging.getLogger(__name__)

COMMANDS = {
    'mdstat': ('cat', '/proc/mdstat'),
    'nvme-list.json': ('nvme', 'list', '-v', '-o', 'json'),
    'nvme-subsystems': ('nvme', 'list-subsys'),
    'lsblk': ('lsblk', '-o', 'NAME,KNAME,TYPE,SIZE,MOUNTPOINTS'),
    'losetup': ('losetup', '--list'),
    'processes': ('ps', '-e', '-o', 'pid,user,stat,wchan:24,etime,args'),
    'tc': ('tc', '-s', 'qdisc', 'show', 'dev', 'lo'),
    'sysfs': ('sh', '-c',
              'grep -rs . /sys/class/nvme-fabrics/ctl/nvme*/state '
              '/sys/class/nvme-fabrics/ctl/nvme*/address '
              '/sys/class/nvme-fabrics/ctl/nvme*/*_tmo '
              '/sys/block/md*/md/array_state /sys/block/md*/md/degraded '
              '/sys/block/md*/md/sync_action /sys/block/md*/md/dev-*/state '
              '/sys/block/md*/md/dev-*/slot; true'),
}


def mark(text: str) -> None:
    """Write a line into the kernel log, to find a test's share of it."""
    with open('/dev/kmsg', 'w') as kernel_log:
        kernel_log.write('nvme-agent-lab: %s\n' % text)


def collect(name: str, files: Iterable[pathlib.Path]) -> pathlib.Path:
    """Save what can be saved of this moment.

    :param name: names the folder below $LAB_EVIDENCE.
    :param files: logs to copy.
    :returns: the folder.
    """
    folder = pathlib.Path(
        os.environ.get('LAB_EVIDENCE', '/run/nvme-agent-lab/evidence'), name)
    folder.mkdir(parents=True, exist_ok=True)
    kernel_log = _output('dmesg')
    begin = kernel_log.rfind('nvme-agent-lab: begin %s' % name)
    (folder / 'kernel.log').write_text(kernel_log[max(begin, 0):])
    for title, command in COMMANDS.items():
        (folder / title).write_text(_output(*command))
    for path in files:
        try:
            if path.exists():
                shutil.copyfile(path, folder / path.name)
        except OSError as problem:
            LOG.warning('cannot keep %s: %s', path, problem)
    return folder


def _output(*command: str) -> str:
    # A command may hang as the very thing it is asked about does.
    try:
        return process.run(*command, limit=15)
    except (OSError, process.CommandFailed) as problem:
        return str(problem)
