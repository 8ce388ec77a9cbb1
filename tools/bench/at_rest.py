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
"""A host at rest, generated: what the benchmark lets the agent watch.

Everything of the agent is real (scanner, ledger, local driver, decisions)
but the host, which is files below one directory, and the hands: once the
host has come to rest, being asked to do anything is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
from typing import Any

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import healing_loop
from os_brick.agent.host import activity
from os_brick.agent.host import batch
from os_brick.agent.host import evidence
from os_brick.agent.host import execute
from os_brick.agent.host import origins
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent import opts
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit import superblocks
from os_brick.agent.vendors import local

LEGS = 3
SETTLING_PASSES = 10
HOST = model.Host(fakesys.HOST_NQN, None, 'bench')


class Restless(BaseException):
    """The agent wants to do something on a host at rest.

    Not an Exception: a pass shelters itself from those.
    """


class Superblocks(evidence.Evidence):
    """Those that the legs of healthy arrays have."""

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot]) -> None:
        self._look = scan

    def superblocks(self, devices: Collection[str]
                    ) -> dict[str, superblock.Content]:
        return {
            leg.device: superblocks.content(superblocks.of(
                leg.slot or 0, array=array.uuid or superblocks.ARRAY))
            for array in self._look().arrays for leg in array.legs
            if leg.device in devices}


class Hands(execute.Executor):
    """Deals the guard's roles, no more; has nothing of this host's."""

    def __init__(self, host: fakesys.FakeHost,
                 scan: Callable[[], snapshots.HostSnapshot]) -> None:
        self._origins = origins.Origins(Superblocks(scan))
        self._fake = host
        self.settled = False

    def execute(self, action: act.Action, volume: model.Volume,
                owned: ownership.Owned) -> None:
        if isinstance(action, act.SetFastIoFail) and not self.settled:
            self._fake.set_controller(
                action.controller, fast_io_fail_tmo='off'
                if action.seconds is None else round(action.seconds))
        elif isinstance(action, act.SetFailfast) and not self.settled:
            self._fake.set_leg(
                action.array, action.device,
                state='in_sync,failfast' if action.on else 'in_sync')
        else:
            raise Restless('volume %s: %s' % (volume.alias, action))

    def offline(self, wanted: Mapping[str, Collection[model.Portal]]
                ) -> dict[str, str]:
        """Every target can be reached."""
        return {}

    def listening(self, portals: Collection[model.Portal]
                  ) -> frozenset[model.Portal]:
        """Nobody listens at a lost target."""
        return frozenset()

    def execute_all(self, steps: Sequence[batch.Step],
                    owned: ownership.Owned, heard: Collection[str] = (),
                    budget: float = batch.BUDGET) -> list[batch.Outcome]:
        for step in steps:
            self.execute(step.action, step.volume, owned)
        return [None] * len(steps)

    def answering(self, devices: Collection[str]) -> frozenset[str]:
        return frozenset(devices)


class World(clocks.Clock):
    """So many healthy arrays, and the agent that watches them.

    :param tree: directory for the generated sysfs.
    :param state: directory for the ledgers and the inventory.
    """

    def __init__(self, arrays: int, tree: str, state: str) -> None:
        self.host = fakesys.FakeHost(tree)
        self.host.replicated_volumes(arrays, LEGS)
        inventory = os.path.join(state, 'volumes.yaml')
        scanner = sysfs.Scanner(tree)
        self._hands = Hands(self.host, scanner.scan)
        with open(inventory, 'w', encoding='utf-8') as stream:
            stream.write(_inventory(scanner.scan()))
        conf = cfg.ConfigOpts()
        opts.register(conf)
        conf.register_opts(local.LocalDriver.options())
        conf([], project='nvme-agent', default_config_files=[])
        conf.set_override('state_dir', state)
        conf.set_override('local_inventory_file', inventory)
        self.conf = conf
        self._driver = local.LocalDriver(conf)
        self._driver.set_up()
        self._book = ledger.Ledger(os.path.join(state, 'agent.sqlite'))
        self._now = 0.0
        self._guard = guard_loop.GuardLoop(
            conf, scanner.scan, self._hands, activity.ActivityReader(tree),
            dict, clock=self)
        self._cycle = healing_loop.HealingLoop(
            conf, self._driver, HOST, scanner.scan, self._hands, self._book,
            lambda: False, self._guard.publish)
        self._settle()

    def monotonic(self) -> float:
        """Return the guard's time, which stands still but for its looks."""
        return self._now

    def _settle(self) -> None:
        for _ in range(SETTLING_PASSES):
            self._cycle.run()
            self._now += self.conf.poll_interval
            self._guard.look()
        self._hands.settled = True
        self.do_pass()
        self.do_check()

    def do_check(self) -> None:
        """Do what it does every ``connection_check_interval`` seconds.

        Every ``poll_interval`` seconds that is a scan.

        :raises Restless: there was anything to do.
        """
        self._now += self.conf.connection_check_interval
        self._guard.look()

    def do_pass(self) -> None:
        """Do what the agent does every ``poll_interval`` seconds.

        :raises Restless: there was anything to do.
        """
        if self._cycle.run() is not None:
            raise Restless('the agent wants to look again soon')

    def close(self) -> None:
        self._driver.close()
        self._book.close()


def _inventory(snapshot: snapshots.HostSnapshot) -> str:
    """Describe what is there, as an operator would; JSON is YAML."""
    return json.dumps({'volumes': [{
        'uuid': '%08d-0000-4000-8000-000000000000' % number,
        'alias': array.alias,
        'replicas': [_replica(leg, snapshot) for leg in array.legs]}
        for number, array in enumerate(snapshot.arrays)]})


def _replica(leg: model.Leg,
             snapshot: snapshots.HostSnapshot) -> dict[str, Any]:
    namespace = snapshot.behind(leg)
    assert namespace is not None
    (path,) = snapshot.paths(namespace)
    assert path.portal is not None
    return {'uuid': leg.replica_uuid, 'nqn': path.nqn, 'portals': [{
        'address': path.portal.address, 'port': path.portal.port}]}
