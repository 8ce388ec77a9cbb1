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
"""An array on a host of files, and who does actions on it."""

from __future__ import annotations

import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent.host import batch
from os_brick.agent.host import effects
from os_brick.agent.host import execute
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks

A, B, C, D = (small_world.uuid(1, letter) for letter in 'abcd')
VOLUME = model.Volume(small_world.uuid(1, 'f'), 'volume', None, (
    model.Replica(A), model.Replica(B), model.Replica(C)))
OWNED = ownership.Owned(frozenset(['md127']), frozenset([A, B, C]))


class ActionsCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = fakesys.FakeHost(self.folder())
        for name, uuid in (('nvme1', A), ('nvme2', B), ('nvme3', C)):
            self.host.controller(name)
            self.host.namespace(name + 'n1', uuid, (name,))
        self.host.array('md127', ('nvme1n1', 'nvme2n1'), alias='volume')
        self.host.set_array('md127', **fakesys.WRITTEN)
        self.locks = self.folder()
        self.conf = small_world.configuration(lock_timeout=1.0)
        self.conf.set_override('lock_path', self.locks, 'os_brick')
        self.scanner = sysfs.Scanner(self.host.root)
        self.stopping = False
        self.privileged = mock.Mock(spec=effects.Effects)
        real = effects.Effects()
        self.privileged.try_lock.side_effect = real.try_lock
        self.privileged.probe_all.side_effect = real.probe_all
        self.privileged.close_connections.return_value = 1
        self.privileged.no_way.return_value = ''
        self.privileged.fail_all.side_effect = (
            lambda legs, _milliseconds: [''] * len(legs))
        self.privileged.disconnect_all.side_effect = (
            lambda names, _milliseconds: [''] * len(names))
        self.executor = execute.Executor(
            self.conf, self.scanner, small_world.HOST,
            lambda: self.stopping, self.privileged)
        self.blocks: dict[str, list[bytes]] = {}
        self.privileged.superblocks.side_effect = self.superblocks

    def superblocks(self, devices: list[str],
                    _milliseconds: int) -> dict[str, list[bytes]]:
        snapshot = sysfs.Scanner(self.host.root).scan()
        found = superblocks.contents(snapshot, snapshot.array('md127'))
        return {device: self.blocks.get(device, [
            superblocks.block(copy) for copy in found[device].superblocks])
            for device in devices}

    def put(self, where, name, value):
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)
        return value

    def folder(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def do(self, action: act.Action) -> None:
        self.executor.execute(action, VOLUME, OWNED)

    def urgently(self, *actions: act.Action) -> None:
        self.assertEqual([None] * len(actions), self.executor.execute_all(
            [batch.Step(action, VOLUME) for action in actions], OWNED))

    def refused(self, action: act.Action, *words: str,
                kind: type[Exception] = execute.Refused) -> None:
        error = self.assertRaises(kind, self.do, action)
        for word in words:
            self.assertIn(word, str(error))

    def called(self) -> list[tuple[object, ...]]:
        return [(name,) + arguments for name, arguments, _words
                in self.privileged.mock_calls
                if name not in ('superblocks', 'try_lock', 'probe_all')]
