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
"""A host's sys, proc and dev trees as plain files below one directory.

The shape is that of Linux 6.1: names in /sys/class/block are links into
/sys/devices, a leg's ``block`` is a link that is resolved by its text, and
md writes itself into ``holders`` of the very device that it has open.

    host = FakeHost(directory)
    for number in (1, 2):
        host.controller('nvme%d' % number)
        host.namespace('nvme%dn1' % number, uuid, ('nvme%d' % number,))
    host.array('md127', ('nvme1n1', 'nvme2n1'), alias='volume')
    sysfs.Scanner(host.root).scan()
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import os

HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:0f1e2d3c-0000-4000-8000-000000000'
MEBIBYTE = 1024 * 1024
_CTL = 'sys/devices/virtual/nvme-fabrics/ctl'
_CLASS = 'sys/class/block'


#: The ``stat`` of an array that its user has written to.
WRITTEN = {'../stat': '9 0 72 1 1 0 8 1 0 2 2'}


class FakeHost:
    """Builds, changes and takes apart what a scan reads.

    :param root: an existing directory; the tree is written below it.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._minor = 0
        for folder in (_CTL, _CLASS, 'sys/class/nvme-fabrics',
                       'sys/devices/virtual/block', 'sys/dev/block',
                       'proc/self', 'dev/md', 'dev/disk/by-uuid'):
            os.makedirs(self.path(folder))
        self.link('sys/class/nvme-fabrics/ctl', _CTL)
        self.write('proc/self/mountinfo', '')
        self.write('proc/swaps', 'Filename\tType\tSize\tUsed\tPriority\n')

    # Plain files

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def write(self, path: str, text: str) -> None:
        """Write a file below the root, and the directories above it."""
        full = self.path(path)
        # most are: a tree of hundreds of arrays is mostly this
        if not os.path.isdir(os.path.dirname(full)):
            os.makedirs(os.path.dirname(full))
        with open(full, 'w', encoding='utf-8') as stream:
            stream.write(text)

    def link(self, path: str, target: str) -> None:
        """Make ``path`` a relative link to ``target``, both below root."""
        full = self.path(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        # a class directory in the path is itself a link to elsewhere
        folder = os.path.realpath(os.path.dirname(full))
        os.symlink(os.path.relpath(
            os.path.join(os.path.realpath(self.root), target), folder), full)

    def remove(self, path: str) -> None:
        """Remove a file, a link or a whole directory.

        It is only put aside: what gets its name must not get its inode
        number, which sysfs never gives out twice.
        """
        aside = self.path('gone')
        os.makedirs(aside, exist_ok=True)
        os.rename(self.path(path),
                  os.path.join(aside, str(len(os.listdir(aside)))))

    def attributes(self, folder: str, **values: object) -> None:
        """Write attributes as the kernel does, with a newline at the end."""
        for name, value in values.items():
            self.write(os.path.join(folder, name), '%s\n' % value)

    # NVMe

    def controller(self, name: str, nqn: str | None = None,
                   address: str = '192.0.2.1', **values: object) -> None:
        """Add an NVMe-oF controller; ``values`` are further attributes.

        An attribute that is None is left out.
        """
        attributes: dict[str, object] = {
            'state': 'live', 'subsysnqn': nqn or 'nqn.2024-01.test:' + name,
            'address': 'traddr=%s,trsvcid=4420' % address,
            'transport': 'tcp', 'hostnqn': HOST_NQN, 'ctrl_loss_tmo': 'off',
            'fast_io_fail_tmo': 'off', **values}
        folder = os.path.join(_CTL, name)
        # nvme1 holds more than its namespaces
        os.makedirs(self.path(folder, 'power'))
        self.attributes(folder, **{
            key: value for key, value in attributes.items()
            if value is not None})

    def namespace(self, device: str, uuid: str | None,
                  controllers: Sequence[str], size: int = 64 * MEBIBYTE,
                  multipath: bool = True) -> None:
        """Add the block device of an NVMe-oF namespace.

        :param multipath: True for a head with one path device for each of
            ``controllers``; False for the only device of the only one.
        """
        if multipath:
            subsystem, number = device[len('nvme'):].split('n')
            folder = ('sys/devices/virtual/nvme-subsystem/nvme-subsys%s/%s'
                      % (subsystem, device))
            for controller in controllers:
                path = 'nvme%sc%sn%s' % (
                    subsystem, controller[len('nvme'):], number)
                self._block(path, os.path.join(_CTL, controller, path), size,
                            uuid)
        else:
            (controller,) = controllers
            folder = os.path.join(_CTL, controller, device)
        self._block(device, folder, size, uuid)

    def lose_namespace(self, device: str) -> None:
        """Take the device away, its paths too; md is not told."""
        head = self._folder(device)
        self.remove(head)
        self.remove(os.path.join(_CLASS, device))
        subsystem, number = device[len('nvme'):].split('n')
        for controller in os.listdir(self.path(_CTL)):
            path = 'nvme%sc%sn%s' % (subsystem, controller[len('nvme'):],
                                     number)
            if os.path.lexists(self.path(_CLASS, path)):
                self.remove(os.path.join(_CTL, controller, path))
                self.remove(os.path.join(_CLASS, path))

    # Other block devices

    def disk(self, device: str, size: int = 64 * MEBIBYTE,
             folder: str = 'sys/devices/virtual/block',
             uuid: str | None = None) -> str:
        """Add a local disk; return its major:minor."""
        return self._block(device, os.path.join(folder, device), size, uuid)

    def partition(self, disk: str, number: int) -> str:
        """Add a partition; return its name."""
        joint = 'p' if disk[-1].isdigit() else ''
        name = '%s%s%d' % (disk, joint, number)
        folder = os.path.join(self._folder(disk), name)
        self._block(name, folder, MEBIBYTE)
        self.attributes(folder, partition=number)
        return name

    def hold(self, device: str, holder: str) -> None:
        """Let a device be stacked on another: dm-0 on nvme1n1."""
        self.link(os.path.join(self._folder(device), 'holders', holder),
                  'sys/devices/virtual/block/' + holder)

    def number(self, device: str) -> str:
        """Return the device's major:minor."""
        with open(self.path(_CLASS, device, 'dev'),
                  encoding='ascii') as stream:
            return stream.read().strip()

    def mount(self, number: str, where: str, source: str = 'none',
              fstype: str = 'ext4', within: str = '/') -> None:
        """Add a line to mountinfo, see proc(5).

        :param number: major:minor as the file system has it.
        :param within: the directory of the file system that is mounted.
        """
        with open(self.path('proc/self/mountinfo'), 'a',
                  encoding='utf-8') as stream:
            stream.write('36 35 %s %s %s rw,noatime shared:1 - %s %s rw\n' % (
                number, within, where, fstype, source))

    # MD

    def array(self, name: str, legs: Sequence[str] = (),
              alias: str | None = None, level: str = 'raid1',
              **values: object) -> None:
        """Add an array whose ``legs`` are all in sync, in slots 0, 1...

        ``values`` are further attributes of md/.
        """
        self.disk(name)
        self.attributes(self._md(name), **{
            'level': level, 'raid_disks': len(legs), 'degraded': 0,
            'array_state': 'clean', 'sync_action': 'idle',
            'sync_completed': 'none', 'component_size': 63 * 1024,
            'uuid': '00000000-0000-4000-8000-%012x' % self._minor,
            'metadata_version': '1.2', **values})
        for slot, leg in enumerate(legs):
            self.leg(name, leg, slot)
        if alias is not None:
            self.link('dev/md/' + alias, 'dev/' + name)

    def leg(self, array: str, device: str, slot: int | None,
            flags: Collection[str] = ('in_sync',)) -> None:
        """Add a leg; the device has to be there."""
        folder = os.path.join(self._md(array), 'dev-' + device)
        self.attributes(
            folder, state=','.join(flags), offset=2048, errors=0,
            bad_blocks='', slot='none' if slot is None else slot)
        self.link(os.path.join(folder, 'block'), self._folder(device))
        self.hold(device, array)

    def set_leg(self, array: str, device: str, **values: object) -> None:
        self.attributes(os.path.join(self._md(array), 'dev-' + device),
                        **values)

    def set_array(self, array: str, **values: object) -> None:
        self.attributes(self._md(array), **values)

    def set_controller(self, controller: str, **values: object) -> None:
        self.attributes(os.path.join(_CTL, controller), **values)

    def replicated_volumes(self, count: int, replicas: int = 2) -> None:
        """Add that many whole arrays, each replica on a target of its own."""
        for volume in range(count):
            legs = []
            for replica in range(replicas):
                number = volume * replicas + replica
                controller = 'nvme%d' % number
                self.controller(controller, address='198.51.100.%d' % (
                    1 + number % 250))
                self.namespace(
                    controller + 'n1', volume_replica_uuid(volume, replica),
                    (controller,))
                legs.append(controller + 'n1')
            self.array('md%d' % volume, legs, alias='volume-%d' % volume)

    def _md(self, array: str) -> str:
        return os.path.join('sys/devices/virtual/block', array, 'md')

    def _folder(self, device: str) -> str:
        return os.path.relpath(
            os.path.realpath(self.path(_CLASS, device)),
            os.path.realpath(self.root))

    def _block(self, name: str, folder: str, size: int,
               uuid: str | None = None) -> str:
        self._minor += 1
        number = '259:%d' % self._minor
        os.makedirs(self.path(folder, 'holders'))
        self.attributes(folder, size=size // 512, dev=number,
                        stat=' '.join(['0'] * 17))
        if uuid is not None:
            self.attributes(folder, uuid=uuid)
        self.link(os.path.join(_CLASS, name), folder)
        self.link('sys/dev/block/' + number, folder)
        return number


def volume_replica_uuid(volume: int, replica: int) -> str:
    """The NVMe UUID of a replica that ``replicated_volumes`` made."""
    return '%08x-0000-4000-8000-%012x' % (volume, replica)
