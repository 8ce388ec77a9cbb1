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
"""Volume groups of guests, and this host's LVM as Debian configures it.

udev asks LVM about each new device and activates each group that is whole,
as it does on a host (Debian's 69-lvm.rules; without systemd by itself).
"""

from __future__ import annotations

import pathlib
import shutil

from os_brick.agent.tests.functional.lab import backing
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting

LOCAL = pathlib.Path('/etc/lvm/lvmlocal.conf')
#: What is behind the targets stands for the disks of other machines.
OTHERS = 'devices {\n global_filter = [ "r|^/dev/loop|" ]\n}\n'
#: What a group says of itself lies before its first extent.
HEADER = 1024 * 1024
#: The one logical volume of each group.
LOGICAL = 'data'


def there() -> bool:
    return shutil.which('lvm') is not None


def hide_the_disks_of_others() -> None:
    LOCAL.write_text(OTHERS)


def show_them() -> None:
    LOCAL.unlink(missing_ok=True)


def made(group: str, size: int) -> bytes:
    """Return what a guest's LVM writes to a disk of that size."""
    disk = backing.Backing('lvm-' + group, size)
    try:
        only = ['--devices', disk.device]
        process.run('lvm', 'vgcreate', *only, group, disk.device)
        process.run('lvm', 'lvcreate', *only, '-an', '-Zn', '-Wn',
                    '-l', '100%FREE', '-n', LOGICAL, group)
        return disk.read(0, HEADER)
    finally:
        disk.remove()


def wait_until_taken(group: str) -> str:
    """Wait until this host has activated it; return its logical volume."""
    path = pathlib.Path('/dev', group, LOGICAL)
    waiting.wait_until(path.exists, 'LVM has activated %s' % group)
    return str(path)


def let_go(group: str) -> None:
    """Deactivate a group, as an operator does."""
    process.run('lvm', 'vgchange', '-an', group)
