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
"""One read-only look at this host: sysfs in, a HostSnapshot out.

Nothing is executed, nothing needs privileges, and nothing that vanishes while
it is being read is an error: hot-unplug is what this program is about.  An
attribute that makes no sense spoils its own object only, which is then left
out and named in ``HostSnapshot.problems``.

Kernel sources for what is read: Documentation/admin-guide/md.rst (md/*),
drivers/nvme/host/sysfs.c and multipath.c (controllers, nvmeXcYnZ paths).
"""

from __future__ import annotations

from collections.abc import Collection
import os
import re

from os_brick.agent import model

SECTOR = 512
KIB = 1024
_CONTROLLER = re.compile(r'nvme\d+\Z')
# nvme1n1 (multipath off) or nvme1c2n1 (path of the head nvme1n1)
_NAMESPACE = re.compile(r'(nvme\d+)(?:c\d+)?(n\d+)\Z')
_WHOLE_NAMESPACE = re.compile(r'nvme\d+n\d+\Z')


def _read(*parts: str) -> str | None:
    """Return an attribute's text, None where it is not there (any more)."""
    try:
        with open(os.path.join(*parts), encoding='ascii',
                  errors='replace') as attribute:
            return attribute.read().strip()
    except OSError:
        return None


def _require(*parts: str) -> str:
    text = _read(*parts)
    if text is None:
        raise FileNotFoundError(os.path.join(*parts))
    return text


def _listing(*parts: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(*parts)))
    except OSError:
        return []


class Scanner:
    """Scans the sysfs below ``root``; a path of a test's or the real one.

    :param root: the directory that holds sys, proc and dev; '/' in earnest.
    """

    def __init__(self, root: str = '/') -> None:
        self._ctl = os.path.join(root, 'sys/class/nvme-fabrics/ctl')
        self._block = os.path.join(root, 'sys/class/block')
        self._md_links = os.path.join(root, 'dev/md')
        self._proc = os.path.join(root, 'proc')

    def scan(self) -> model.HostSnapshot:
        """Look once; never raises for what the host looks like."""
        problems: list[str] = []
        controllers: list[model.Controller] = []
        paths: dict[str, list[tuple[str, str]]] = {}
        for name in _listing(self._ctl):
            if not _CONTROLLER.match(name):
                continue
            try:
                controllers.append(self._controller(name))
            except FileNotFoundError:
                continue
            except ValueError as error:
                # only the controller: its namespaces are legs all the same
                problems.append('controller %s left out: %s' % (name, error))
            for child in _listing(self._ctl, name):
                match = _NAMESPACE.match(child)
                if match:
                    paths.setdefault(match[1] + match[2], []).append(
                        (name, child))
        users = self._users() if paths else {}
        namespaces: dict[str, model.Namespace] = {}
        for device, found in paths.items():
            try:
                namespaces[device] = self._namespace(device, found, users)
            except FileNotFoundError:
                continue
            except ValueError as error:
                problems.append('namespace %s left out: %s' % (device, error))
        arrays: list[model.Array] = []
        aliases = self._aliases()
        for name in _listing(self._block):
            if not name.startswith('md'):
                continue
            try:
                array = self._array(name, aliases.get(name), namespaces,
                                    paths.keys())
            except FileNotFoundError:
                continue
            except ValueError as error:
                problems.append('array %s left out: %s' % (name, error))
                continue
            if array is not None:
                arrays.append(array)
        return model.HostSnapshot(tuple(controllers),
                                  tuple(namespaces.values()),
                                  tuple(arrays), tuple(problems))

    def _controller(self, name: str) -> model.Controller:
        base = os.path.join(self._ctl, name)
        tmo = _read(base, 'fast_io_fail_tmo')
        return model.Controller(
            name=name, nqn=_require(base, 'subsysnqn'),
            portal=_portal(_read(base, 'address') or '',
                           _read(base, 'transport') or ''),
            host_nqn=_read(base, 'hostnqn'),
            state=_require(base, 'state'),
            fast_io_fail_tmo=None if tmo in (None, 'off') else float(tmo),
            has_fast_io_fail=tmo is not None)

    def _namespace(self, device: str, found: list[tuple[str, str]],
                   users: dict[str, str]) -> model.Namespace:
        base = os.path.join(self._block, device)
        uuid = _read(base, 'uuid')
        if not uuid:
            controller, child = found[0]
            uuid = _read(self._ctl, controller, child, 'uuid')
        holders = list(_listing(base, 'holders'))
        in_use = (users.get(_read(base, 'dev') or '')
                  or users.get('/dev/' + device, ''))
        for child in _listing(base):
            if _read(base, child, 'partition') is not None:
                holders += _listing(base, child, 'holders')
                in_use = in_use or 'it has the partition %s' % child
        return model.Namespace(
            device=device, uuid=_uuid(uuid),
            size=int(_require(base, 'size')) * SECTOR,
            controllers=tuple(controller for controller, _child in found),
            holders=tuple(holders), in_use=in_use)

    def _users(self) -> dict[str, str]:
        """major:minor or path of what is mounted -> a clause that says where.

        btrfs gives its mounts a number of their own, so that only the path
        of the device tells; swap space has a path only.
        """
        users = {}
        for line in (_read(self._proc, 'self/mountinfo') or '').splitlines():
            mount, _, source = line.partition(' - ')
            words = mount.split()
            if len(words) > 4:
                clause = 'it is mounted on %s' % words[4]
                users[words[2]] = clause
                for path in source.split()[1:2]:
                    users[path] = clause
        for line in (_read(self._proc, 'swaps') or '').splitlines()[1:]:
            for path in line.split()[:1]:
                users[path] = 'it is swap space'
        return users

    def _aliases(self) -> dict[str, str]:
        """md127 -> the name of udev's link /dev/md/NAME to it."""
        aliases = {}
        for alias in _listing(self._md_links):
            try:
                link = os.readlink(os.path.join(self._md_links, alias))
            except OSError:
                continue
            aliases[os.path.basename(link)] = alias
        return aliases

    def _array(self, name: str, alias: str | None,
               namespaces: dict[str, model.Namespace],
               fabric: Collection[str]) -> model.Array | None:
        """Return the array, None where it is none of ours.

        :param fabric: every NVMe-oF device, also one that was left out.
        """
        base = os.path.join(self._block, name, 'md')
        if _read(base, 'level') != 'raid1':
            return None
        legs = []
        remote = local = lost = False
        for entry in _listing(base):
            if not entry.startswith('dev-'):
                continue
            leg, vanished = self._leg(name, entry, namespaces)
            if leg is None:
                continue
            legs.append(leg)
            if not vanished:
                remote = remote or leg.device in fabric
                local = local or leg.device not in fabric
            elif _WHOLE_NAMESPACE.match(leg.device):
                lost = True
        # A lost leg may have been an NVMe drive in this very machine: while
        # a leg lives, that one tells whose array it is.
        if not remote and (local or not lost):
            return None
        done, total = _progress(_read(base, 'sync_completed'))
        offsets = [_read(base, 'dev-' + leg.device, 'offset')
                   for leg in legs]
        return model.Array(
            name=name, alias=alias, uuid=_uuid(_read(base, 'uuid')),
            # "2 (1)" while the number is being changed
            raid_disks=int(_require(base, 'raid_disks').partition(' ')[0]),
            degraded=int(_read(base, 'degraded') or 0),
            array_state=_require(base, 'array_state'),
            sync_action=_read(base, 'sync_action') or 'idle',
            component_size=int(_require(base, 'component_size')) * KIB,
            legs=tuple(legs), sync_done=done, sync_total=total,
            data_offset=max((int(offset) for offset in offsets if offset),
                            default=0) * SECTOR)

    def _leg(self, array: str, entry: str,
             namespaces: dict[str, model.Namespace]
             ) -> tuple[model.Leg | None, bool]:
        """Return a leg and whether its device has vanished.

        A device that comes back may get the name of one that md still lists,
        and the link ``block`` is resolved by its text: it then leads to the
        newcomer.  Only ``holders`` tells which device md has open.
        """
        device = entry[len('dev-'):]
        base = os.path.join(self._block, array, 'md', entry)
        state = _read(base, 'state')
        if state is None:
            return None, False
        slot = _read(base, 'slot')
        number = _read(base, 'block', 'dev')
        vanished = (number is None
                    or number != _read(self._block, device, 'dev')
                    or array not in _listing(self._block, device, 'holders'))
        namespace = None if vanished else namespaces.get(device)
        return model.Leg(
            device=device,
            slot=int(slot) if slot not in (None, 'none', '') else None,
            flags=frozenset(word for word in state.split(',') if word),
            replica_uuid=namespace.uuid if namespace else None), vanished


def _portal(address: str, transport: str) -> model.Portal | None:
    """Parse ``traddr=192.0.2.1,trsvcid=4420[,src_addr=...]``."""
    fields = dict(part.split('=', 1) for part in address.split(',')
                  if '=' in part)
    if transport not in ('tcp', 'rdma') or 'traddr' not in fields:
        return None
    return model.Portal(fields['traddr'], int(fields.get('trsvcid', 4420)),
                        transport)


def _uuid(text: str | None) -> str | None:
    try:
        return model.normalise_uuid(text) if text else None
    except ValueError:
        return None


def _progress(text: str | None) -> tuple[int | None, int | None]:
    """Parse sync_completed: ``1024 / 131072`` sectors, or a word."""
    words = (text or '').split()
    if len(words) == 3 and words[1] == '/':
        return int(words[0]) * SECTOR, int(words[2]) * SECTOR
    return None, None
