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
"""In the machine: NVMe/TCP targets that outlive it, as those of others do.

Each target exports one disk of the machine, known by its serial number, so
that its content survives a reboot and the root file system does not hang on
it.  Needs nothing but the standard library.

  storage.py serve NAME NUMBER UUID    listen on 127.0.0.(10 + NUMBER)
  storage.py kill NAME                 die with a connection reset
  storage.py revive NAME
"""

from collections.abc import Callable
import os
import pathlib
import subprocess
import sys

NVMET = pathlib.Path('/sys/kernel/config/nvmet')
PREFIX = 'nqn.2024-01.org.example.lab:'


def serve(name: str, number: str, uuid: str) -> None:
    subprocess.run(['modprobe', '-a', 'nvmet-tcp', 'nvme-tcp'], check=True)
    subsystem = NVMET / 'subsystems' / (PREFIX + name)
    subsystem.mkdir(exist_ok=True)
    (subsystem / 'attr_allow_any_host').write_text('1')
    namespace = subsystem / 'namespaces/1'
    if not namespace.exists():
        namespace.mkdir()
        (namespace / 'device_path').write_text(os.path.realpath(
            '/dev/disk/by-id/virtio-' + name))
        (namespace / 'device_uuid').write_text(uuid)
        (namespace / 'enable').write_text('1')
    port = NVMET / 'ports' / number
    if not port.exists():
        port.mkdir()
        for attribute, value in (
                ('addr_trtype', 'tcp'), ('addr_adrfam', 'ipv4'),
                ('addr_traddr', '127.0.0.%d' % (10 + int(number))),
                ('addr_trsvcid', '4420')):
            (port / attribute).write_text(value)
    # which port is whose, for kill and revive
    pathlib.Path('/run/storage-' + name).write_text(number)
    revive(name)


def _link(name: str) -> pathlib.Path:
    number = pathlib.Path('/run/storage-' + name).read_text()
    return NVMET / 'ports' / number / 'subsystems' / (PREFIX + name)


def kill(name: str) -> None:
    _link(name).unlink(missing_ok=True)


def revive(name: str) -> None:
    if not _link(name).is_symlink():
        _link(name).symlink_to(NVMET / 'subsystems' / (PREFIX + name))


VERBS: dict[str, Callable[..., None]] = {
    'serve': serve, 'kill': kill, 'revive': revive}

if __name__ == '__main__':
    VERBS[sys.argv[1]](*sys.argv[2:])
