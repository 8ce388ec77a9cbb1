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
"""All with which an action reaches out of this process.

That is one method for each entry point of ``privileged``, the probe of a
portal, and the file that os-brick locks.  A simulated world hands in its own.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import socket

from oslo_concurrency import lockutils

from os_brick.agent.host import privileged
from os_brick.agent.host import routes
from os_brick.agent import model

# os_brick.initiator.connectors.base.synchronized('connect_volume', ...)
LOCK_NAME, LOCK_PREFIX = 'connect_volume', 'os-brick-'
PROBE_TIMEOUT = 3.0
#: Portals that are probed at the same time.
PROBES = 64


class Effects:
    """What is said of an entry point in ``privileged`` holds here, too.

    :raises commands.CommandFailed: a program, or the kernel, refused it.
    :raises commands.NotMeant: a name was given to another device meanwhile.
    :raises commands.BadArgument: an argument is not what it has to be.
    """

    def connect(self, nqn: str, address: str, port: int, transport: str,
                host_nqn: str) -> None:
        privileged.connect(nqn, address, port, transport, host_nqn)

    def disconnect(self, controller: str) -> None:
        privileged.disconnect(controller)

    def disconnect_all(self, controllers: Sequence[str],
                       milliseconds: int) -> list[str]:
        return list(privileged.disconnect_all(controllers, milliseconds))

    def set_fast_io_fail(self, controller: str, seconds: int) -> None:
        privileged.set_fast_io_fail(controller, seconds)

    def set_keep_alive(self, controller: str, seconds: int) -> None:
        privileged.set_keep_alive(controller, seconds)

    def set_reconnect_delay(self, controller: str, seconds: int) -> None:
        privileged.set_reconnect_delay(controller, seconds)

    def set_iopolicy(self, subsystem: str, nqn: str, policy: str) -> None:
        privileged.set_iopolicy(subsystem, nqn, policy)

    def set_failfast(self, array: str, device: str, on: bool) -> None:
        privileged.set_failfast(array, device, on)

    def set_sync_speed_max(self, array: str, kib_per_s: int) -> None:
        privileged.set_sync_speed_max(array, kib_per_s)

    def set_bitmap_delay(self, array: str, seconds: int) -> None:
        privileged.set_bitmap_delay(array, seconds)

    def close_connections(self, address: str, port: int) -> int:
        return int(privileged.close_connections(address, port))

    def send_keep_alive(self, controller: str, milliseconds: int) -> None:
        privileged.send_keep_alive(controller, milliseconds)

    def answering(self, devices: Sequence[str],
                  milliseconds: int) -> list[str]:
        return list(privileged.answering(devices, milliseconds))

    def superblocks(self, devices: Sequence[str],
                    milliseconds: int) -> dict[str, list[bytes] | str]:
        return dict(privileged.superblocks(devices, milliseconds))

    def fail(self, array: str, device: str) -> None:
        privileged.fail(array, device)

    def fail_all(self, legs: Sequence[Sequence[str]],
                 milliseconds: int) -> list[str]:
        return list(privileged.fail_all(legs, milliseconds))

    def keep_marked(self, array: str, device: str,
                    milliseconds: int) -> int:
        return int(privileged.keep_marked(array, device, milliseconds))

    def remove(self, array: str, device: str) -> None:
        privileged.remove(array, device)

    def add(self, array: str, device: str, uuid: str) -> None:
        privileged.add(array, device, uuid)

    def re_add(self, array: str, device: str, uuid: str) -> None:
        privileged.re_add(array, device, uuid)

    def erase_superblock(self, device: str, uuid: str) -> None:
        privileged.erase_superblock(device, uuid)

    def replace(self, array: str, device: str, spare: str,
                uuid: str) -> None:
        privileged.replace(array, device, spare, uuid)

    def resize(self, array: str, raid_disks: int) -> None:
        privileged.resize(array, raid_disks)

    def no_way(self, portal: model.Portal) -> str:
        """Return why this host cannot reach a portal, '' where it may.

        Nothing is sent, and nothing is waited for.
        """
        return routes.no_way(portal)

    def probe(self, portal: model.Portal,
              seconds: float = PROBE_TIMEOUT) -> None:
        """Find out whether anybody listens at a TCP portal.

        :raises OSError: nobody does, or says so in time.
        """
        socket.create_connection((portal.address, portal.port),
                                 seconds).close()

    def probe_all(self, portals: Sequence[model.Portal],
                  seconds: float = PROBE_TIMEOUT
                  ) -> dict[model.Portal, OSError]:
        """Probe TCP portals side by side; return those that do not answer."""
        errors: dict[model.Portal, OSError] = {}

        def one(portal: model.Portal) -> None:
            try:
                self.probe(portal, seconds)
            except OSError as error:
                errors[portal] = error

        if type(self).probe is not Effects.probe or len(portals) == 1:
            # a simulated world has threads of its own
            for portal in portals:
                one(portal)
            return errors
        with futures.ThreadPoolExecutor(min(len(portals), PROBES)) as pool:
            list(pool.map(one, portals))
        return errors

    def try_lock(self, folder: str) -> Callable[[], object] | None:
        """Take os-brick's lock if it is free; return what lets it go.

        :param folder: the directory with the lock's file.
        :raises OSError: the file cannot be used.
        """
        lock = lockutils.lock(LOCK_NAME, LOCK_PREFIX, external=True,
                              lock_path=folder, blocking=False, do_log=False)
        try:
            lock.__enter__()
        except lockutils.AcquireLockFailedException:
            return None
        return lambda: lock.__exit__(None, None, None)
