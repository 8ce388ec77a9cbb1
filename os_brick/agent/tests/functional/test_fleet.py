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
"""Two hosts heal from one pool of spares, which stands in a real etcd.

They are two agents in one machine. Each has an identity, a process and a
privileged helper, directories, sockets and a log of its own, and os-brick has
attached its volume under its NQN. What they share, and two hosts would not:

- The kernel. Each agent sees the arrays and the connections of both. Only
  what etcd lists for its host says which of them are its own, so that it
  leaves the others alone is seen here, and would be no feat on two hosts.
- os-brick's lock: what the one does, the other waits for.
- The clock, the boot and the user that both run as.

A shelf is one address that two targets are served on: each host sees there
what is its own, as with a storage that shows each host only that.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re
from typing import Any

from os_brick.agent import model
from os_brick.agent.testing.etcd import members
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import fleet as fleet_lib
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story

LOG = logging.getLogger(__name__)

HOST_ID = pathlib.Path('/etc/nvme/hostid')
NONE_LEFT = r'no spare in etcd can take the place of replica %s'
DONE = re.compile(r'volume (\S+): done: (.*)')
#: In an action's words: what it is done to.
SUBJECT = re.compile(
    r'\b(?:array|controller|nqn|replica_uuid|target)=(\S+)')
ENDED = re.compile(r'Removing ctrl: NQN "([^"]+)"')
AVAILABLE, MISSING = model.ReplicaState.AVAILABLE, model.ReplicaState.MISSING


@dataclasses.dataclass
class Side:
    """A host with its agent and its volume.

    :ivar legs: the targets that the volume has, the next to be lost first.
    :ivar own: what actions may name: the kernel's words for array and
        connections, UUIDs and NQNs of all replicas that there ever were.
    """

    host: fleet_lib.Host
    volume: connector.Volume
    agent: agent_lib.Agent
    legs: list[targets.Target]
    own: set[str]

    def note(self) -> None:
        """Remember what is its own by now."""
        array = host.array(self.volume.alias)
        assert array is not None
        self.own.add(array.name)
        for leg in self.legs:
            self.own |= {leg.nqn, leg.namespace.uuid, *(
                one.name for one in host.controllers(leg.nqn))}


class FleetTest(story.StoryTestCase):

    def setUp(self) -> None:
        super().setUp()
        if not members.installed():
            self.skipTest('there is no etcd; apt-get install etcd-server '
                          'etcd-client')
        self.fleet = fleet_lib.Fleet()
        self.dead: list[targets.Target] = []
        self.addCleanup(self.fleet.close)
        self.addCleanup(self._end_agents)

    def _end_agents(self) -> None:
        for agent in self.session.agents:
            agent.cleanup()

    def _keep_evidence(self, exc_info: Any) -> None:
        if hasattr(self, 'fleet'):
            LOG.info('etcd: %s', self.fleet.describe())
        super()._keep_evidence(exc_info)

    def test_two_hosts_heal_from_one_pool(self) -> None:
        """A shelf dies; then one falls silent, and one spare is missing.

        Each host gets a spare of its own, also the one whose agent is killed
        between etcd's word and the array; of the last one only one host.
        """
        self.forget_host_id()
        shelf, other_shelf = self.shelf(), self.shelf()
        one, two = self.sides = [
            self.side(name, *legs) for name, *legs in zip(
                ('compute-1', 'compute-2'), shelf, other_shelf)]
        writers = self.begin()
        pool = [self.rack.add() for _ in self.sides]
        self.fleet.load(None, [], pool)

        self.dead += shelf
        for target in shelf:
            target.kill()
        spare = waiting.wait_until(
            lambda: self.taken(one, pool), 'a spare is taken', story.LONG)
        one.agent.kill()
        self.wait_healed(two, *[other for other in pool if other != spare])
        one.agent.start()
        self.wait_healed(one, spare)
        self.assert_apart()

        last, given = self.rack.add(), self.rack.add()
        self.fleet.load(None, [], [last])
        self.dead += other_shelf
        for target in other_shelf:
            target.lose_power()
        lucky = waiting.wait_until(
            lambda: next((side for side in self.sides
                          if self.taken(side, [last])), None),
            'the last spare is taken', story.LONG)
        other = two if lucky is one else one
        lost, good = map(self.uuid, other.legs)
        other.agent.wait_for_log(NONE_LEFT % lost, story.LONG)
        other.agent.wait_for_log('NO_SPARE, volume %s' % other.volume.alias,
                                 story.LONG)
        self.assertEqual({good}, self.legs(other.volume))
        self.assertEqual({good: AVAILABLE, lost: MISSING},
                         self.fleet.replicas(other.host, other.volume))
        self.fleet.load(None, [], [given])
        self.wait_healed(lucky, last)
        self.wait_healed(other, given)
        self.assert_apart()

        for side, writer in zip(self.sides, writers):
            self.assert_nothing_lost(writer, side.volume)
        audit = self.fleet.audit()
        self.assertEqual([], audit.wrongs)
        self.assertEqual(
            dict.fromkeys(map(self.uuid, (*pool, last, given)), 1),
            {uuid: times for uuid, times in audit.taken.items()
             if uuid in self.fleet.read().spares})

    def forget_host_id(self) -> None:
        """Let each host have an ID of its own, or none.

        Kernels since Linux 6.5 take no two host NQNs for one ID.
        """
        if HOST_ID.exists():
            text = HOST_ID.read_text()
            self.addCleanup(HOST_ID.write_text, text)
            HOST_ID.unlink()

    def shelf(self) -> list[targets.Target]:
        """Return two targets that have one address."""
        first = self.rack.add()
        return [first, self.rack.add(beside=first)]

    def side(self, name: str, *legs: targets.Target) -> Side:
        """Attach a volume for a host, and make its agent."""
        who = fleet_lib.Host(name)
        volume = connector.Volume.on('vol-' + name, *legs, host_nqn=who.nqn)
        session_lib.attacher().attach(volume)
        agent = self.session.agent({'DEFAULT': dict(
            self.fleet.options, **who.options,
            replacement_grace_period=3.0)}, start=False)
        side = Side(who, volume, agent, list(legs), set())
        side.note()
        return side

    def begin(self) -> list[writer_lib.Writer]:
        """Let all be as an operator has it: each agent serves its volume."""
        self.fleet.begin()
        for side in self.sides:
            side.agent.start(wait=False)
        for side in self.sides:
            side.agent.wait_for_log(agent_lib.STARTED, story.LONG)
        self.fleet.wait_for(*[side.host for side in self.sides])
        for side in self.sides:
            self.fleet.load(side.host, [side.volume])
        writers = [self.session.write(side.volume, pause=0.02)
                   for side in self.sides]
        for side in self.sides:
            waiting.wait_until(
                lambda: not any('failfast' in leg.states for leg
                                in self.array(side.volume).legs),
                'no leg of %s fails fast' % side.volume.alias, story.LONG)
        return writers

    def taken(self, side: Side,
              pool: list[targets.Target]) -> targets.Target | None:
        """Return what the volume has of the pool, as etcd says."""
        return next((spare for spare in pool if self.fleet.holder(spare)
                     == side.volume.uuid), None)

    def wait_healed(self, side: Side, spare: targets.Target) -> None:
        """Wait until the host has that spare in place, and etcd says so."""
        side.legs = [side.legs[1], spare]
        self.wait_whole(side.volume, *side.legs)
        wanted = dict.fromkeys(map(self.uuid, side.legs), AVAILABLE)
        waiting.wait_until(
            lambda: self.fleet.replicas(side.host, side.volume) == wanted,
            'etcd has %s as it is' % side.volume.alias, story.LONG)

    def assert_apart(self) -> None:
        """Neither has touched what is the other's.

        By the kernel: each connection was made under the NQN of the host
        whose array it serves, and none was ended but those to the dead. By
        the logs: what was done was done to the host's own.
        """
        self.assertEqual(
            sorted((side.host.nqn, leg.nqn) for side in self.sides
                   for leg in side.legs),
            sorted((one.host_nqn, one.nqn) for one in host.controllers()))
        _before, _mark, said = process.run('dmesg').rpartition(
            'begin ' + self.name)
        self.assertEqual({target.nqn for target in self.dead},
                         {*ENDED.findall(said)})
        for side in self.sides:
            side.note()
            done = DONE.findall(side.agent.log())
            self.assertNotEqual([], done)
            for alias, words in done:
                self.assertEqual(side.volume.alias, alias, words)
                self.assertLessEqual({*SUBJECT.findall(words)}, side.own,
                                     words)
