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
"""Real NVMe/TCP targets: the kernel's nvmet, set up through configfs.

One target is one subsystem with its namespaces, served on one or several
loopback addresses.  It can die in the ways a storage node does, and return.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
import logging
import pathlib
import uuid as uuid_lib

from os_brick.agent.tests.functional.lab import backing as backing_lib
from os_brick.agent.tests.functional.lab import network as network_lib
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import roce

LOG = logging.getLogger(__name__)

NVMET = pathlib.Path('/sys/kernel/config/nvmet')
PORT = 4420
MIB = 1024 * 1024
#: Small, so that a full resynchronisation takes seconds when emulated.
SIZE = 64 * MIB


@dataclasses.dataclass
class Namespace:
    """One exported block device; ``uuid`` is its NVMe UUID."""

    nsid: int
    uuid: str
    backing: backing_lib.Backing
    path: pathlib.Path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.backing.size

    def extend(self, size: int) -> None:
        """Become larger; the host is told of it."""
        self.backing.extend(size)
        (self.path / 'revalidate_size').write_text('1')

    def remove(self) -> None:
        """Let the namespace vanish while the connection lives."""
        LOG.info('namespace %s vanishes', self.uuid)
        (self.path / 'enable').write_text('0')

    def become(self, uuid: str) -> None:
        """Be another namespace of the same number, or be itself again."""
        LOG.info('namespace %s is now called %s', self.uuid, uuid)
        (self.path / 'enable').write_text('0')
        (self.path / 'device_uuid').write_text(uuid)
        (self.path / 'enable').write_text('1')

    def restore(self) -> None:
        """Give the namespace back as it was."""
        LOG.info('namespace %s is back', self.uuid)
        (self.path / 'enable').write_text('1')


class Target:
    """An NVMe subsystem and the addresses on which it is served."""

    def __init__(self, name: str, portals: dict[str, int],
                 network: network_lib.Network, transport: str,
                 shelf: str = '') -> None:
        """Create a subsystem that any host may connect to.

        :param portals: address to the number of its nvmet port, which may
            be that of another target.
        :param transport: tcp or rdma.
        :param shelf: what it fails together with; '': with nothing else.
        """
        self._transport = transport
        self.name = name
        self.shelf = shelf or name
        self.nqn = 'nqn.2024-01.org.example.lab:' + name
        self.namespaces: list[Namespace] = []
        self.numbers = portals
        self._network = network
        self._path = NVMET / 'subsystems' / self.nqn
        self._path.mkdir()
        (self._path / 'attr_allow_any_host').write_text('1')
        for address, number in portals.items():
            port = NVMET / 'ports' / str(number)
            if port.exists():
                continue
            port.mkdir()
            for attribute, value in (
                    ('addr_trtype', transport),
                    ('addr_adrfam', network_lib.family(address)),
                    ('addr_traddr', address), ('addr_trsvcid', str(PORT))):
                (port / attribute).write_text(value)

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return list(self.numbers)

    @property
    def portals(self) -> list[tuple[str, int, str]]:
        """The portals as os-brick's connection properties want them."""
        return [(address, PORT, self._transport)
                for address in self.numbers]

    @property
    def namespace(self) -> Namespace:
        """The first namespace; most targets have one."""
        return self.namespaces[0]

    def add_namespace(self, size: int = SIZE, uuid: str | None = None,
                      slow: bool = False) -> Namespace:
        """Export another block device of ``size`` bytes.

        :param slow: whether its backing device's ``set_delay`` will be used.
        """
        nsid = len(self.namespaces) + 1
        namespace = Namespace(
            nsid=nsid, uuid=uuid or str(uuid_lib.uuid4()),
            backing=backing_lib.Backing(
                '%s-%d' % (self.name, nsid), size, slow),
            path=self._path / 'namespaces' / str(nsid))
        self.namespaces.append(namespace)
        namespace.path.mkdir()
        (namespace.path / 'device_path').write_text(namespace.backing.device)
        (namespace.path / 'device_uuid').write_text(namespace.uuid)
        (namespace.path / 'enable').write_text('1')
        return namespace

    def kill(self, addresses: Sequence[str] | None = None) -> None:
        """Die with a connection reset, on some addresses or on all."""
        for address in self._chosen(addresses):
            LOG.info('target %s dies on %s', self.name, address)
            self._link(address).unlink(missing_ok=True)

    def revive(self, addresses: Sequence[str] | None = None) -> None:
        """Accept connections again; the host reconnects by itself."""
        for address in self._chosen(addresses):
            LOG.info('target %s serves on %s', self.name, address)
            with contextlib.suppress(FileExistsError):
                self._link(address).symlink_to(self._path)

    def lose_power(self, addresses: Sequence[str] | None = None) -> None:
        """Fall silent: packets vanish both ways, nobody is told."""
        self._network.lose(*self._chosen(addresses))

    def restore_power(self, addresses: Sequence[str] | None = None) -> None:
        """Answer again."""
        self._network.restore(*self._chosen(addresses))

    def delay(self, seconds: float,
              addresses: Sequence[str] | None = None) -> None:
        """Let each round trip take that much longer; 0 ends it."""
        for address in self._chosen(addresses):
            self._network.delay(address, seconds)

    def limit_queues(self, most: int) -> None:
        """Have so many queues at most; its hosts have to connect anew."""
        (self._path / 'attr_qid_max').write_text(str(most))

    def give_access(self, state: str = 'optimized',
                    addresses: Sequence[str] | None = None) -> None:
        """Say how namespaces may be accessed there (ANA); the host is told.

        :param state: optimized, non-optimized, inaccessible, persistent-loss
            or change.
        """
        for address in self._chosen(addresses):
            LOG.info('target %s is %s on %s', self.name, state, address)
            (NVMET / 'ports' / str(self.numbers[address])
             / 'ana_groups/1/ana_state').write_text(state)

    def remove(self) -> None:
        """Take all of it away, whatever state it is in."""
        process.attempt(self.kill)
        for number in self.numbers.values():
            process.attempt(_remove_port, NVMET / 'ports' / str(number))
        for namespace in self.namespaces:
            if namespace.path.exists():
                process.attempt(namespace.remove)
                process.attempt(namespace.path.rmdir)
            namespace.backing.remove()
        if self._path.exists():
            process.attempt(self._path.rmdir)

    def _link(self, address: str) -> pathlib.Path:
        return (NVMET / 'ports' / str(self.numbers[address]) / 'subsystems'
                / self.nqn)

    def _chosen(self, addresses: Sequence[str] | None) -> list[str]:
        return self.addresses if addresses is None else list(addresses)


def _remove_port(port: pathlib.Path) -> None:
    # the last target of a shelf takes it away
    if not any((port / 'subsystems').iterdir()):
        port.rmdir()


class TargetRack:
    """All targets of one lab session; a context that cleans up.

    :ivar family: of the addresses of what is added over TCP: ipv4 or ipv6.
    """

    family = 'ipv4'

    def __init__(self, prefix: str = 't') -> None:
        self.network = network_lib.Network()
        self._roce: network_lib.Network | None = None
        self.targets: list[Target] = []
        self._prefix = prefix
        self._numbers = itertools.count(1)

    def add(self, namespaces: int = 1, portals: int = 1, size: int = SIZE,
            slow: bool = False, uuid: str | None = None,
            transport: str = 'tcp', beside: Target | None = None) -> Target:
        """Start a target that serves at once.

        :param size: bytes of each namespace.
        :param uuid: the NVMe UUID of the first namespace; default: a new one.
        :param transport: tcp, or rdma over soft RoCE.
        :param beside: one on the same shelf, whose portals it has.
        """
        numbers = list(itertools.islice(self._numbers, portals))
        network = self._network_of(transport)
        target = Target(
            '%s%d' % (self._prefix, numbers[0]),
            beside.numbers if beside else {
                self._address(transport, number): number
                for number in numbers},
            network, transport, beside.shelf if beside else '')
        self.targets.append(target)
        for index in range(namespaces):
            target.add_namespace(size, uuid if index == 0 else None, slow)
        target.revive()
        return target

    def _address(self, transport: str, number: int) -> str:
        if transport != 'tcp':
            return roce.address(number)
        return network_lib.loopback_address(self.family, number)

    def _network_of(self, transport: str) -> network_lib.Network:
        if transport == 'tcp':
            return self.network
        if self._roce is None:
            self._roce = roce.make()
        return self._roce

    def _all_packets_pass(self) -> None:
        for network in (self.network, self._roce):
            if network is not None:
                process.attempt(network.reset)

    def restore(self) -> None:
        """Bring every target and every packet back, as a clean-up needs."""
        self._all_packets_pass()
        for target in self.targets:
            process.attempt(target.give_access)
            process.attempt(target.revive)
            for namespace in target.namespaces:
                process.attempt(namespace.restore)
                if namespace.backing.device != namespace.backing.loop:
                    process.attempt(namespace.backing.set_delay, 0)

    def remove(self) -> None:
        """Take all targets away; their connections must be gone."""
        for target in self.targets:
            target.remove()
        self.targets.clear()
        self._all_packets_pass()
