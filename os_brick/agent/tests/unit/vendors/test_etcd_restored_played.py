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
"""A restored etcd in the middle of many hosts that are killed."""

import contextlib
import os

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import documents
from os_brick.agent.vendors.fleet import schema

host = etcd_fleet.host


class PlayedTestCase(test_etcd_interleaved.InterleavedTestCase):
    """Many hosts, killed at any call, and a backup at any moment."""

    PLAYS = 4
    STEPS = 60
    CHANCE = 0.02

    def test_no_spare_twice_and_no_second_replacement(self):
        scratch = self.directory
        for play in range(self.PLAYS):
            self.wire.__init__()
            self.directory = os.path.join(scratch, str(play))
            for name in test_etcd_interleaved.HOSTS:
                os.makedirs(os.path.join(self.directory, name))
            self.play_anew()

    def play(self, chance):
        self.begin({one: (10 * one, 10 * one + 1)
                    for one in test_etcd_interleaved.VOLUMES},
                   test_etcd_interleaved.SPARES, 'h1')
        self.taken = set()
        self.under_way = None
        self.agents = {
            name: test_etcd_interleaved.Agent(
                self, name, test_etcd_interleaved.Deadly(
                    self.wire, self.CHANCE, chance.random(), lambda: None))
            for name in test_etcd_interleaved.HOSTS}
        # who has never looked remembers nothing, and says so
        self.calm(True)
        for agent in self.agents.values():
            agent.volumes()
        self.calm(False)
        self.some_steps(chance)
        saved = dict(self.wire.values), self.wire.revision
        self.some_steps(chance)
        self.calm(True)
        had = self.had()
        self.wire.values, self.wire.revision = dict(saved[0]), saved[1]
        self.wire.cluster += '1'
        self.operator.accept()
        for _turn in range(3):
            self.settle(chance)
            try:
                self.operator.resume()
            except vendor.Rejected:
                self.say_who_heals()
        self.assertEqual('', self.operator.everything().fleet.hold)
        self.judge()
        now = self.operator.everything().uses
        for namespace, volume in had.items():
            self.assertEqual(volume, now[namespace].volume)
        self.calm(False)
        self.some_steps(chance)

    def say_who_heals(self):
        """Nobody does, as the operator has made sure."""
        every = self.operator.everything()
        for uuid in every.holders:
            found = documents.of(self.keys, every, uuid)
            if found.doubtful() == [schema.UNKNOWN]:
                self.operator.hand_over(uuid, documents.counts(
                    found.records, found.owner), stopped=True)

    def some_steps(self, chance):
        for _step in range(chance.randrange(self.STEPS)):
            if chance.random() < 0.2:
                self.operate(chance)
            else:
                self.heal(chance, self.agents[chance.choice(
                    test_etcd_interleaved.HOSTS)])
            self.judge()

    def heal(self, chance, agent):
        super().heal(chance, agent)
        agent.do(lambda driver: driver.delay_resyncs((), ()))

    def operate(self, chance):
        if chance.random() < 0.3:
            self.give_back(chance)
            return
        for agent in self.agents.values():
            agent.do(lambda driver: driver.heartbeat(host(agent.name), 30))
        with contextlib.suppress(vendor.ProvisionerError):
            if self.under_way is None:
                self.under_way = self.operator.hand_over(
                    'v%d' % chance.choice(test_etcd_interleaved.VOLUMES),
                    chance.choice(test_etcd_interleaved.HOSTS))
            else:
                self.under_way.look()
                self.under_way.step()
        if self.under_way is not None and not self.under_way.waits_for:
            self.under_way = None

    def give_back(self, chance):
        free = [uuid for uuid, use in self.operator.everything().uses.items()
                if use.volume is None]
        if free:
            self.operator.give_back(chance.choice(free))

    def calm(self, on):
        for agent in self.agents.values():
            agent._wire.chance = 0.0 if on else self.CHANCE

    def had(self):
        """Return what each host that heals had: namespace -> volume."""
        return {entry.uuid: uuid for agent in self.agents.values()
                for uuid, record in agent.driver._memory.seen.volumes.items()
                if record.heals(agent.name)
                for entry in record.entries if entry.live}

    def settle(self, chance):
        """Each host makes passes until all have the new generation."""
        names = list(test_etcd_interleaved.HOSTS)
        for _pass in range(4):
            chance.shuffle(names)
            for name in names:
                driver = self.agents[name].driver
                driver._lease = 0
                with contextlib.suppress(vendor.BadAnswer):
                    driver.get_volumes(host(name), (), ())
                    driver.heartbeat(host(name), 30)

    def judge(self):
        every = self.operator.everything()
        self.judge_uses(every)
        healers = [record.uuid for (name, _uuid), record
                   in every.records.items() if record.healer == name]
        self.assertEqual(len(healers), len(set(healers)))
