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
"""Who this host is, in the very words that Cinder gave the provisioner.

Those words are what os-brick puts into the connector properties: the host
NQN of /etc/nvme/hostnqn, the UUID of the root file system and the host name.
os-brick asks findmnt and blkid as root.  Both only repeat what everybody may
read: the mount table, and the links which udev makes of blkid's own answers.
"""

from __future__ import annotations

import os
import re
import socket

from os_brick.agent import model

# nvme_core: NVMF_NQN_SIZE, less the NUL
_NQN_LENGTH = 222
_NQN = re.compile(r'nqn\.[!-~]+\Z')
# udev writes what is unsafe in a file name as \x20, the kernel as \040
_UDEV_ESCAPE = re.compile(r'\\x([0-9a-f]{2})')
_KERNEL_ESCAPE = re.compile(r'\\([0-7]{3})')


class IdentityError(Exception):
    """This host has no identity that a provisioner could know it by."""


def identify(host_nqn: str | None, host_uuid: str | None,
             host_name: str | None, root: str = '/') -> model.Host:
    """Return this host as os-brick describes it.

    :param host_nqn: the option of that name; wins where it is not empty, and
        so do ``host_uuid`` and ``host_name``.
    :param root: the directory that holds etc, proc, sys and dev.
    :raises IdentityError: when no usable host NQN is known.
    """
    return model.Host(
        nqn=_usable(host_nqn.strip(), 'the option host_nqn')
        if host_nqn and host_nqn.strip() else _host_nqn(root),
        uuid=(host_uuid or '').strip() or root_file_system_uuid(root),
        name=(host_name or '').strip() or socket.gethostname())


def _host_nqn(root: str) -> str:
    path = os.path.join(root, 'etc/nvme/hostnqn')
    try:
        with open(path, encoding='ascii', errors='replace') as stream:
            text = stream.read().strip()
    except OSError as error:
        raise IdentityError(
            'the host NQN is not known: %s: %s. "nvme gen-hostnqn" makes '
            'one for that file; or set the option host_nqn'
            % (path, error.strerror)) from error
    return _usable(text, path)


def _usable(nqn: str, source: str) -> str:
    if len(nqn) > _NQN_LENGTH or not _NQN.match(nqn):
        raise IdentityError(
            'the host NQN in %s is not usable: %.60r is not "nqn." and more, '
            'at most %d ASCII characters without a space. Correct it, or '
            'set the option host_nqn to the NQN that this host has'
            % (source, nqn, _NQN_LENGTH))
    return nqn


def root_file_system_uuid(root: str = '/') -> str | None:
    """Return the UUID of the file system mounted on /, as blkid spells it.

    None for a file system that is on no block device of its own (overlay,
    tmpfs, NFS, ZFS), and where udev has made no link for the device.
    """
    device = _root_device(root)
    links = os.path.join(root, 'dev/disk/by-uuid')
    try:
        names = sorted(os.listdir(links))
    except OSError:
        return None
    for name in names:
        if device and os.path.realpath(os.path.join(links, name)) == device:
            return _UDEV_ESCAPE.sub(
                lambda match: chr(int(match[1], 16)), name)
    return None


def _root_device(root: str) -> str | None:
    """Return the real path of the block device that / is on."""
    try:
        with open(os.path.join(root, 'proc/self/mountinfo'),
                  encoding='utf-8', errors='surrogateescape') as stream:
            lines = stream.read().splitlines()
    except OSError:
        return None
    # What is mounted last covers the others; findmnt sees that one too.
    for line in reversed(lines):
        mount, _, rest = line.partition(' - ')
        words, source = mount.split(' '), rest.split(' ')
        if len(words) > 4 and words[4] == '/' and len(source) > 1:
            return _device(root, words[2], _KERNEL_ESCAPE.sub(
                lambda match: chr(int(match[1], 8)), source[1]))
    return None


def _device(root: str, number: str, source: str) -> str | None:
    if not source.startswith('/dev/'):
        return None
    device = os.path.realpath(os.path.join(root, source.lstrip('/')))
    if os.path.exists(device):
        return device
    # A kernel that mounted / without an initramfs says /dev/root, which is
    # no file; the number is the device's.
    block = os.path.join(root, 'sys/dev/block', number)
    return os.path.realpath(os.path.join(
        root, 'dev', os.path.basename(os.path.realpath(block))))
