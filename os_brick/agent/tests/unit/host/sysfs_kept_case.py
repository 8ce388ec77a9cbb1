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
"""A host that changes under a scanner which has seen it before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from os_brick.agent.host import attributes
from os_brick.agent.host import descriptors
from os_brick.agent.host import sysfs
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.host import test_sysfs

A, B = test_sysfs.A, test_sysfs.B
C = 'cccccccc-0000-4000-8000-000000000003'


class KeptCase(test_sysfs.ScanCase):
    """Every scan of a test is by one scanner, which has seen the host."""

    def build(self) -> None:
        super().build()
        self.scanner = sysfs.Scanner(self.host.root)
        self.scanner.scan()
        self.scanner.scan()

    def scan(self) -> snapshots.HostSnapshot:
        kept = self.scanner.scan()
        self.assertEqual(sysfs.Scanner(self.host.root).scan(), kept)
        return kept

    def replace_namespace(self, uuid: str = C) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', uuid, ('nvme1',))

    def replace_controller(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        self.host.controller('nvme1', 'nqn.2024-01.test:other', '192.0.2.9',
                             hostnqn='nqn.2024-01.test:host')
        self.host.namespace('nvme1n1', C, ('nvme1',))


class Meddling:
    """Lets something happen to the host before a look of a scan."""

    def __init__(self, after: int, meddle: Callable[[], None]) -> None:
        self.left = after
        self._meddle = meddle

    def __enter__(self) -> None:
        self._patches = [
            mock.patch.object(attributes, name,
                              self._looking(getattr(attributes, name)))
            for name in ('read', 'names', 'identities', 'open_directory')
        ] + [mock.patch.object(descriptors.Open, 'read',
                               self._looking(descriptors.Open.read))]
        for patch in self._patches:
            patch.start()

    def __exit__(self, *_error: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _looking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def look(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == -1:
                self._meddle()
            return real(*args, **kwargs)

        return look
