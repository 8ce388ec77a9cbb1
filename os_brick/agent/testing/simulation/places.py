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
"""A host, with all that is of it and not of the world.

The first one is the world's own; another one is made where the volume is
attached to two hosts at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import hands as simulated_hands
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import provisioner as provisioners

HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:other', None, 'other')


@dataclasses.dataclass
class Place:
    """One host: its kernel, its agent, its judge.

    :ivar raid: the volume's array here, running or not.
    """

    kernel: kernels.Kernel
    raid: md.Raid
    clock: batons.Clock
    vendor: provisioners.Provisioner
    judge: judges.Judge
    hands: simulated_hands.Hands
    agent: agents.Agent

    def look(self) -> None:
        """:raises judges.Violation: a law was broken."""
        self.judge.guarded = (self.agent.alive and not self.agent.doomed
                              and self.agent.knows)
        if not self.judge.broken:
            self.judge.after()
        if self.judge.broken:
            raise judges.Violation(self.judge.broken)


def beside(first: Place, baton: batons.Baton, conf: cfg.ConfigOpts,
           folder: str, dice: random.Random,
           tell: Callable[[str], None]) -> Place:
    """Make another host: another product's array is on it, and no volume."""
    def told(sentence: str) -> None:
        tell('[second host] ' + sentence)

    kernel = first.kernel.beside()
    clock = batons.Clock(baton)
    # no boot of it is one of the first host
    clock.boots += 1000
    kernel.wall, kernel.told = clock.wall, told
    vendor = first.vendor.beside(kernel)
    judge = first.judge.beside(kernel, vendor)
    vendor.give_away = judge.give_away
    hands = simulated_hands.Hands(kernel, baton, judge, told)
    agent = agents.Agent(conf, folder, kernel, vendor, judge, hands, baton,
                         clock, dice, HOST)
    kernel.changed = agent.changed
    stranger = [md.Medium(kernels.uuid_of(600 + number))
                for number in range(2)]
    for number, medium in enumerate(stranger):
        kernel.target(200 + number, medium)
    array = kernel.attach('md9', 'stranger', *(
        medium.uuid for medium in stranger), failfast=False)
    array.uuid = kernels.uuid_of(5100)
    array.write_superblocks()
    judge.foreign_raids.add('md9')
    judge.foreign_media |= {medium.uuid for medium in stranger}
    return Place(kernel, array, clock, vendor, judge, hands, agent)
