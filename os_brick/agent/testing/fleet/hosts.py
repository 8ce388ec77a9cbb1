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
"""Hosts with the real daemon and the real etcd driver, on shared shelves.

Kernel, arrays and time are those of the simulation, and so is the judge that
holds each agent to the laws; what it is told of the provisioner are etcd's
answers.  The calls to etcd are real, and take real time.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Sequence
import os
import random
from typing import Any

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import hands as simulated_hands
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import told as tolds
from os_brick.agent.vendors import base
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire


class Turns:
    """The way to etcd; between two requests another host may come."""

    def __init__(self, behind: wire.Wire, point: Callable[[str], None]
                 ) -> None:
        self._behind = behind
        self._point = point

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._point('before a request to etcd')
        return self._behind.call(path, body)


class Host:
    """A host with its volumes.

    :ivar resyncs: the most that went on at once, as md has it.
    :ivar degraded: how often an array was found so.
    """

    def __init__(self, fleet: Fleet, number: int) -> None:
        plan = fleet.plan
        self.name = shelves.host_name(number)
        self.resyncs = self.degraded = 0
        self._writes = 0
        folder = os.path.join(fleet.folder, self.name)
        os.makedirs(folder)
        self.folder = folder
        self._fleet = fleet
        self.conf = _configuration(fleet, folder)
        self.kernel = kernel = kernels.Kernel()
        kernel.wall = fleet.clock.wall
        for shelf in range(plan.shelves):
            kernel.target(shelf, *(
                fleet.media[leg] for volume in plan.of_host(number)
                for leg, home in plan.legs(volume) if home == shelf))
        for volume in plan.of_host(number):
            raid = kernel.attach(
                'md%d' % volume, 'vol-%d' % volume,
                *(leg for leg, _shelf in plan.legs(volume)),
                sync_time=fleet.sync_time)
            raid.uuid = shelves.uuid(shelves.ARRAY, volume)
            raid.write_superblocks()
        driver = etcd.EtcdDriver(self.conf)
        driver.set_up()
        assert driver._wire is not None
        driver._store = store.Store(Turns(driver._wire, fleet.baton.point))
        self.use(driver)

    def use(self, driver: base.ProvisionerDriver) -> None:
        """Have an agent with a driver that is set up; it is not started."""
        fleet, kernel = self._fleet, self.kernel
        self._driver = driver
        told = tolds.Told(driver, kernel, fleet.baton, self._show)
        self.judge = judges.Judge(kernel, told)
        told.give_away = self.judge.give_away
        self.agent = agents.Agent(
            self.conf, self.folder, kernel, told, self.judge,
            simulated_hands.Hands(kernel, fleet.baton, self.judge,
                                  lambda what: None),
            fleet.baton, fleet.clock, fleet.dice, model.Host(
                'nqn.2014-08.org.example:' + self.name, None, self.name))
        kernel.changed = self.agent.changed

    def _show(self, replica: model.Replica) -> None:
        """A shelf shows a host the namespaces of its own volumes only."""
        assert replica.target is not None
        self.kernel.export(self.kernel.targets[replica.target.nqn],
                           self._fleet.media[replica.uuid])

    def advance(self, seconds: float) -> None:
        """Let time pass; an application writes to each array.

        :raises judges.Violation: a law was broken.
        """
        self._writes += 1
        raids = list(self.kernel.raids.values())
        for raid in raids:
            self.kernel.write(raid, self._writes % md.BLOCKS)
        self.kernel.advance(seconds)
        self.judge.guarded = self.agent.alive and self.agent.knows
        self.judge.after()
        if self.judge.broken:
            raise judges.Violation('%s: %s' % (self.name, self.judge.broken))
        self.degraded += sum(not raid.whole for raid in raids)
        self.resyncs = max(self.resyncs, len(self.copied_to()))

    def copied_to(self) -> list[str]:
        """Return the namespaces that md copies to now."""
        return [member.medium.uuid for raid in self.kernel.raids.values()
                for member in raid.members
                if 'spare' in member.flags and member.slot is not None]

    def write_errors(self) -> int:
        return sum(len(raid.errors) for raid in self.kernel.raids.values())

    def copies(self) -> dict[str, set[str]]:
        """Return volume -> namespaces in sync that hold all that was told."""
        return {raid.alias: {member.medium.uuid for member in raid.copies()}
                for raid in self.kernel.raids.values()}

    def close(self) -> None:
        self.agent.kill()
        self._driver.close()


class Fleet:
    """All hosts, whose daemons take turns in simulated time.

    :param endpoints: of etcd; each host begins with another one.
    :param folder: for the hosts' files.
    :param sync_time: seconds that a resync takes.
    :param settings: options of every agent.
    :ivar resyncs: the most copies that went on at once, as md has it, and
        ``to_one``: to one shelf.
    """

    def __init__(self, plan: shelves.Plan, endpoints: Sequence[str],
                 folder: str, seed: int = 1, sync_time: float = 20.0,
                 **settings: Any) -> None:
        disk.works()
        self.plan = plan
        self.endpoints = list(endpoints)
        self.folder = folder
        self.sync_time = sync_time
        self.settings = settings
        self.dice = random.Random(seed)
        self.baton = batons.Baton(self.dice, self._advance)
        self.clock = batons.Clock(self.baton)
        self.resyncs = self.to_one = 0
        self._shelf = {uuid: shelf for shelf in range(plan.shelves)
                       for uuid in plan.namespaces(shelf)}
        # one and the same for all hosts: what two write to shows
        self.media = {uuid: md.Medium(uuid)
                      for shelf in range(plan.shelves)
                      for uuid in plan.namespaces(shelf)}
        self.hosts = [Host(self, number) for number in range(plan.hosts)]

    def start(self) -> None:
        for host in self.hosts:
            host.agent.start()

    def live(self, seconds: float) -> None:
        """Let time pass.

        :raises judges.Violation: a law was broken.
        """
        self.baton.run(seconds)

    def _advance(self, seconds: float) -> None:
        while seconds > 0.0:
            step = min(seconds, 1.0)
            seconds -= step
            for host in self.hosts:
                host.advance(step)
            shelves_now = collections.Counter(
                self._shelf[uuid] for host in self.hosts
                for uuid in host.copied_to())
            self.resyncs = max(self.resyncs, sum(shelves_now.values()))
            self.to_one = max(self.to_one, *shelves_now.values(), 0)

    def lose(self, shelf: int) -> None:
        """A shelf dies: for some by a reset, for others it falls silent."""
        for number, host in enumerate(self.hosts):
            host.kernel.lose(host.kernel.targets[self.plan.nqn(shelf)],
                             silent=number % 2 == 1)

    def close(self) -> None:
        for host in self.hosts:
            host.close()


def _configuration(fleet: Fleet, folder: str) -> cfg.ConfigOpts:
    conf = agents.configuration()
    conf.register_opts(etcd.OPTS)
    agents.reset(conf)
    endpoints = list(fleet.endpoints)
    fleet.dice.shuffle(endpoints)
    for name, value in {'state_dir': folder, 'etcd_endpoints': endpoints,
                        **fleet.settings}.items():
        conf.set_override(name, value)
    return conf
