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
"""Backups, hand-overs, detaches and hosts that are cut off, in any order.

At no moment do two hosts heal a volume, and no live copy of the one that does
is given to the pool.  Agents and commands are killed at any call, and
``resume`` is never forced.  In a play either backups are restored, or it is
said of hosts that are off that they are (``--source-stopped``): a host that
was off then, and of which a backup has forgotten what was said, heals when it
is back (the page of etcd, "After a restored backup").
"""

import os

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_handing_agent
from os_brick.agent.tests.unit.vendors import test_etcd
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

NAMES = etcd_handing_agent.NAMES
SPARES = (3, 4, 5)
State = etcd_fleet.State


class Cable(test_etcd_interleaved.Deadly):
    """A way to etcd that may be cut."""

    cut = False

    def call(self, path, body):
        if self.cut:
            raise vendor.Unavailable('cut off')
        return super().call(path, body)


class Agent(etcd_handing_agent.AgentModel):
    """An agent on a host that may be off.

    :ivar here: the array is on this host.
    """

    off = False
    here = True

    def do(self, call):
        try:
            super().do(call)
        except (vendor.BadAnswer, vendor.Unauthorized):
            pass

    def volumes(self):
        found = self.driver.get_volumes(
            etcd_fleet.host(self.name),
            [test_etcd.array(1, 2)] if self.here else [], ())
        return [volume for volume in found if not volume.observe]

    def show(self):
        self.do(lambda driver: driver.heartbeat(
            etcd_fleet.host(self.name), 30))

    def whole(self):
        self.show()
        super().whole()
        self.here |= self.healing
        self.show()

    def switch(self):
        """A boot leaves neither an array nor a word that was given before."""
        self.off = not self.off
        self._wire.cut = False
        self.restart()
        self.healing = self.here = False

    def has(self):
        """Return the namespaces that it uses, as far as it knows."""
        record = self.driver._memory.seen.volumes.get(
            etcd_fleet.volume_uuid(1))
        return {entry.uuid for entry in record.entries if entry.live
                and entry.state is not State.TERMINATING
                } if record and self.healing and not self.off else set()


class OrdersTestCase(test_etcd_interleaved.SeededTestCase):

    PLAYS = 30
    STEPS = 200

    def test_never_two_heal_and_no_live_copy_is_given_away(self):
        self.handed = self.restored = self.resumed = self.stopped = 0
        scratch = self.directory
        for play in range(self.PLAYS):
            self.wire.__init__()
            self.directory = os.path.join(scratch, str(play))
            for name in NAMES:
                os.makedirs(os.path.join(self.directory, name))
            self.play_anew()
        # else nothing was shown
        self.assertTrue(self.handed)
        self.assertTrue(self.restored)
        self.assertTrue(self.resumed)

    def play(self, chance):
        self.begin(spares=SPARES)
        cables = [Cable(self.wire, 0.01, chance.random(), lambda: None)
                  for _ in range(4)]
        self.agents = {name: Agent(self, name, cable)
                       for name, cable in zip(NAMES, cables)}
        self.said = admin.Operator(store.Store(cables[3]), self.keys)
        self.backups = [dict(self.wire.values)]
        self.under_way, self.last = None, None
        self.restores = chance.random() < 0.7
        steps = ((self.one_pass, 12), (self.part_of_a_pass, 6),
                 (self.exchange, 4), (self.hand_over, 4), (self.go_on, 8),
                 (self.detach, 2), (self.cut, 1), (self.end_lease, 1),
                 (self.switch, 0.6), (self.back_up, 0.7),
                 (self.restore, 0.5), (self.accept, 0.1), (self.resume, 1.5),
                 (self.give_back, 1))
        for _step in range(self.STEPS):
            step, = chance.choices(*zip(*steps))
            try:
                step(chance)
            except (etcd_fleet.Killed, vendor.ProvisionerError):
                pass
            self.judge(step)

    def judge(self, step):
        healing = [agent.name for agent in self.agents.values()
                   if agent.healing and not agent.off]
        self.assertLessEqual(len(healing), 1, (step.__name__, healing))
        if healing and healing != self.last:
            self.handed += self.last is not None
            self.last = healing
        view = self.store.read([self.keys.schema], [self.keys.uses])
        if store.fleet(view, self.keys).hold:
            return
        for agent in self.agents.values():
            for namespace in agent.has():
                use = schema.load_use(view.get(
                    self.keys.uses + namespace).text)
                self.assertEqual(etcd_fleet.volume_uuid(1), use.volume, (
                    step.__name__, agent.name, namespace))

    def on(self, chance):
        return chance.choice([agent for agent in self.agents.values()
                              if not agent.off] or [None])

    def one_pass(self, chance):
        agent = self.on(chance)
        if agent:
            agent.whole()

    def part_of_a_pass(self, chance):
        agent = self.on(chance)
        if agent:
            chance.choice((agent.show, agent.pull, agent.take, agent.go_on,
                           agent.restart))()

    def exchange(self, chance):
        agent = self.on(chance)
        if not agent or not agent.healing:
            return
        agent.whole()
        for volume in agent._answer or ():
            replica = chance.choice(volume.replicas)
            agent.do(lambda driver: (
                driver.confirm_replica_removed(volume, replica)
                if replica.state is State.TERMINATING
                else chance.choice((
                    driver.request_replacement,
                    driver.retire_replica))(volume, replica)))

    def hand_over(self, chance):
        host = chance.choice(NAMES)
        self.under_way = self.said.hand_over(
            'v1', host, chance.random() < 0.2, self.are_off(host))

    def are_off(self, host):
        """The operator has made sure that no other host uses it."""
        stopped = not any(not agent.off and (agent.healing or agent._answer)
                          for name, agent in self.agents.items()
                          if name != host)
        self.stopped += stopped
        return stopped and not self.restores and any(
            agent.off for agent in self.agents.values())

    def go_on(self, chance):
        if self.under_way is not None:
            self.under_way._stopped = False
            self.under_way.look()
            self.under_way.step()

    def detach(self, chance):
        name = chance.choice(NAMES)
        self.said.detach('v1', name)
        # os-brick may have failed to stop it
        self.agents[name].here &= chance.random() < 0.3

    def cut(self, chance):
        agent = self.on(chance)
        if agent:
            agent._wire.cut = not agent._wire.cut

    def end_lease(self, chance):
        for name, agent in self.agents.items():
            if agent._wire.cut or agent.off:
                self.store.write(store.Write({self.keys.alive(name): None}))

    def switch(self, chance):
        chance.choice(list(self.agents.values())).switch()

    def back_up(self, chance):
        if not self.said.everything().fleet.hold:
            self.backups.append(dict(self.wire.values))

    def restore(self, chance):
        if not self.restores:
            return
        self.restored += 1
        self.wire.values = dict(chance.choice(self.backups))
        self.wire.cluster += '1'
        for name, agent in self.agents.items():
            agent.driver._lease = 0
            if chance.random() < 0.5:
                self.store.write(store.Write({self.keys.alive(name): None}))
        self.accept(chance)

    def accept(self, chance):
        """Until the hosts believe it, as a rule."""
        while (self.operator.accept().generation
               <= max(agent.driver._generation()
                      for agent in self.agents.values())
               and chance.random() < 0.9):
            pass

    def resume(self, chance):
        self.said.resume()
        self.resumed += 1

    def give_back(self, chance):
        free = [uuid for uuid, use in self.said.everything().uses.items()
                if use.volume is None]
        if free:
            self.said.give_back(chance.choice(free))
