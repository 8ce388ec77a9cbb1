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
"""An agent in a container, as doc/source/install/containers.rst has it.

Namespaces of its own for mounts, processes and IPC, and a root of its own, of
the packages of this machine; the host's network and devices.  Of the host's
files it sees those that are named here, and no other.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting

ROOT = pathlib.Path('/run/nvme-agent-lab/container')
# $1: the root; the words up to -- are mounted where they are on the host, and
# the rest is run
_SCRIPT = r"""
set -e
root=$1; shift
mount -t tmpfs none "$root"
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L /$name ]; then cp -P /$name "$root/$name"; fi
    if [ -d /$name ] && [ ! -L /$name ]; then set -- /$name "$@"; fi
done
mkdir -p "$root/etc" "$root/run" "$root/tmp" "$root/var" "$root/proc"
chmod 1777 "$root/tmp"
for name in passwd group shadow sudoers sudoers.d nsswitch.conf pam.d \
        security alternatives ld.so.cache ld.so.conf ld.so.conf.d \
        localtime hosts hostname mdadm nvme; do
    if [ -e /etc/$name ]; then cp -a /etc/$name "$root/etc/"; fi
done
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" bash -c 'mount -t proc proc /proc && exec "$@"' - "$@"
"""


class Contained(agent_lib.Agent):
    """One that is executed in a container, and ends with it."""

    def command(self, *arguments: str) -> list[str]:
        ROOT.mkdir(parents=True, exist_ok=True)
        return ['unshare', '--mount', '--propagation', 'private', '--pid',
                '--fork', '--kill-child', '--ipc', 'bash', '-c', _SCRIPT, '-',
                str(ROOT), '/usr', '/dev', '/sys', sys.prefix,
                os.environ.get('TMPDIR', '/tmp'), str(self.directory),
                str(connector.LOCK_PATH), '--',
                *super().command(*arguments)]

    def cleanup(self) -> None:
        """End the container; nobody in it hears of anything else."""
        if self.running():
            process.attempt(self._signal, signal.SIGKILL, waiting.LIMIT)
        super().cleanup()
