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

A scan looks at everything that may change.  What cannot change during an
object's life (a connection's target and portal, a namespace's UUID) is kept
from the scan before, for as long as the object's identity shows that it is
the same one (``attributes``); where any device or connection came or went
while the scan ran, it is done over with nothing kept.

Kernel source for what is read here: drivers/nvme/host/sysfs.c.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import re

from os_brick.agent.host import addresses
from os_brick.agent.host import arrays
from os_brick.agent.host import attributes
from os_brick.agent.host import blocks
from os_brick.agent.host import descriptors
from os_brick.agent.host import paths
from os_brick.agent import model
from os_brick.agent.model import snapshots

_CONTROLLER = re.compile(r'nvme\d+\Z')
#: What Linux shows for the NQN as long as the subsystem is not known yet
#: (drivers/nvme/host/sysfs.c, nvme_sysfs_show_subsysnqn).
_NO_NQN_YET = '(efault)'


class Scanner:
    """Scans the sysfs below ``root``; a path of a test's or the real one.

    May be used by several threads at once.

    :param root: the directory that holds sys, proc and dev; '/' in earnest.
    """

    def __init__(self, root: str = '/') -> None:
        self._root = root
        # of no scan under way: each has one to itself
        self._idle = [_Kept(descriptors.Open(descriptors.share(1 / 2)))]

    def scan(self) -> snapshots.HostSnapshot:
        """Look once; never raises for what the host looks like.

        :raises attributes.Exhausted: there was nothing left to look with.
        """
        try:
            kept = self._idle.pop()
        except IndexError:
            # all descriptors are another one's
            kept = _Kept(descriptors.Open(0))
        try:
            look = _Look(self._root, kept)
            snapshot = look.all()
            if not look.same():
                # what was kept may be of an object that has been replaced
                kept = kept.anew()
                snapshot = _Look(self._root, kept).all()
            kept.forget_unused()
            return snapshot
        finally:
            # the one with the descriptors is the first to be used again
            self._idle.insert(len(self._idle) if kept.open.most else 0, kept)


@dataclasses.dataclass(frozen=True)
class _Connection:
    """What is settled when a controller is made, but for an NQN of ''."""

    nqn: str
    portal: model.Portal | None
    host_nqn: str | None


class _Kept:
    """What one scan leaves to the next.

    :ivar open: the attributes that stay open.
    :ivar paths: what leads to the namespaces.
    :ivar order: the names of the connections.
    :ivar snapshot: what the scan returned.
    """

    def __init__(self, keep: descriptors.Open) -> None:
        self.open = keep
        self.connections = attributes.Constants[_Connection](
            lambda connection: bool(connection.nqn and connection.portal))
        self.paths = paths.Paths()
        self.order = attributes.Latest()
        self.values = attributes.Values()
        self.blocks = blocks.Kept()
        self.arrays = arrays.Kept()
        self.snapshot = attributes.Latest()

    def forget_unused(self) -> None:
        for kept in (self.connections, self.values, self.blocks,
                     self.arrays):
            kept.forget_unused()
        self.open.close_unread()

    def anew(self) -> _Kept:
        """Close all and return one that has seen nothing."""
        self.open.close()
        return _Kept(self.open)


class _Look:
    """One scan."""

    def __init__(self, root: str, kept: _Kept) -> None:
        self._root = root
        self._kept = kept
        self._ctl = attributes.without_links(
            os.path.join(root, paths.CONTROLLERS))
        self._connected = attributes.identities(self._ctl, 'nvme')
        self._devices = blocks.Blocks(root, kept.blocks)
        self._problems: list[str] = []

    def same(self) -> bool:
        """No connection and no device came, went or was replaced since."""
        return (attributes.identities(self._ctl, 'nvme') == self._connected
                and self._devices.same())

    def all(self) -> snapshots.HostSnapshot:
        controllers = self._controllers()
        leading = self._kept.paths.get(
            self._devices, self._ctl,
            frozenset(name for name, _found in controllers))
        users = _users(os.path.join(self._root, 'proc')) if leading else {}
        fabric: dict[str, model.Namespace | None] = {}
        for device, found in leading.items():
            fabric[device] = None
            try:
                fabric[device] = self._namespace(device, found, users)
            except FileNotFoundError:
                continue
            except ValueError as error:
                self._problems.append('namespace %s left out: %s' % (
                    device, error))
        found_arrays = arrays.Arrays(self._root, self._kept.arrays,
                                     self._kept.open, self._devices, fabric)
        return self._kept.snapshot.get(
            snapshots.HostSnapshot,
            tuple(found for _name, found in controllers if found is not None),
            tuple(found for found in fabric.values() if found is not None),
            found_arrays.all(self._problems), tuple(self._problems))

    def _controllers(self) -> list[tuple[str, model.Controller | None]]:
        """Return those that are here; None for one that makes no sense."""
        found: list[tuple[str, model.Controller | None]] = []
        names = self._kept.order.get(_controller_names, self._connected)
        try:
            at = attributes.open_directory(self._ctl)
        except FileNotFoundError:
            return found
        try:
            for name in names:
                try:
                    found.append((name, self._controller(name, at)))
                except FileNotFoundError:
                    continue
                except ValueError as error:
                    # only the controller: its namespaces are legs all the
                    # same
                    self._problems.append('controller %s left out: %s' % (
                        name, error))
                    found.append((name, None))
        finally:
            os.close(at)
        return found

    def _controller(self, name: str, at: int) -> model.Controller:
        identity = self._connected[name]
        connection = self._kept.connections.get(name, identity,
                                                self._connection)
        state = self._kept.open.read(name + '/state', identity, at)
        tmo = self._kept.open.read(name + '/fast_io_fail_tmo', identity, at)
        kato, delay = (self._kept.open.read('%s/%s' % (name, attribute),
                                            identity, at)
                       for attribute in ('kato', 'reconnect_delay'))
        if connection is None or state is None:
            raise FileNotFoundError(name)
        return self._kept.values.get(name, _make_controller, name,
                                     connection, state, tmo, kato, delay,
                                     identity)

    def _connection(self, name: str) -> _Connection | None:
        base = self._ctl + '/' + name
        nqn, address, transport, host = (
            attributes.read(base + '/' + attribute) for attribute in (
                'subsysnqn', 'address', 'transport', 'hostnqn'))
        if nqn is None:
            return None
        subsystem = attributes.text(nqn)
        # src_addr comes and goes with the connection; the rest is settled
        return _Connection(
            '' if subsystem == _NO_NQN_YET else subsystem,
            addresses.portal(attributes.text(address),
                             attributes.text(transport)),
            None if host is None else attributes.text(host))

    def _namespace(self, name: str, ways: list[tuple[str, str]],
                   users: dict[str, str]) -> model.Namespace:
        device = self._devices.device(name)
        size = self._kept.open.read(
            device.size, self._devices.identities[name]) if device else None
        if device is None or size is None:
            raise FileNotFoundError(name)
        number = self._devices.names(device).number
        uuid = self._devices.uuid(device, ways[0][1])
        holders = self._devices.holders(name)
        in_use = users.get(number) or users.get('/dev/' + name, '')
        for partition in self._devices.partitions(name, device):
            holders += self._devices.holders(partition)
            in_use = in_use or 'it has the partition %s' % partition
        for holder in holders:
            in_use = in_use or self._devices.mapped(holder)
        return self._kept.values.get(
            name, _make_namespace, name, uuid, size,
            tuple([controller for controller, _device in ways]), holders,
            in_use, frozenset([
                controller for controller, path in ways
                if self._devices.barred(path, self._kept.open)]))


def _controller_names(connected: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(filter(_CONTROLLER.match, connected)))


def _make_controller(name: str, connection: _Connection, state: bytes,
                     tmo: bytes | None, kato: bytes | None,
                     delay: bytes | None, identity: int) -> model.Controller:
    limit = attributes.text(tmo)
    return model.Controller(
        name=name, nqn=connection.nqn, portal=connection.portal,
        host_nqn=connection.host_nqn, state=attributes.text(state),
        fast_io_fail_tmo=None if tmo is None or limit == 'off'
        else float(limit), has_fast_io_fail=tmo is not None,
        keep_alive=_seconds(kato), reconnect_delay=_seconds(delay),
        identity=identity)


def _seconds(attribute: bytes | None) -> float | None:
    """None where it does not say: what it is for can be done without."""
    words = attributes.text(attribute)
    return float(words) if words.isdecimal() else None


def _make_namespace(device: str, uuid: str | None, size: bytes,
                    controllers: tuple[str, ...], holders: tuple[str, ...],
                    in_use: str, barred: frozenset[str]) -> model.Namespace:
    return model.Namespace(
        device, uuid, int(attributes.text(size)) * arrays.SECTOR, controllers,
        holders, in_use, barred)


def _users(proc: str) -> dict[str, str]:
    """major:minor or path of what is mounted -> a clause that says where.

    btrfs gives its mounts a number of their own, so that only the path
    of the device tells; swap space has a path only.
    """
    users = {}
    for line in attributes.lines(proc + '/self/mountinfo'):
        mount, _, source = line.partition(' - ')
        words = mount.split()
        if len(words) > 4:
            clause = 'it is mounted on %s' % words[4]
            users[words[2]] = clause
            for path in source.split()[1:2]:
                users[path] = clause
    for line in attributes.lines(proc + '/swaps')[1:]:
        for path in line.split()[:1]:
            users[path] = 'it is swap space'
    return users
