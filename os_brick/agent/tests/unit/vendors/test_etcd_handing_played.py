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
"""A volume is handed over by drivers that are killed at any call."""

import os

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_handing_agent
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import handing
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

NAMES = etcd_handing_agent.NAMES
AgentModel = etcd_handing_agent.AgentModel


class PlayedTestCase(test_etcd_interleaved.SeededTestCase):
    """The drivers themselves, killed and interrupted at any call."""

    PLAYS = 4
    STEPS = 120

    def test_never_two_heal(self):
        self.handed = 0
        self.scratch = self.directory
        for _play in range(self.PLAYS):
            self.prefix = '/play-%d' % next(self.numbers)
            self.directory = os.path.join(self.scratch, self.prefix[1:])
            for name in NAMES:
                os.makedirs(os.path.join(self.directory, name))
            self.keys = schema.Keys(self.prefix)
            self.operator = admin.Operator(self.store, self.keys)
            self.play_anew()
        self.assertTrue(self.handed)    # else nothing was shown

    def play(self, chance):
        self.begin()
        wires = [test_etcd_interleaved.Deadly(
            self.wire, 0.02, chance.random(), lambda: None)
            for _ in range(4)]
        agents = {name: AgentModel(self, name, wire)
                  for name, wire in zip(NAMES, wires)}
        operator = admin.Operator(store.Store(wires[3]), self.keys)
        last = None
        for _step in range(self.STEPS):
            if chance.random() < 0.3:
                self.operate(operator, chance)
            elif chance.random() < 0.05:
                chance.choice(list(agents.values())).restart()
            else:
                agent = chance.choice(list(agents.values()))
                chance.choice((agent.pull, agent.take, agent.go_on,
                               agent.whole, agent.whole, agent.whole))()
            healing = [name for name, agent in agents.items()
                       if agent.healing]
            self.assertLessEqual(len(healing), 1, healing)
            if healing and healing != [last]:
                self.handed += last is not None
                last = healing[0]
        for name in NAMES:
            wires[NAMES.index(name)].chance = 0.0
        wires[3].chance = 0.0
        self.settle(operator, agents)

    def settle(self, operator, agents):
        """Left alone, and with the command run again, one of them heals."""
        for _pass in range(2):
            owner, = self.operator.everything().owners.values()
            operator.hand_over('v1', owner, force=True)
            for agent in agents.values():
                agent.pull()
                agent.take()
                agent.go_on()
        operator.hand_over('v1', owner, force=True)
        agents[owner].pull()
        agents[owner].take()
        self.assertEqual([owner], [name for name, agent in agents.items()
                                   if agent.healing])

    def operate(self, operator, chance):
        name = chance.choice(NAMES)
        try:
            if chance.random() < 0.2:
                operator.detach('v1', name)
            else:
                # nobody has a lease here
                documents = self.documents(operator)
                if chance.random() < 0.8:
                    name = documents.owner
                under_way = handing.HandOver(
                    operator._store, self.keys, documents, name, False)
                under_way.step()
        except (etcd_fleet.Killed, vendor.ProvisionerError):
            pass

    def documents(self, operator):
        return documents_room.of(self.keys, operator.everything(),
                                 self.volume().uuid)
