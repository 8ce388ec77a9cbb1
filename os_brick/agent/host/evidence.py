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
"""What is read of namespaces just before something is decided (S10, S11)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping

from os_brick.agent.host import effects as host_effects
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock

# Milliseconds.
ANSWER_WITHIN = 200
READ_WITHIN = 2000
#: Seconds within which a portal that listens says so.
LISTENS_WITHIN = 0.3


class Evidence:
    """Asks the namespaces themselves; for any thread.

    :param scan: looks at this host; raises NotDone where it cannot.
    """

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot],
                 effects: host_effects.Effects) -> None:
        self._scan = scan
        self._effects = effects

    def superblocks(self, devices: Collection[str]
                    ) -> dict[str, superblock.Content]:
        """Return what is on those namespaces that answer in time.

        One whose read failed is among them only while it can be reached: the
        loss of a connection fails reads, too, and says nothing of a disk.

        :raises NotDone: when it could not be tried.
        """
        if not devices:
            return {}
        with not_done.told():
            found = self._effects.superblocks(sorted(devices), READ_WITHIN)
        read = {device: superblock.read(tuple(blocks))
                for device, blocks in found.items()
                if not isinstance(blocks, str)}
        failed = {device: why for device, why in found.items()
                  if isinstance(why, str)}
        return {**read, **self._unreadable(failed)} if failed else read

    def _unreadable(self, failed: Mapping[str, str]
                    ) -> dict[str, superblock.Content]:
        """Those of them that this host still has a way to."""
        now = self._scan()
        return {device: superblock.Content(unreadable=why)
                for device, why in failed.items()
                if (namespace := now.namespace(device)) is not None
                and now.reachable(namespace)}

    def answering(self, devices: Collection[str]) -> frozenset[str]:
        """Return those namespaces that have answered a direct read.

        One that takes its time has another chance with the next call.

        :raises NotDone: when it could not be tried.
        """
        return self._answering(devices, ANSWER_WITHIN)

    def answering_patiently(self, devices: Collection[str]
                            ) -> frozenset[str]:
        """Return the same, after waiting for those that take their time.

        :raises NotDone: when it could not be tried.
        """
        return self._answering(devices, READ_WITHIN)

    def listening(self, portals: Collection[model.Portal]
                  ) -> frozenset[model.Portal]:
        """Return those TCP portals at which somebody listens just now."""
        asked = sorted(portals, key=str)
        return frozenset(asked) - self._effects.probe_all(
            asked, LISTENS_WITHIN).keys()

    def _answering(self, devices: Collection[str],
                   milliseconds: int) -> frozenset[str]:
        with not_done.told():
            return frozenset(self._effects.answering(sorted(devices),
                                                     milliseconds))
