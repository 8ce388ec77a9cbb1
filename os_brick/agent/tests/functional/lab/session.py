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
"""Everything of one lab session, and its end whatever has happened."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import pathlib
from typing import Any

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

LOG = logging.getLogger(__name__)

_attacher: connector.Attacher | None = None


def attacher() -> connector.Attacher:
    """Return the one attacher: its privsep helper is slow to start."""
    global _attacher
    if _attacher is None:
        _attacher = connector.Attacher()
    return _attacher


class Session:
    """Targets, volumes, writers and agents; ``close`` ends them all."""

    def __init__(self, fork: bool = False) -> None:
        """Begin; nothing may be left of an earlier one.

        :param fork: whether agents are forked instead of executed, which is
            no agent to measure.
        """
        self._fork = fork
        if fork:
            forked.server()   # it imports while the test begins
        self.rack = targets.TargetRack()
        self.agents: list[agent_lib.Agent] = []
        self.writers: list[writer_lib.Writer] = []
        left = host.leftovers()
        if left:
            raise RuntimeError('the lab is not clean: %s' % '; '.join(left))

    def attach(self, alias: str, replicas: int = 2,
               **target: Any) -> connector.Volume:
        """Make fresh targets and attach a volume of them.

        :param target: as for ``TargetRack.add``, the same for each target.
        """
        volume = connector.Volume.on(
            alias, *[self.rack.add(**target) for _ in range(replicas)])
        attacher().attach(volume)
        return volume

    def detach(self, volume: connector.Volume) -> None:
        """Detach a volume by os-brick."""
        attacher().detach(volume)

    def write(self, volume: connector.Volume,
              **options: Any) -> writer_lib.Writer:
        """Start a writer on a volume; the first write has then finished."""
        return self.write_to(volume.path, **options)

    def write_to(self, device: str, **options: Any) -> writer_lib.Writer:
        """Start a writer on what lies on a volume."""
        writer = writer_lib.Writer(device, **options)
        self.writers.append(writer)
        writer.wait_for_writes(1)
        return writer

    def agent(self, options: Mapping[str, Mapping[str, Any]] | None = None,
              inventory: str | None = None,
              start: bool = True) -> agent_lib.Agent:
        """Configure an agent, and start it unless told otherwise."""
        made = agent_lib.Agent(options, 'agent-%d' % len(self.agents),
                               inventory, self._fork)
        self.agents.append(made)
        if start:
            made.start()
        return made

    def logs(self) -> list[pathlib.Path]:
        """Return the files that tell what happened."""
        found: list[pathlib.Path] = [forked.LOG_PATH]
        for one in self.agents:
            found += [one.log_path, one.config_path, one.inventory_path]
        return found

    def close(self) -> None:
        """End everything, hung I/O included, and look whether it worked.

        The targets come back first: what hangs for want of them then ends,
        and nothing has to be torn out by force.

        :raises RuntimeError: naming what is left.
        """
        for one in self.agents:
            process.attempt(one.cleanup)
        for writer in self.writers:
            writer.kill()
        self.rack.restore()
        host.stop_arrays()
        host.disconnect_all()
        # An array whose legs hung could not be stopped before.
        host.stop_arrays()
        self.rack.remove()
        for writer in self.writers:
            writer.discard()
        if _attacher is not None:
            _attacher.forget()
        process.attempt(process.run, 'udevadm', 'settle', '--timeout=10')
        try:
            waiting.wait_until(lambda: not host.leftovers(),
                               'nothing is left', limit=15)
        except waiting.TimedOut:
            raise RuntimeError('left over in the lab: %s'
                               % '; '.join(host.leftovers())) from None
