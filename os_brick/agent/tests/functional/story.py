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
"""What the stories of healing share: a volume, spares, a writer, an agent."""

from __future__ import annotations

import mmap
import os
from typing import Any

from os_brick.agent.tests.functional import base
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

REPLACE = r'asking the provisioner to replace replica %s'
RETIRE = r'asking the provisioner to retire replica %s'
CONFIRM = r'asking the provisioner to confirm replica %s'
#: By the guard, by md, or with its device, as without native multipath.
LOST_LEG = r'done: FailLeg|is faulty|leg \S+ .* was removed'
LONG = 300.0
#: KiB/s: an exchange then lasts for some passes, on any machine.
SPEED = 16 * 1024
#: Bytes that are written at once.
BLOCK = 4096


class StoryTestCase(base.LabTestCase):
    """Steps and statements in the words of the story."""

    def watched(self, *volumes: connector.Volume, spares: int = 1,
                grace: float = 3.0, start: bool = True,
                transport: str = 'tcp', **options: Any) -> agent_lib.Agent:
        """Start an agent that has these volumes and fresh spares."""
        self.spares = [self.rack.add(transport=transport)
                       for _ in range(spares)]
        return self.session.agent(
            {'DEFAULT': dict(options, replacement_grace_period=grace)},
            inventory.text(volumes, self.spares), start)

    def hold_open(self, volume: connector.Volume) -> None:
        """Have it open and written to, as its virtual machine has.

        udev's ``mdadm --incremental --fail`` makes an array that nobody has
        open read-auto when a leg's device vanishes (mdadm, Incremental.c),
        and a leg that returns to it is not brought up to date.
        """
        writer_lib.touch(volume.path)
        self.addCleanup(os.close, os.open(volume.path, os.O_RDONLY))

    def uuid(self, target: targets.Target) -> str:
        return target.namespace.uuid

    def array(self, volume: connector.Volume) -> host.Array:
        """The volume's array, which is expected to be there."""
        array = host.array(volume.alias)
        assert array is not None
        return array

    def legs(self, volume: connector.Volume) -> set[str | None]:
        """UUIDs of the in-sync legs."""
        array = host.array(volume.alias)
        if array is None:
            return set()
        return {leg.uuid for leg in array.legs if leg.in_sync}

    def wait_whole(self, volume: connector.Volume,
                   *members: targets.Target) -> None:
        """Wait until exactly these targets hold the volume, in sync."""
        wanted = {self.uuid(target) for target in members}

        def whole() -> bool:
            array = host.array(volume.alias)
            return (array is not None and array.whole
                    and self.legs(volume) == wanted)
        waiting.wait_until(whole, 'array %s is whole over %s' % (
            volume.alias, ', '.join(target.name for target in members)),
            LONG)

    def assert_nothing_lost(self, writer: writer_lib.Writer,
                            volume: connector.Volume) -> None:
        """Every acknowledged write is on each leg; no write failed."""
        writer.wait_for_writes(20, LONG)
        status = writer.stop()
        self.assertEqual(0, status.errors)
        result = writer.verify(alias=volume.alias)
        self.assertTrue(result.ok, str(result))
        self.assertGreaterEqual(len(result.compared), 3)

    def write_block(self, volume: connector.Volume, place: int,
                    words: bytes) -> None:
        """Write one block; it is acknowledged when this returns."""
        with mmap.mmap(-1, BLOCK) as block:
            block.write(words.ljust(BLOCK, b'.'))
            disk = os.open(volume.path, os.O_WRONLY | os.O_DIRECT)
            try:
                os.pwritev(disk, [block], place)
            finally:
                os.close(disk)

    def on_a_leg(self, volume: connector.Volume, place: int) -> int:
        """Return where that place of the array is on a replica's device."""
        return self.array(volume).legs[0].data_offset + place

    def slow_down(self, volume: connector.Volume) -> None:
        """Let md take some seconds for what it copies."""
        (host.BLOCK / self.array(volume).name / 'md/sync_speed_max'
         ).write_text(str(SPEED))

    def drop(self, volume: connector.Volume, device: str) -> None:
        """Have md list a faulty leg no more, if it still does."""
        waiting.wait_until(
            lambda: process.succeeds('mdadm', '--manage', volume.path,
                                     '--remove', device)
            or not any('/dev/' + leg.device == device for leg
                       in self.array(volume).legs),
            '%s leaves the array' % device, LONG)

    def assert_legs_equal(self, volume: connector.Volume) -> None:
        """md compares its legs and finds no difference."""
        self.assertEqual(0, host.mismatches(self.array(volume).name, LONG))

    def connected(self, target: targets.Target) -> bool:
        return bool(host.controllers(target.nqn))
